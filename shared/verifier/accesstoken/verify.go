package accesstoken

import (
	"crypto/ecdsa"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/mastio-aws/mastio/shared/jose"
)

// Skew is how far the clock of the instance that signed may be ahead of the reader's. It applies to iat and nbf,
// never to exp: a token is not given a second more than it says.
const Skew = 5 * time.Second

// Verify returns the claims of a token that this issuer signed for this audience and that is valid now. keys returns
// the public key of a kid; nil refuses the token. Every error is ErrToken; for a token that is only too old it is
// ErrExpired as well. The binding, cnf, is for the caller to compare.
func Verify(
	token string, keys func(kid string) *ecdsa.PublicKey, now time.Time, issuer, audience string,
) (Claims, error) {
	c, err := Open(token, keys)
	if err != nil {
		return Claims{}, err
	}
	if err := c.Accept(now, issuer, audience); err != nil {
		return Claims{}, err
	}
	return c, nil
}

// Open returns the claims of a token that one of the keys signed, whatever its dates, its issuer and its audience are.
// That never changes while the key is there, so the claims may be kept. Every error is ErrToken.
func Open(token string, keys func(kid string) *ecdsa.PublicKey) (Claims, error) {
	c, err := open(token, keys)
	if err == nil {
		err = c.check()
	}
	if err != nil {
		return Claims{}, fmt.Errorf("%w: %w", ErrToken, err)
	}
	return c, nil
}

// Accept returns nil if claims are good for this audience now. The errors are those of Verify.
func (c Claims) Accept(now time.Time, issuer, audience string) error {
	err := c.accept(now, issuer)
	if err == nil && !slices.Contains(c.Audience, audience) {
		err = errors.New("aud is another audience")
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrToken, err)
	}
	return nil
}

// open verifies the signature and reads the claims.
func open(token string, keys func(kid string) *ecdsa.PublicKey) (Claims, error) {
	msg, err := jose.Parse(token)
	if err != nil {
		return Claims{}, err
	}
	// Exactly this value: a proof, or another JWT signed with the same key, is no access token.
	if typ, err := msg.Header.Text("typ"); err != nil || typ != tokenType {
		return Claims{}, errors.New("typ is not " + tokenType)
	}
	kid, err := msg.Header.Text("kid")
	if err != nil || kid == "" {
		return Claims{}, errors.New("kid is missing")
	}
	key := keys(kid) // the only source of keys: a jwk in the header is the sender's word
	if key == nil {
		return Claims{}, errors.New("kid is unknown")
	}
	payload, err := msg.Claims(key)
	if err != nil {
		return Claims{}, err
	}
	return read(payload)
}

func read(o jose.Object) (Claims, error) {
	cnf, err := jose.ParseObject(o["cnf"])
	if err != nil {
		return Claims{}, fmt.Errorf("cnf: %w", err)
	}
	r := reader{}
	c := Claims{
		Issuer:       value(&r, o.Text, "iss"),
		Subject:      value(&r, o.Text, "sub"),
		Audience:     value(&r, o.Texts, "aud"),
		ClientID:     value(&r, o.Text, "client_id"),
		Scope:        value(&r, o.Text, "scope"),
		JTI:          value(&r, o.Text, "jti"),
		IssuedAt:     value(&r, o.Time, "iat"),
		NotBefore:    value(&r, o.Time, "nbf"),
		Expires:      value(&r, o.Time, "exp"),
		X5T:          value(&r, cnf.Text, "x5t#S256"),
		JKT:          value(&r, cnf.Text, "jkt"),
		Capabilities: value(&r, o.Texts, "capabilities"),
		Generation:   value(&r, o.Int, "generation"),
		Handle:       value(&r, o.Text, "handle"),
	}
	return c, r.err
}

// reader keeps the first error of a row of reads.
type reader struct{ err error }

func value[T any](r *reader, read func(name string) (T, error), name string) T {
	v, err := read(name)
	if r.err == nil {
		r.err = err
	}
	return v
}

func (c Claims) accept(now time.Time, issuer string) error {
	switch {
	case c.Issuer != issuer:
		return errors.New("iss is another issuer")
	case c.IssuedAt.After(now.Add(Skew)):
		return errors.New("iat is in the future")
	case c.NotBefore.After(now.Add(Skew)):
		return errors.New("nbf is in the future")
	case !now.Before(c.Expires):
		return ErrExpired
	}
	return nil
}

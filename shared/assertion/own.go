package assertion

import (
	"crypto"
	"crypto/ecdsa"
	"errors"
	"fmt"
	"time"

	"github.com/mastio-aws/mastio/shared/jose"
	"github.com/mastio-aws/mastio/shared/verifier/accesstoken"
)

const (
	// OwnTTL is the life of an own assertion.
	OwnTTL = 60 * time.Second

	ownType = "mastio-client-assertion+jwt"
)

// ownClaims are the claims of an assertion of the Mastio's own.
type ownClaims struct {
	Issuer       string       `json:"iss"`
	Subject      string       `json:"sub"`
	Audience     string       `json:"aud"`
	JTI          string       `json:"jti"`
	IssuedAt     int64        `json:"iat"`
	Expires      int64        `json:"exp"`
	Confirmation confirmation `json:"cnf"`
}

// confirmation binds an own assertion to the certificate that it was made for (RFC 8705 section 3.1).
type confirmation struct {
	X5T string `json:"x5t#S256"`
}

// Sign makes an own assertion for the holder of the certificate: good for OwnTTL from the whole second of want.Now on.
// id must not occur twice. kid and key are of the token key ring; a refusal by the signer is an error.
func Sign(want Expect, id, kid string, key crypto.Signer) (string, error) {
	x5t, err := accesstoken.X5TFromThumbprint(want.Thumbprint)
	if err != nil {
		return "", err
	}
	return jose.Sign(ownType, kid, ownClaims{
		Issuer:       want.Issuer,
		Subject:      want.Subject,
		Audience:     want.audience(),
		JTI:          id,
		IssuedAt:     want.Now.Unix(),
		Expires:      want.Now.Add(OwnTTL).Unix(),
		Confirmation: confirmation{x5t},
	}, key)
}

// VerifyOwn checks an assertion of the Mastio's own. keys returns the public key of a kid, or nil for an unknown kid.
// Every error is ErrInvalid.
func (a Assertion) VerifyOwn(keys func(kid string) *ecdsa.PublicKey, want Expect) (Login, error) {
	v, err := a.verifyOwn(keys, want)
	if err != nil {
		return Login{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return v, nil
}

func (a Assertion) verifyOwn(keys func(kid string) *ecdsa.PublicKey, want Expect) (v Login, err error) {
	if a.Kind != Own {
		return v, errors.New("it is not signed by the Mastio")
	}
	key := keys(a.kid)
	if key == nil {
		return v, errors.New("kid is not a key of this Mastio")
	}
	claims, err := a.msg.Claims(key)
	if err != nil {
		return v, err
	}
	cnf, err := jose.ParseObject(claims["cnf"])
	if err != nil {
		return v, fmt.Errorf("cnf: %w", err)
	}
	x5t, err := accesstoken.X5TFromThumbprint(want.Thumbprint)
	if err != nil {
		return v, err
	}
	for _, c := range []struct {
		in         jose.Object
		name, want string
	}{{claims, "iss", want.Issuer}, {claims, "sub", want.Subject}, {claims, "aud", want.audience()},
		{cnf, "x5t#S256", x5t}} {
		if got, err := c.in.Text(c.name); err != nil || got != c.want {
			return v, errors.New(c.name + " is another one than this request's")
		}
	}
	return ownPeriod(claims, want.Now)
}

func ownPeriod(claims jose.Object, now time.Time) (v Login, err error) {
	iat, err := claims.Time("iat")
	if err != nil {
		return v, err
	}
	exp, err := claims.Time("exp")
	if err != nil {
		return v, err
	}
	switch {
	case iat.IsZero() || iat.After(now.Add(ahead)):
		return v, errors.New("iat is in the future")
	case !now.Before(exp):
		return v, fmt.Errorf("it is older than %d s: ask for a new one", OwnTTL/time.Second)
	}
	id, err := claims.Text("jti")
	if err != nil || id == "" {
		return v, errors.New("jti is missing")
	}
	return Login{id: string(Own) + ":" + id, until: exp.Add(time.Second)}, nil
}

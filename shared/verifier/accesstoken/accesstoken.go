// Package accesstoken signs and reads the access tokens of a Mastio: JWTs of RFC 9068, bound to a certificate (RFC
// 8705) and, with a proof, to a key (RFC 9449).
package accesstoken

import (
	"crypto"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/mastio-aws/mastio/shared/jose"
)

// tokenType is the typ of an access token (RFC 9068, 2.1). RFC 9068, 4 lets a reader take application/at+jwt too;
// tokens of this issuer are never written so.
const tokenType = "at+jwt"

// hashSize is the size of the SHA-256 in x5t#S256 and jkt.
const hashSize = 32

// Errors of a token. Each is wrapped with the reason, which never quotes the token.
var (
	ErrClaims  = errors.New("incomplete token claims") // at signing: a defect of the caller
	ErrToken   = errors.New("invalid access token")
	ErrExpired = errors.New("access token expired") // also ErrToken
)

// Claims are what a token says. Times have whole seconds; a fraction is dropped at signing.
type Claims struct {
	Issuer       string
	Subject      string   // the agent's id
	Audience     []string // at least one
	ClientID     string
	Scope        string // space-separated; may be empty
	JTI          string
	IssuedAt     time.Time
	NotBefore    time.Time // optional
	Expires      time.Time // after IssuedAt; a token is dead from this instant on
	X5T          string    // x5t#S256: base64url of the SHA-256 of the certificate's DER (RFC 8705, 3.1)
	JKT          string    // thumbprint of the proof's key (RFC 9449, 6.1); empty: not bound to one
	Capabilities []string
	Generation   int64 // of the Org CA under which the certificate is pinned
	// Handle names the agent's record to the status document, and says nothing about it; empty: the record has none.
	Handle string
}

// Key signs tokens. Signer is an in-memory *ecdsa.PrivateKey or anything else that holds a P-256 key, takes a SHA-256
// digest and answers ASN.1, as KMS does.
type Key struct {
	ID     string // kid: how the JWKS names the public key
	Signer crypto.Signer
}

// confirmation is the cnf claim (RFC 7800).
type confirmation struct {
	X5T string `json:"x5t#S256"`
	JKT string `json:"jkt,omitempty"`
}

// payload is the JSON form of the claims. aud is always an array. RFC 7519, 4.1.3 allows a bare string for a single
// audience, but two forms of one claim need two paths in every reader.
type payload struct {
	Issuer       string       `json:"iss"`
	Subject      string       `json:"sub"`
	Audience     []string     `json:"aud"`
	ClientID     string       `json:"client_id"`
	Scope        string       `json:"scope,omitempty"`
	JTI          string       `json:"jti"`
	IssuedAt     int64        `json:"iat"`
	NotBefore    int64        `json:"nbf,omitempty"`
	Expires      int64        `json:"exp"`
	Confirmation confirmation `json:"cnf"`
	Capabilities []string     `json:"capabilities"`
	Generation   int64        `json:"generation"`
	Handle       string       `json:"handle,omitempty"`
}

// Sign returns the token in compact form. ErrClaims: a claim that RFC 9068, 2.2 requires, or the binding to the
// certificate, is missing or malformed. A key without id or of another curve, and a refusal by the signer, are errors
// too.
func Sign(c Claims, key Key) (string, error) {
	if err := c.check(); err != nil {
		return "", fmt.Errorf("%w: %w", ErrClaims, err)
	}
	if key.ID == "" {
		return "", fmt.Errorf("%w: key has no id", ErrClaims)
	}
	token, err := jose.Sign(tokenType, key.ID, c.payload(), key.Signer)
	if err != nil {
		return "", fmt.Errorf("sign access token: %w", err)
	}
	return token, nil
}

func (c Claims) payload() payload {
	p := payload{
		Issuer:       c.Issuer,
		Subject:      c.Subject,
		Audience:     c.Audience,
		ClientID:     c.ClientID,
		Scope:        c.Scope,
		JTI:          c.JTI,
		IssuedAt:     c.IssuedAt.Unix(),
		Expires:      c.Expires.Unix(),
		Confirmation: confirmation{X5T: c.X5T, JKT: c.JKT},
		Capabilities: c.Capabilities,
		Generation:   c.Generation,
		Handle:       c.Handle,
	}
	if !c.NotBefore.IsZero() {
		p.NotBefore = c.NotBefore.Unix()
	}
	if p.Capabilities == nil {
		p.Capabilities = []string{} // an empty array, not null
	}
	return p
}

// check is what signing and reading both demand of claims.
func (c Claims) check() error {
	for _, required := range []struct{ name, value string }{
		{"iss", c.Issuer}, {"sub", c.Subject}, {"client_id", c.ClientID}, {"jti", c.JTI},
	} {
		if required.value == "" {
			return fmt.Errorf("%s is missing", required.name)
		}
	}
	if len(c.Audience) == 0 {
		return errors.New("aud is missing")
	}
	for _, a := range c.Audience {
		if a == "" {
			return errors.New("aud is empty")
		}
	}
	if c.IssuedAt.Unix() <= 0 || c.Expires.Unix() <= c.IssuedAt.Unix() {
		return errors.New("iat and exp are not a period")
	}
	if !isHash(c.X5T) {
		return errors.New("x5t#S256 is not a SHA-256 hash")
	}
	if c.JKT != "" && !isHash(c.JKT) {
		return errors.New("jkt is not a SHA-256 hash")
	}
	if c.Generation < 0 {
		return errors.New("generation is negative")
	}
	return nil
}

// isHash reports whether s is a SHA-256 hash in canonical base64url.
func isHash(s string) bool {
	b, err := jose.Decode(s)
	return err == nil && len(b) == hashSize
}

// X5TFromThumbprint turns a pin, the lower-case hex SHA-256 of a certificate's DER, into its x5t#S256. Anything else
// than 64 lower-case hex digits is ErrClaims.
func X5TFromThumbprint(thumbprint string) (string, error) {
	b, err := hex.DecodeString(thumbprint)
	if err != nil || len(b) != hashSize || strings.ToLower(thumbprint) != thumbprint {
		return "", fmt.Errorf("%w: thumbprint is not a lower-case hex SHA-256 hash", ErrClaims)
	}
	return base64.RawURLEncoding.EncodeToString(b), nil
}

// Package verifier decides whether a request to a resource holds a valid access token of a Mastio.
//
// A token counts only over a connection with the certificate that it is bound to (RFC 8705 section 3). A token that
// is bound to a key too also needs a proof by this key for this request (RFC 9449 section 7).
//
// Verifier is a resource server's whole check, with middleware. Rules is the part without HTTP, store or clock. Its
// caller has two duties, because they need more than the request: remember each proof until Verified.ReplayUntil, and
// check whether the certificate still authenticates its agent, by Status or otherwise.
package verifier

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/mastio-aws/mastio/shared/verifier/accesstoken"
	"github.com/mastio-aws/mastio/shared/verifier/dpop"
)

// The authentication schemes.
const (
	Bearer = "Bearer" // RFC 6750
	DPoP   = "DPoP"   // RFC 9449
)

// Rules are what a resource server knows before a request comes. Issuer, Audience, and Keys or Open are required. They
// are safe for concurrent use if the functions are.
type Rules struct {
	Issuer   string                            // the Mastio's issuer identifier
	Audience string                            // the resource's own name: the aud that its tokens have
	Keys     func(kid string) *ecdsa.PublicKey // from the Mastio's JWKS; nil for a kid that is not in it
	// Nonce judges the nonce of a proof, which may be empty; its error makes the request ErrNonce. nil: no nonce is looked
	// at.
	Nonce func(nonce string) error
	// Open returns the claims of a token, as accesstoken.Open does; nil: that, with Keys.
	Open func(token string) (accesstoken.Claims, error)
	// Window is how old a proof may be; zero: dpop.DefaultWindow.
	Window time.Duration
}

// Request is what a request shows.
type Request struct {
	Authorization []string          // values of the Authorization header
	Proofs        []string          // values of the DPoP header
	Certificate   *x509.Certificate // that the client has proved on this very connection; nil: none
	Method        string
	URL           string // absolute, as the client knows it
	Now           time.Time
}

// Caller is what a request has proved about its caller.
type Caller struct {
	Claims accesstoken.Claims
	Scheme string
	// Of the proof; empty without one. The pair of key and id must not be accepted again before ReplayUntil.
	JKT, JTI    string
	ReplayUntil time.Time
}

// Check returns what the request proves. Errors: ErrNoToken, ErrToken, ErrBinding, ErrScheme, ErrProof, ErrNonce.
func (r Rules) Check(q Request) (Caller, error) {
	scheme, token, err := credentials(q.Authorization)
	if err != nil {
		return Caller{}, err
	}
	claims, err := r.open(token)
	if err == nil {
		err = claims.Accept(q.Now, r.Issuer, r.Audience)
	}
	if err != nil {
		return Caller{}, fmt.Errorf("%w: %w", ErrToken, err)
	}
	if q.Certificate == nil || !same(claims.X5T, thumbprint(q.Certificate)) {
		return Caller{}, fmt.Errorf("%w: the connection's certificate is not the token's", ErrBinding)
	}
	v := Caller{Claims: claims, Scheme: scheme}
	// A bound token without its proof is a stolen one (RFC 9449 section 7.2), and a proof for one that is not bound proves
	// nothing.
	if (claims.JKT != "") != (scheme == DPoP) {
		return Caller{}, fmt.Errorf("%w: this token is shown as %s", ErrScheme, map[bool]string{
			true:  DPoP,
			false: Bearer,
		}[claims.JKT != ""])
	}
	if scheme == Bearer {
		return v, nil
	}
	return r.prove(v, token, q)
}

func (r Rules) open(token string) (accesstoken.Claims, error) {
	if r.Open != nil {
		return r.Open(token)
	}
	return accesstoken.Open(token, r.Keys)
}

func (r Rules) prove(v Caller, token string, q Request) (Caller, error) {
	raw, err := dpop.FromHeader(q.Proofs)
	if err != nil {
		return Caller{}, fmt.Errorf("%w: %w", ErrProof, err)
	}
	// A proof is as fresh as its nonce. Where its iat is off too, the nonce is what the client has to mend.
	nonce := func(string) bool { return false }
	if r.Nonce != nil {
		nonce = func(nonce string) bool { return r.Nonce(nonce) == nil }
	}
	proof, err := dpop.Verify(raw, dpop.Expect{
		Method:      q.Method,
		URLs:        []string{q.URL},
		Now:         q.Now,
		Window:      r.Window,
		AccessToken: token,
		Fresh:       nonce,
	})
	if errors.Is(err, dpop.ErrClock) && r.Nonce != nil {
		return Caller{}, fmt.Errorf("%w: %w", ErrNonce, err)
	}
	if err != nil {
		return Caller{}, fmt.Errorf("%w: %w", ErrProof, err)
	}
	if !same(v.Claims.JKT, proof.JKT) {
		return Caller{}, fmt.Errorf("%w: the proof's key is not the token's", ErrBinding)
	}
	if r.Nonce != nil {
		if err := r.Nonce(proof.Nonce); err != nil {
			return Caller{}, fmt.Errorf("%w: %w", ErrNonce, err)
		}
	}
	v.JKT, v.JTI, v.ReplayUntil = proof.JKT, proof.JTI, proof.ReplayUntil(r.Window)
	return v, nil
}

// credentials reads the one Authorization header: a scheme, in any case (RFC 9110 section 11.1), one space, and a
// token.
func credentials(values []string) (scheme, token string, err error) {
	if len(values) == 0 {
		return "", "", ErrNoToken
	}
	if len(values) > 1 {
		return "", "", fmt.Errorf("%w: more than one Authorization header", ErrNoToken)
	}
	name, token, _ := strings.Cut(values[0], " ")
	for _, known := range []string{Bearer, DPoP} {
		if strings.EqualFold(name, known) && token != "" {
			return known, token, nil
		}
	}
	return "", "", fmt.Errorf("%w: want Authorization: %s or %s with a token", ErrNoToken, DPoP, Bearer)
}

// thumbprint is the x5t#S256 of a certificate (RFC 8705 section 3.1).
func thumbprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

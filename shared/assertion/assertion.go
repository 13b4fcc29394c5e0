// Package assertion makes and judges client assertions (RFC 7523 section 2.2). An agent that has shown its
// certificate requests a token with such a JWT. An assertion never replaces the certificate.
//
// There are two kinds. The certificate's own key signs a local assertion over a challenge of this Mastio. The Mastio
// signs an own assertion for the holder of a certificate; it gives the client nothing that the certificate does not.
package assertion

import (
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/mastio-aws/mastio/shared/jose"
	"github.com/mastio-aws/mastio/shared/problem"
)

// ErrInvalid reports an assertion that is refused. It is always wrapped with the reason, which never quotes the
// assertion.
var ErrInvalid = problem.New(401, "client_assertion_invalid", "invalid client assertion").
	AtToken("invalid_client")

// ErrUsed reports an assertion that a token was issued for.
var ErrUsed = problem.New(401, "client_assertion_used", "client assertion was used before").
	Says("The client assertion was used before. Ask for a new challenge, or a new assertion, for each token").
	AtToken("invalid_client")

const (
	// MaxSize is the longest assertion, in bytes: it brings up to 16 certificates in its header, and travels in a body of
	// at most 64 KiB.
	MaxSize = 60 << 10

	// MaxBehind is the most certificates that x5c may have after the first one.
	MaxBehind = 15

	// maxLife is the longest time from iat to exp of a local assertion.
	maxLife = 300 * time.Second

	// Skew is how far the clocks of a client and of this Mastio may differ.
	Skew = 60 * time.Second

	// maxID is the most bytes of a jti.
	maxID = 256
)

// Kind says who signed an assertion.
type Kind string

// The kinds of assertions.
const (
	Local Kind = "local" // the certificate's own key
	Own   Kind = "own"   // the Mastio
)

// kinds are the values of typ that are read. A JWT of another type, for example an access token or a DPoP proof, is
// no assertion, whatever key signed it (RFC 8725 section 3.11).
var kinds = map[string]Kind{"": Local, "JWT": Local, "client-authentication+jwt": Local, ownType: Own}

// Assertion is an assertion taken apart. Nothing in it may be believed before Verify.
type Assertion struct {
	Kind Kind
	// Behind are the certificates, DER, that x5c has after the first one; nothing is believed of them.
	Behind [][]byte

	leaf []byte // x5c[0]
	kid  string
	msg  *jose.Message
}

// Parse takes an assertion apart and checks everything but its signature and its claims. Every error is ErrInvalid.
func Parse(compact string) (Assertion, error) {
	a, err := parse(compact)
	if err != nil {
		return Assertion{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return a, nil
}

func parse(compact string) (a Assertion, err error) {
	if a.msg, err = jose.ParseLimited(compact, MaxSize, jose.Algorithm, jose.RS256); err != nil {
		return a, err
	}
	typ, err := a.msg.Header.Text("typ")
	if err != nil {
		return a, err
	}
	if a.Kind = kinds[typ]; a.Kind == "" {
		return a, errors.New("typ is that of another kind of token")
	}
	if a.Kind == Own {
		a.kid, err = a.msg.Header.Text("kid")
		return a, err
	}
	chain, err := a.msg.Header.Texts("x5c")
	if err != nil {
		return a, err
	}
	if len(chain) == 0 || len(chain) > 1+MaxBehind {
		return a, fmt.Errorf("x5c has %d certificates, want 1 to %d", len(chain), 1+MaxBehind)
	}
	for i, text := range chain {
		der, err := decode(text)
		if err != nil {
			return a, fmt.Errorf("x5c[%d] is not base64", i)
		}
		a.Behind = append(a.Behind, der)
	}
	a.leaf, a.Behind = a.Behind[0], a.Behind[1:]
	return a, nil
}

// decode reads base64 with padding, not base64url (RFC 7515 section 4.1.6), in its one canonical spelling.
func decode(text string) ([]byte, error) {
	if strings.ContainsAny(text, "\r\n") { // encoding/base64 skips them, even when strict
		return nil, errors.New("line break")
	}
	return base64.StdEncoding.Strict().DecodeString(text)
}

// Expect is the request that an assertion must be for. The caller has found out before which agent the certificate
// authenticates.
type Expect struct {
	Subject    string            // the agent's id
	Leaf       *x509.Certificate // the connection's certificate
	Thumbprint string            // of Leaf: lower-case hex SHA-256 of its DER
	Issuer     string            // this Mastio's issuer identifier
	Endpoint   string            // the token endpoint's URL
	Now        time.Time         // the instant of the request
}

// Login is a verified assertion. That it was not used before is still to be checked.
type Login struct {
	Challenge string // of a local one
	id        string // names the assertion among all of this certificate, both kinds apart
	until     time.Time
}

// Used returns under which name, and until when, the use of an assertion has to be remembered so that no assertion gets
// two tokens. No holder of another certificate can make one with the same name, and no DPoP proof has one.
func (v Login) Used(thumbprint string) (holder, id string, until time.Time) {
	return "client_assertion:" + thumbprint, v.id, v.until
}

// audience is what an own assertion is for. It has a fragment, and so can be neither the audience of an access token,
// which is a resource without one (RFC 8707 section 2) or the issuer identifier, nor of anything else.
func (e Expect) audience() string { return audience(e.Endpoint) }

func audience(endpoint string) string { return endpoint + "#client-assertion" }

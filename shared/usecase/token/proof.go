package token

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/dpop"
)

// Window is how old a proof may be; its id is remembered for as long as it could be accepted.
const Window = time.Minute

// NonceError asks the client to repeat its request with a nonce (RFC 9449 section 8).
type NonceError struct {
	Nonce string // for the DPoP-Nonce header
	cause error
}

// Error names the cause.
func (e *NonceError) Error() string { return e.cause.Error() }

// Unwrap makes errors.Is(err, dpop.ErrNonce) and the like true.
func (e *NonceError) Unwrap() error { return e.cause }

// prove checks the proof, if there is one, and uses it up. It returns the thumbprint that the token is bound to, empty
// without a proof.
func (i *Issuer) prove(ctx context.Context, header []string, a agent.Agent, pin agent.Pin, nonces *dpop.Nonces, now time.Time) (jkt string, err error) {
	raw, err := dpop.FromHeader(header)
	if errors.Is(err, dpop.ErrMissing) {
		if i.RequireDPoP {
			return "", ErrProofRequired
		}
		return "", nil
	}
	if err != nil {
		return "", err
	}
	proof, err := dpop.Verify(raw, dpop.Expect{Method: http.MethodPost, URLs: []string{i.Endpoint}, Now: now, Window: Window})
	if err != nil {
		return "", err
	}
	if want := cmp.Or(pin.JKT, a.JKT); want != "" && want != proof.JKT {
		return "", ErrProofKey
	}
	if i.RequireNonce || proof.Nonce != "" {
		if err := nonces.Check(proof.Nonce, now); err != nil {
			return "", &NonceError{Nonce: nonces.Issue(now), cause: err}
		}
	}
	return proof.JKT, i.Store.UseProof(ctx, proof.JKT, proof.JTI, proof.ReplayUntil(Window), now)
}

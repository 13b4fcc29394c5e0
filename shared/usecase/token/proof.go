package token

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/assertion"
	"github.com/mastio-aws/mastio/shared/problem"
	"github.com/mastio-aws/mastio/shared/verifier/dpop"
)

// Why a proof is refused, at the token endpoint (RFC 9449 sections 5 and 8).
var (
	ErrProof = problem.New(400, "dpop_proof_invalid", "dpop proof does not hold").AtToken("invalid_dpop_proof")
	// ErrNonceRequired and ErrNonce: the answer has a fresh nonce.
	ErrNonceRequired = problem.New(400, "dpop_nonce_required", "dpop proof has no nonce").
				Says("Authorization server requires nonce in DPoP proof").
				AtToken("use_dpop_nonce")
	ErrNonce = problem.New(400, "dpop_nonce_invalid", "dpop proof has a stale nonce").
			Says("The nonce in the DPoP proof is not valid any more").
			AtToken("use_dpop_nonce")
)

// refusal returns the problem of an error of package dpop. What is wrong with a proof is public: its maker mends it.
func refusal(err error) error {
	switch {
	case errors.Is(err, dpop.ErrNonceMissing):
		return fmt.Errorf("%w: %w", ErrNonceRequired, err)
	case errors.Is(err, dpop.ErrNonce):
		return fmt.Errorf("%w: %w", ErrNonce, err)
	}
	return fmt.Errorf("%w: %w", ErrProof.Says(err.Error()), err)
}

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

// binding is what the token of one request has to be bound to.
type binding struct {
	required   bool   // no token without a proof
	registered string // thumbprint of the key that the proof must be made with; empty: any key
	missing    bool   // a key has to be registered, and none is
	lost       agent.LostProofKeys
}

// binding decides by the registered key. The exception is a login by assertion, whose client makes a key for each
// login: it may use any key, but it needs a key if all of the agent's tokens are bound.
func (i *Issuer) binding(given *assertion.Assertion, a agent.Agent, pin agent.Pin) binding {
	b := binding{required: i.RequireDPoP || a.ProofBound, registered: cmp.Or(pin.JKT, a.JKT), lost: a.Past.Lost}
	b.missing = a.ProofBound && b.registered == ""
	if given != nil && !i.RegisteredKeyOnly {
		b.registered = ""
	}
	return b
}

// prove checks the proof, if there is one, and uses it up. It returns the thumbprint that the token is bound to, empty
// without a proof.
func (i *Issuer) prove(
	ctx context.Context, header []string, want binding, key *Key, now time.Time,
) (jkt string, err error) {
	if want.missing {
		return "", ErrNoProofKey
	}
	raw, err := dpop.FromHeader(header)
	if errors.Is(err, dpop.ErrMissing) && !want.required {
		return "", nil
	}
	if errors.Is(err, dpop.ErrMissing) {
		return "", ErrProofRequired
	}
	if err != nil {
		return "", refusal(err)
	}
	var nonceErr error
	proof, err := dpop.Verify(raw, dpop.Expect{
		Method: http.MethodPost,
		URLs:   []string{i.Endpoint},
		Now:    now,
		Window: Window,
		Fresh: func(nonce string) bool {
			nonceErr = i.checkNonce(ctx, nonce, key, now)
			return nonceErr == nil
		},
	})
	switch {
	case err != nil && nonceErr != nil: // as fresh as its nonce, which is stale
		return "", &NonceError{Nonce: key.Nonces.Issue(now), cause: refusal(nonceErr)}
	case errors.Is(err, dpop.ErrClock): // says by how much, and offers what mends it
		return "", &NonceError{Nonce: key.Nonces.Issue(now), cause: refusal(err)}
	case err != nil:
		return "", refusal(err)
	}
	if want.lost.Has(proof.JKT) {
		return "", ErrLostProofKey
	}
	if want.registered != "" && want.registered != proof.JKT {
		return "", ErrProofKey
	}
	if i.RequireNonce || proof.Nonce != "" {
		if proof.Nonce == "" {
			nonceErr = dpop.ErrNonceMissing
		}
		if nonceErr != nil {
			return "", &NonceError{Nonce: key.Nonces.Issue(now), cause: refusal(nonceErr)}
		}
	}
	return proof.JKT, i.Store.UseProof(ctx, proof.JKT, proof.JTI, proof.ReplayUntil(Window), now)
}

// checkNonce takes a nonce of the epoch before too, for as long as a login may last.
func (i *Issuer) checkNonce(ctx context.Context, nonce string, key *Key, now time.Time) error {
	err := key.Nonces.Check(nonce, now)
	if !errors.Is(err, dpop.ErrNonce) {
		return err
	}
	if before, failed := i.Keys.Before(ctx, now); failed == nil && before != nil &&
		before.Nonces.Check(nonce, now) == nil {
		return nil
	}
	return err
}

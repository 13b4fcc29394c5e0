package agentcert

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"errors"
	"fmt"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/jose"
	"github.com/mastio-aws/mastio/shared/problem"
	"github.com/mastio-aws/mastio/shared/usecase/authn"
)

// ErrForeignKey reports a certification request by a key that another agent has proved. The request's signature proves
// that one party has the keys of both.
var ErrForeignKey = problem.New(400, "key_of_another_agent", "the key is another agent's; make a new one").
	Says("Another agent has this key. Make a new key for this agent, and send a request for that one.")

// foreignKeyError is ErrForeignKey with the agent.
type foreignKeyError struct {
	other agent.ID
	key   string // in the form of Pin.Key
}

// Error names the other agent, for the log.
func (e *foreignKeyError) Error() string {
	return fmt.Sprintf("%s: it is of %s", ErrForeignKey, e.other)
}

// Unwrap makes it ErrForeignKey.
func (e *foreignKeyError) Unwrap() error { return ErrForeignKey }

// unshared returns ErrForeignKey if another agent has the key that the caller brought, as a certified key or as a DPoP
// key. A key that was made here costs no look.
func (i Issuer) unshared(ctx context.Context, id agent.ID, m Material, key string) error {
	if m.Private() {
		return nil
	}
	keys := agent.ProvedKeys(key, proofKeyOf(m.Public))
	other, err := i.Suspects.Elsewhere(ctx, id, keys...)
	if err != nil || other == "" {
		return err
	}
	return &foreignKeyError{other, key}
}

// proofKeyOf is the thumbprint of a key as a DPoP key; empty: it cannot be one.
func proofKeyOf(pub crypto.PublicKey) string {
	if key, ok := pub.(*ecdsa.PublicKey); ok && key.Curve == elliptic.P256() {
		return jose.Thumbprint(key)
	}
	return ""
}

// suspectTimeout is for what follows from a refusal: its answer waits.
const suspectTimeout = 2 * time.Second

// suspect marks both agents if a renewal was refused for the key of another agent. The request has the names of the
// agent that renews, and was signed by a key of the other: one party has both. No operator vouches for it, as for a
// request of an enrolment or a rotation, which is refused and marks none. A failure leaves no mark; the agent repeats
// its request.
func (r *Renewer) suspect(ctx context.Context, shown authn.Credential, id agent.ID, by audit.By, cause error) {
	foreign, ok := errors.AsType[*foreignKeyError](cause)
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), suspectTimeout)
	defer cancel()
	err := r.Issuer.Suspects.Shared(ctx, authn.Share{
		Evidence: agent.ForeignRequest,
		Shown:    shown.Thumbprint(),
		Agent:    id,
		Other:    foreign.other,
		By:       by,
		Details:  map[string]any{"key_thumbprint": foreign.key},
		At:       r.Issuer.Now(),
	})
	if err != nil {
		r.Log.WarnContext(ctx, "token.suspicion_unknown", "agent", string(id), "cause", err.Error())
	}
}

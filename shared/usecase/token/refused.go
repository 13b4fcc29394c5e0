package token

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/usecase/authn"
)

// refusedTimeout is for one write, which no answer waits for.
const refusedTimeout = 500 * time.Millisecond

// Refusals notes, while a rotation of the Org CA has an overlap, which agents' new certificates are refused: the gate
// between two waves counts them. A certificate is noted once, and only where it is the newest pin of the agent that
// shows it: the connection has proved that the caller has its key. What any other certificate is refused is not
// noted. All three fields are required. It is safe for concurrent use.
type Refusals struct {
	Store interface {
		Refuse(ctx context.Context, r registry.Refusal) error
	}
	Background func(func()) // runs what no answer waits for
	Log        *slog.Logger

	noted once
}

// faults are the refusals that speak of a certificate, or of the key that goes with it. What a client asks wrongly
// says nothing of its certificate, nor does a store that does not answer.
var faults = map[error]string{
	agent.ErrRevoked:       "certificate_revoked",
	authn.ErrNotInValidity: "certificate_expired",
	authn.ErrForeign:       "certificate_of_another_agent",
	ErrProofKey:            "dpop_key_unregistered",
	ErrLostProofKey:        "dpop_key_compromised",
	ErrNoProofKey:          "dpop_key_missing",
}

// note writes that the certificate with this thumbprint was refused, if that counts; view is what was read of the
// agent.
func (n *Refusals) note(ctx context.Context, view registry.View, thumbprint string, cause error, now time.Time) {
	if n == nil || view.Agent == nil || view.Pointer == nil || view.Agent.Method == agent.SPIFFE {
		return
	}
	pin, p := view.Agent.Pin(), view.Pointer
	if pin.Thumbprint != thumbprint || pin.Generation != p.Current || len(p.Accepted) == 0 {
		return
	}
	for fault, code := range faults {
		if errors.Is(cause, fault) && n.noted.first(thumbprint) {
			n.write(ctx, registry.Refusal{
				Agent:      view.Agent.ID,
				Thumbprint: thumbprint,
				Generation: pin.Generation,
				Code:       code,
				At:         now,
			})
			return
		}
	}
}

func (n *Refusals) write(ctx context.Context, r registry.Refusal) {
	ctx = context.WithoutCancel(ctx)
	n.Background(func() {
		ctx, cancel := context.WithTimeout(ctx, refusedTimeout)
		defer cancel()
		if err := n.Store.Refuse(ctx, r); err != nil {
			n.noted.forget(r.Thumbprint)
			n.Log.WarnContext(ctx, "token.refusal_unknown", "agent", string(r.Agent), "cause", err.Error())
		}
	})
}

package agentcert

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/problem"
	"github.com/mastio-aws/mastio/shared/reason"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/usecase/idempotency"
)

// Errors of a rotation.
var (
	ErrGrace      = problem.New(400, "grace_seconds_invalid", "grace_seconds takes 0 to 172800")
	ErrConcurrent = problem.New(409, "agent_rotated_concurrently", "the certificate was rotated concurrently").
			Says("Another rotation of this agent committed at the same moment; its certificate is the one that " +
			"counts. Rotate again only if you need one more.")
)

// MaxGrace is the longest that an old certificate may live on.
const MaxGrace = agent.MaxGrace

// Store is what a rotation needs of the registry.
type Store interface {
	idempotency.Store
	View(ctx context.Context, id agent.ID) (registry.View, error)
	ViewKeys(ctx context.Context, id agent.ID) (registry.View, error)
}

// RotatorConfig is what a Rotator is made of; all fields are required.
type RotatorConfig struct {
	Store  Store
	Issuer Issuer
}

// Rotator rotates agents' certificates. It is safe for concurrent use; different agents share nothing.
type Rotator struct{ RotatorConfig }

// NewRotator returns a Rotator.
func NewRotator(cfg RotatorConfig) *Rotator { return &Rotator{cfg} }

// RotateRequest asks for a rotation.
type RotateRequest struct {
	audit.By
	Agent    agent.ID
	Material KeyRequest
	Grace    time.Duration    // how long the old certificate still authenticates; zero: it stops with the commit
	Reason   reason.Statement // one that stops at once takes no grace, and no rollback brings the old certificate back
	Once     idempotency.Request[RotateResult]
}

// RotateResult is the new certificate, and the private keys where they were made here. It exists only in one answer.
type RotateResult struct {
	Agent       agent.Agent
	Material    Material
	Certificate Certificate
	Previous    agent.Pin // the pin that was replaced; zero if the agent had none
	// PreviousUntil is when the previous pin stops counting; it is the time of the rotation without grace.
	PreviousUntil time.Time
}

// MarshalJSON refuses: a result holds private keys and is only ever rendered field by field.
func (RotateResult) MarshalJSON() ([]byte, error) {
	return nil, errors.New("a rotation's result is not JSON")
}

var _ json.Marshaler = RotateResult{}

// Private says what is kept of a result with private keys.
func (r RotateResult) Private() (done problem.Done, holds bool) {
	return r.Certificate.Done(r.Agent, "POST /registry/agents/"+string(r.Agent.ID)+"/rotate-cert"), r.Material.Private()
}

// Rotate issues and pins a new certificate. When it returns without error, the old pin is gone (or, with grace, has a
// deadline), the event is in the agent's audit chain, and the new certificate counts under the current generation.
//
// Errors: agent.ErrNotFound, agent.ErrDeactivated, agent.ErrRotateAtYourCA, orgca.ErrMissing, the errors of Prepare,
// of Issuer.Pin, of reason.Read and of idempotency.Do, ErrGrace. ErrConcurrent: another rotation of the agent
// committed first, and its certificate counts. registry.ErrUnknown: the store did not confirm the commit. The
// certificate was not returned, so the caller has to rotate again, which is safe.
func (r *Rotator) Rotate(ctx context.Context, req RotateRequest) (RotateResult, error) {
	return idempotency.Do(ctx, r.Store, req.Once, r.Issuer.Now, func() (RotateResult, error) { return r.do(ctx, req) })
}

func (r *Rotator) do(ctx context.Context, req RotateRequest) (RotateResult, error) {
	if req.Grace < 0 || req.Grace > MaxGrace {
		return RotateResult{}, ErrGrace
	}
	given, err := req.Reason.Check()
	if err != nil {
		return RotateResult{}, err
	}
	req.Reason = given
	if req.Grace > 0 && given.Code.AtOnce() { // the thief would live on it as well
		return RotateResult{}, fmt.Errorf("%w; with reason %s none: the old certificate has to stop at once", ErrGrace,
			given.Code)
	}
	view, err := r.rotatable(ctx, req)
	if err != nil {
		return RotateResult{}, err
	}
	material, err := Prepare(req.Material)
	if err != nil {
		return RotateResult{}, err
	}
	return r.rotate(ctx, req, view, material) // no line in the log: the row has all, and a line has its price
}

// rotate pins, and goes round again when the agent's record changed meanwhile: by a renewal, a first use, or a
// rotation that left something of the old certificate. It ends the certificates that it has to end, and their
// renewals. It is refused only if a concurrent rotation has ended the same certificates at once. Two rotations at the
// same moment are most likely an accident, and the second would end the first one's certificate before its use.
func (r *Rotator) rotate(ctx context.Context, req RotateRequest, view registry.View, m Material) (RotateResult, error) {
	patience := &registry.Patience{}
	own := false // whether this very call has committed once, so that the answer under its key is its own
	var again func(context.Context, agent.Agent) (Pinning, error)
	pinning := func() Pinning {
		old := view.Agent.Pin()
		return Pinning{
			Agent:   *view.Agent,
			Pointer: *view.Pointer,
			Was:     view.Agent,
			Keys:    view.Keys,
			Fresh:   req.Material.made(),
			Grace:   req.Grace,
			Reason:  req.Reason.Code,
			Again:   again,
			Entry:   func(next agent.Pin) audit.Entry { return rotationEntry(req, old, next) },
			Answer: func(stored agent.Agent, c Certificate) (*registry.Answer, error) {
				return req.Once.Keep(resultOf(old, stored, m, c), r.Issuer.Now())
			},
		}
	}
	again = func(ctx context.Context, known agent.Agent) (Pinning, error) {
		if !patience.Left(ctx) {
			return Pinning{}, fmt.Errorf("rotate the certificate of %s: %w", req.Agent, registry.ErrConflict)
		}
		if own = own || known.Version != view.Agent.Version; !own { // who came first may be a repetition
			if err := req.Once.Known(ctx, r.Store, r.Issuer.Now()); err != nil {
				return Pinning{}, err
			}
		}
		var err error
		if view, err = r.rotatable(ctx, req); err != nil {
			return Pinning{}, err
		}
		if ended(known.Pins, view.Agent.Pins) {
			return Pinning{}, ErrConcurrent
		}
		return pinning(), nil
	}
	stored, certificate, err := r.Issuer.Pin(ctx, pinning(), m)
	if err != nil {
		return RotateResult{}, err
	}
	return resultOf(view.Agent.Pin(), stored, m, certificate), nil
}

func resultOf(old agent.Pin, stored agent.Agent, m Material, c Certificate) RotateResult {
	return RotateResult{Agent: stored, Material: m, Certificate: c, Previous: old, PreviousUntil: until(old, stored)}
}

// ended reports whether a rotation came between two reads of the pins that left nothing of those before: no grace, and
// nothing that a rollback of the Org CA would bring back.
func ended(before, after []agent.Pin) bool {
	has := func(pins []agent.Pin, p agent.Pin) bool {
		return slices.ContainsFunc(pins, func(q agent.Pin) bool { return q.Thumbprint == p.Thumbprint })
	}
	rotated := slices.ContainsFunc(after, func(p agent.Pin) bool { return p.Renewed.IsZero() && !has(before, p) })
	return rotated && !slices.ContainsFunc(before, func(p agent.Pin) bool { return has(after, p) })
}

// until is when the old pin ends: with the rotation itself, unless it was kept for a while.
func until(old agent.Pin, stored agent.Agent) time.Time {
	for _, p := range stored.Pins[1:] {
		if p.Thumbprint == old.Thumbprint && !p.Dormant {
			return p.Until
		}
	}
	return stored.UpdatedAt
}

func rotationEntry(req RotateRequest, old, next agent.Pin) audit.Entry {
	return audit.Entry{
		Event: audit.AgentCertRotated,
		Actor: req.Actor,
		Details: req.Reason.Note(req.Note(map[string]any{
			"cert_thumbprint": next.Thumbprint, "generation": next.Generation, "previous_thumbprint": old.Thumbprint,
			"grace_seconds": int64(req.Grace / time.Second), "csr": req.Material.CSR != nil,
		})),
	}
}

// rotatable reads the agent, its keys where the rotation is sure to need them, and decides whether its certificate is
// rotated here.
func (r *Rotator) rotatable(ctx context.Context, req RotateRequest) (registry.View, error) {
	read := r.Store.ViewKeys
	if req.Material.made() && !req.Reason.Code.Compromise() {
		read = r.Store.View
	}
	view, err := read(ctx, req.Agent)
	switch {
	case err != nil:
		return view, err
	case view.Agent == nil:
		return view, agent.ErrNotFound
	case view.Agent.Status != agent.Active:
		return view, agent.ErrDeactivated
	case view.Agent.Method != agent.Minted:
		return view, agent.ErrRotateAtYourCA
	case view.Pointer == nil:
		return view, orgca.ErrMissing
	}
	return view, nil
}

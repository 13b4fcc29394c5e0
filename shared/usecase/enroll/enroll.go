// Package enroll admits agents, lists them, and deactivates them.
package enroll

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"time"

	"github.com/mastio-aws/mastio/shared/admin"
	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/problem"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/usecase/agentcert"
	"github.com/mastio-aws/mastio/shared/usecase/idempotency"
)

// ErrLimit reports a page size outside 1 to 1,000.
var ErrLimit = problem.New(400, "limit_invalid", "limit takes 1 to 1000")

// Page sizes of a listing.
const (
	DefaultLimit = 100
	MaxLimit     = 1000
	MaxFound     = 100 // of Find
)

// Store is what enrolment needs of the registry.
type Store interface {
	idempotency.Store
	View(ctx context.Context, id agent.ID) (registry.View, error)
	Keys(ctx context.Context, id agent.ID) (agent.Keys, error)
	Apply(ctx context.Context, c registry.Change) error
	Agents(ctx context.Context, q registry.Query) (registry.Page, error)
	List(ctx context.Context, l registry.Selection) (registry.Page, error)
	Names(ctx context.Context, most int) (ids []agent.ID, whole bool, err error)
	Job(ctx context.Context, id string) (*registry.Job, error)
	Jobs(ctx context.Context) ([]registry.Job, error)
	Count(ctx context.Context, l registry.Selection) (int64, error)
	Find(ctx context.Context, q registry.Search) (registry.Page, error)
	Due(ctx context.Context, q registry.DueQuery) (registry.DuePage, error)
	CountDue(ctx context.Context, q registry.DueQuery) (int64, error)
	DueTimes(ctx context.Context, q registry.DueQuery) (at []time.Time, through time.Time, err error)
	Records(ctx context.Context, ids []agent.ID) ([]agent.Agent, error)
	SeenAt(ctx context.Context, ids []agent.ID) (map[agent.ID]registry.Sighting, error)
	Alias(ctx context.Context, names ...string) (agent.ID, error)
	EdgeCAs(ctx context.Context) ([]registry.EdgeCA, error)
	Org(ctx context.Context) (registry.Org, error)
}

// Config is what an Enroller is made of; all fields are required.
type Config struct {
	Store  Store
	Issuer agentcert.Issuer
	OrgID  string
	// TrustDomains are those whose SPIFFE IDs are accepted; the first one is the Mastio's own.
	TrustDomains []string
	// Trust brings the edge's truststore up to date and returns how the agents' domain stands to it.
	Trust func(ctx context.Context) (registry.TruststoreStatus, error)
	Log   *slog.Logger
	Now   func() time.Time
	NewID func() string // unique, at most 36 characters
}

// Enroller admits agents. It is safe for concurrent use: of two enrolments of one name, one wins.
type Enroller struct{ Config }

// New returns an Enroller.
func New(cfg Config) *Enroller { return &Enroller{cfg} }

// Request asks for the enrolment of an agent whose certificate the Mastio issues.
type Request struct {
	audit.By
	Limit *admin.Limit // of the admin who asks; nil: none
	Name  string
	// no display name: the agent's name; an existing agent keeps its own, and no capabilities leave it as it is
	agent.Profile
	Material agentcert.KeyRequest
	// ProofBound asks for dpop_bound_access_tokens (RFC 9449 section 5.2); nil: no, and of an existing agent as it is.
	ProofBound *bool
	Deliver    agent.Delivery // what hygiene does when the certificate is due; empty: agent.Notify, or what it did
	Once       idempotency.Request[Result]
}

// Result is the agent with its certificate, and the private keys where they were made here.
type Result struct {
	Agent       agent.Agent
	Material    agentcert.Material
	Certificate agentcert.Certificate
	Again       bool // the agent was active before and was given a new certificate
}

// MarshalJSON refuses: a result holds private keys and is only ever rendered field by field.
func (Result) MarshalJSON() ([]byte, error) {
	return nil, errors.New("an enrolment's result is not JSON")
}

// Private says what is kept of a result with private keys. The agent is there, so what goes on is a rotation.
func (r Result) Private() (done problem.Done, holds bool) {
	return r.Certificate.Done(r.Agent, "POST /registry/agents/"+string(r.Agent.ID)+"/rotate-cert"), r.Material.Private()
}

// Enroll admits an agent, or admits a deactivated one again; its audit chain goes on. An active agent without a pin
// that counts under the current generation gets a new certificate and keeps everything else: see again.
//
// Errors: agent.ErrID, agent.ErrProfile, admin.ErrRole beyond the limit, agent.ErrAlreadyEnrolled and ErrCapabilities
// (nothing of the existing agent changes), ErrBinding, agent.ErrProofBound, orgca.ErrMissing, the errors of
// agentcert.Prepare, registry.ErrUnknown when the store stayed silent at the commit, those of idempotency.Do.
func (e *Enroller) Enroll(ctx context.Context, req Request) (Result, error) {
	return idempotency.Do(ctx, e.Store, req.Once, e.Now, func() (Result, error) { return e.mint(ctx, req) })
}

func (e *Enroller) mint(ctx context.Context, req Request) (Result, error) {
	id, err := agent.NewID(e.OrgID, req.Name)
	if err != nil {
		return Result{}, err
	}
	if err := req.Check(); err != nil {
		return Result{}, err
	}
	if err := req.Limit.Allow(true, req.Capabilities); err != nil {
		return Result{}, err
	}
	var material agentcert.Material
	for range admitTries {
		view, err := e.admissible(ctx, id, req)
		if err != nil {
			return Result{}, err
		}
		if material.Public == nil {
			if material, err = agentcert.Prepare(req.Material); err != nil {
				return Result{}, err
			}
		}
		result, err := e.enroll(ctx, id, req, view, material)
		if !errors.Is(err, registry.ErrConflict) {
			return result, err
		}
	}
	return Result{}, fmt.Errorf("enrol %s: %w", id, registry.ErrConflict)
}

func (e *Enroller) enroll(
	ctx context.Context, id agent.ID, req Request, view registry.View, m agentcert.Material,
) (Result, error) {
	old := active(view.Agent)
	p := agentcert.Pinning{Agent: e.record(id, req, view.Agent), Was: view.Agent, Pointer: *view.Pointer}
	if req.ProofBound != nil && *req.ProofBound && cmp.Or(m.JKT, p.Agent.JKT) == "" {
		return Result{}, agent.ErrProofBound
	}
	p.Entry = func(pin agent.Pin) audit.Entry { return entry(req, p.Agent, old, pin) }
	result := func(stored agent.Agent, c agentcert.Certificate) Result {
		return Result{Agent: stored, Material: m, Certificate: c, Again: old != nil}
	}
	p.Answer = func(stored agent.Agent, c agentcert.Certificate) (*registry.Answer, error) {
		return req.Once.Keep(result(stored, c), e.Now())
	}
	stored, certificate, err := e.Issuer.Pin(ctx, p, m)
	return result(stored, certificate), err
}

// record is the agent's new record. An active agent keeps all but its pins; a deactivated one keeps its chain, its
// first day and its owner, and nothing else. An owner that the request names replaces the agent's.
func (e *Enroller) record(id agent.ID, req Request, old *agent.Agent) agent.Agent {
	if old := active(old); old != nil {
		a := *old
		a.Owner = cmp.Or(req.Owner, old.Owner)
		a.Hygiene = agent.Hygiene{Deliver: cmp.Or(req.Deliver, old.Hygiene.Deliver), Job: old.Hygiene.Job}
		return a
	}
	a := agent.Agent{
		ID:         id,
		Profile:    req.Over(agent.Profile{}, req.Name),
		Method:     agent.Minted,
		Status:     agent.Active,
		EnrolledAt: e.Now().Truncate(time.Millisecond), // as the store keeps it
		Hygiene:    agent.Hygiene{Deliver: cmp.Or(req.Deliver, agent.Notify)},
		ProofBound: req.ProofBound != nil && *req.ProofBound,
	}
	if old != nil {
		a.Head, a.Version, a.EnrolledAt, a.Past = old.Head, old.Version, old.EnrolledAt, old.Past
		a.Owner, a.Hygiene.Job = cmp.Or(a.Owner, old.Owner), old.Hygiene.Job
	}
	return a
}

func entry(req Request, a agent.Agent, old *agent.Agent, pin agent.Pin) audit.Entry {
	e := audit.Entry{
		Event: audit.AgentEnrolled,
		Actor: req.Actor,
		Details: req.Note(map[string]any{
			"method": string(agent.Minted), "cert_thumbprint": pin.Thumbprint, "generation": pin.Generation,
			"capabilities": texts(a.Capabilities),
			"owner":        a.Owner,
			"csr":          req.Material.CSR != nil, "deliver": string(a.Hygiene.Deliver), "dpop_bound": a.ProofBound,
		}),
	}
	if old != nil {
		e.Event = audit.AgentCertRotated
		maps.Copy(e.Details, replaced(*old))
	}
	return e
}

func (e *Enroller) admissible(ctx context.Context, id agent.ID, req Request) (registry.View, error) {
	view, err := e.Store.View(ctx, id)
	switch {
	case err != nil:
		return view, err
	case view.Pointer == nil:
		return view, orgca.ErrMissing
	case view.Agent != nil && req.Limit != nil:
		return view, req.Limit.Allow(false, req.Capabilities)
	case active(view.Agent) == nil:
		return view, nil
	case view.Agent.Method != agent.Minted || view.Agent.Protected(view.Pointer, e.Now()):
		return view, agent.ErrAlreadyEnrolled
	}
	return view, again(*view.Agent, req.Capabilities, req.ProofBound)
}

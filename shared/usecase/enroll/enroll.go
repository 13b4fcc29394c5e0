// Package enroll admits agents, lists them, and deactivates them.
package enroll

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/usecase/issue"
)

// ErrLimit reports a page size outside 1 to 1,000.
var ErrLimit = errors.New("limit takes 1 to 1000")

// Page sizes of a listing.
const (
	DefaultLimit = 100
	MaxLimit     = 1000
	MaxFound     = 100 // of Find
)

// Store is what enrolment needs of the registry.
type Store interface {
	View(ctx context.Context, id agent.ID) (registry.View, error)
	Apply(ctx context.Context, c registry.Change) error
	Agents(ctx context.Context, q registry.Query) (registry.Page, error)
	Find(ctx context.Context, q registry.Search) (registry.Page, error)
	Due(ctx context.Context, q registry.DueQuery) (registry.DuePage, error)
	CountDue(ctx context.Context, q registry.DueQuery) (int64, error)
	Records(ctx context.Context, ids []agent.ID) ([]agent.Agent, error)
	Alias(ctx context.Context, names ...string) (agent.ID, error)
	EdgeCAs(ctx context.Context) ([]registry.EdgeCA, error)
}

// Config is what an Enroller is made of; all fields are required.
type Config struct {
	Store  Store
	Issuer issue.Issuer
	OrgID  string
	// TrustDomains are those whose SPIFFE IDs are accepted; the first one is the Mastio's own.
	TrustDomains []string
	// Trust brings the edge's truststore up to date and returns its version.
	Trust func(ctx context.Context) (version string, err error)
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
	Name         string
	DisplayName  string // empty: the name
	Capabilities []string
	Material     issue.Request
	Deliver      agent.Delivery // what hygiene does when the certificate is due
	Actor        string
	RequestID    string
	SourceIP     string
}

// Result is the agent with its certificate, and the private keys where they were made here.
type Result struct {
	Agent       agent.Agent
	Material    issue.Material
	Certificate issue.Certificate
}

// MarshalJSON refuses: a result holds private keys and is only ever rendered field by field.
func (Result) MarshalJSON() ([]byte, error) {
	return nil, errors.New("an enrolment's result is not JSON")
}

// Enroll admits an agent, or admits a deactivated one again; its audit chain goes on.
//
// Errors: agent.ErrID, agent.ErrProfile, agent.ErrAlreadyEnrolled (nothing of the existing agent changes),
// orgca.ErrMissing, the errors of issue.Prepare, registry.ErrUnknown when the store stayed silent at the commit.
func (e *Enroller) Enroll(ctx context.Context, req Request) (Result, error) {
	id, err := agent.NewID(e.OrgID, req.Name)
	if err != nil {
		return Result{}, err
	}
	if err := agent.CheckProfile(req.DisplayName, req.Capabilities); err != nil {
		return Result{}, err
	}
	view, err := e.admissible(ctx, id)
	if err != nil {
		return Result{}, err
	}
	material, err := issue.Prepare(req.Material)
	if err != nil {
		return Result{}, err
	}
	p := issue.Pinning{Agent: e.record(id, req, view.Agent), Pointer: *view.Pointer, Entry: func(pin agent.Pin) audit.Entry { return entry(req, pin) }}
	stored, certificate, err := e.Issuer.Pin(ctx, p, material)
	if errors.Is(err, registry.ErrConflict) { // somebody else enrolled the same name since it was read
		return Result{}, agent.ErrAlreadyEnrolled
	}
	return Result{Agent: stored, Material: material, Certificate: certificate}, err
}

// record is the agent as it shall be. A deactivated agent keeps its chain and its first day, and nothing else.
func (e *Enroller) record(id agent.ID, req Request, old *agent.Agent) agent.Agent {
	a := agent.Agent{
		ID: id, DisplayName: cmp.Or(req.DisplayName, req.Name), Capabilities: req.Capabilities,
		Method: agent.Minted, Status: agent.Active, EnrolledAt: e.Now(),
		Hygiene: agent.Hygiene{Deliver: req.Deliver},
	}
	if old != nil {
		a.Head, a.Version, a.EnrolledAt = old.Head, old.Version, old.EnrolledAt
	}
	return a
}

func entry(req Request, pin agent.Pin) audit.Entry {
	capabilities := make([]any, len(req.Capabilities))
	for i, c := range req.Capabilities {
		capabilities[i] = c
	}
	return audit.Entry{Event: audit.AgentEnrolled, Actor: req.Actor, Details: map[string]any{
		"method": string(agent.Minted), "cert_thumbprint": pin.Thumbprint, "generation": pin.Generation, "capabilities": capabilities,
		"csr": req.Material.CSR != nil, "deliver": string(req.Deliver), "request_id": req.RequestID, "source_ip": req.SourceIP,
	}}
}

func (e *Enroller) admissible(ctx context.Context, id agent.ID) (registry.View, error) {
	view, err := e.Store.View(ctx, id)
	switch {
	case err != nil:
		return view, err
	case view.Agent != nil && view.Agent.Status == agent.Active:
		return view, agent.ErrAlreadyEnrolled
	case view.Pointer == nil:
		return view, orgca.ErrMissing
	}
	return view, nil
}

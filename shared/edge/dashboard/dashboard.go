// Package dashboard serves the operator's pages: both rotations, the agents, the Org CA and its history.
//
// The pages are plain HTML: everything works without JavaScript, which only copies, counts and polls. Every change is a
// form with a token of its session, answered by a redirect. The one exception is the page with an agent's new keys:
// they are stored nowhere, so only the answer to the form can contain them.
package dashboard

import (
	"context"
	"net/http"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/usecase/agentcert"
	"github.com/mastio-aws/mastio/shared/usecase/auditlog"
	"github.com/mastio-aws/mastio/shared/usecase/enroll"
	"github.com/mastio-aws/mastio/shared/usecase/health"
	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
	"github.com/mastio-aws/mastio/shared/usecase/signin"
)

// Registry is what pages read directly, without a use case.
type Registry interface {
	Org(ctx context.Context) (registry.Org, error)
	Rows(ctx context.Context, subject string, after int64, limit int) ([]audit.Row, error)
	Burndown(ctx context.Context) (registry.Burndown, error)
	Suspects(ctx context.Context, limit int) ([]agent.ID, error)
	Records(ctx context.Context, ids []agent.ID) ([]agent.Agent, error)
}

// Config is what a Dashboard is made of; all fields are required except Strict.
type Config struct {
	OrgID      string
	Door       *signin.Door
	Registry   Registry
	Enroll     *enroll.Enroller
	RotateCert *agentcert.Rotator
	// RotateCA carries out a rotation of the Org CA in another function, which may make the CA's keys. It takes the token
	// of the operator's session and derives the actor from the token.
	RotateCA func(ctx context.Context, token string, req rotateca.Request) (rotateca.Result, error)
	Progress *rotateca.Observer
	Health   *health.Checker
	Trail    *auditlog.Trail
	// Rows writes rows as the API's export does, ndjson or csv.
	Rows func(format string, rows []audit.Row) (body []byte, mediaType string, err error)
	// Strict is called before an agent gets a certificate; under strict PKI it refuses. The pages that remedy a legacy Org
	// CA are never shut.
	Strict func(ctx context.Context) error
	Caller func(ctx context.Context) audit.By // what the edge says about a request: no actor yet
	Mount  func(ctx context.Context) string   // the path below which the browser finds the pages; empty: at the root
	Now    func() time.Time
}

// Dashboard answers the operators' front page and everything below /proxy. It is safe for concurrent use and keeps
// nothing between requests but numbers of the last seconds.
type Dashboard struct {
	Config
	recent *recent
}

// New returns a Dashboard.
func New(cfg Config) *Dashboard {
	enroller := *cfg.Enroll
	counts := newRecent(enroller.Store, cfg.Now)
	enroller.Store, cfg.Enroll = counts, &enroller
	return &Dashboard{cfg, counts}
}

// Handler answers one route; an error that it returns has been answered with a page, and is for the log.
type Handler = func(w http.ResponseWriter, r *http.Request) error

// Handlers returns the handler of every route of the dashboard.
func (d *Dashboard) Handlers() map[string]Handler {
	all := map[string]Handler{
		"GET /":                                     d.front,
		"GET /proxy/{page+}":                        noPage,
		"GET /proxy":                                d.home,
		"GET /proxy/login":                          d.loginPage,
		"POST /proxy/login":                         d.login,
		"POST /proxy/logout":                        d.logout,
		"GET /proxy/overview":                       d.overview,
		"GET /proxy/agents":                         d.agents,
		"GET /proxy/rotate":                         d.bulkPage,
		"POST /proxy/rotate":                        d.bulk,
		"GET /proxy/jobs/{job_id}":                  d.job,
		"GET /proxy/agents/{agent_id}/edit":         d.editPage,
		"POST /proxy/agents/{agent_id}/edit":        d.edit,
		"POST /proxy/agents/{agent_id}/hygiene":     d.setHygiene,
		"GET /proxy/enrol":                          d.enrolPage,
		"POST /proxy/enrol":                         d.enrol,
		"GET /proxy/agents/{agent_id}":              d.agent,
		"GET /proxy/agents/{agent_id}/rotate-cert":  d.rotateCertPage,
		"POST /proxy/agents/{agent_id}/rotate-cert": d.rotateCert,
		"GET /proxy/agents/{agent_id}/deactivate":   d.deactivatePage,
		"POST /proxy/agents/{agent_id}/deactivate":  d.deactivate,
		"GET /proxy/pki":                            d.pki,
		"GET /proxy/pki/progress":                   d.progress,
		"GET /proxy/pki/rotation":                   d.rotation,
		"GET /proxy/pki/rotate-ca":                  d.rotateCAPage,
		"POST /proxy/pki/rotate-ca":                 d.stage,
		"GET /proxy/pki/rotate-ca/preflight":        d.preflightPage,
		"POST /proxy/pki/rotate-ca/preflight":       d.commit,
		"GET /proxy/pki/rotate-ca/result":           d.result,
		"GET /proxy/pki/rollback":                   d.rollbackPage,
		"POST /proxy/pki/rollback":                  d.rollback,
		"GET /proxy/audit":                          d.audit,
		"GET /proxy/audit/export":                   d.export,
		"GET /proxy/audit/verify":                   d.toAudit,
		"POST /proxy/audit/verify":                  d.verify,
		"GET /proxy/audit/bundle":                   d.toAudit,
		"POST /proxy/audit/bundle":                  d.bundle,
		"GET /proxy/pki/finalise":                   d.finalisePage,
		"POST /proxy/pki/finalise":                  d.finalise,
		"POST /proxy/pki/cancel":                    d.cancel,
		"POST /proxy/pki/reissue":                   d.reissue,
	}
	for route, h := range all {
		all[route] = d.guarded(h)
	}
	all["GET /proxy/assets/{asset}"] = asset
	return all
}

// guarded sends the headers that every page has, and shows an error on a page of its own.
func (d *Dashboard) guarded(h Handler) Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		w = below(w, d.Mount(r.Context()))
		secure(w.Header(), r)
		if r.Method == http.MethodPost {
			defer d.recent.forget()
		}
		err := h(w, r)
		if err != nil {
			d.fail(w, r, err)
		}
		return err
	}
}

func (d *Dashboard) home(w http.ResponseWriter, r *http.Request) error {
	http.Redirect(w, r, "/proxy/overview", http.StatusSeeOther)
	return nil
}

// front leads from the host's root to the pages.
func (d *Dashboard) front(w http.ResponseWriter, r *http.Request) error {
	http.Redirect(w, r, "/proxy", http.StatusSeeOther)
	return nil
}

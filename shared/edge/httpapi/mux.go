// Package httpapi is the Mastio's HTTP interface: it reads requests, calls use cases, and writes answers and
// problems.
package httpapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/problem"
	"github.com/mastio-aws/mastio/shared/routes"
	"github.com/mastio-aws/mastio/shared/session"
	"github.com/mastio-aws/mastio/shared/usecase/auditlog"
)

// Errors of a request before any use case sees it.
var (
	ErrRoute = problem.New(404, "route_not_found", "no such route").
			Says("No such route.")
	ErrMethod = problem.New(405, "method_not_allowed", "method not allowed").
			Says("This route does not take this method; see the Allow header.")
	ErrMediaType = problem.New(415, "media_type_unsupported", "media type not supported")
	ErrBodySize  = problem.New(413, "body_too_large", "request body is too large")
	ErrJSON      = problem.New(400, "json_invalid", "request body is not the JSON that is expected here")
	ErrQuery     = problem.New(400, "query_invalid", "query parameter is not accepted")
	ErrBody      = problem.New(400, "body_unexpected", "no request body is expected here").
			Says("No request body is expected here.")
	ErrForm = problem.New(400, "form_invalid", "request body is not the form that is expected here").
		AtToken("invalid_request")
	ErrEvent = problem.New(400, "request_malformed", "event is not a request").
			Says("The request's method or its body's encoding cannot be read.")
	// ErrIdempotency reports an Idempotency-Key where a repetition would not be recognised by it.
	ErrIdempotency = problem.New(400, "idempotency_key_not_supported", "Idempotency-Key does nothing here").
			Says("This request takes no Idempotency-Key, and was not carried out. Send it without the header; to find " +
			"out what an " +
			"earlier attempt did, read the present state first. Every POST of the operators' API that changes " +
			"something takes one.")
)

// Handler answers one route. An error becomes the answer; nothing must have been written then.
type Handler func(w http.ResponseWriter, r *http.Request) error

// Handlers are a function's handlers by "METHOD path", as the route table spells them.
type Handlers map[string]Handler

// Config is what a Mux is made of. Admin and Session may be nil where no route asks for them.
type Config struct {
	Handlers Handlers
	Admin    Admin
	Scrape   Scrape // nil: a metrics token opens nothing
	Session  Admit
	// asked before every handler; its error is the answer; nil: open
	Strict  func(ctx context.Context) error
	Guesses Guesses // of the admin secret; nil: none are counted
	// called for each wrong or missing admin secret, and for each admin whose role may not; nil: never
	Refused func(ctx context.Context, f auditlog.Refusal)
	// Refusal answers a request that no handler gets: a method that a page lacks, a panic. Its caller is not known. nil: a
	// problem document does.
	Refusal func(w http.ResponseWriter, r *http.Request, err error)
	// a missing Org CA is the operator's to bring (orgca.ErrAwaited)
	Awaits bool
	Log    *slog.Logger
	Now    func() time.Time
}

// Mux dispatches a function's requests by the route table. It is safe for concurrent use.
type Mux struct{ Config }

// New returns a Mux. It fails if a handler has no route, or if its route requires an admin secret or a session and
// Config has no check for it.
func New(cfg Config) (*Mux, error) {
	for key := range cfg.Handlers {
		method, path, _ := strings.Cut(key, " ")
		route, ok := find(method, path)
		if !ok {
			return nil, fmt.Errorf("handler %q: %w", key, ErrRoute)
		}
		if (route.Auth == routes.Admin || route.Auth == routes.Scrape) && cfg.Admin == nil {
			return nil, fmt.Errorf("handler %q: %w", key, ErrAdminUnavailable)
		}
		if route.Auth == routes.Session && cfg.Session == nil {
			return nil, fmt.Errorf("handler %q: %w", key, session.ErrNone)
		}
	}
	return &Mux{cfg}, nil
}

func find(method, path string) (routes.Route, bool) {
	for _, r := range routes.On(path) {
		if r.Method == method {
			return r, true
		}
	}
	return routes.Route{}, false
}

// tokenPaths begin the routes whose errors have the form of RFC 6749 instead of RFC 9457: the token endpoint, and the
// calls of a login before it, whose refusals have its words.
const tokenPaths = "/v1/auth/" //nolint:gosec // a path, no credential

// ServeHTTP answers a request, and writes one log line about it.
func (m *Mux) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began, seen := m.Now(), &recorder{ResponseWriter: w, status: http.StatusOK}
	resource, err := m.serve(seen, r)
	if m.Awaits && errors.Is(err, orgca.ErrMissing) {
		err = fmt.Errorf("%w: %w", orgca.ErrAwaited, err)
	}
	if err != nil {
		m.fail(seen, r, resource, err)
	}
	m.note(r, resource, seen.status, m.Now().Sub(began), err)
}

func (m *Mux) serve(w http.ResponseWriter, r *http.Request) (resource string, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v\n%s", v, debug.Stack())
		}
	}()
	resource, params, ok := routes.Match(r.URL.EscapedPath())
	if host := CallOf(r.Context()).Host; !ok || host != "" && !routes.Served(host, resource) {
		return "", ErrRoute
	}
	method := r.Method
	if method == http.MethodHead { // GET without the body, which the edge leaves out (RFC 9110 section 9.3.2)
		method = http.MethodGet
	}
	route, ok := find(method, resource)
	handler := m.Handlers[route.Method+" "+route.Path]
	if !ok || handler == nil {
		return resource, ErrMethod
	}
	for name, value := range params {
		r.SetPathValue(name, value)
	}
	if r, err = m.authorise(route, w, r); err != nil {
		return resource, err
	}
	if !repeatable(route) && len(r.Header.Values("Idempotency-Key")) > 0 {
		return resource, ErrIdempotency
	}
	if route.Auth != routes.None { // a cache on the way knows an answer by its address alone
		w.Header().Set("Cache-Control", "no-store")
	}
	if m.Strict != nil {
		if err := m.Strict(r.Context()); err != nil {
			return resource, err
		}
	}
	return resource, replayed(w, handler(w, r))
}

func (m *Mux) fail(w *recorder, r *http.Request, resource string, err error) {
	if w.wrote {
		return
	}
	p := problem.Of(err)
	if errors.Is(err, ErrMethod) {
		w.Header().Set("Allow", strings.Join(routes.Methods(resource), ", "))
	}
	if m.Refusal != nil {
		m.Refusal(w, r, err)
		return
	}
	if strings.HasPrefix(resource, tokenPaths) {
		writeOAuthError(w, p)
		return
	}
	if resource == "" && CallOf(r.Context()).Host == routes.Agents {
		writeStray(w, p, CallOf(r.Context()).RequestID)
		return
	}
	if resource == MePath && p.Status == http.StatusUnauthorized {
		challengeBearer(w, err)
	}
	if errors.Is(err, ErrMetricsToken) {
		w.Header().Set("WWW-Authenticate", `Bearer realm="metrics"`) // RFC 9110 section 11.6.1
	}
	writeProblem(w, p, CallOf(r.Context()).RequestID)
}

// recorder remembers what was answered, for the log.
type recorder struct {
	http.ResponseWriter
	status int
	wrote  bool
}

// WriteHeader passes the status on and remembers it.
func (r *recorder) WriteHeader(status int) {
	r.status, r.wrote = status, true
	r.ResponseWriter.WriteHeader(status)
}

// Write passes the body on.
func (r *recorder) Write(b []byte) (int, error) {
	r.wrote = true
	return r.ResponseWriter.Write(b)
}

package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/mastio-aws/mastio/shared/admin"
	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/problem"
	"github.com/mastio-aws/mastio/shared/routes"
	"github.com/mastio-aws/mastio/shared/session"
	"github.com/mastio-aws/mastio/shared/usecase/auditlog"
)

// Errors of a caller who is not let in.
var (
	ErrAdminSecret = problem.New(403, "admin_secret_invalid", "admin secret missing or wrong").
			Says("The X-Admin-Secret header is missing, or holds neither the admin secret nor NAME:SECRET of a named admin. " +
			"The admin secret is MCP_PROXY_ADMIN_SECRET in proxy.env; on AWS it is in Secrets Manager.")
	ErrAdminUnavailable = problem.New(503, "admin_secret_unavailable", "admin secret cannot be checked").
				Says("The admin secret cannot be checked at the moment. Retry.").
				After(time.Second)
	ErrMetricsToken = problem.New(401, "metrics_token_invalid", "metrics token wrong").
			Says("The Authorization header does not hold the metrics token: Bearer, a space, and the token. Locally it is in " +
			"build/run/metrics-token; on AWS it is in Secrets Manager (MetricsTokenArn).")
)

// Admin checks an admin secret and returns whose it is.
type Admin func(ctx context.Context, secret string) (who admin.Admin, ok bool, err error)

// Scrape checks a metrics token and names the version of it that was shown.
type Scrape func(ctx context.Context, token string) (version string, ok bool, err error)

// Admit accepts a request with a valid session whose admin may use the route, and returns the request for the route's
// handler. With an error it has answered already.
type Admit func(w http.ResponseWriter, r *http.Request, route routes.Route) (*http.Request, error)

// Guesses counts wrong admin secrets by their address. Both errors are session.ErrLocked while the address is locked.
type Guesses interface {
	Wrong(ctx context.Context, address string) error  // counts one
	Locked(ctx context.Context, address string) error // counts nothing
}

// authorise denies a request unless it meets the route's demand. A client certificate is checked by the handler that
// needs it. The caller goes on with the returned request.
func (m *Mux) authorise(route routes.Route, w http.ResponseWriter, r *http.Request) (*http.Request, error) {
	switch route.Auth {
	case routes.None:
		if m.Admin != nil && len(r.Header.Values("X-Admin-Secret")) > 0 { // the route shows more to an operator
			return r, m.admin(route, r)
		}
		return r, nil
	case routes.ClientCertificate:
		return r, nil
	case routes.Admin:
		return r, m.admin(route, r)
	case routes.Scrape:
		return r, m.scrape(route, r)
	case routes.Session:
		return m.Session(w, r, route)
	}
	return r, ErrAdminSecret
}

// admin accepts an admin whose role may use the route.
func (m *Mux) admin(route routes.Route, r *http.Request) error {
	shown := r.Header.Values("X-Admin-Secret")
	if len(shown) != 1 { // of several, each reader on the way may believe another one
		return m.refused(r, "api", "not one secret", ErrAdminSecret)
	}
	who, ok, err := m.Admin(r.Context(), shown[0])
	switch {
	case errors.Is(err, session.ErrLocked):
		return m.guessed(r, m.refused(r, "api", "too many wrong secrets", err))
	case err != nil:
		return fmt.Errorf("%w: %w", ErrAdminUnavailable, err)
	case !ok:
		return m.guessed(r, m.refused(r, "api", "wrong secret", ErrAdminSecret))
	}
	if err := m.short(r, shown[0]); err != nil {
		return err
	}
	if err := route.Permit(who.Role); err != nil {
		return m.refused(r, who.Actor(), "role", err)
	}
	call := CallOf(r.Context())
	call.Actor, call.Admin = who.Actor(), &who
	return nil
}

// scrape accepts the metrics token, or an admin whose role may use the route. A request that shows both is judged by
// its admin secret.
func (m *Mux) scrape(route routes.Route, r *http.Request) error {
	shown := r.Header.Values("Authorization")
	if m.Scrape == nil || len(r.Header.Values("X-Admin-Secret")) > 0 || len(shown) != 1 {
		return m.admin(route, r)
	}
	scheme, token, _ := strings.Cut(shown[0], " ")
	if !strings.EqualFold(scheme, "Bearer") { // RFC 9110 section 11.1: in any case
		return m.admin(route, r)
	}
	version, ok, err := m.Scrape(r.Context(), token)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrAdminUnavailable, err)
	}
	if !ok {
		return m.guessed(r, m.refused(r, "api", "wrong metrics token", ErrMetricsToken))
	}
	CallOf(r.Context()).Actor = "metrics:" + version
	return nil
}

// guessed counts a wrong secret, and returns err unless its address is locked. A failed count does not change the
// answer: the secret is wrong either way.
func (m *Mux) guessed(r *http.Request, err error) error {
	if m.Guesses == nil {
		return err
	}
	if locked := m.Guesses.Wrong(r.Context(), CallOf(r.Context()).SourceIP); errors.Is(locked, session.ErrLocked) {
		return locked
	}
	return err
}

// short refuses a right but short secret, which could have been guessed, while its address is locked. A right secret
// of full length passes, without a read: pipelines share addresses.
func (m *Mux) short(r *http.Request, shown string) error {
	if m.Guesses == nil || utf8.RuneCountInString(shown) >= session.MinSecret {
		return nil
	}
	return m.Guesses.Locked(r.Context(), CallOf(r.Context()).SourceIP)
}

// refused records the attempt in the audit trail, never the secret that was tried, and returns err.
func (m *Mux) refused(r *http.Request, actor, reason string, err error) error {
	if m.Refused != nil {
		by := CallOf(r.Context()).By
		by.Actor = actor
		m.Refused(r.Context(), auditlog.Refusal{Event: audit.AdminLoginRefused, By: by, Reason: reason})
	}
	return err
}

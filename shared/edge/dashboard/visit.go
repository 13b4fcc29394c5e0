package dashboard

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/routes"
	"github.com/mastio-aws/mastio/shared/session"
	"github.com/mastio-aws/mastio/shared/usecase/signin"
)

// Names of the cookies. The prefix makes browsers refuse one that came without TLS, for a path, or from a subdomain.
const (
	sessionCookie = "__Host-mastio-session"
	deviceCookie  = "__Host-mastio-device"
)

// visit is a request's session, with the token that the browser showed.
type visit struct {
	signin.Visit
	token string
}

type visitKey struct{}

func visitOf(ctx context.Context) visit {
	v, _ := ctx.Value(visitKey{}).(visit)
	return v
}

// by says who asks for a change: the operator of the session.
func (d *Dashboard) by(r *http.Request) audit.By {
	by := d.Caller(r.Context())
	by.Actor = visitOf(r.Context()).Actor
	return by
}

// Admit accepts a request with a valid session whose admin may use the route; see httpapi.Admit.
func (d *Dashboard) Admit(w http.ResponseWriter, r *http.Request, route routes.Route) (*http.Request, error) {
	token := cookie(r, sessionCookie)
	opened, err := d.Door.Open(r.Context(), token)
	refused := error(nil)
	if err == nil {
		r = r.WithContext(context.WithValue(r.Context(), visitKey{}, visit{opened, token}))
		if refused = route.Permit(opened.Admin.Role); refused == nil {
			return r, nil
		}
	}
	w = below(w, d.Mount(r.Context()))
	secure(w.Header(), r)
	if refused != nil {
		d.Door.RefusedRole(r.Context(), d.by(r))
		d.fail(w, r, refused)
		return nil, refused
	}
	switch {
	case !errors.Is(err, session.ErrNone):
		d.fail(w, r, err)
	case token == "" && r.Method != http.MethodPost && r.Header.Get("Sec-Fetch-Site") == "cross-site":
		// After a link from another site, SameSite=Strict holds the cookie back. A second request for the same address,
		// from our own page, carries the cookie.
		d.render(w, r, http.StatusOK, page{Name: "continue", Title: "Continue", Content: r.URL.RequestURI()})
	default:
		http.Redirect(w, r, loginFor(r, token != ""), http.StatusSeeOther)
	}
	return nil, err
}

// loginFor returns the login page that leads back to the requested address. Every form except signing out has a page
// at its own address.
func loginFor(r *http.Request, ended bool) string {
	q := url.Values{}
	if next := r.URL.RequestURI(); local(next) && r.URL.Path != "/proxy/logout" {
		q.Set("next", next)
	}
	if ended || r.Method == http.MethodPost {
		q.Set("ended", "1")
	}
	return "/proxy/login?" + q.Encode()
}

// local reports whether an address is a page of the dashboard, whatever a browser makes of it.
func local(next string) bool {
	u, err := url.Parse(next)
	return err == nil && u.Scheme == "" && u.Host == "" && u.User == nil && strings.HasPrefix(next, "/proxy") &&
		!strings.ContainsFunc(next, func(c rune) bool { return c <= ' ' || c == '\\' || c >= 0x7f }) && len(next) < 2000
}

func cookie(r *http.Request, name string) string {
	c, err := r.Cookie(name)
	if err != nil || len(c.Value) > 100 {
		return ""
	}
	return c.Value
}

func setCookie(w http.ResponseWriter, name, value string, age time.Duration) {
	seconds := int(age / time.Second)
	if value == "" {
		seconds = -1
	}
	http.SetCookie(w, &http.Cookie{
		Name:     name,
		Value:    value,
		Path:     "/",
		MaxAge:   seconds,
		Secure:   true,
		HttpOnly: true,
		SameSite: http.SameSiteStrictMode,
	})
}

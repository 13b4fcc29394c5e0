package httpapi

import (
	"fmt"
	"net/http"
	"time"

	"github.com/mastio-aws/mastio/shared/admin"
	"github.com/mastio-aws/mastio/shared/routes"
	"github.com/mastio-aws/mastio/shared/usecase/discovery"
	"github.com/mastio-aws/mastio/shared/usecase/health"
	"github.com/mastio-aws/mastio/shared/verifier/accesstoken"
	"github.com/mastio-aws/mastio/shared/warnings"
)

// Discovery returns the handlers of the function discovery.
func Discovery(d *discovery.Directory, encode CertsOnly) Handlers {
	return Handlers{
		"GET /.well-known/oauth-authorization-server": func(w http.ResponseWriter, _ *http.Request) error {
			w.Header().Set("Cache-Control", "public, max-age=3600")
			write(w, http.StatusOK, "application/json", d.Metadata())
			return nil
		},
		"GET /openapi.json": func(w http.ResponseWriter, _ *http.Request) error {
			body, err := routes.Document()
			return send(w, "application/json", "public, max-age=3600", body, err)
		},
		"GET /openapi-pages.json": func(w http.ResponseWriter, _ *http.Request) error {
			body, err := routes.PagesDocument()
			return send(w, "application/json", "public, max-age=3600", body, err)
		},
		// Keys appear an epoch before they sign, so a verifier may keep the set for a while.
		"GET /.well-known/jwks.json": func(w http.ResponseWriter, r *http.Request) error {
			body, err := d.JWKS(r.Context())
			return send(w, "application/jwk-set+json", "public, max-age=300", body, err)
		},
		// RFC 7030 section 4.1: what a renewed certificate chains to.
		"GET /.well-known/est/cacerts": func(w http.ResponseWriter, r *http.Request) error {
			chain, err := d.Chain(r.Context())
			if err != nil {
				return err
			}
			w.Header().Set("Cache-Control", "no-cache")
			return encode.write(w, chain...)
		},
		"GET /pki/ca.crt": func(w http.ResponseWriter, r *http.Request) error {
			body, err := d.Root(r.Context())
			return send(w, "application/x-pem-file", "no-cache", body, err)
		},
		"GET /pki/bundle.pem": func(w http.ResponseWriter, r *http.Request) error {
			body, err := d.Bundle(r.Context())
			return send(w, "application/x-pem-file", "no-cache", body, err)
		},
	}
}

func send(w http.ResponseWriter, mediaType, cache string, body []byte, err error) error {
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", mediaType)
	w.Header().Set("Cache-Control", cache)
	_, err = w.Write(body)
	return err
}

// Health returns the handlers of the function healthz.
func Health(c *health.Checker, version, orgID string) Handlers {
	return Handlers{
		"GET /healthz": func(w http.ResponseWriter, r *http.Request) error { return healthz(c, version, orgID, w, r) },
		"GET /metrics": func(w http.ResponseWriter, r *http.Request) error { return metrics(c, w, r) },
	}
}

func healthz(c *health.Checker, version, orgID string, w http.ResponseWriter, r *http.Request) error {
	state, err := c.Check(r.Context())
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	shown := public(state.Warnings, CallOf(r.Context()).Actor != "")
	write(w, http.StatusOK, "application/json", struct {
		Status      string             `json:"status"`
		Version     string             `json:"version"`
		OrgID       string             `json:"org_id"`
		Generation  int64              `json:"generation"`
		Fingerprint string             `json:"fingerprint"`
		NotBefore   *time.Time         `json:"org_ca_not_before"`
		NotAfter    *time.Time         `json:"org_ca_not_after"`
		TokenTTL    int64              `json:"token_ttl_seconds,omitempty"`
		Warnings    []warnings.Warning `json:"warnings"`
		Role        admin.Role         `json:"role,omitempty"`
	}{"ok", version, orgID, state.Generation, state.Fingerprint, instant(state.CANotBefore), instant(state.CANotAfter),
		longLife(c.TokenLife), shown, roleOf(r)})
	return nil
}

// roleOf is the role of the admin who asks; empty: no admin does.
func roleOf(r *http.Request) admin.Role {
	if who := CallOf(r.Context()).Admin; who != nil {
		return who.Role
	}
	return ""
}

// longLife returns the life of a token in seconds if it is longer than usual. For so long a resource server that
// neither follows the status document nor introspects accepts tokens of a dead certificate.
func longLife(d time.Duration) int64 {
	if d <= accesstoken.DefaultLife {
		return 0
	}
	return int64(d / time.Second)
}

// public returns the warnings that a caller sees. Even their number would reveal to an anonymous caller what it may
// not know.
func public(all []warnings.Warning, operator bool) []warnings.Warning {
	shown := []warnings.Warning{}
	for _, w := range all {
		if operator || w.Public() {
			shown = append(shown, w)
		}
	}
	return shown
}

// metrics answers in Prometheus's text exposition format, version 0.0.4.
func metrics(c *health.Checker, w http.ResponseWriter, r *http.Request) error {
	state, err := c.Check(r.Context())
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	for _, g := range []struct {
		name, help string
		value      float64
	}{
		{"cullis_proxy_legacy_ca_pathlen_zero", "1 if the current Org CA has the legacy pathLen=0 shape.",
			flag(state.Legacy)},
		{"mastio_org_ca_generation", "Number of the current Org CA generation.", float64(state.Generation)},
		{"mastio_org_ca_not_after_seconds", "Earliest end in the current chain of the Org CA, Unix time.", seconds(state)},
		{"mastio_standby_ca", "1 if the next Org CA is staged.", flag(state.Standby)},
	} {
		if _, err := fmt.Fprintf(w, "# HELP %s %s\n# TYPE %s gauge\n%s %g\n", g.name, g.help, g.name, g.name,
			g.value); err != nil {
			return err
		}
	}
	return warningGauges(w, state)
}

func warningGauges(w http.ResponseWriter, state health.State) error {
	if _, err := fmt.Fprint(w, "# HELP mastio_warning 1 for each warning that /healthz shows.\n# TYPE "+
		"mastio_warning gauge\n"); err != nil {
		return err
	}
	for _, name := range state.Warnings {
		if _, err := fmt.Fprintf(w, "mastio_warning{name=%q} 1\n", string(name)); err != nil {
			return err
		}
	}
	return nil
}

// instant is a time in JSON; nil, which is null, if the time is not known.
func instant(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// stored is a time as the registry keeps it: an answer to a change shows what a later read shows.
func stored(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }

func seconds(s health.State) float64 {
	if s.CANotAfter.IsZero() {
		return 0
	}
	return float64(s.CANotAfter.Unix())
}

func flag(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

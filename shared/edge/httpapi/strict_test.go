package httpapi_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/mastio-aws/mastio/shared/edge/httpapi"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
	"github.com/mastio-aws/mastio/test/inmemory"
)

// Strict PKI is checked before the handler and after the admin secret: a caller without the secret learns nothing. The
// log has the words that the operator's guide says to look for.
func TestStrict(t *testing.T) {
	w := open(t, memstore.Config{})
	var shut error
	for name, h := range map[string]httpapi.Handlers{"enroll": httpapi.Enroll(w.Enroll), "token": httpapi.Token(w.Token)} {
		mux, err := httpapi.New(httpapi.Config{
			Handlers: h,
			Admin:    inmemory.Admin,
			Strict:   func(context.Context) error { return shut },
			Log:      slog.New(slog.NewJSONHandler(w.logs, nil)),
			Now:      w.Now,
		})
		if err != nil {
			t.Fatal(err)
		}
		w.functions[name] = inmemory.Lambda(mux)
	}
	for _, c := range []struct {
		what    string
		shut    error
		secret  string
		status  int
		content string
	}{
		{"open", nil, inmemory.Secret, 200, `"agents"`},
		{"shut", orgca.ErrLegacy, inmemory.Secret, 503, `"code":"org_ca_legacy"`},
		{"shut, and no secret", orgca.ErrLegacy, "wrong", 403, `"code":"admin_secret_invalid"`},
		{"open again", nil, inmemory.Secret, 200, `"agents"`},
	} {
		shut = c.shut
		e := event("GET", "/v1/admin/agents", header("X-Admin-Secret", c.secret))
		if got := w.send(t, e); got.status != c.status || !strings.Contains(string(got.body), c.content) {
			t.Errorf("%s: %d %s", c.what, got.status, got.body)
		}
	}
	shut = orgca.ErrLegacy
	got := w.send(t, event("POST", "/v1/auth/token"))
	if got.status != 503 || !strings.Contains(string(got.body), `"error":"temporarily_unavailable"`) {
		t.Errorf("token: %d %s", got.status, got.body)
	}
	if !strings.Contains(w.logs.take(), "MCP_PROXY_STRICT_PKI=1 refuses boot on legacy Org CA. Run POST /pki/rotate-ca.") {
		t.Error("the log does not say what the guide promises")
	}
}

package httpapi_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	admins "github.com/mastio-aws/mastio/shared/admin"
	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/edge/httpapi"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
	"github.com/mastio-aws/mastio/shared/usecase/auditlog"
	"github.com/mastio-aws/mastio/test/inmemory"
)

// secrets collects what may be in one answer and nowhere else.
type secrets map[string]string

func (s secrets) add(what, text string) {
	for _, line := range strings.Split(text, "\n") { // a log would hold a PEM text with its line breaks escaped
		if len(line) > 20 && !strings.HasPrefix(line, "-----") {
			s[line] = what
		}
	}
}

func (s secrets) holder(t testing.TB, h holder) {
	t.Helper()
	var key struct{ D string }
	if err := json.Unmarshal(h.JWK, &key); err != nil || key.D == "" || h.KeyPEM == "" {
		t.Fatalf("answer without private keys: %v", err)
	}
	s.add("private key of "+h.ID, h.KeyPEM)
	s.add("DPoP key of "+h.ID, key.D)
}

func TestLogNeverHoldsSecrets(t *testing.T) {
	w := open(t, memstore.Config{})
	hidden := secrets{inmemory.Secret: "admin secret", "wrong-but-almost-a-secret": "secret that was tried"}
	agent := w.enrol(t, "kyc", "a")
	hidden.holder(t, agent)
	ask := func(certPEM string, edits ...edit) {
		proof := prove(t, agent.proofKey(t), w.Now(), "")
		hidden.add("proof", strings.SplitAfterN(proof, ".", 3)[2])
		a := w.send(t, tokenRequest(certPEM, append([]edit{header("DPoP", proof)}, edits...)...))
		var got tokenAnswer
		if json.Unmarshal(a.body, &got) == nil && got.AccessToken != "" {
			hidden.add("access token", strings.SplitAfterN(got.AccessToken, ".", 3)[2])
		}
	}
	ask(agent.CertPEM)
	ask(agent.CertPEM, body(formType, "scope=b&client_secret=very-secret-client-secret"))
	hidden["very-secret-client-secret"] = "client secret that nobody asked for"
	agent = w.rotate(t, agent.ID, `{"grace_seconds":60}`)
	hidden.holder(t, agent)
	ask(agent.CertPEM)
	// What clients send to the wrong place is theirs all the same.
	lost, err := json.Marshal(map[string]any{"csr_pem": agent.KeyPEM, "dpop_jwk": agent.JWK})
	if err != nil {
		t.Fatal(err)
	}
	rotate := "/registry/agents/orga::kyc/rotate-cert"
	w.send(t, event("POST", rotate, admin, jsonBody(string(lost))))
	w.send(t, event("POST", rotate, admin, jsonBody(strings.ReplaceAll(string(lost), "dpop_jwk", "jwk"))))
	w.send(t, event("POST", rotate, admin, jsonBody(string(agent.JWK))))
	w.send(t, event("POST", rotate, admin, body("application/x-pem-file", agent.KeyPEM)))
	w.send(t, event("POST", rotate, header("X-Admin-Secret", "wrong-but-almost-a-secret")))
	w.send(t, event("POST", "/pki/rotate-ca", admin, query("mode", "mint"), query("secret", inmemory.Secret)))
	w.send(t, event("POST", "/pki/rotate-ca", admin, query("mode", "mint"), header("Idempotency-Key", "k1")))
	leaf := sign(t, w.orgCA(t), leafTemplate(w.Now()), newKey(t))
	hidden.add("private key of a pipeline", leaf.keyPEM(t))
	byoca := byocaRequest(t, "byo", leaf)
	w.postBYOCA(t, byoca)
	w.postBYOCA(t, byoca)
	w.postBYOCA(t, byoca.with("cert_pem", leaf.keyPEM(t), "private_key_pem", leaf.certPEM()))
	w.postBYOCA(t, byoca.with("agent_name", leaf.keyPEM(t)))
	w.postBYOCA(t, byoca.with("private_key_pem", strings.Replace(leaf.keyPEM(t), "PRIVATE KEY", "PUBLIC KEY", 2)))
	w.postBYOCA(t, byoca.with("possession_proof", leaf.keyPEM(t), "private_key_pem", nil))
	w.postSPIFFE(t, members{"agent_name": "byo", "svid_pem": leaf.certPEM(), "svid_key_pem": leaf.keyPEM(t),
		"trust_bundle_pem": leaf.keyPEM(t)})
	w.send(t, event("DELETE", "/v1/admin/agents/orga::kyc", admin))
	ask(agent.CertPEM)

	log := w.logs.take()
	if lines := strings.Count(log, "\n"); lines < 15 || !strings.Contains(log, "pki.rotate.committed") {
		t.Fatalf("%d lines in the log: the capture is broken", lines)
	}
	if len(hidden) < 12 {
		t.Fatalf("%d secrets: the collection is broken", len(hidden))
	}
	for secret, what := range hidden {
		if strings.Contains(log, secret) {
			t.Errorf("the log holds the %s", what)
		}
	}
	for _, mark := range []string{"PRIVATE KEY", `"d\"`, `"d":`, "BEGIN"} {
		if strings.Contains(log, mark) {
			t.Errorf("the log holds %q", mark)
		}
	}
}

type line struct {
	Level     string `json:"level"`
	Route     string `json:"route"`
	Agent     string `json:"agent"`
	Claimed   string `json:"claimed"`
	Status    int    `json:"status"`
	Code      string `json:"code"`
	Cause     string `json:"cause"`
	RequestID string `json:"request_id"`
}

func (w *world) lastLine(t testing.TB) line {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(w.logs.take()), "\n")
	var l line
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &l); err != nil {
		t.Fatalf("log line %q: %v", lines[len(lines)-1], err)
	}
	return l
}

func TestPanicIsAProblemWithoutText(t *testing.T) {
	w := open(t, memstore.Config{})
	burst := func(http.ResponseWriter, *http.Request) error { panic("arn:aws:kms:key-0001 burst") }
	w.mount(t, map[string]httpapi.Handlers{"healthz": {"GET /healthz": burst}, "token": {tokenRoute: burst}})
	wantProblem(t, w.send(t, event("GET", "/healthz")), 500, "internal")
	l := w.lastLine(t)
	if l.Level != "ERROR" || l.RequestID != requestID || l.Status != 500 || l.Code != "internal" ||
		l.Route != "GET /healthz" ||
		!strings.Contains(l.Cause, "key-0001 burst") || !strings.Contains(l.Cause, "secrecy_test.go") {
		t.Errorf("log line = %+v, want the cause and where it was", l)
	}
	wantOAuthError(t, w.send(t, event("POST", "/v1/auth/token")), "server_error")
}

func TestUnmappedErrorIsAProblemWithoutText(t *testing.T) {
	w := open(t, memstore.Config{})
	w.mount(t, map[string]httpapi.Handlers{"healthz": {"GET /healthz": func(http.ResponseWriter, *http.Request) error {
		return errors.New("arn:aws:kms:key-0001 is nobody's business")
	}}})
	wantProblem(t, w.send(t, event("GET", "/healthz")), 500, "internal")
	if l := w.lastLine(t); l.Level != "ERROR" || l.RequestID != requestID ||
		!strings.Contains(l.Cause, "nobody's business") {
		t.Errorf("log line = %+v", l)
	}
}

func TestAdminCheckThatFailsLetsNobodyIn(t *testing.T) {
	w := open(t, memstore.Config{})
	for name, check := range map[string]httpapi.Admin{
		"error": func(context.Context, string) (admins.Admin, bool, error) {
			return admins.Holder("AWSCURRENT"), true, errors.New("arn:aws:secretsmanager is down")
		},
		"panic": func(context.Context, string) (admins.Admin, bool, error) { panic("arn:aws:secretsmanager burst") },
	} {
		t.Run(name, func(t *testing.T) {
			mux, err := httpapi.New(httpapi.Config{
				Handlers: httpapi.Enroll(w.Enroll),
				Admin:    check,
				Log:      slog.New(slog.NewJSONHandler(w.logs, nil)),
				Now:      w.Now,
			})
			if err != nil {
				t.Fatal(err)
			}
			w.functions["enroll"] = inmemory.Lambda(mux)
			before := w.state(t)
			a := w.send(t, event("POST", "/v1/admin/agents", admin, jsonBody(`{"agent_name":"kyc"}`)))
			if name == "error" {
				wantProblem(t, a, 503, "admin_secret_unavailable")
			} else {
				wantProblem(t, a, 500, "internal")
			}
			if len(w.state(t).Agents) != len(before.Agents) {
				t.Error("an agent was enrolled")
			}
			if l := w.lastLine(t); !strings.Contains(l.Cause, "secretsmanager") || l.Level != "ERROR" {
				t.Errorf("log line = %+v", l)
			}
		})
	}
}

func TestAuditNamesActorAndRequest(t *testing.T) {
	w := open(t, memstore.Config{})
	w.enrol(t, "kyc")
	w.rotate(t, "orga::kyc", `{"reason":"superseded","comment":"routine","grace_seconds":60}`)
	w.send(t, event("DELETE", "/v1/admin/agents/orga::kyc", admin))
	for _, row := range w.state(t).Rows["orga::kyc"] {
		if row.Actor != "admin:AWSCURRENT" || row.Details["request_id"] != requestID ||
			row.Details["source_ip"] != "192.0.2.7" {
			t.Errorf("row = %+v", row)
		}
	}
}

func TestNewRefusesWhatCannotWork(t *testing.T) {
	handler := func(http.ResponseWriter, *http.Request) error { return nil }
	for name, c := range map[string]struct {
		handlers httpapi.Handlers
		admin    httpapi.Admin
		want     error
	}{
		"route that is not in the table": {httpapi.Handlers{"GET /secret": handler}, inmemory.Admin, httpapi.ErrRoute},
		"method that is not in it":       {httpapi.Handlers{"PUT /healthz": handler}, inmemory.Admin, httpapi.ErrRoute},
		"no method":                      {httpapi.Handlers{"/healthz": handler}, inmemory.Admin, httpapi.ErrRoute},
		"admin route without a check":    {httpapi.Handlers{"GET /metrics": handler}, nil, httpapi.ErrAdminUnavailable},
		"public route without a check":   {httpapi.Handlers{"GET /healthz": handler}, nil, nil},
	} {
		if _, err := httpapi.New(httpapi.Config{Handlers: c.handlers, Admin: c.admin}); !errors.Is(err, c.want) {
			t.Errorf("%s: err = %v, want %v", name, err, c.want)
		}
	}
}

// Behind net/http, without API Gateway's request context, a request has no request id, no certificate and no actor.
func TestWithoutAnEdge(t *testing.T) {
	w := open(t, memstore.Config{})
	mux, err := httpapi.New(httpapi.Config{
		Handlers: httpapi.Token(w.Token),
		Log:      slog.New(slog.DiscardHandler),
		Now:      w.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	rec := httptest.NewRecorder()
	mux.ServeHTTP(rec, httptest.NewRequest("POST", "/v1/auth/token", nil))
	wantOAuthError(t, answer{rec.Code, rec.Header(), rec.Body.Bytes()}, "invalid_client")
	if c := httpapi.CallOf(t.Context()); *c != (httpapi.Call{}) || c.Actor != "" {
		t.Errorf("call = %+v, want nothing", c)
	}
}

// Who tries a wrong secret is on the record; what was tried is not, and a right one leaves no row.
func TestRefusedSecretsAreOnTheRecord(t *testing.T) {
	w := open(t, memstore.Config{})
	var told []auditlog.Refusal
	mux, err := httpapi.New(httpapi.Config{
		Handlers: httpapi.Enroll(w.Enroll),
		Admin:    inmemory.Admin,
		Log:      slog.New(slog.NewJSONHandler(w.logs, nil)),
		Now:      w.Now,
		Refused:  func(_ context.Context, f auditlog.Refusal) { told = append(told, f) },
	})
	if err != nil {
		t.Fatal(err)
	}
	w.functions["enroll"] = inmemory.Lambda(mux)
	for _, e := range []events.APIGatewayProxyRequest{
		event("GET", "/v1/admin/agents", admin),
		event("GET", "/v1/admin/agents", header("X-Admin-Secret", "guess")),
		event("GET", "/v1/admin/agents"),
		event("GET", "/nowhere", header("X-Admin-Secret", "guess")),
	} {
		w.send(t, e)
	}
	want := auditlog.Refusal{
		Event:  audit.AdminLoginRefused,
		By:     audit.By{Actor: "api", RequestID: requestID, SourceIP: "192.0.2.7"},
		Reason: "wrong secret",
	}
	missing := want
	missing.Reason = "not one secret"
	if diff := cmp.Diff([]auditlog.Refusal{want, missing}, told); diff != "" {
		t.Errorf("refusals (-want +got):\n%s", diff)
	}
}

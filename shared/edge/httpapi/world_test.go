package httpapi_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/go-jose/go-jose/v4"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/boot"
	"github.com/mastio-aws/mastio/shared/edge/httpapi"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
	"github.com/mastio-aws/mastio/shared/routes"
	"github.com/mastio-aws/mastio/shared/usecase/truststore"
	"github.com/mastio-aws/mastio/test/inmemory"
)

// requestID is what API Gateway calls every request of these tests.
const requestID = "c6af9ac6-7b61-11e6-9a41-93e8deadbeef"

type function = func(context.Context, events.APIGatewayProxyRequest) (events.APIGatewayProxyResponse, error)

// world is a Mastio behind API Gateway: events in, events out.
type world struct {
	*inmemory.Mastio
	functions map[string]function
	logs      *logbook
}

// open builds a Mastio with an Org CA and its standby.
func open(t testing.TB, cfg memstore.Config, edits ...func(*boot.Parts)) *world {
	t.Helper()
	w := unopened(t, cfg, edits...)
	if _, err := w.Standby.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	return w
}

// unopened builds a Mastio before its first Org CA.
func unopened(t testing.TB, cfg memstore.Config, edits ...func(*boot.Parts)) *world {
	t.Helper()
	w := &world{logs: &logbook{}}
	w.Mastio = inmemory.New(cfg, append(edits,
		func(p *boot.Parts) { p.Log = slog.New(slog.NewJSONHandler(w.logs, nil)) })...)
	w.restart(t)
	return w
}

// restart starts new instances of all functions, with the present settings.
func (w *world) restart(t testing.TB) {
	t.Helper()
	var err error
	if w.functions, err = w.Functions(); err != nil {
		t.Fatal(err)
	}
}

// mount puts handlers of a test in the place of functions.
func (w *world) mount(t testing.TB, all map[string]httpapi.Handlers) {
	t.Helper()
	for name, h := range all {
		mux, err := httpapi.New(httpapi.Config{
			Handlers: h,
			Admin:    inmemory.Admin,
			Log:      slog.New(slog.NewJSONHandler(w.logs, nil)),
			Now:      w.Now,
		})
		if err != nil {
			t.Fatal(err)
		}
		w.functions[name] = inmemory.Lambda(mux)
	}
}

// send delivers an event to the function that API Gateway would choose; a path that no route has goes to enroll.
func (w *world) send(t testing.TB, e events.APIGatewayProxyRequest) answer {
	t.Helper()
	name := "enroll"
	escaped := e.Path
	if _, err := url.PathUnescape(escaped); err != nil {
		escaped = (&url.URL{Path: escaped}).EscapedPath()
	}
	if resource, _, ok := routes.Match(escaped); ok {
		name = routes.On(resource)[0].Function
	}
	out, err := w.functions[name](t.Context(), e)
	if err != nil {
		t.Fatalf("%s %s: the function failed: %v", e.HTTPMethod, e.Path, err)
	}
	body := []byte(out.Body)
	if out.IsBase64Encoded {
		if body, err = base64.StdEncoding.DecodeString(out.Body); err != nil {
			t.Fatal(err)
		}
	}
	a := answer{out.StatusCode, out.MultiValueHeaders, body}
	conforms(t, e, a)
	return a
}

type answer struct {
	status int
	header http.Header
	body   []byte
}

// into decodes an answer that must have this status.
func (a answer) into(t testing.TB, status int, v any) {
	t.Helper()
	if a.status != status {
		t.Fatalf("status = %d, want %d; body %.300s", a.status, status, a.body)
	}
	if err := json.Unmarshal(a.body, v); err != nil {
		t.Fatalf("body %q: %v", a.body, err)
	}
}

// edit changes a request.
type edit func(*events.APIGatewayProxyRequest)

// event is a request as API Gateway passes it on.
func event(method, path string, edits ...edit) events.APIGatewayProxyRequest {
	e := events.APIGatewayProxyRequest{
		HTTPMethod:                      method,
		Path:                            path,
		MultiValueHeaders:               http.Header{},
		MultiValueQueryStringParameters: url.Values{},
		RequestContext: events.APIGatewayProxyRequestContext{
			RequestID:  requestID,
			DomainName: "mastio.test",
			Identity:   events.APIGatewayRequestIdentity{SourceIP: "192.0.2.7"},
		},
	}
	return with(e, edits...)
}

// with returns a copy of a request with changes.
func with(e events.APIGatewayProxyRequest, edits ...edit) events.APIGatewayProxyRequest {
	e.MultiValueHeaders = http.Header(e.MultiValueHeaders).Clone()
	query := url.Values{}
	for name, values := range e.MultiValueQueryStringParameters {
		query[name] = append([]string(nil), values...)
	}
	e.MultiValueQueryStringParameters = query
	for _, change := range edits {
		change(&e)
	}
	return e
}

func header(name string, values ...string) edit {
	return func(e *events.APIGatewayProxyRequest) {
		http.Header(e.MultiValueHeaders).Del(name)
		for _, v := range values {
			http.Header(e.MultiValueHeaders).Add(name, v)
		}
	}
}

func query(name string, values ...string) edit {
	return func(e *events.APIGatewayProxyRequest) { e.MultiValueQueryStringParameters[name] = values }
}

func both(one, two edit) edit {
	return func(e *events.APIGatewayProxyRequest) { one(e); two(e) }
}

func body(mediaType, text string) edit {
	return func(e *events.APIGatewayProxyRequest) {
		e.Body = text
		header("Content-Type", mediaType)(e)
	}
}

func jsonBody(text string) edit { return body("application/json", text) }

func admin(e *events.APIGatewayProxyRequest) { header("X-Admin-Secret", inmemory.Secret)(e) }

func certificate(pem string) edit {
	return func(e *events.APIGatewayProxyRequest) {
		e.RequestContext.Identity.ClientCert = &events.APIGatewayCustomAuthorizerRequestTypeRequestIdentityClientCert{
			ClientCertPem: pem,
		}
	}
}

func at(path string) edit { return func(e *events.APIGatewayProxyRequest) { e.Path = path } }

// holder is an agent that keeps what it was given at enrolment.
type holder struct {
	ID         string          `json:"agent_id"`
	CertPEM    string          `json:"cert_pem"`
	KeyPEM     string          `json:"key_pem"`
	JWK        json.RawMessage `json:"dpop_jwk"`
	Thumbprint string          `json:"cert_thumbprint"`
	Generation int64           `json:"generation"`
}

func (w *world) enrol(t testing.TB, name string, capabilities ...string) holder {
	t.Helper()
	request, err := json.Marshal(map[string]any{"agent_name": name, "capabilities": capabilities})
	if err != nil {
		t.Fatal(err)
	}
	var h holder
	w.send(t, event("POST", "/v1/admin/agents", admin, jsonBody(string(request)))).into(t, http.StatusCreated, &h)
	return h
}

func (w *world) rotate(t testing.TB, id, request string) holder {
	t.Helper()
	var h holder
	w.send(t, event("POST", "/registry/agents/"+id+"/rotate-cert", admin, jsonBody(request))).into(t, http.StatusOK, &h)
	return h
}

func tokenRequest(certPEM string, edits ...edit) events.APIGatewayProxyRequest {
	return event("POST", "/v1/auth/token", append([]edit{certificate(certPEM)}, edits...)...)
}

func (h holder) proofKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	var key jose.JSONWebKey
	if err := json.Unmarshal(h.JWK, &key); err != nil {
		t.Fatal(err)
	}
	private, ok := key.Key.(*ecdsa.PrivateKey)
	if !ok {
		t.Fatalf("dpop_jwk is a %T", key.Key)
	}
	return private
}

var lastProof atomic.Int64

// prove makes a DPoP proof for the token endpoint with an id of its own; nonce may be empty.
func prove(t testing.TB, key *ecdsa.PrivateKey, now time.Time, nonce string) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{
		Algorithm: jose.ES256,
		Key:       key,
	}, (&jose.SignerOptions{EmbedJWK: true}).WithType("dpop+jwt"))
	if err != nil {
		t.Fatal(err)
	}
	claims := map[string]any{
		"htm": "POST", "htu": inmemory.Issuer + "/v1/auth/token", "iat": now.Unix(),
		"jti": "proof-" + strconv.FormatInt(lastProof.Add(1), 10),
	}
	if nonce != "" {
		claims["nonce"] = nonce
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	compact, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return compact
}

// state is everything that a refused request must leave as it was.
type state struct {
	Org        registry.Org
	Agents     map[agent.ID]*agent.Agent
	Rows       map[string][]audit.Row
	Keys       []inmemory.Key
	Truststore truststore.Object
}

func (w *world) state(t testing.TB) state {
	t.Helper()
	ctx := t.Context()
	org, err := w.Store.Org(ctx)
	if err != nil {
		t.Fatal(err)
	}
	object, err := w.Objects.Read(ctx)
	if err != nil {
		t.Fatal(err)
	}
	s := state{
		Org:        org,
		Agents:     map[agent.ID]*agent.Agent{},
		Rows:       map[string][]audit.Row{},
		Keys:       w.Keys.All(),
		Truststore: object,
	}
	page, err := w.Store.Agents(ctx, registry.Query{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	subjects := []string{inmemory.OrgID}
	for _, a := range page.Agents {
		view, err := w.Store.View(ctx, a.ID)
		if err != nil {
			t.Fatal(err)
		}
		s.Agents[a.ID] = view.Agent
		subjects = append(subjects, string(a.ID))
	}
	for _, subject := range subjects {
		if s.Rows[subject], err = w.Store.Rows(ctx, subject, 0, 1000); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// logbook keeps what was logged.
type logbook struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write appends.
func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// take returns what was logged since the last time.
func (l *logbook) take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.text.Reset()
	return l.text.String()
}

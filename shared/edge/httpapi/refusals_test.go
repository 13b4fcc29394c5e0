package httpapi_test

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"github.com/mastio-aws/mastio/shared/pki"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
	"github.com/mastio-aws/mastio/shared/routes"
	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
	"github.com/mastio-aws/mastio/test/inmemory"
	"github.com/mastio-aws/mastio/test/pkitest"
)

const tokenRoute = "POST /v1/auth/token"

// refusal is a request and the one answer it may get.
type refusal struct {
	name    string
	request events.APIGatewayProxyRequest
	status  int
	code    string // of the problem, or error of RFC 6749 at the token endpoint
}

// shape says how a route takes its input.
type shape struct {
	request     events.APIGatewayProxyRequest // that succeeds
	status      int
	takesJSON   bool
	ignoreQuery bool // RFC 6749 section 3.2 for the token; elsewhere there is nothing a parameter could mean
}

// everyShape has every route of the table: one that is missing fails the test.
func everyShape(t *testing.T, w *world, agents cast) map[string]shape {
	t.Helper()
	all := shapes(w, agents)
	maps.Copy(all, w.outsideShapes(t))
	maps.Copy(all, renewShapes(t, agents.kyc))
	maps.Copy(all, w.loginShapes(t, agents.kyc))
	for _, r := range api() {
		if _, ok := all[r.Method+" "+r.Path]; !ok {
			t.Fatalf("%s %s: there is no request for this route: add one that succeeds to shapes", r.Method, r.Path)
		}
	}
	return all
}

// shapes are the requests that need no keys of their own.
func shapes(w *world, agents cast) map[string]shape {
	path := "/v1/admin/agents/" + agents.kyc.ID
	return map[string]shape{
		"POST /registry/agents/{agent_id}/rotate-cert": {
			request: event("POST", "/registry/agents/"+agents.kyc.ID+"/rotate-cert", admin,
				jsonBody(`{"reason":"superseded"}`)),
			status:    200,
			takesJSON: true,
		},
		"POST /pki/rotate-ca": {
			request: event("POST", "/pki/rotate-ca", admin, query("mode", "mint")),
			status:  200,
		},
		"GET /pki/rotate-ca": {request: event("GET", "/pki/rotate-ca", admin), status: 200},
		"POST /pki/rotate-ca/reissue": {
			request:   event("POST", "/pki/rotate-ca/reissue", admin, jsonBody(`{"action":"pause"}`)),
			status:    200,
			takesJSON: true,
		},
		tokenRoute: {
			request:     tokenRequest(agents.kyc.CertPEM, jsonBody(`{"grant_type":"client_credentials"}`)),
			status:      200,
			takesJSON:   true,
			ignoreQuery: true,
		},
		"GET /healthz": {request: event("GET", "/healthz"), status: 200, ignoreQuery: true},
		"GET /metrics": {
			request:     event("GET", "/metrics", admin),
			status:      200,
			ignoreQuery: true,
		},
		"POST /v1/admin/agents": {
			request:   event("POST", "/v1/admin/agents", admin, jsonBody(`{"agent_name":"fresh"}`)),
			status:    201,
			takesJSON: true,
		},
		"GET /v1/admin/agents": {
			request: event("GET", "/v1/admin/agents", admin, query("limit", "10")),
			status:  200,
		},
		"GET /v1/admin/agents/{agent_id}": {request: event("GET", path, admin), status: 200},
		"PATCH /v1/admin/agents/{agent_id}": {
			request:   event("PATCH", path, admin, jsonBody(`{"owner":"Team A"}`)),
			status:    200,
			takesJSON: true,
		},
		"DELETE /v1/admin/agents/{agent_id}": {request: event("DELETE", path, admin), status: 204},
		"POST /v1/admin/agents:rotate": {
			request:   event("POST", manyPath, admin, jsonBody(`{"all":true}`)),
			status:    202,
			takesJSON: true,
		},
		"GET /v1/admin/jobs/{job_id}": {
			request: event("GET", "/v1/admin/jobs/"+w.endedJob(), admin),
			status:  200,
		},
		"GET /v1/admin/audit/export": {
			request: event("GET", "/v1/admin/audit/export", admin, query("limit", "10")),
			status:  200,
		},
		"GET /v1/admin/audit/head": {request: event("GET", "/v1/admin/audit/head", admin), status: 200},
		"POST /v1/admin/audit/bundle": {
			request: event("POST", "/v1/admin/audit/bundle", admin),
			status:  200,
		},
		"POST /v1/admin/audit/checkpoint": {
			request: event("POST", "/v1/admin/audit/checkpoint", admin),
			status:  200,
		},
		"GET /pki/audit-key.pem": {
			request:     event("GET", "/pki/audit-key.pem"),
			status:      200,
			ignoreQuery: true,
		},
		"PUT /v1/admin/agents/{agent_id}/hygiene": {
			request:   event("PUT", path+"/hygiene", admin, jsonBody(`{"deliver":"secretsmanager"}`)),
			status:    200,
			takesJSON: true,
		},
		"GET /.well-known/oauth-authorization-server": {
			request:     event("GET", "/.well-known/oauth-authorization-server"),
			status:      200,
			ignoreQuery: true,
		},
		"GET /.well-known/mastio-status": {
			request:     event("GET", "/.well-known/mastio-status"),
			status:      200,
			ignoreQuery: true,
		},
		"GET /.well-known/jwks.json": {
			request:     event("GET", "/.well-known/jwks.json"),
			status:      200,
			ignoreQuery: true,
		},
		"GET /pki/ca.crt": {
			request:     event("GET", "/pki/ca.crt"),
			status:      200,
			ignoreQuery: true,
		},
		"GET /pki/bundle.pem": {
			request:     event("GET", "/pki/bundle.pem"),
			status:      200,
			ignoreQuery: true,
		},
		"GET /openapi.json": {
			request:     event("GET", "/openapi.json"),
			status:      200,
			ignoreQuery: true,
		},
		"GET /openapi-pages.json": {
			request:     event("GET", "/openapi-pages.json"),
			status:      200,
			ignoreQuery: true,
		},
	}
}

// cast are the agents that the refusals are about.
type cast struct{ kyc, other, expired, retired holder }

func openWithCast(t testing.TB) (*world, cast) {
	t.Helper()
	w := open(t, memstore.Config{})
	w.Do(t, rotateca.Request{Mode: rotateca.Mint}) // so that there is a re-issue to steer
	c := cast{kyc: w.enrol(t, "kyc", "kyc:read", "kyc:write"), other: w.enrol(t, "other"), retired: w.enrol(t, "retired")}
	c.expired = w.rotate(t, w.enrol(t, "expired").ID, `{"validity_days":1}`)
	if a := w.send(t, event("DELETE", "/v1/admin/agents/"+c.retired.ID, admin)); a.status != http.StatusNoContent {
		t.Fatalf("deactivate: status %d", a.status)
	}
	w.Advance(48 * time.Hour)
	w.logs.take()
	return w, c
}

// With -short each route is given one bad input in four, and the next route the next ones.
func TestEveryRouteRefusesEveryBadInput(t *testing.T) {
	w, agents := openWithCast(t)
	all := everyShape(t, w, agents)
	for place, r := range api() {
		key := r.Method + " " + r.Path
		s := all[key]
		t.Run(key, func(t *testing.T) {
			everything := slices.Concat(badMethods(r, s), badSecrets(r, s), badQueries(r, s), badJSON(r, s), badIDs(r, s),
				badCertificates(t, r, s, agents))
			slices.SortFunc(everything, func(a, b refusal) int { return strings.Compare(a.name, b.name) })
			for n, bad := range everything {
				if testing.Short() && (n+place)%4 != 0 {
					continue
				}
				t.Run(bad.name, func(t *testing.T) { w.refuse(t, r.Path, bad) })
			}
		})
	}
	// The requests that all of these were made from succeed, or else the refusals would prove nothing. Deletion comes
	// last.
	for _, r := range append(slices.DeleteFunc(api(), isDelete),
		slices.DeleteFunc(api(), func(r routes.Route) bool { return !isDelete(r) })...) {
		s := all[r.Method+" "+r.Path]
		if r.Path == "/v1/admin/agents/enroll/byoca" { // the Org CA was rotated by an earlier route
			s = w.outsideShapes(t)[r.Method+" "+r.Path]
		}
		if r.Function == "renew" {
			s = renewShapes(t, w.rotate(t, agents.other.ID, `{}`))[r.Method+" "+r.Path]
		}
		if r.Function == "token" { // its certificate was rotated by the first route
			fresh := w.rotate(t, agents.kyc.ID, `{}`)
			if login, ok := w.loginShapes(t, fresh)[r.Method+" "+r.Path]; ok {
				s = login
			} else {
				s.request = with(s.request, certificate(fresh.CertPEM))
			}
		}
		if a := w.send(t, s.request); a.status != s.status {
			t.Errorf("%s %s: status %d, want %d: %.300s", r.Method, r.Path, a.status, s.status, a.body)
		}
	}
}

// api is every route but those of the dashboard, which answers people, and has tests of its own.
func api() []routes.Route {
	return slices.DeleteFunc(routes.All(), func(r routes.Route) bool { return r.Function == "dashboard" })
}

func isDelete(r routes.Route) bool { return r.Method == http.MethodDelete }

func badMethods(r routes.Route, s shape) (bad []refusal) {
	for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "BREW",
		"get"} {
		answered := method
		if method == http.MethodHead { // wherever GET is
			answered = http.MethodGet
		}
		if !slices.Contains(routes.Methods(r.Path), answered) {
			e := with(s.request)
			e.HTTPMethod = method
			bad = append(bad, refusal{"method " + method, e, 405, oauthOr(r, "invalid_request", "method_not_allowed")})
		}
	}
	return bad
}

func oauthOr(r routes.Route, oauth, code string) string {
	if strings.HasPrefix(r.Path, "/v1/auth/") {
		return oauth
	}
	return code
}

func badSecrets(r routes.Route, s shape) (bad []refusal) {
	if r.Auth != routes.Admin && r.Auth != routes.Scrape {
		return nil
	}
	const name, good = "X-Admin-Secret", inmemory.Secret
	for what, change := range map[string]edit{
		"missing": header(name), "wrong": header(name, "wrong"), "empty": header(name, ""),
		"a prefix": header(name, good[:5]), "longer": header(name, good+"x"),
		"upper case": header(name, strings.ToUpper(good)), "with a blank": header(name, good+" "),
		"doubled":           header(name, good, good),
		"right, then wrong": header(name, good, "wrong"), "wrong, then right": header(name, "wrong", good),
		"joined": header(name, good+", "+good),
		"as a bearer token": func(e *events.APIGatewayProxyRequest) {
			header(name)(e)
			header("Authorization",
				"Bearer "+good)(e)
		},
		"in the query": func(e *events.APIGatewayProxyRequest) { header(name)(e); query(name, good)(e) },
	} {
		if r.Auth == routes.Scrape && what == "as a bearer token" { // see TestTheMetricsToken
			continue
		}
		bad = append(bad, refusal{"secret " + what, with(s.request, change, stranger()), 403, "admin_secret_invalid"})
	}
	return bad
}

var strangers atomic.Int64

// stranger sends a request from a new address without counted guesses.
func stranger() edit {
	n := strangers.Add(1)
	return func(e *events.APIGatewayProxyRequest) {
		e.RequestContext.Identity.SourceIP = fmt.Sprintf("198.51.%d.%d", n/250%250, n%250)
	}
}

func badQueries(r routes.Route, s shape) (bad []refusal) {
	if s.ignoreQuery {
		return nil
	}
	bad = append(bad, refusal{"unknown parameter", with(s.request, query("verbose", "1")), 400,
		oauthOr(r, "invalid_request", "query_invalid")},
		refusal{"parameter without a name", with(s.request, query("", "")), 400,
			oauthOr(r, "invalid_request", "query_invalid")})
	for name, values := range s.request.MultiValueQueryStringParameters {
		bad = append(bad,
			refusal{"parameter twice: " + name, with(s.request, query(name, values[0], values[0])), 400,
				oauthOr(r, "invalid_request", "query_invalid")},
			refusal{"parameter in capitals: " + name, with(s.request, query(strings.ToUpper(name), values[0])), 400,
				oauthOr(r, "invalid_request", "query_invalid")})
	}
	return bad
}

func badJSON(r routes.Route, s shape) (bad []refusal) {
	if !s.takesJSON {
		return nil
	}
	add := func(name string, status int, code string, changes ...edit) {
		bad = append(bad, refusal{name, with(s.request, changes...), status, oauthOr(r, "invalid_request", code)})
	}
	whole := s.request.Body
	for _, mediaType := range []string{"", "text/plain", "application/xml", "multipart/form-data; boundary=x",
		"application/json; charset", "json", "application/jsonx"} {
		add("media type "+mediaType, 415, "media_type_unsupported", body(mediaType, whole))
	}
	add("no media type", 415, "media_type_unsupported", header("Content-Type"))
	add("too large by one octet", 413, "body_too_large", jsonBody(whole+strings.Repeat(" ", 64<<10+1-len(whole))))
	add("too large in base64", 413, "body_too_large", jsonBody(strings.Repeat("AAAA", 22000)),
		func(e *events.APIGatewayProxyRequest) { e.IsBase64Encoded = true })
	first := strings.TrimSuffix(whole, "}")
	for name, text := range map[string]string{
		"broken": `{"agent_name":`, "no JSON": `agent_name=fresh`, "two objects": whole + whole,
		"object and more": whole + "x", "null": `null`, "array": `[` + whole + `]`,
		"string": `"x"`, "number": `1`, "trailing comma": first + ",}", "single quotes": strings.ReplaceAll(whole, `"`, `'`),
		"comment":              "/**/" + whole,
		"duplicate member":     first + "," + strings.TrimPrefix(whole, "{"),
		"deeply nested":        strings.Repeat(`{"a":`, 10900) + "1" + strings.Repeat("}", 10900),
		"deeply nested member": first + `,"x":` + strings.Repeat("[", 20000) + strings.Repeat("]", 20000) + "}",
		"byte order mark":      "\ufeff" + whole, "control character": "{\"agent_name\":\"a\x00\"}",
	} {
		add("JSON: "+name, 400, "json_invalid", jsonBody(text))
	}
	for name, text := range wrongMembers[r.Method+" "+r.Path] {
		add("member: "+name, 400, "json_invalid", jsonBody(text))
	}
	return bad
}

// wrongMembers are objects that are JSON but not what a route takes. The long s folds to an s for encoding/json.
var wrongMembers = map[string]map[string]string{
	"POST /registry/agents/{agent_id}/rotate-cert": {
		"unknown": `{"force":true}`, "string for a number": `{"grace_seconds":"60"}`, "fraction": `{"grace_seconds":0.5}`,
		"out of range":        `{"grace_seconds":1e30}`,
		"object for a string": `{"reason":{}}`, "list for a string": `{"csr_pem":["x"]}`,
		"true for a number":  `{"validity_days":true}`,
		"same in capitals":   `{"reason":"a","REASON":"b"}`,
		"same with a long s": `{"grace_seconds":0,"grace_ſeconds":172800}`,
		"same in escapes":    `{"reason":"a","\u0072eason":"b"}`,
	},
	"PUT /v1/admin/agents/{agent_id}/hygiene": {
		"unknown": `{"deliver":"notify","to":"me"}`, "number for a string": `{"deliver":1}`,
		"same in capitals": `{"deliver":"notify","DELIVER":"secretsmanager"}`,
	},
	"POST /v1/auth/sign-challenged-assertion": {
		"unknown": `{"client_assertion":"a","nonce":"b","agent_id":"orga::kyc"}`, "no nonce": `{"client_assertion":"a"}`,
		"no assertion": `{"nonce":"a"}`, "null": `{"client_assertion":null,"nonce":"a"}`,
		"list for a string": `{"client_assertion":["a"],"nonce":"b"}`,
		"same in capitals":  `{"client_assertion":"a","nonce":"b","NONCE":"c"}`,
	},
	"POST /v1/admin/agents": {
		"unknown": `{"agent_name":"fresh","admin":true}`, "number for a string": `{"agent_name":1}`,
		"string for a list":  `{"agent_name":"fresh","capabilities":"a"}`,
		"number in a list":   `{"agent_name":"fresh","capabilities":[1]}`,
		"unknown and long":   `{"` + strings.Repeat("a", 60000) + `":1}`,
		"same with a long s": `{"agent_name":"fresh","diſplay_name":"a","display_name":"b"}`,
	},
	tokenRoute: {
		"number for a string": `{"scope":1}`, "list for a string": `{"resource":["https://a.test"]}`,
		"same in capitals": `{"scope":"a","SCOPE":"b"}`, "same with a long s": `{"scope":"a","ſcope":"b"}`,
		"number for an assertion": `{"client_assertion":1}`, "assertions": `{"client_assertion":["a"]}`,
	},
}

func badIDs(r routes.Route, s shape) (bad []refusal) {
	if !strings.Contains(r.Path, "{agent_id}") {
		return nil
	}
	path := func(id string) edit { return at(strings.ReplaceAll(r.Path, "{agent_id}", id)) }
	for _, id := range []string{
		"kyc", "orga:kyc", "orga::", "::kyc", "orga::..", "..::kyc", "orga::.", "orga::k%20yc", "orga::kyc%00",
		"orga::kyc%0A", "orga::k%C3%BDc", "orga::kyc::x", "orga%253A%253Akyc",
		"orga::kyc%2Frotate-cert", "%2e%2e%2f", "..", "%2E%2E", "*", "orga::" + strings.Repeat("a", 65), "orga::kyc%",
		"orga::%zz", "orga::kyc%FF", "orga::kyc;x=1", "orga::kyc+",
	} {
		bad = append(bad, refusal{"id " + id, with(s.request, path(id)), 400, "agent_id_invalid"})
	}
	for _, id := range []string{"orga::nobody", "orgb::kyc", "orga::KYC", "ORGA::kyc", "orga%3A%3Anobody"} {
		bad = append(bad, refusal{"nobody's id " + id, with(s.request, path(id)), 404, "agent_not_found"})
	}
	for _, id := range []string{"", "orga::kyc/x", "orga::kyc/../kyc/x"} {
		bad = append(bad, refusal{"path with " + id,
			with(s.request, path(id), at(strings.ReplaceAll(r.Path, "{agent_id}", id))), 404, "route_not_found"})
	}
	return bad
}

func badCertificates(t *testing.T, r routes.Route, s shape, agents cast) (bad []refusal) {
	if r.Auth != routes.ClientCertificate {
		return nil
	}
	forged, _ := pkitest.Agent(t, pkitest.Authority(t, inmemory.OrgID, 1, inmemory.Start), agents.kyc.ID, inmemory.Start)
	stranger, _ := pkitest.Agent(t, pkitest.Authority(t, inmemory.OrgID, 1, inmemory.Start), "orga::stranger",
		inmemory.Start)
	block, _ := pem.Decode([]byte(agents.kyc.CertPEM))
	encoded := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	spoofed := func(e *events.APIGatewayProxyRequest) {
		e.RequestContext.Identity.ClientCert = nil
		for _, name := range []string{"X-Client-Cert", "X-Forwarded-Client-Cert", "X-Amzn-Mtls-Clientcert",
			"X-Amzn-Mtls-Clientcert-Leaf", "Ssl-Client-Cert"} {
			header(name, agents.kyc.CertPEM)(e)
		}
	}
	for name, change := range map[string]edit{
		"none":              func(e *events.APIGatewayProxyRequest) { e.RequestContext.Identity.ClientCert = nil },
		"in a header":       spoofed,
		"empty":             certificate(""),
		"garbage":           certificate("garbage"),
		"garbage in PEM":    certificate(encoded("CERTIFICATE", []byte("garbage"))),
		"truncated":         certificate(encoded("CERTIFICATE", block.Bytes[:len(block.Bytes)-10])),
		"PEM of a key":      certificate(agents.kyc.KeyPEM),
		"PEM of other type": certificate(encoded("TRUSTED CERTIFICATE", block.Bytes)),
		"of another agent": func(e *events.APIGatewayProxyRequest) {
			certificate(agents.other.CertPEM)(e)
			jsonBody(`{"client_id":"orga::kyc"}`)(e)
		},
		"of another CA":      certificate(string(pki.EncodeCertificates(forged))),
		"of nobody":          certificate(string(pki.EncodeCertificates(stranger))),
		"expired":            certificate(agents.expired.CertPEM),
		"of a retired agent": certificate(agents.retired.CertPEM),
		"tampered with": certificate(encoded("CERTIFICATE",
			slices.Concat(block.Bytes[:len(block.Bytes)-1], []byte{block.Bytes[len(block.Bytes)-1] ^ 1}))),
	} {
		if name == "of another agent" && r.Path != "/v1/auth/token" { // nothing but the certificate says there who calls
			continue
		}
		code := certificateCodes[name]
		// the token is judged first, and is bound to another one
		if r.Path == mePath && !strings.HasPrefix(code, "client_certificate") {
			code = "access_token_bound_elsewhere"
		}
		bad = append(bad, refusal{"certificate " + name, with(s.request, change), 401, oauthOr(r, "invalid_client", code)})
	}
	return bad
}

// certificateCodes are the codes that go with the token endpoint's sentences.
var certificateCodes = map[string]string{
	"none": "client_certificate_required", "in a header": "client_certificate_required",
	"empty":   "client_certificate_required",
	"garbage": "client_certificate_invalid", "garbage in PEM": "client_certificate_invalid",
	"truncated":    "client_certificate_invalid",
	"PEM of a key": "client_certificate_invalid", "PEM of other type": "client_certificate_invalid",
	"of another CA": "certificate_revoked", "of nobody": "agent_unknown", "expired": "certificate_expired",
	"of a retired agent": "certificate_revoked",
	"tampered with":      "certificate_revoked",
}

// refuse sends a bad request and checks the answer, down to its last member, and that nothing has changed.
func (w *world) refuse(t *testing.T, resource string, bad refusal) {
	t.Helper()
	before := w.state(t)
	w.logs.take()
	got := w.send(t, bad.request)
	if got.status != bad.status {
		t.Fatalf("status = %d, want %d: %.300s", got.status, bad.status, got.body)
	}
	if strings.HasPrefix(resource, "/v1/auth/") {
		wantOAuthError(t, got, bad.code)
	} else {
		wantProblem(t, got, bad.status, bad.code)
	}
	if bad.status == http.StatusMethodNotAllowed {
		if diff := cmp.Diff([]string{strings.Join(routes.Methods(resource), ", ")}, got.header["Allow"]); diff != "" {
			t.Errorf("Allow (-want +got):\n%s", diff)
		}
	}
	if diff := cmp.Diff(before, w.state(t)); diff != "" {
		t.Errorf("the refused request changed something (-before +after):\n%s", diff)
	}
	if log := w.logs.take(); strings.Contains(log, inmemory.Secret) || len(log) > 2000 {
		t.Errorf("log line of %d bytes holds the secret or the request: %.300s", len(log), log)
	}
}

func wantProblem(t testing.TB, got answer, status int, code string) {
	t.Helper()
	wantHeader(t, got, "application/problem+json")
	var members map[string]any
	if err := json.Unmarshal(got.body, &members); err != nil {
		t.Fatalf("body %q: %v", got.body, err)
	}
	detail, _ := members["detail"].(string)
	want := map[string]any{
		"type": "about:blank", "title": http.StatusText(status), "status": float64(status), "code": code,
		"request_id": requestID, "detail": detail,
	}
	if diff := cmp.Diff(want, members); diff != "" || detail == "" {
		t.Errorf("problem (-want +got):\n%s", diff)
	}
	wantNoInternals(t, got)
}

func wantOAuthError(t testing.TB, got answer, code string) {
	t.Helper()
	wantHeader(t, got, "application/json")
	var members map[string]string
	if err := json.Unmarshal(got.body, &members); err != nil {
		t.Fatalf("body %q: %v", got.body, err)
	}
	if len(members) != 2 || members["error"] != code || members["error_description"] == "" {
		t.Errorf("error = %v, want %q with a description and nothing else", members, code)
	}
	wantNoInternals(t, got)
}

func wantHeader(t testing.TB, got answer, mediaType string) {
	t.Helper()
	if got.header.Get("Content-Type") != mediaType || got.header.Get("Cache-Control") != "no-store" {
		t.Errorf("header = %v, want %s that is not stored", got.header, mediaType)
	}
}

// internals is what no answer may show: sources, stacks, Go's types and libraries' prefixes, keys and their names.
var internals = regexp.MustCompile(`\.go\b|goroutine|runtime error|\barn:|key-[0-9]{4}|\bstruct\b|\*?\b[a-z0-9]+\.[A-Z][A-Za-z]+\b|interface \{|map\[|asn1|x509|json: |%!|PRIVATE KEY|` + inmemory.Secret)

func wantNoInternals(t testing.TB, got answer) {
	t.Helper()
	if found := internals.Find(got.body); found != nil || len(got.body) > 1000 {
		t.Errorf("the answer of %d bytes shows %q: %.400s", len(got.body), found, got.body)
	}
}

func TestUnknownRoutes(t *testing.T) {
	w := open(t, memstore.Config{})
	for _, path := range []string{
		"", "*", "//healthz", "/healthz/", "/healthz/x", "/HEALTHZ", "/v1/admin", "/v1/admin/agents/",
		"/v1//admin/agents", "/v1/admin/../admin/agents",
		"/v1%2Fadmin%2Fagents", "/v1/auth/token/", "/v1/auth/token%00", "/pki/rotate-ca/..", "/.well-known/",
		"/%zz", "/v1/admin/agents\x00", "healthz",
		"https://mastio.test/healthz", "/" + strings.Repeat("a", 9000),
	} {
		for _, method := range []string{"GET", "POST", "DELETE", "BREW"} {
			w.refuse(t, "", refusal{path, event(method, path, admin), 404, "route_not_found"})
		}
	}
}

// A function that is asked for a route of another one has no handler for it, whatever the route table says.
func TestFunctionsServeOnlyTheirOwnRoutes(t *testing.T) {
	w, agents := openWithCast(t)
	all := everyShape(t, w, agents)
	for _, r := range api() {
		for name, call := range w.functions {
			if name == r.Function {
				continue
			}
			out, err := call(t.Context(), all[r.Method+" "+r.Path].request)
			if err != nil || out.StatusCode != http.StatusMethodNotAllowed {
				t.Errorf("%s asked for %s %s: status %d, %v", name, r.Method, r.Path, out.StatusCode, err)
			}
		}
	}
}

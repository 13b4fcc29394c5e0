package httpapi_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/edge/httpapi"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
	"github.com/mastio-aws/mastio/test/inmemory"
)

// view is what a handler sees of a request.
type view struct {
	Method, Path, Escaped, Host, Body string
	Query                             url.Values
	Header                            http.Header
	Call                              httpapi.Call
}

func receive(t *testing.T, e events.APIGatewayProxyRequest) view {
	t.Helper()
	var got view
	out, err := inmemory.Lambda(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		c := httpapi.CallOf(r.Context())
		got = view{r.Method, r.URL.Path, r.URL.EscapedPath(), r.Host, string(body), r.URL.Query(), r.Header, httpapi.Call{
			By:             c.By,
			CertificatePEM: c.CertificatePEM,
		}}
	}))(t.Context(), e)
	if err != nil || out.StatusCode != http.StatusOK {
		t.Fatalf("answer = %+v, %v", out, err)
	}
	return got
}

func TestEventBecomesRequest(t *testing.T) {
	e := event("POST", "/v1/admin/agents/orga%3A%3Akyc", header("x-single", "a"), header("X-Several", "a", "b"),
		query("q", "a b&c=d", "ü/?#"), query("empty", ""))
	e.Headers, e.QueryStringParameters = map[string]string{"x-single": "ignored", "X-Lone": "ignored"},
		map[string]string{"q": "ignored"}
	e.Body = "text"
	want := view{
		Method:  "POST",
		Path:    "/v1/admin/agents/orga::kyc",
		Escaped: "/v1/admin/agents/orga%3A%3Akyc",
		Host:    "mastio.test",
		Body:    "text",
		Query:   url.Values{"q": {"a b&c=d", "ü/?#"}, "empty": {""}},
		Header:  http.Header{"X-Single": {"a"}, "X-Several": {"a", "b"}},
		Call:    httpapi.Call{By: audit.By{RequestID: requestID, SourceIP: "192.0.2.7"}},
	}
	if diff := cmp.Diff(want, receive(t, e), cmp.AllowUnexported(httpapi.Call{})); diff != "" {
		t.Errorf("request (-want +got):\n%s", diff)
	}
}

func TestEventWithSingleValuesOnly(t *testing.T) {
	e := events.APIGatewayProxyRequest{
		HTTPMethod:            "GET",
		Path:                  "/v1/admin/agents",
		Headers:               map[string]string{"x-admin-secret": "s"},
		QueryStringParameters: map[string]string{"limit": "5"},
	}
	got := receive(t, e)
	if got.Header.Get("X-Admin-Secret") != "s" || got.Query.Get("limit") != "5" || got.Body != "" {
		t.Errorf("request = %+v", got)
	}
}

func TestBodyInBase64(t *testing.T) {
	e := event("POST", "/v1/auth/token")
	e.Body, e.IsBase64Encoded = base64.StdEncoding.EncodeToString([]byte("a\x00\xffb")), true
	if got := receive(t, e).Body; got != "a\x00\xffb" {
		t.Errorf("body = %q", got)
	}
}

func TestPathSpellingsReachTheSameAgent(t *testing.T) {
	w := open(t, memstore.Config{})
	w.enrol(t, "kyc.v-1_x")
	for _, id := range []string{"orga::kyc.v-1_x", "orga%3A%3Akyc.v-1_x", "orga%3a%3akyc.v-1_x", "orga:%3Akyc.v-1_x",
		"%6Frga::kyc%2Ev-1_x"} {
		var got struct {
			ID string `json:"agent_id"`
		}
		w.send(t, event("GET", "/v1/admin/agents/"+id, admin)).into(t, http.StatusOK, &got)
		if got.ID != "orga::kyc.v-1_x" {
			t.Errorf("%s is %s", id, got.ID)
		}
	}
}

func TestAnswerBecomesEvent(t *testing.T) {
	for _, c := range []struct {
		name    string
		handler http.HandlerFunc
		want    events.APIGatewayProxyResponse
	}{
		{"nothing", func(http.ResponseWriter, *http.Request) {}, events.APIGatewayProxyResponse{
			StatusCode:        200,
			MultiValueHeaders: http.Header{},
		}},
		{"text", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Add("X-Several", "a")
			w.Header().Add("X-Several", "b")
			w.WriteHeader(http.StatusTeapot)
			w.WriteHeader(http.StatusOK) // the first one counts
			_, _ = io.WriteString(w, "ü")
			_, _ = io.WriteString(w, "!")
		}, events.APIGatewayProxyResponse{
			StatusCode:        418,
			MultiValueHeaders: http.Header{"X-Several": {"a", "b"}},
			Body:              "ü!",
		}},
		{"binary", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte{0xff, 0}) },
			events.APIGatewayProxyResponse{
				StatusCode:        200,
				MultiValueHeaders: http.Header{},
				Body:              "/wA=",
				IsBase64Encoded:   true,
			}},
	} {
		got, err := inmemory.Lambda(c.handler)(t.Context(), event("GET", "/"))
		if diff := cmp.Diff(c.want, got); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", c.name, err, diff)
		}
	}
}

func TestMalformedEvents(t *testing.T) {
	w := open(t, memstore.Config{})
	for name, change := range map[string]edit{
		"method with a blank": func(e *events.APIGatewayProxyRequest) { e.HTTPMethod = "GET /" },
		"method with a line":  func(e *events.APIGatewayProxyRequest) { e.HTTPMethod = "GET\r\nX: y" },
		"no method":           func(e *events.APIGatewayProxyRequest) { e.HTTPMethod = "" },
		"no base64":           func(e *events.APIGatewayProxyRequest) { e.Body, e.IsBase64Encoded = "***", true },
	} {
		t.Run(name, func(t *testing.T) {
			w.refuse(t, "", refusal{name, event("POST", "/v1/admin/agents", admin, change), 400, "request_malformed"})
		})
	}
}

// Whatever a client writes into headers, only the edge's word about the certificate counts.
func TestCertificateHeadersHaveNoEffect(t *testing.T) {
	w := open(t, memstore.Config{})
	victim, thief := w.enrol(t, "victim"), w.enrol(t, "thief")
	spoof := func(e *events.APIGatewayProxyRequest) {
		escaped := url.QueryEscape(victim.CertPEM)
		for _, name := range []string{
			"X-Client-Cert", "X-Ssl-Client-Cert", "X-Forwarded-Client-Cert", "X-Amzn-Mtls-Clientcert",
			"X-Amzn-Mtls-Clientcert-Leaf", "Client-Cert", "Ssl-Client-Cert",
			"X-Apigateway-Event", "X-Amzn-Apigateway-Api-Id", "Requestcontext",
		} {
			header(name, escaped, victim.CertPEM)(e)
		}
		query("client_id", victim.ID)(e)
	}
	if a := w.send(t, event("POST", "/v1/auth/token", spoof)); a.status != http.StatusUnauthorized {
		t.Errorf("with headers alone: status %d", a.status)
	}
	var got tokenAnswer
	w.send(t, tokenRequest(thief.CertPEM, spoof)).into(t, http.StatusOK, &got)
	if claims := w.verified(t, got.AccessToken, inmemory.Issuer); claims.Subject != thief.ID {
		t.Errorf("the token is %s's", claims.Subject)
	}
}

// FuzzEvent sends whatever decodes as an event through whole functions.
func FuzzEvent(f *testing.F) {
	w := open(f, memstore.Config{})
	agent := w.enrol(f, "kyc", "a")
	for _, e := range []events.APIGatewayProxyRequest{
		event("POST", "/v1/admin/agents", admin, jsonBody(`{"agent_name":"a","capabilities":["b"],"csr_pem":null}`)),
		event("GET", "/v1/admin/agents", admin, query("limit", "1"), query("cursor", "MDAwMDAxI21pbnRlZCNvcmdhOjpreWM")),
		event("DELETE", "/v1/admin/agents/orga%3A%3Anobody", admin),
		event("POST", "/pki/rotate-ca", admin, query("mode", "mint"), query("reason", "superseded"),
			header("Idempotency-Key", "k")),
		event("GET", "/pki/rotate-ca", admin),
		tokenRequest(agent.CertPEM, body(formType, "grant_type=client_credentials&scope=a&resource=https%3A%2F%2Fa.test")),
		tokenRequest(agent.CertPEM, jsonBody(`{"scope":"a"}`), header("DPoP", prove(f, agent.proofKey(f), w.Now(), ""))),
		event("BREW", "/%zz", header("X-Admin-Secret", "a", "b")),
	} {
		encoded, err := json.Marshal(e)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(encoded)
	}
	f.Add([]byte(`{"httpMethod":"POST","path":"/v1/auth/token","body":"=","isBase64Encoded":true}`))
	f.Add([]byte(`{"requestContext":{"identity":{"clientCert":{"clientCertPem":"-----BEGIN CERTIFICATE-----\n"}}},"path":"/v1/auth/token","httpMethod":"POST"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var e events.APIGatewayProxyRequest
		if json.Unmarshal(data, &e) != nil {
			t.Skip()
		}
		for _, name := range []string{"enroll", "token", "rotateca"} {
			out, err := w.functions[name](context.Background(), e)
			if err != nil {
				t.Fatalf("%s failed: %v", name, err)
			}
			wantWellFormed(t, out)
		}
		w.logs.take()
	})
}

func wantWellFormed(t *testing.T, out events.APIGatewayProxyResponse) {
	t.Helper()
	if out.StatusCode < 200 || out.StatusCode > 599 || out.StatusCode == 500 || out.IsBase64Encoded ||
		!utf8.ValidString(out.Body) {
		t.Fatalf("answer = %+v", out)
	}
	mediaType := http.Header(out.MultiValueHeaders).Get("Content-Type")
	if out.StatusCode == http.StatusNoContent {
		if out.Body != "" || mediaType != "" {
			t.Fatalf("204 with a body: %+v", out)
		}
		return
	}
	if !json.Valid([]byte(out.Body)) || !strings.HasSuffix(mediaType, "json") ||
		http.Header(out.MultiValueHeaders).Get("Cache-Control") == "" && out.StatusCode >= 400 {
		t.Fatalf("answer = %+v", out)
	}
}

package gateway

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"flag"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// masks hide what differs in each run.
var masks = []struct {
	re   *regexp.Regexp
	with string
}{
	{regexp.MustCompile(`"requestId": "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"`),
		`"requestId": "UUID"`},
	{regexp.MustCompile(`"requestId": "[A-Za-z0-9+/]{15}="`), `"requestId": "SHORT"`},
	{regexp.MustCompile(`"extendedRequestId": "[A-Za-z0-9+/]{15}="`), `"extendedRequestId": "EXTENDED"`},
	{regexp.MustCompile(`Root=1-69a7bdbf-[0-9a-f]{24}`), `Root=1-69a7bdbf-TRACE`},
	{regexp.MustCompile(`-----BEGIN CERTIFICATE-----[^"]*-----END CERTIFICATE-----\\n`), `PEM`},
}

func TestEvents(t *testing.T) {
	ca := authority{}.sign(t, "Acme Org CA G1", isCA)
	agent := ca.sign(t, "acme::bot")
	// What a client may say about itself, and who it wants to be.
	header := func() http.Header {
		return http.Header{
			"Content-Type":                {"application/x-www-form-urlencoded"},
			"User-Agent":                  {"agent/1.0"},
			"Accept-Encoding":             {"identity"},
			"Dpop":                        {"proof", "another"},
			"X-Twice":                     {"one", "two"},
			"X-Forwarded-For":             {"203.0.113.9"},
			"X-Forwarded-Port":            {"1"},
			"X-Forwarded-Proto":           {"gopher"},
			"X-Forwarded-Host":            {"elsewhere.example"},
			"Forwarded":                   {"for=203.0.113.9"},
			"X-Amzn-Trace-Id":             {"Root=1-forged"},
			"X-Amzn-Mtls-Clientcert":      {"forged"},
			"X-Amzn-Mtls-Clientcert-Leaf": {"forged"},
			"X-Amzn-Requestid":            {"forged"},
			"Te":                          {"trailers"},
		}
	}
	tests := []struct {
		golden, method, path, body string
		http2, stage               bool
		overHTTP                   bool
	}{
		{"token", "POST", "/v1/auth/token?a=1&a=2&b=%26%20c", "grant_type=client_credentials&x=é", false, false, false},
		{"token-http2", "POST", "/v1/auth/token", "grant_type=client_credentials", true, true, false},
		{"rotate-cert", "POST", "/registry/agents/acme%3A%3Abot/rotate-cert", "", false, true, false},
		{"wrong-method", "DELETE", "/healthz", "", false, false, false},
		{"agents-token", "POST", "/v1/auth/token?a=1&a=2&b=%26%20c", "grant_type=client_credentials&x=é", false, false, true},
		{"agents-escaped", "GET", "/v1/agent%2Frenewal-info%3Fa/%2561", "", true, false, true},
		{"agents-wrong-method", "DELETE", "/v1/agent/renew", "", false, false, true},
	}
	for _, tt := range tests {
		t.Run(tt.golden, func(t *testing.T) {
			cfg := Config{}
			if tt.stage {
				cfg = Config{StageName: "prod", DomainName: "agents.acme.example", APIID: "a1b2c3", Account: "123456789012"}
			}
			cfg.HTTPAgents = tt.overHTTP
			w := newWorld(t, cfg, ca)
			res := w.do(w.client(tt.http2, agent), tt.method, tt.path, tt.body, header())
			if res.StatusCode != 200 {
				t.Fatalf("%d %s", res.StatusCode, res.body)
			}
			e := w.last()
			if tt.overHTTP {
				if got := res.Header.Get("Apigw-Requestid"); got == "" || got != e.RequestContext.RequestID ||
					res.Header.Get("X-Amzn-Requestid") != "" {
					t.Errorf("apigw-requestid %q, in the event %q; headers %v", got, e.RequestContext.RequestID, res.Header)
				}
				compare(t, tt.golden, masked(t, w))
				return
			}
			if got := res.Header.Get("X-Amzn-Requestid"); got == "" || got != e.RequestContext.RequestID {
				t.Errorf("x-amzn-RequestId %q, in the event %q", got, e.RequestContext.RequestID)
			}
			if got := res.Header.Get("X-Amz-Apigw-Id"); got == "" || got != e.RequestContext.ExtendedRequestID {
				t.Errorf("x-amz-apigw-id %q, in the event %q", got, e.RequestContext.ExtendedRequestID)
			}
			if cert := e.RequestContext.Identity.ClientCert; cert != nil &&
				!bytes.Equal(decodePEM(t, cert.ClientCertPem), agent.cert.Raw) {
				t.Error("the event's certificate is not the client's")
			}
			compare(t, tt.golden, masked(t, w))
		})
	}
}

func masked(t *testing.T, w *world) string {
	t.Helper()
	var out bytes.Buffer
	if err := json.Indent(&out, w.raw, "", "  "); err != nil {
		t.Fatal(err)
	}
	text := out.String() + "\n"
	for _, m := range masks {
		text = m.re.ReplaceAllString(text, m.with)
	}
	return strings.NewReplacer(`:`+w.port()+`"`, `:PORT"`, `"`+w.port()+`"`, `"PORT"`).Replace(text)
}

func compare(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name+".golden.json")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

func TestBodies(t *testing.T) {
	tests := []struct {
		name, contentType, body string
		base64                  bool
	}{
		{"none", "application/json", "", false},
		{"json", "application/json; charset=utf-8", `{"ü":"<&>"}`, false},
		{"no type", "", "text", false},
		{"multipart", "Multipart/Form-Data; boundary=x", "--x--", true},
		{"a csr", "application/pkcs10", "TUlJQg==", true},
		{"octets", "application/octet-stream", "text", true},
		{"not utf-8", "application/json", "\xff\xfe", true},
	}
	w := newWorld(t, Config{})
	c := w.client(false)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w.do(c, "POST", "/pki/rotate-ca", tt.body, http.Header{"Content-Type": {tt.contentType}})
			got := w.last()
			want := tt.body
			if tt.base64 {
				want = base64.StdEncoding.EncodeToString([]byte(tt.body))
			}
			if got.Body != want || got.IsBase64Encoded != tt.base64 {
				t.Errorf("body %q, base64 %v, want %q, %v", got.Body, got.IsBase64Encoded, want, tt.base64)
			}
		})
	}
}

func TestBodyLimit(t *testing.T) {
	const limit = 100 << 10
	w := newWorld(t, Config{MaxBody: limit})
	for _, http2 := range []bool{false, true} {
		c := w.client(http2)
		if res := w.do(c, "POST", "/pki/rotate-ca", strings.Repeat("x", limit), nil); res.StatusCode != 200 {
			t.Errorf("at the limit: %d", res.StatusCode)
		}
		if res := w.do(c, "POST", "/pki/rotate-ca", strings.Repeat("x", limit+1), nil); res.StatusCode != 413 ||
			res.body != `{"message": "Request Too Long"}` {
			t.Errorf("above the limit: %d %s", res.StatusCode, res.body)
		}
		unsized := struct{ *strings.Reader }{strings.NewReader(strings.Repeat("x", limit+1))}
		req, err := http.NewRequest("POST", w.server.URL+"/pki/rotate-ca", unsized)
		if err != nil {
			t.Fatal(err)
		}
		res, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != 413 {
			t.Errorf("above the limit, of unknown size: %d", res.StatusCode)
		}
	}
	if got := len(w.events); got != 2 {
		t.Errorf("%d requests reached the function, want 2", got)
	}
}

func TestSerial(t *testing.T) {
	cert := authority{}.sign(t, "x", otherSerial).cert
	if got := describe(cert).SerialNumber; got != "80" {
		t.Errorf("serial %q, want 80", got)
	}
}

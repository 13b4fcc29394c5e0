package httpapi_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/digitorus/pkcs7"
	"github.com/google/go-cmp/cmp"

	"github.com/mastio-aws/mastio/shared/boot"
	"github.com/mastio-aws/mastio/shared/edge/httpapi"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
	"github.com/mastio-aws/mastio/shared/routes"
)

// recorded reads an event of the folder testdata/events: as the developer guide shows it, of a REST API or of an HTTP
// API.
func recorded(t *testing.T, name string) httpapi.Event {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "events", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var e httpapi.Event
	if err := json.Unmarshal(b, &e); err != nil {
		t.Fatal(err)
	}
	return e
}

const shownPEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"

// Both kinds of API lead to the same request: two proofs stay two, one decoding of a path is enough, and the
// certificate is the edge's, whatever the headers say.
func TestEventsOfBothKinds(t *testing.T) {
	const form = "grant_type=client_credentials&scope=a%20b"
	uuid, short := "c6af9ac6-7b61-11e6-9a41-93e8deadbeef", "JKJaXmPLvHcESHA="
	for _, c := range []struct {
		name, path, body, pem, id string
		proofs                    []string
		query                     url.Values
		host                      routes.Host
	}{
		{"rest-token", "/v1/auth/token", form, shownPEM, uuid, []string{"one", "two"}, url.Values{"a": {"1", "2"}}, ""},
		{"http-token", "/v1/auth/token", form, shownPEM, short, []string{"one", "two"}, url.Values{"a": {"1", "2"}},
			routes.Agents},
		{"rest-empty", "/v1/auth/token", "", shownPEM, uuid, nil, nil, ""},
		{"http-empty", "/v1/auth/token", "", shownPEM, short, nil, nil, routes.Agents},
		{"rest-escaped", "/v1/admin/agents/orga%3A%3Akyc%2Fa%253F", "", "", uuid, nil, nil, ""},
		{"http-escaped", "/v1/auth/%2574oken%3Fa", "", "", short, nil, nil, routes.Agents},
		{"http-authentication", "/v1/auth/token", "", shownPEM, short, nil, nil, routes.Agents},
	} {
		t.Run(c.name, func(t *testing.T) {
			ran := false
			serve := httpapi.Lambda(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				ran = true
				body, err := io.ReadAll(r.Body)
				if err != nil || string(body) != c.body {
					t.Errorf("body = %q, %v", body, err)
				}
				if r.URL.EscapedPath() != c.path || r.Host != "agents.acme.example" {
					t.Errorf("host %s, path %s, want %s", r.Host, r.URL.EscapedPath(), c.path)
				}
				if diff := cmp.Diff(c.proofs, r.Header.Values("DPoP")); diff != "" {
					t.Errorf("proofs (-want +got):\n%s", diff)
				}
				if got := r.URL.Query(); len(got)+len(c.query) > 0 && !cmp.Equal(c.query, got) {
					t.Errorf("query = %v, want %v", got, c.query)
				}
				got := httpapi.CallOf(r.Context())
				if got.CertificatePEM != c.pem || got.RequestID != c.id || got.SourceIP != "203.0.113.7" || got.Host != c.host {
					t.Errorf("call = %+v", got)
				}
				_, _ = w.Write([]byte{0x1f, 0x8b, 0xff})
			}))
			out, err := serve(t.Context(), recorded(t, c.name))
			if err != nil || !ran {
				t.Fatalf("%v, ran %t: %+v", err, ran, out)
			}
			if !out.IsBase64Encoded || out.Body != "H4v/" || out.StatusCode != 200 {
				t.Errorf("binary answer = %+v", out)
			}
		})
	}
}

// A request with two certificates is refused: a reader of only one of the fields could be deceived.
func TestTwoCertificates(t *testing.T) {
	e := recorded(t, "http-token")
	other := *e.RequestContext.Identity.ClientCert
	e.RequestContext.Authentication.ClientCert = &other
	serve := httpapi.Lambda(http.HandlerFunc(func(w http.ResponseWriter,
		_ *http.Request) {
		w.WriteHeader(http.StatusNoContent)
	}))
	if out, err := serve(t.Context(), e); err != nil || out.StatusCode != http.StatusNoContent {
		t.Errorf("the same certificate twice: %d, %v", out.StatusCode, err)
	}
	other.ClientCertPem = "another"
	if out, err := serve(t.Context(), e); err != nil || out.StatusCode != http.StatusBadRequest ||
		!strings.Contains(out.Body, "request_malformed") {
		t.Errorf("two certificates: %d %s, %v", out.StatusCode, out.Body, err)
	}
}

// An HTTP API has no gateway responses: what no route of the agents' API has goes to the function discovery, which
// answers as the gateway of the REST API would. No path of the operators is known there.
func TestStraysOfTheHTTPAPI(t *testing.T) {
	w := open(t, memstore.Config{})
	handler, err := boot.Discovery(pkcs7.DegenerateCertificate)(w.Parts)
	if err != nil {
		t.Fatal(err)
	}
	serve := handler.(func(context.Context, httpapi.Event) (events.APIGatewayProxyResponse, error))
	for _, c := range []struct {
		method, path, allow, mediaType string
		status                         int
		code, oauth                    string
	}{
		{"GET", "/nowhere", "", "application/json", 404, "route_not_found", "invalid_request"},
		{"POST", "/pki/rotate-ca", "", "application/json", 404, "route_not_found", "invalid_request"},
		{"POST", "/v1/admin/agents", "", "application/json", 404, "route_not_found", "invalid_request"},
		{"GET", "/%2e%2e", "", "application/json", 404, "route_not_found", "invalid_request"},
		{"DELETE", "/v1/auth/token", "POST", "application/json", 405, "", "invalid_request"},
		{"PUT", "/healthz", "GET", "application/problem+json", 405, "method_not_allowed", ""},
		{"GET", "/v1/agent/renew", "POST", "application/problem+json", 405, "method_not_allowed", ""},
	} {
		e := recorded(t, "http-empty")
		e.HTTPMethod, e.Path, e.Resource = c.method, c.path, "$default"
		out, err := serve(t.Context(), e)
		var got struct{ Code, Error, Detail string }
		if err != nil || json.Unmarshal([]byte(out.Body), &got) != nil {
			t.Fatalf("%s %s: %v %s", c.method, c.path, err, out.Body)
		}
		header := http.Header(out.MultiValueHeaders)
		if out.StatusCode != c.status || got.Code != c.code || got.Error != c.oauth || header.Get("Allow") != c.allow ||
			header.Get("Content-Type") != c.mediaType || header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s %s: %d %v %s", c.method, c.path, out.StatusCode, header, out.Body)
		}
		w.logs.take()
	}
	e := recorded(t, "http-empty")
	e.HTTPMethod, e.Path = "GET", "/.well-known/jwks.json"
	if out, err := serve(t.Context(), e); err != nil || out.StatusCode != http.StatusOK {
		t.Errorf("a route of its own: %d, %v", out.StatusCode, err)
	}
}

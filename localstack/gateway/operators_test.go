package gateway

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// With an operators' domain of its own, the gateway keeps the agents' requests and nothing else; a certificate never
// opens the operators' domain, nor does a missing one close the agents'.
func TestOperatorsDomain(t *testing.T) {
	ca := authority{}.sign(t, "ca", isCA)
	var passed int
	w := newWorld(t, Config{Operators: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		passed++
		w.WriteHeader(http.StatusTeapot)
	})}, ca)
	plain, agent := w.client(false), w.client(false, ca.sign(t, "agent"))
	for _, c := range []struct {
		name, method, path string
		client             *http.Client
		operators          bool
	}{
		{"agents' route with a certificate", "POST", tokenPath, agent, false},
		{"agents' route without one", "POST", tokenPath, plain, false},
		{"route of both with a certificate", "GET", healthPath, agent, false},
		{"route of both without one", "GET", healthPath, plain, true},
		{"operators' route", "POST", "/pki/rotate-ca", plain, true},
		{"operators' route with a certificate", "POST", "/pki/rotate-ca", agent, true},
		{"no route", "GET", "/nowhere", plain, true},
		{"no route with a certificate", "GET", "/nowhere", agent, true},
	} {
		before := passed
		res := w.do(c.client, c.method, c.path, "", nil)
		want := map[bool]int{true: http.StatusTeapot, false: http.StatusOK}[c.operators]
		if res.StatusCode != want || (passed > before) != c.operators {
			t.Errorf("%s: %d, passed on %v; want %d", c.name, res.StatusCode, passed > before, want)
		}
	}
}

func TestInS3(t *testing.T) {
	status, body := http.StatusNotFound, `<Error><Code>NoSuchKey</Code></Error>`
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/bucket/key" {
			t.Errorf("asked for %s", r.URL.Path)
		}
		w.Header().Set("ETag", `"e1"`)
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}))
	defer server.Close()
	transport := &http.Transport{DisableKeepAlives: true}
	read := InS3(s3.New(s3.Options{
		BaseEndpoint: aws.String(server.URL),
		Region:       "us-east-1",
		UsePathStyle: true,
		Retryer:      aws.NopRetryer{},
		Credentials:  credentials.NewStaticCredentialsProvider("a", "b", ""),
		HTTPClient:   &http.Client{Transport: transport},
	}), "bucket", "key")
	check := func(wantPEM, wantVersion string, wantErr bool) {
		t.Helper()
		pem, version, err := read(context.Background())
		if string(pem) != wantPEM || version != wantVersion || (err != nil) != wantErr {
			t.Errorf("got %q, %q, %v; want %q, %q, error %v", pem, version, err, wantPEM, wantVersion, wantErr)
		}
	}
	check("", "", false) // before the first Org CA
	status, body = http.StatusOK, "pem"
	check("pem", `"e1"`, false)
	status, body = http.StatusForbidden, `<Error><Code>AccessDenied</Code></Error>`
	check("", "", true)
}

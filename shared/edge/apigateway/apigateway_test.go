package apigateway_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/google/go-cmp/cmp"

	local "github.com/mastio-aws/mastio/localstack/aws/apigateway"
	"github.com/mastio-aws/mastio/localstack/gateway"
	"github.com/mastio-aws/mastio/shared/edge/apigateway"
	"github.com/mastio-aws/mastio/shared/usecase/truststore"
)

func domain(t *testing.T, h http.Handler) *apigateway.Domain {
	t.Helper()
	web := httptest.NewServer(h)
	t.Cleanup(web.Close)
	return &apigateway.Domain{
		Name: "agents.mastio.test",
		API: apigateway.NewClient(aws.Config{
			Region:       "us-east-1",
			BaseEndpoint: &web.URL,
			Credentials:  credentials.NewStaticCredentialsProvider("local", "local", ""),
		}),
	}
}

// The real client against the stand-in.
func TestDomain(t *testing.T) {
	pem, err := gateway.SelfSigned(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	s, err := local.New(local.Config{
		Name: "agents.mastio.test",
		URI:  "s3://bucket/key",
		Object: func(_ context.Context, version string) ([]byte, error) {
			if version != "v1" && version != "v2" {
				return nil, fs.ErrNotExist
			}
			return bytes.Clone(pem.CA), nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	d := domain(t, s)
	is := func(when string, got truststore.DomainState, err error, want truststore.DomainState) {
		t.Helper()
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: %v, state (-want +got):\n%s", when, err, diff)
		}
	}
	look := func(when string, want truststore.DomainState) {
		t.Helper()
		got, err := d.Present(t.Context())
		is(when, got, err, want)
	}
	point := func(when, version string, want truststore.DomainState) {
		t.Helper()
		got, err := d.Point(t.Context(), version)
		is(when, got, err, want)
	}
	look("at first", truststore.DomainState{Status: truststore.Available})
	point("first update", "v1", truststore.DomainState{Version: "v1", Status: truststore.Updating})
	look("updated", truststore.DomainState{Version: "v1", Status: truststore.Available})
	s.Takes(time.Hour)
	s.Warn("odd")
	point("slow update", "v2", truststore.DomainState{
		Version:  "v2",
		Status:   truststore.Updating,
		Warnings: []string{"odd"},
	})
	look("updating", truststore.DomainState{Version: "v2", Status: truststore.Updating, Warnings: []string{"odd"}})
	if _, err := d.Point(t.Context(), "v1"); !errors.Is(err, truststore.ErrBusy) {
		t.Errorf("an update meanwhile: %v, want ErrBusy", err)
	}
	s.Finish()
	s.Fail("no")
	if _, err := d.Point(t.Context(), "v1"); err != nil {
		t.Error(err)
	}
	look("failed", truststore.DomainState{Version: "v2", Status: truststore.Failed, Warnings: []string{"odd"}})
	if _, err := d.Point(t.Context(), "v9"); err == nil || errors.Is(err, truststore.ErrBusy) {
		t.Errorf("a version that does not exist: %v", err)
	}
}

func TestAnswersOfTheService(t *testing.T) {
	for _, c := range []struct {
		name   string
		status int
		code   string
		body   string
		want   truststore.DomainState
		busy   bool
		fails  bool
	}{
		{"without mutual TLS", 200, "", `{"domainNameStatus":"AVAILABLE"}`,
			truststore.DomainState{Status: truststore.Available}, false, false},
		{"waits for its owner", 200, "",
			`{"domainNameStatus":"PENDING_OWNERSHIP_VERIFICATION","mutualTlsAuthentication":{"truststoreVersion":"v1"}}`,
			truststore.DomainState{
				Version: "v1",
				Status:  truststore.Updating,
			}, false, false},
		{"a status to come", 200, "", `{"domainNameStatus":"RESTING","mutualTlsAuthentication":{"truststoreVersion":"v1"}}`,
			truststore.DomainState{
				Version: "v1",
				Status:  truststore.Updating,
			}, false, false},
		{"no status", 200, "", `{}`, truststore.DomainState{Status: truststore.Updating}, false, false},
		{"throttled", 429, "TooManyRequestsException", `{"message":"slow down"}`, truststore.DomainState{}, true, true},
		{"in conflict", 409, "ConflictException", `{"message":"no"}`, truststore.DomainState{}, true, true},
		{"denied", 403, "AccessDeniedException", `{"message":"no"}`, truststore.DomainState{}, false, true},
		{"broken", 500, "InternalFailure", `{"message":"no"}`, truststore.DomainState{}, false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			var asked []string
			d := domain(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked = append(asked, r.Method+" "+r.URL.Path)
				if c.code != "" {
					w.Header().Set("X-Amzn-Errortype", c.code)
				}
				w.WriteHeader(c.status)
				w.Write([]byte(c.body))
			}))
			got, err := d.Point(t.Context(), "v1")
			if diff := cmp.Diff(c.want, got); diff != "" || (err != nil) != c.fails ||
				errors.Is(err, truststore.ErrBusy) != c.busy {
				t.Errorf("Point: %v, state (-want +got):\n%s", err, diff)
			}
			got, err = d.Present(t.Context())
			if diff := cmp.Diff(c.want, got); diff != "" || (err != nil) != c.fails ||
				errors.Is(err, truststore.ErrBusy) != (c.status == 429) {
				t.Errorf("Present: %v, state (-want +got):\n%s", err, diff)
			}
			if want := "PATCH /domainnames/agents.mastio.test,GET /domainnames/agents.mastio.test"; strings.Join(asked,
				",") != want {
				t.Errorf("asked %v, want each once", asked)
			}
		})
	}
}

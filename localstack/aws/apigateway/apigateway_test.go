package apigateway_test

import (
	"bytes"
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awsapigateway "github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"

	"github.com/mastio-aws/mastio/localstack/aws/apigateway"
	"github.com/mastio-aws/mastio/localstack/gateway"
)

const name = "agents.mastio.test"

// world is a domain, its object's versions, its clock, and a client of it.
type world struct {
	*apigateway.Server
	client  *awsapigateway.Client
	objects map[string][]byte
	now     time.Time
}

func certificate(t *testing.T) []byte {
	t.Helper()
	p, err := gateway.SelfSigned(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return p.CA
}

func open(t *testing.T, dir string) *world {
	t.Helper()
	w := &world{
		objects: map[string][]byte{"v1": certificate(t), "v2": certificate(t)},
		now:     time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC),
	}
	s, err := apigateway.New(apigateway.Config{
		Dir:  dir,
		Name: name,
		URI:  "s3://bucket/truststore.pem",
		Now:  func() time.Time { return w.now },
		Object: func(_ context.Context, version string) ([]byte, error) {
			text, ok := w.objects[version]
			if !ok {
				return nil, fmt.Errorf("%w: no such version", fs.ErrNotExist)
			}
			return text, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(s)
	t.Cleanup(web.Close)
	w.Server = s
	w.client = awsapigateway.New(awsapigateway.Options{
		Region:       "us-east-1",
		BaseEndpoint: &web.URL,
		Credentials:  credentials.NewStaticCredentialsProvider("local", "local", ""),
		Retryer:      aws.NopRetryer{},
	})
	return w
}

func (w *world) point(t *testing.T, version string) (*awsapigateway.UpdateDomainNameOutput, error) {
	t.Helper()
	return w.client.UpdateDomainName(t.Context(), &awsapigateway.UpdateDomainNameInput{
		DomainName: aws.String(name),
		PatchOperations: []types.PatchOperation{{
			Op:    types.OpReplace,
			Path:  aws.String("/mutualTlsAuthentication/truststoreVersion"),
			Value: &version,
		}},
	})
}

func (w *world) must(t *testing.T, version string) {
	t.Helper()
	out, err := w.point(t, version)
	if err != nil {
		t.Fatal(err)
	}
	if out.DomainNameStatus != types.DomainNameStatusUpdating ||
		aws.ToString(out.MutualTlsAuthentication.TruststoreVersion) != version {
		t.Errorf("answer to an update: %s, %+v; want UPDATING and %s", out.DomainNameStatus, out.MutualTlsAuthentication,
			version)
	}
}

// is compares what the domain says and what it serves.
func (w *world) is(t *testing.T, when string, status types.DomainNameStatus, says, serves string, warnings ...string) {
	t.Helper()
	out, err := w.client.GetDomainName(t.Context(), &awsapigateway.GetDomainNameInput{DomainName: aws.String(name)})
	if err != nil {
		t.Fatal(err)
	}
	got := []string{string(out.DomainNameStatus), aws.ToString(out.DomainName),
		aws.ToString(out.MutualTlsAuthentication.TruststoreUri), aws.ToString(out.MutualTlsAuthentication.TruststoreVersion)}
	want := []string{string(status), name, "s3://bucket/truststore.pem", says}
	if diff := cmp.Diff(append(want, warnings...),
		append(got, out.MutualTlsAuthentication.TruststoreWarnings...)); diff != "" {
		t.Errorf("%s: domain (-want +got):\n%s", when, diff)
	}
	text, version, err := w.Served(t.Context())
	if err != nil || version != serves || !bytes.Equal(text, w.objects[serves]) {
		t.Errorf("%s: serves version %q with %d bytes, %v; want %q", when, version, len(text), err, serves)
	}
}

func TestUpdateTakesEffectLater(t *testing.T) {
	w := open(t, "")
	w.is(t, "at first", types.DomainNameStatusAvailable, "", "")
	w.must(t, "v1")
	w.is(t, "an update that takes no time", types.DomainNameStatusAvailable, "v1", "v1")
	w.Takes(time.Minute)
	w.must(t, "v2")
	w.is(t, "at once", types.DomainNameStatusUpdating, "v2", "v1")
	if _, err := w.point(t, "v1"); !conflict(err) {
		t.Errorf("an update meanwhile: %v, want ConflictException", err)
	}
	w.now = w.now.Add(time.Minute - 1)
	w.is(t, "just before its end", types.DomainNameStatusUpdating, "v2", "v1")
	w.now = w.now.Add(1)
	w.is(t, "at its end", types.DomainNameStatusAvailable, "v2", "v2")
	w.must(t, "v1")
	w.Finish()
	w.is(t, "finished", types.DomainNameStatusAvailable, "v1", "v1")
}

func conflict(err error) bool {
	_, ok := errors.AsType[*types.ConflictException](err)
	return ok
}

func TestUpdateThatFails(t *testing.T) {
	w := open(t, "")
	w.must(t, "v1")
	w.Fail("the truststore was in a bad mood")
	if _, err := w.point(t, "v2"); err != nil {
		t.Fatal(err)
	}
	w.is(t, "failed", types.DomainNameStatusFailed, "v1", "v1")
	w.Fail("")
	w.must(t, "v2")
	w.is(t, "once more", types.DomainNameStatusAvailable, "v2", "v2")
}

func TestWarnings(t *testing.T) {
	w := open(t, "")
	block := func(kind, content string) []byte {
		return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: []byte(content)})
	}
	w.objects["odd"] = bytes.Join([][]byte{w.objects["v1"], block("CERTIFICATE", "no certificate"),
		block("PUBLIC KEY", "x")}, nil)
	w.must(t, "odd")
	odd := []string{"certificate 2 of the truststore cannot be read", "certificate 3 of the truststore cannot be read"}
	w.is(t, "unreadable", types.DomainNameStatusAvailable, "odd", "odd", odd...)
	w.Warn("certificate 1 has a weak signature")
	w.must(t, "v1")
	w.is(t, "as configured", types.DomainNameStatusAvailable, "v1", "v1", "certificate 1 has a weak signature")
	w.Warn()
	w.must(t, "v2")
	w.is(t, "no more", types.DomainNameStatusAvailable, "v2", "v2")
}

func TestRefusals(t *testing.T) {
	w := open(t, "")
	w.objects["empty"], w.objects["full"] = nil, bytes.Repeat(w.objects["v1"], 1001)
	for _, version := range []string{"v3", "empty", "full", ""} {
		if _, err := w.point(t, version); code(err) != "BadRequestException" {
			t.Errorf("version %q: %v, want BadRequestException", version, err)
		}
	}
	for _, op := range []types.PatchOperation{
		{Op: types.OpAdd, Path: aws.String("/mutualTlsAuthentication/truststoreVersion"), Value: aws.String("v1")},
		{
			Op:    types.OpReplace,
			Path:  aws.String("/mutualTlsAuthentication/truststoreUri"),
			Value: aws.String("s3://other/object"),
		},
		{Op: types.OpReplace, Path: aws.String("/certificateName"), Value: aws.String("x")},
	} {
		_, err := w.client.UpdateDomainName(t.Context(), &awsapigateway.UpdateDomainNameInput{
			DomainName:      aws.String(name),
			PatchOperations: []types.PatchOperation{op},
		})
		if code(err) != "BadRequestException" {
			t.Errorf("%s %s: %v, want BadRequestException", op.Op, aws.ToString(op.Path), err)
		}
	}
	if _, err := w.client.GetDomainName(t.Context(),
		&awsapigateway.GetDomainNameInput{DomainName: aws.String("other")}); code(err) != "NotFoundException" {
		t.Errorf("another domain: %v, want NotFoundException", err)
	}
	if _, err := w.client.GetRestApis(t.Context(), &awsapigateway.GetRestApisInput{}); code(err) != "NotImplemented" {
		t.Errorf("another operation: %v, want NotImplemented", err)
	}
	for _, body := range []string{"", "{", `{"patchOperations":[]}`, `{"patchOperations":5}`} {
		got := httptest.NewRecorder()
		w.ServeHTTP(got, httptest.NewRequest(http.MethodPatch, "/domainnames/"+name, strings.NewReader(body)))
		if got.Code != http.StatusBadRequest {
			t.Errorf("body %q: status %d, want 400", body, got.Code)
		}
	}
	w.is(t, "after all refusals", types.DomainNameStatusAvailable, "", "")
}

func code(err error) string {
	api, ok := errors.AsType[smithy.APIError](err)
	if !ok {
		return ""
	}
	return api.ErrorCode()
}

func TestStateIsKept(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	w := open(t, dir)
	w.must(t, "v1")
	w.Takes(time.Hour)
	w.must(t, "v2")
	again := open(t, dir)
	again.objects = w.objects
	again.is(t, "started anew", types.DomainNameStatusUpdating, "v2", "v1")
	again.now = again.now.Add(time.Hour)
	again.is(t, "an hour later", types.DomainNameStatusAvailable, "v2", "v2")
	if err := os.WriteFile(filepath.Join(dir, "domain.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := apigateway.New(apigateway.Config{Dir: dir}); err == nil || !strings.Contains(err.Error(), "domain.json") {
		t.Errorf("half a file: %v, want an error that says what to do", err)
	}
}

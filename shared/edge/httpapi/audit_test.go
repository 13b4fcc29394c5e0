package httpapi_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"

	admins "github.com/mastio-aws/mastio/shared/admin"
	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/audit/bundle"
	"github.com/mastio-aws/mastio/shared/edge/httpapi"
	"github.com/mastio-aws/mastio/shared/problem"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
)

// linked is the request that an answer's Link header leads to.
func linked(t *testing.T, method string, a answer, rel string) (e events.APIGatewayProxyRequest, ok bool) {
	t.Helper()
	parts := regexp.MustCompile(`^<([^?>]+)\?([^>]*)>; rel="([a-z]+)"$`).FindStringSubmatch(a.header.Get("Link"))
	if parts == nil || parts[3] != rel {
		return e, false
	}
	e = event(method, parts[1], admin)
	var err error
	if e.MultiValueQueryStringParameters, err = url.ParseQuery(parts[2]); err != nil {
		t.Fatal(err)
	}
	return e, true
}

func TestExportInPages(t *testing.T) {
	w := open(t, memstore.Config{})
	for n := range 12 {
		w.enrol(t, fmt.Sprintf("agent-%02d", n))
	}
	whole := w.send(t, event("GET", "/v1/admin/audit/export", admin))
	if whole.status != http.StatusOK || whole.header.Get("Content-Type") != "application/x-ndjson" ||
		whole.header.Get("Link") != "" {
		t.Fatalf("status %d, header %v", whole.status, whole.header)
	}
	var paged []byte
	pages := 0
	for e, ok := event("GET", "/v1/admin/audit/export", admin, query("limit", "5"), query("format", "ndjson")),
		true; ok; pages++ {
		a := w.send(t, e)
		if a.status != http.StatusOK {
			t.Fatalf("status %d: %s", a.status, a.body)
		}
		paged = append(paged, a.body...)
		w.Advance(2 * 60e9)
		e, ok = linked(t, "GET", a, "next")
	}
	if !bytes.Equal(paged, whole.body) || pages < 3 {
		t.Errorf("%d pages differ from the whole:\n%s\n%s", pages, paged, whole.body)
	}
	v := bundle.NewVerifier(bundle.VerifierConfig{})
	if err := v.Events("export", bundle.NewLines(bytes.NewReader(whole.body))); err != nil {
		t.Error(err)
	}
	if r := v.Finish(nil); !r.OK || r.Chains != 13 {
		t.Errorf("%+v", r)
	}
}

func TestExportForASpreadsheet(t *testing.T) {
	w := open(t, memstore.Config{})
	agents := w.enrol(t, "kyc", "=HYPERLINK(1)", ";=1+1;")
	a := w.send(t, event("GET", "/v1/admin/audit/export", admin, query("format", "csv"), query("subject", agents.ID)))
	if a.status != http.StatusOK || !strings.HasPrefix(a.header.Get("Content-Type"), "text/csv") {
		t.Fatalf("status %d, header %v", a.status, a.header)
	}
	records, err := csv.NewReader(bytes.NewReader(a.body)).ReadAll()
	if err != nil || len(records) != 2 ||
		strings.Join(records[0], ",") != "id,seq,timestamp,event_type,actor,subject,details,prev_hash,hash" ||
		records[1][5] != agents.ID {
		t.Fatalf("%v, %v", records, err)
	}
	for _, field := range records[1] {
		if strings.ContainsAny(field[:1], "=+-@\t\r\n") {
			t.Errorf("a spreadsheet takes %q for a formula", field)
		}
	}
	// which parts fields where a comma stands in numbers, and knows no quotes within one
	if bytes.Contains(a.body, []byte(";")) {
		t.Errorf("a spreadsheet that parts fields at semicolons finds a formula: %s", a.body)
	}
	var details map[string]any
	if err := json.Unmarshal([]byte(records[1][6]), &details); err != nil || details["source_ip"] != "192.0.2.7" {
		t.Errorf("details %s: %v", records[1][6], err)
	}
	if got := fmt.Sprint(details["capabilities"]); got != "[=HYPERLINK(1) ;=1+1;]" {
		t.Errorf("capabilities %s", got)
	}
}

func TestFormulasAreHarmless(t *testing.T) {
	for field, want := range map[string]string{
		"": "", "orga": "orga", "=1+1": "'=1+1", "+1": "'+1", "-1": "'-1", "@a": "'@a", "\t=1": "'\t=1", "\r=1": "'\r=1",
		"a=1": "a=1", "{}": "{}",
	} {
		if got := httpapi.Harmless(field); got != want {
			t.Errorf("%q: got %q, want %q", field, got, want)
		}
	}
}

func (w *world) parts(t *testing.T, e events.APIGatewayProxyRequest) (files [][]byte) {
	t.Helper()
	for ok := true; ok; {
		a := w.send(t, e)
		if a.status != http.StatusOK || a.header.Get("Content-Type") != "application/gzip" ||
			a.header.Get("Cache-Control") != "no-store" {
			t.Fatalf("status %d, header %v: %.300s", a.status, a.header, a.body)
		}
		files = append(files, a.body)
		e, ok = linked(t, "POST", a, "next")
	}
	return files
}

func verified(t *testing.T, cfg bundle.VerifierConfig, files ...[]byte) bundle.Report {
	t.Helper()
	v := bundle.NewVerifier(cfg)
	for _, data := range files {
		r, err := bundle.Open(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil })
		if err != nil {
			t.Fatal(err)
		}
		var b *bundle.Break
		if err := v.Bundle("bundle", r); errors.As(err, &b) {
			return v.Finish(b)
		}
	}
	return v.Finish(nil)
}

func TestBundleOfARotation(t *testing.T) {
	w := open(t, memstore.Config{})
	agents := w.enrol(t, "kyc")
	w.rotate(t, agents.ID, `{"reason":"superseded"}`)
	var sealed struct {
		Number int64  `json:"number"`
		Hash   string `json:"hash"`
	}
	w.send(t, event("POST", "/v1/admin/audit/checkpoint", admin)).into(t, http.StatusOK, &sealed)
	if a := w.send(t, event("POST", "/pki/rotate-ca", admin, query("mode", "mint"))); a.status != http.StatusOK {
		t.Fatalf("rotate: %d", a.status)
	}
	w.send(t, event("POST", "/v1/admin/audit/checkpoint", admin)).into(t, http.StatusOK, &sealed)
	var head struct {
		Seq        int64  `json:"seq"`
		Hash       string `json:"hash"`
		Checkpoint struct {
			Hash       string           `json:"hash"`
			Checkpoint audit.Checkpoint `json:"checkpoint"`
		} `json:"checkpoint"`
		Key struct {
			Fingerprint string `json:"fingerprint"`
			PEM         string `json:"pem"`
		} `json:"signing_key"`
	}
	w.send(t, event("GET", "/v1/admin/audit/head", admin)).into(t, http.StatusOK, &head)
	if head.Checkpoint.Hash != sealed.Hash || head.Checkpoint.Checkpoint.Number != 2 || sealed.Number != 2 {
		t.Errorf("head %+v, sealed %+v", head, sealed)
	}
	published := w.send(t, event("GET", "/pki/audit-key.pem"))
	if string(published.body) != head.Key.PEM {
		t.Errorf("published key %s, head's %s", published.body, head.Key.PEM)
	}
	r := verified(t, bundle.VerifierConfig{
		Key:        head.Key.Fingerprint,
		Checkpoint: sealed.Hash,
	}, w.parts(t, event("POST", "/v1/admin/audit/bundle", admin))...)
	if !r.OK || r.Checkpoints != 2 || r.Chains != 2 || r.Unsealed != 1 {
		t.Errorf("%+v, %v", r, r.Break)
	}
}

func TestBundleThatDoesNotFit(t *testing.T) {
	w := open(t, memstore.Config{})
	w.Checkpoint.Most = 4
	w.mount(t, map[string]httpapi.Handlers{"checkpoint": httpapi.Checkpoint(w.Checkpoint),
		"audit": httpapi.Audit(w.Trail)})
	for n := range 12 {
		w.enrol(t, fmt.Sprintf("agent-%02d", n))
	}
	var sealed struct{ Made int }
	w.send(t, event("POST", "/v1/admin/audit/checkpoint", admin)).into(t, http.StatusOK, &sealed)
	w.Trail.MaxBundle = 4_000
	a := w.send(t, event("POST", "/v1/admin/audit/bundle", admin))
	var p problem.Problem
	a.into(t, http.StatusRequestEntityTooLarge, &p)
	first, ok := linked(t, "POST", a, "first")
	if p.Code != "audit_answer_too_large" || !ok {
		t.Fatalf("%+v, Link %q", p, a.header.Get("Link"))
	}
	files := w.parts(t, first)
	if r := verified(t, bundle.VerifierConfig{}, files...); !r.OK || len(files) < 2 ||
		r.Checkpoints != int64(sealed.Made) {
		t.Errorf("%d parts: %+v, %v", len(files), r, r.Break)
	}
}

func TestBadAuditRequests(t *testing.T) {
	w := open(t, memstore.Config{})
	const export, bundle, head = "/v1/admin/audit/export", "/v1/admin/audit/bundle", "/v1/admin/audit/head"
	for _, c := range []struct {
		request events.APIGatewayProxyRequest
		status  int
		code    problem.Code
	}{
		{event("GET", export, admin, query("format", "xml")), 400, "query_invalid"},
		{event("GET", export, admin, query("limit", "0")), 400, "limit_invalid"},
		{event("GET", export, admin, query("limit", "10001")), 400, "limit_invalid"},
		{event("GET", export, admin, query("limit", "x")), 400, "limit_invalid"},
		{event("GET", export, admin, query("start", "yesterday")), 400, "period_invalid"},
		{event("GET", export, admin, query("start", "")), 400, "period_invalid"},
		{event("GET", export, admin, query("start", "2026-01-01T02:00:00 02:00")), 400, "period_invalid"},
		{event("GET", export, admin, query("end", "2026-13-01")), 400, "period_invalid"},
		{event("GET", export, admin, query("start", "2026-11-25"), query("end", "2026-11-24T00:00:00Z")), 400,
			"period_invalid"},
		{event("GET", export, admin, query("event_type", "agent.forgiven")), 400, "event_type_unknown"},
		{event("GET", export, admin, query("cursor", "x")), 400, "cursor_invalid"},
		{event("GET", head, admin, query("subject", "orga::nobody")), 404, "audit_subject_not_found"},
		{event("POST", bundle, admin, query("from_checkpoint", "9")), 400, "checkpoint_invalid"},
		{event("POST", bundle, admin, query("from_checkpoint", "0")), 400, "checkpoint_invalid"},
		{event("POST", bundle, admin, query("to_checkpoint", "x")), 400, "checkpoint_invalid"},
		{event("POST", bundle, admin, jsonBody(`{}`)), 400, "body_unexpected"},
		{event("POST", "/v1/admin/audit/checkpoint", admin, jsonBody(`{}`)), 400, "body_unexpected"},
	} {
		var p problem.Problem
		w.send(t, c.request).into(t, c.status, &p)
		if p.Code != c.code {
			t.Errorf("%v: code %s, want %s", c.request.MultiValueQueryStringParameters, p.Code, c.code)
		}
	}
}

// One function is run by a schedule and by API Gateway.
func TestLambdaOr(t *testing.T) {
	w := open(t, memstore.Config{})
	mux, err := httpapi.New(httpapi.Config{
		Handlers: httpapi.Checkpoint(w.Checkpoint),
		Admin:    func(context.Context, string) (admins.Admin, bool, error) { return admins.Admin{}, false, nil },
		Log:      slog.New(slog.DiscardHandler),
		Now:      w.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	runs := 0
	f := httpapi.LambdaOr(mux, func(context.Context, json.RawMessage) (any, error) { runs++; return "ran", nil })
	for _, c := range []struct {
		event string
		runs  int
		fails bool
	}{
		{`{"version":"0","detail-type":"Scheduled Event","source":"aws.events","resources":[],"detail":{}}`, 1, false},
		{`{"httpMethod":"POST","path":"/v1/admin/audit/checkpoint","body":"{\"detail-type\":\"Scheduled Event\"}"}`, 1,
			false},
		{`{"httpMethod":"POST","path":"/","detail-type":"Scheduled Event"}`, 1, false},
		{`{"version":"2.0","routeKey":"$default","rawPath":"/v1/admin/audit/checkpoint","requestContext":{"http":{"method":"POST","path":"/v1/admin/audit/checkpoint"}}}`, 1, false},
		{`{"requestContext":{},"detail-type":"Scheduled Event","source":"aws.events"}`, 1, false},
		{`[]`, 1, true},
	} {
		out, err := f(t.Context(), json.RawMessage(c.event))
		if runs != c.runs || (err != nil) != c.fails {
			t.Errorf("%s: %v, %v after %d runs, want %d", c.event, out, err, runs, c.runs)
		}
	}
}

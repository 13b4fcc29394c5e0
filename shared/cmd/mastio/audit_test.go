package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// pages answers with one body after the other, each with a link to the next.
func pages(path string, bodies ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		n := len(r.URL.Query().Get("cursor"))
		if n < len(bodies)-1 {
			w.Header().Set("Link", "<"+path+"?cursor="+strings.Repeat("x", n+1)+`>; rel="next"`)
		}
		says(200, bodies[n])(w, r)
	}
}

func TestAuditExport(t *testing.T) {
	m := newMastio(t)
	const path = "/v1/admin/audit/export"
	m.routes["GET "+path] = pages(path, "{\"seq\":1}\n", "{\"seq\":2}\n", "{\"seq\":3}\n")
	if got, stdout, stderr := m.run("audit", "export", "--start", "2026-11-01", "--event", "org_ca.rotated"); got != 0 ||
		stdout != "{\"seq\":1}\n{\"seq\":2}\n{\"seq\":3}\n" {
		t.Errorf("exit status %d: %q %s", got, stdout, stderr)
	}
	if want := "GET " + path + "?event_type=org_ca.rotated&limit=5000&start=2026-11-01"; m.requests[0] != want {
		t.Errorf("asked %s, want %s", m.requests[0], want)
	}
	m.routes["GET "+path] = pages(path, "id,seq\r\na,1\r\n", "id,seq\r\nb,2\r\n")
	file := filepath.Join(t.TempDir(), "rows.csv")
	if got, _, stderr := m.run("audit", "export", "--format", "csv", "--out", file); got != 0 {
		t.Fatalf("exit status %d: %s", got, stderr)
	}
	rows, err := os.ReadFile(file)
	if err != nil || string(rows) != "id,seq\r\na,1\r\nb,2\r\n" {
		t.Errorf("got %q, %v: one head and both pages are wanted", rows, err)
	}
}

// A history that does not fit into one answer comes in parts, in files of their own.
func TestAuditBundle(t *testing.T) {
	m, dir := newMastio(t), t.TempDir()
	const path = "/v1/admin/audit/bundle"
	parts := pages(path, "part 1", "part 2")
	m.routes["POST "+path] = func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Header.Get("Accept") != "application/gzip":
			says(http.StatusBadRequest, `{"code":"base64"}`)(w, r)
		case r.URL.RawQuery == "":
			w.Header().Set("Link", "<"+path+`?from_checkpoint=1>; rel="first"`)
			says(http.StatusRequestEntityTooLarge, `{"code":"bundle_too_large","detail":"in parts"}`)(w, r)
		default:
			parts(w, r)
		}
	}
	m.routes["POST /v1/admin/audit/checkpoint"] = says(200, `{"made":1}`)
	m.routes["GET /v1/admin/audit/head"] = says(200, `{"hash":"h","signing_key":{"fingerprint":"f00d","pem":""}}`)
	got, stdout, stderr := m.run("audit", "bundle", "--seal", "--out", filepath.Join(dir, "a.tar.gz"))
	if got != 0 || !strings.Contains(stdout, "--key f00d") {
		t.Fatalf("exit status %d: %s%s", got, stdout, stderr)
	}
	for name, want := range map[string]string{"a.tar.gz": "part 1", "a-2.tar.gz": "part 2"} {
		if text, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(text) != want {
			t.Errorf("%s holds %q, %v; want %q", name, text, err, want)
		}
	}
	want := []string{"POST /v1/admin/audit/checkpoint", "POST " + path, "POST " + path + "?from_checkpoint=1",
		"POST " + path + "?cursor=x", "GET /v1/admin/audit/head"}
	if diff := cmp.Diff(want, m.requests); diff != "" || m.keys[0] == "" || m.keys[1] != "" {
		t.Errorf("under the keys %q (-want +got):\n%s", m.keys, diff)
	}
}

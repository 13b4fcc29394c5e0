package main

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCARotate(t *testing.T) {
	m := newMastio(t)
	m.routes[swapRoute] = says(200, `{"generation":3,"fingerprint":"ee","subject":"CN=G3","not_after":"2041-01-01T00:00:00Z",
		"overlap_until":"2026-12-07T12:00:00Z","effect":{"agents":10,"per_method":{"minted":10},"at_once":false,
		"stop_at":"2026-12-07T12:00:00Z"}}`)
	got, stdout, stderr := m.run("ca", "rotate", "--overlap", "7d", "--dry-run")
	if got != 0 || !strings.Contains(stdout, "10 agents' certificates stop at 2026-12-07 12:00Z (in 7 d)") {
		t.Errorf("exit status %d: %s%s", got, stdout, stderr)
	}
	got, _, stderr = m.run("ca", "rotate", "--overlap", "36h", "--waves", "1,10,100", "--hold", "10m", "--yes")
	if got != 0 {
		t.Errorf("exit status %d: %s", got, stderr)
	}
	want := []string{
		"POST /pki/rotate-ca?dry_run=true&mode=mint&overlap=604800",
		"POST /pki/rotate-ca?hold=600&mode=mint&overlap=129600&waves=1%2C10%2C100",
	}
	if diff := cmp.Diff(want, m.requests); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if m.keys[0] != "" || m.keys[1] == "" {
		t.Errorf("keys %q: a dry run takes none, a rotation needs one", m.keys)
	}
	if got, _, _ := m.run("ca", "rotate", "--yes", "--idempotency-key", "earlier"); got != 0 || m.keys[2] != "earlier" {
		t.Errorf("exit status %d under the key %q, want that of the earlier request", got, m.keys[2])
	}
}

func TestWatch(t *testing.T) {
	m := newMastio(t)
	moved := []string{status("2", "8"), status("6", "4"), status("6", "4"), status("10", "0")}
	m.routes[caRoute] = func(w http.ResponseWriter, r *http.Request) {
		says(200, moved[0])(w, r)
		moved = moved[1:]
	}
	m.routes[swapRoute] = says(200, `{"generation":2,"fingerprint":"ff"}`)
	got, stdout, stderr := m.run("ca", "rotate", "--overlap", "7d", "--yes", "--watch")
	if got != 0 || strings.Count(stdout, "] ") != 3 || !strings.Contains(stdout, " 60 %  6 of 10 moved") ||
		!strings.Contains(stdout, "overlap ends in 7 d") || !strings.HasSuffix(stdout, "Every agent has moved.\n") {
		t.Errorf("exit status %d: %s%s", got, stdout, stderr)
	}
}

func TestDoctor(t *testing.T) {
	m := newMastio(t)
	m.routes[caRoute] = says(200, status("10", "0"))
	m.routes["GET /v1/admin/agents"] = says(200, `{"agents":[]}`)
	m.routes["GET /.well-known/oauth-authorization-server"] = says(200, `{"issuer":"`+m.URL+`"}`)
	healthz := m.routes["GET /healthz"]
	m.routes["GET /healthz"] = func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", noon.Format(http.TimeFormat))
		healthz(w, r)
	}
	if got, stdout, stderr := m.run("doctor"); got != 0 || !strings.Contains(stdout, "Everything is all right.") {
		t.Errorf("exit status %d: %s%s", got, stdout, stderr)
	}
	m.routes["GET /v1/admin/agents"] = says(200, `{"agents":[{"agent_id":"orga::kyc"}]}`)
	m.routes["GET /.well-known/oauth-authorization-server"] = says(200, `{"issuer":"https://127.0.0.1:1"}`)
	m.routes[caRoute] = says(200, strings.Replace(status("2", "8"), `"staged":{`, `"staged":null,"x":{`, 1))
	m.routes["GET /healthz"] = func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Date", noon.Add(-60e9).Format(http.TimeFormat))
		_, _ = w.Write([]byte(`{"org_id":"orga","warnings":["org_ca_legacy_pathlen_zero"]}`))
	}
	got, stdout, stderr := m.run("doctor")
	for _, want := range []string{"1m0s apart", "legacy pathLen=0", "127.0.0.1:1", "1 within 30 days", "none is staged",
		"8 have not moved", "cut off 2026-12-07"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("it does not say %q:\n%s%s", want, stdout, stderr)
		}
	}
	if got != 1 {
		t.Errorf("exit status %d, want 1", got)
	}
}

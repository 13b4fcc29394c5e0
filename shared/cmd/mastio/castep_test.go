package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Each step of a rotation as the API has it. What has no dry run of the Mastio's own is shown, and not sent.
func TestCASteps(t *testing.T) {
	dir := t.TempDir()
	ca, key := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "key.pem")
	for name, text := range map[string]string{ca: "-----BEGIN CERTIFICATE-----", key: "-----BEGIN PRIVATE KEY-----"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	both := "-----BEGIN CERTIFICATE-----\n-----BEGIN PRIVATE KEY-----\n"
	for _, c := range []struct {
		line string
		want string // the request; empty: none
		body string
	}{
		{"ca stage", "POST /pki/rotate-ca?mode=stage", ""},
		{"ca stage " + ca + " " + key, "POST /pki/rotate-ca?mode=stage&source=upload", both},
		{"ca commit ff --overlap 1d --yes", "POST /pki/rotate-ca?fingerprint=ff&mode=commit&overlap=86400", ""},
		{"ca upload " + ca + " " + key + " --yes", "POST /pki/rotate-ca?mode=upload", both},
		{"ca upload " + ca + " " + key + " --dry-run", "POST /pki/rotate-ca?dry_run=true&mode=upload", both},
		{"ca upload " + ca + " --yes", "", ""},
		{"ca schedule --at 2026-12-06T03:00:00+01:00 --overlap 7d",
			"POST /pki/rotate-ca?at=2026-12-06T02%3A00%3A00Z&mode=mint&overlap=604800", ""},
		{"ca schedule --at +2d --fingerprint ff",
			"POST /pki/rotate-ca?at=2026-12-02T12%3A00%3A00Z&fingerprint=ff&mode=commit", ""},
		{"ca schedule --at tomorrow", "", ""},
		{"ca schedule", "", ""},
		{"ca schedule --cancel", "POST /pki/rotate-ca?mode=cancel", ""},
		{"ca schedule --cancel --dry-run", "", ""},
		{"ca rollback --yes --comment c", "POST /pki/rotate-ca?comment=c&mode=rollback", ""},
		{"ca rollback", "", ""},
		{"ca rollback --dry-run", "", ""},
		{"ca finalise --yes", "POST /pki/rotate-ca?if_safe=true&mode=finalise", ""},
		{"ca finalise --yes --if-safe=false", "POST /pki/rotate-ca?mode=finalise", ""},
		{"ca finalise --dry-run", "POST /pki/rotate-ca?dry_run=true&mode=finalise", ""},
		{"ca reissue pause --yes", "POST /pki/rotate-ca/reissue", `{"action":"pause"}`},
		{"ca reissue stop --yes", "", ""},
	} {
		m := newMastio(t)
		m.routes[swapRoute] = says(200, `{"generation":3,"fingerprint":"ee"}`)
		m.routes[swapRoute+"/reissue"] = m.routes[swapRoute]
		got, stdout, stderr := m.run(strings.Fields(c.line)...)
		if strings.Contains(stdout+stderr, "PRIVATE") && c.want != "" {
			t.Errorf("%s: a key is on the terminal: %s%s", c.line, stdout, stderr)
		}
		shown := c.want == "" && strings.Contains(c.line, "--dry-run")
		if c.want == "" {
			if len(m.requests) > 0 || got != 2 != shown {
				t.Errorf("%s: exit status %d and the requests %q, want none: %s%s", c.line, got, m.requests, stdout, stderr)
			}
			continue
		}
		if got != 0 || len(m.requests) != 1 || m.requests[0] != c.want || m.bodies[0] != c.body {
			t.Errorf("%s: exit status %d, the requests %q %q; want %q %q: %s", c.line, got, m.requests, m.bodies, c.want,
				c.body, stderr)
		} else if dry := strings.Contains(c.want, "dry_run"); dry != (m.keys[0] == "") {
			t.Errorf("%s: sent under the key %q", c.line, m.keys[0])
		}
	}
}

func TestWatchEndsWithTheOverlap(t *testing.T) {
	m := newMastio(t)
	m.routes[caRoute] = says(200, strings.Replace(status("2", "8"), `"2026-12-07T12:00:00Z"`, "null", 1))
	if got, stdout, stderr := m.run("ca", "watch"); got != 1 || !strings.Contains(stderr, "8 agents have not moved") {
		t.Errorf("exit status %d, want 1: %s%s", got, stdout, stderr)
	}
	m.routes[caRoute] = says(200, strings.Replace(status("2", "8"), `"scheduled":null`,
		`"scheduled":null,"reissue":{"state":"halted","wave":1,"waves":[10,100],"why":"2 of 10 failed"}`, 1))
	if got, _, stderr := m.run("ca", "watch"); got != 1 || !strings.Contains(stderr, "halted: 2 of 10 failed") {
		t.Errorf("exit status %d, want 1: %s", got, stderr)
	}
}

func TestAgentsChange(t *testing.T) {
	for _, c := range []struct{ line, want, body string }{
		{"agents edit kyc --owner risk --clear display_name", "PATCH /v1/admin/agents/orga::kyc",
			`{"display_name":null,"owner":"risk"}`},
		{"agents edit orga::kyc --capability a --capability b", "PATCH /v1/admin/agents/orga::kyc",
			`{"capabilities":["a","b"]}`},
		{"agents edit kyc", "", ""},
		{"agents edit kyc --clear status", "", ""},
		{"agents hygiene kyc", "GET /v1/admin/agents/orga::kyc", ""},
		{"agents hygiene kyc --deliver notify", "PUT /v1/admin/agents/orga::kyc/hygiene", `{"deliver":"notify"}`},
		{"agents deactivate kyc --yes --reason superseded", "DELETE /v1/admin/agents/orga::kyc?reason=superseded", ""},
		{"agents deactivate kyc", "", ""},
		{"agents show kyc", "GET /v1/admin/agents/orga::kyc", ""},
	} {
		m := newMastio(t)
		answer := says(200, `{"agent_id":"orga::kyc","hygiene":{"deliver":"notify"}}`)
		for _, method := range []string{"GET", "PATCH", "PUT", "DELETE"} {
			m.routes[method+" /v1/admin/agents/orga::kyc"] = answer
			m.routes[method+" /v1/admin/agents/orga::kyc/hygiene"] = answer
		}
		m.routes["DELETE /v1/admin/agents/orga::kyc"] = func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusNoContent)
		}
		got, _, stderr := m.run(strings.Fields(c.line)...)
		if c.want == "" {
			if len(m.requests) > 0 || got != 2 {
				t.Errorf("%s: exit status %d and the requests %q, want 2 and none: %s", c.line, got, m.requests, stderr)
			}
			continue
		}
		if diff := cmp.Diff([]string{c.want, c.body}, append(m.requests, m.bodies...)); got != 0 || diff != "" {
			t.Errorf("%s: exit status %d %s (-want +got):\n%s", c.line, got, stderr, diff)
		}
	}
}

package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const manyRoute = "POST /v1/admin/agents:rotate"

func jobAnswer(state string, reissued, failed int) string {
	return fmt.Sprintf(`{"job_id":"01J","state":%q,"began_at":"2026-11-30T11:50:00Z","ended_at":null,
		"ordered_by":"admin:x","total":4,"reissued":%d,"notified":1,"failed":%d}`, state, reissued, failed)
}

// A selection is sent as the API takes it, and a job begins only where a person, or --yes, says so.
func TestRotateMany(t *testing.T) {
	m := newMastio(t)
	m.routes[manyRoute] = says(http.StatusAccepted, jobAnswer("running", 0, 0))
	if got, _, stderr := m.run("agents", "rotate", "--all"); got != 2 || len(m.requests) != 0 {
		t.Errorf("without a word: exit status %d and %v, want 2 and nothing: %s", got, m.requests, stderr)
	}
	for _, c := range []struct {
		args []string
		want map[string]any
	}{
		{[]string{"--all"}, map[string]any{"filter": map[string]any{}, "all": true, "dry_run": false}},
		{[]string{"--generation", "3", "--due", "30d", "--method", "minted", "--owner", "risk", "--q", "kyc"},
			map[string]any{"filter": map[string]any{"generation": 3.0, "due": 30.0, "method": "minted", "owner": "risk",
				"q": "kyc"}, "all": false, "dry_run": false}},
		{[]string{"--generation", "not_current"},
			map[string]any{"filter": map[string]any{"generation": "not_current"}, "all": false, "dry_run": false}},
	} {
		m.bodies, m.keys = nil, nil
		got, stdout, stderr := m.run(append([]string{"agents", "rotate", "--yes"}, c.args...)...)
		if got != 0 || !strings.Contains(stdout, "01J") || !strings.Contains(stdout, "4 agents") {
			t.Fatalf("%v: exit status %d: %s%s", c.args, got, stdout, stderr)
		}
		var body map[string]any
		if err := json.Unmarshal([]byte(m.bodies[0]), &body); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, body); diff != "" || m.keys[0] == "" {
			t.Errorf("%v under the key %q (-want +got):\n%s", c.args, m.keys[0], diff)
		}
	}
	if _, stdout, _ := m.run("agents", "rotate", "--all", "--yes", "-o", "name"); stdout != "01J\n" {
		t.Errorf("-o name: %q", stdout)
	}
}

// A dry run is the Mastio's own: it asks for no confirmation, and takes no key.
func TestRotateManyDryRun(t *testing.T) {
	m := newMastio(t)
	m.routes[manyRoute] = says(200, `{"agents":{"minted":3,"byoca":1,"spiffe":0},"reissue":2,"notify":2,"complete":true}`)
	got, stdout, stderr := m.run("agents", "rotate", "--all", "--dry-run")
	if got != 0 || !strings.Contains(stdout, "2 agents, in their secrets") ||
		!strings.Contains(stdout, "nothing was changed") {
		t.Errorf("exit status %d: %s%s", got, stdout, stderr)
	}
	if len(m.bodies) != 1 || !strings.Contains(m.bodies[0], `"dry_run": true`) || m.keys[0] != "" {
		t.Errorf("sent %q under %q", m.bodies, m.keys)
	}
}

func TestRotateManyWatch(t *testing.T) {
	for failed, status := range map[int]int{0: 0, 1: 1} {
		m := newMastio(t)
		m.routes[manyRoute] = says(http.StatusAccepted, jobAnswer("running", 0, 0))
		asked := 0
		m.routes["GET /v1/admin/jobs/01J"] = func(w http.ResponseWriter, r *http.Request) {
			asked++
			state := "running"
			if asked == 3 {
				state = "finished"
			}
			says(200, jobAnswer(state, asked, failed))(w, r)
		}
		got, stdout, stderr := m.run("agents", "rotate", "--all", "--watch", "--yes")
		if got != status || asked != 3 || !strings.Contains(stdout, "job 01J: 3 with a new certificate, 1 named") {
			t.Errorf("%d failed: exit status %d after %d looks: %s%s", failed, got, asked, stdout, stderr)
		}
	}
}

func TestRotateOneOrMany(t *testing.T) {
	m := newMastio(t)
	for _, args := range [][]string{
		nil,
		{"kyc"},
		{"--out", "kyc"},
		{"kyc", "--all", "--yes"},
		{"--all", "--out", "kyc", "--yes"},
		{"--all", "--grace", "15m", "--yes"},
		{"--generation", "newest", "--yes"},
		{"--due", "soon", "--yes"},
		{"kyc", "--out", t.TempDir(), "--watch"},
	} {
		if got, _, stderr := m.run(append([]string{"agents", "rotate"}, args...)...); got != 2 || stderr == "" ||
			len(m.requests) != 0 {
			t.Errorf("%v: exit status %d and %v, want 2 and no request: %s", args, got, m.requests, stderr)
		}
	}
}

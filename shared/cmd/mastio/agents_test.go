package main

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mastio-aws/mastio/shared/cmd/mastio/identity"
)

func TestEnrolAndRotate(t *testing.T) {
	m, dir := newMastio(t), filepath.Join(t.TempDir(), "kyc")
	m.routes[enrolRoute] = issue(t, "orga::kyc")
	m.routes[rotateRoute] = issue(t, "orga::kyc")
	got, stdout, stderr := m.run("agents", "enrol", "kyc", "--capability", "kyc:read", "--owner", "risk", "--out", dir)
	if got != 0 || !strings.Contains(stdout, "orga::kyc") || strings.Contains(stdout+stderr, "PRIVATE") {
		t.Fatalf("exit status %d: %s%s", got, stdout, stderr)
	}
	var body map[string]any
	if err := json.Unmarshal([]byte(m.bodies[0]), &body); err != nil {
		t.Fatal(err)
	}
	delete(body, "csr_pem")
	delete(body, "dpop_jwk")
	want := map[string]any{"agent_name": "kyc", "capabilities": []any{"kyc:read"}, "owner": "risk"}
	if diff := cmp.Diff(want, body); diff != "" {
		t.Errorf("the enrolment (-want +got):\n%s", diff)
	}
	before, err := os.ReadFile(filepath.Join(dir, identity.KeyFile))
	if err != nil {
		t.Fatal(err)
	}
	if got, _, stderr := m.run("agents", "enrol", "other", "--out", dir); got != 2 || len(m.requests) != 1 {
		t.Errorf("another agent in the same folder: exit status %d, want 2: %s", got, stderr)
	}
	if got, _, stderr := m.run("agents", "rotate", "other", "--out", dir); got != 2 || len(m.requests) != 1 {
		t.Errorf("another agent's certificate in the same folder: exit status %d, want 2: %s", got, stderr)
	}
	got, stdout, stderr = m.run("agents", "rotate", "kyc", "--out", dir, "--grace", "15m", "--reason", "superseded")
	if got != 0 || !strings.Contains(m.bodies[1], `"grace_seconds":900`) {
		t.Fatalf("exit status %d: %s%s%s", got, stdout, stderr, m.bodies[1])
	}
	after, err := os.ReadFile(filepath.Join(dir, identity.KeyFile))
	if err != nil || string(after) == string(before) {
		t.Errorf("the rotation left the key as it was: %v", err)
	}
	if m.keys[0] == "" || m.keys[0] == m.keys[1] {
		t.Errorf("two requests under the keys %q", m.keys)
	}
}

// The answer to a change is lost, and the command ends with 4. The same command gets the certificate: the second time
// the Mastio sees the very same request.
func TestAnswerThatIsLost(t *testing.T) {
	m, dir := newMastio(t), filepath.Join(t.TempDir(), "kyc")
	m.routes[rotateRoute] = cut
	args := []string{"agents", "rotate", "kyc", "--out", dir}
	if got, _, stderr := m.run(args...); got != 4 || !strings.Contains(stderr, "repeats the request") {
		t.Fatalf("exit status %d, want 4: %s", got, stderr)
	}
	first, key, times := m.bodies[0], m.keys[0], len(m.requests)
	if times < 2 || m.keys[times-1] != key || m.bodies[times-1] != first {
		t.Errorf("asked %d times under the keys %q", times, m.keys)
	}
	m.routes[rotateRoute] = issue(t, "orga::kyc")
	if got, _, stderr := m.run(args...); got != 0 || m.keys[times] != key || m.bodies[times] != first {
		t.Errorf("exit status %d, asked under %q for %s: %s", got, m.keys[times], m.bodies[times], stderr)
	}
	if agent, err := (identity.Folder{Dir: dir}).Agent(); agent != "orga::kyc" || err != nil {
		t.Errorf("the folder is of %q: %v", agent, err)
	}
	m.routes[rotateRoute] = says(http.StatusConflict, `{"code":"x","detail":"no"}`)
	if got, _, _ := m.run(args...); got != 1 {
		t.Errorf("a refusal: exit status %d, want 1", got)
	}
	m.routes[rotateRoute] = issue(t, "orga::kyc")
	if got, _, _ := m.run(args...); got != 0 || m.keys[len(m.keys)-1] == m.keys[len(m.keys)-2] {
		t.Errorf("after a refusal: exit status %d, keys %q; want 0 and a new key", got, m.keys)
	}
}

func TestAgentsList(t *testing.T) {
	m := newMastio(t)
	first := `{"agent_id":"orga::a","capabilities":["x"],"method":"minted","status":"active","generation":2}`
	second := `{"agent_id":"orga::b","capabilities":[],"method":"byoca","status":"active","generation":1}`
	m.routes["GET /v1/admin/agents"] = func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("cursor") == "" {
			says(200, `{"agents":[`+first+`],"next_cursor":"c","total":2}`)(w, r)
			return
		}
		says(200, `{"agents":[`+second+`]}`)(w, r)
	}
	for form, want := range map[string]string{
		"name":  "orga::a\norga::b\n",
		"jsonl": first + "\n" + second + "\n",
	} {
		if got, stdout, stderr := m.run("agents", "ls", "-o", form); got != 0 || stdout != want {
			t.Errorf("%s: exit status %d, %q, want %q: %s", form, got, stdout, want, stderr)
		}
	}
	if _, stdout, _ := m.run("agents", "ls", "-o", "json"); !strings.Contains(stdout, `"total": 2`) ||
		!strings.Contains(stdout, "orga::b") {
		t.Errorf("all pages as JSON: %s", stdout)
	}
	if _, stdout, _ := m.run("agents", "ls"); !strings.Contains(stdout, "2 shown of 2") {
		t.Errorf("as a table: %s", stdout)
	}
	m.requests = nil
	m.run("agents", "ls", "screener", "--due", "30d", "--generation", "not_current", "--limit", "1", "-o", "name")
	want := []string{"GET /v1/admin/agents?due=30&generation=not_current&limit=1&q=screener"}
	if diff := cmp.Diff(want, m.requests); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/test/audittest"
)

const auditPath = "/v1/admin/audit/"

// verifier is the auditor's own program, built once.
var verifier = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "mastio-")
	if err != nil {
		return "", err
	}
	program := filepath.Join(dir, "mastio")
	out, err := exec.Command("go", "build", "-o", program, "../../shared/cmd/mastio").CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%w: %s", err, out)
	}
	return program, err
})

// auditVerify runs the program and returns its exit status and what it printed.
func auditVerify(t *testing.T, args ...string) (int, string) {
	t.Helper()
	program, err := verifier()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, append([]string{"audit", "verify", "--quiet"}, args...)...)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

func save(t *testing.T, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// sealed makes a checkpoint of what has happened so far.
func (m *target) sealed(t *testing.T) map[string]any {
	t.Helper()
	return m.operator().must(t, 200, "POST", auditPath+"checkpoint", m.admin(), nil).decode(t)
}

// bundles downloads the history, in as many parts as there are.
func (m *target) bundles(t *testing.T) (files []string) {
	t.Helper()
	next := auditPath + "bundle?from_checkpoint=1"
	for next != "" {
		a := m.operator().must(t, 200, "POST", next, with(m.admin(), "Accept", "application/gzip"), nil)
		files = append(files, save(t, fmt.Sprintf("part-%d.tar.gz", len(files)+1), a.body))
		next = ""
		if link := regexp.MustCompile(`^<(.*)>; rel="next"$`).FindStringSubmatch(a.header.Get("Link")); link != nil {
			next = link[1]
		}
	}
	return files
}

// An auditor with a file and no access: what was rotated holds, and three ways to change it are found out.
func TestAuditorVerifiesARotation(t *testing.T) {
	m := borrow(t)
	agent := m.enrol(t, fresh("audited"))
	m.rotate(t, agent.AgentID)
	m.sealed(t)
	m.rotateCA(t)
	m.rotate(t, agent.AgentID)
	made := m.sealed(t)
	head := m.operator().must(t, 200, "GET", auditPath+"head", m.admin(), nil).decode(t)
	key := head["signing_key"].(map[string]any)
	if pem := m.operator().must(t, 200, "GET", "/pki/audit-key.pem", nil, nil); string(pem.body) != key["pem"] {
		t.Errorf("published key %s, head's %s", pem.body, key["pem"])
	}
	files := m.bundles(t)
	args := append([]string{"--key", key["fingerprint"].(string), "--checkpoint", made["hash"].(string)}, files...)
	if status, out := auditVerify(t, args...); status != 0 || !strings.Contains(out, "OK") {
		t.Fatalf("exit status %d:\n%s", status, out)
	}
	last := files[len(files)-1]
	data, err := os.ReadFile(last)
	if err != nil {
		t.Fatal(err)
	}
	lines := func(m []audittest.Member) [][]byte { return bytes.SplitAfter(m[3].Data, []byte("\n")) }
	of := func(m []audittest.Member, event audit.Event) int {
		for i, line := range lines(m) {
			if bytes.Contains(line, []byte(`"subject":"`+agent.AgentID+`"`)) && bytes.Contains(line, []byte(event)) {
				return i
			}
		}
		t.Fatalf("no %s of %s in the last part", event, agent.AgentID)
		return 0
	}
	for name, tamper := range map[string]func(m []audittest.Member){
		"an actor changed": func(m []audittest.Member) {
			all := lines(m)
			i := of(m, audit.AgentCertRotated)
			all[i] = bytes.Replace(all[i], []byte(`"actor":"admin:`), []byte(`"actor":"nobody:`), 1)
			m[3].Data = bytes.Join(all, nil)
		},
		"a row removed": func(m []audittest.Member) {
			all := lines(m)
			i := of(m, audit.AgentCertRotated)
			m[3].Data = bytes.Join(append(all[:i:i], all[i+1:]...), nil)
		},
		"the agent removed": func(m []audittest.Member) {
			var left [][]byte
			for _, line := range lines(m) {
				if !bytes.Contains(line, []byte(`"subject":"`+agent.AgentID+`"`)) {
					left = append(left, line)
				}
			}
			m[3].Data = bytes.Join(left, nil)
			m[2].Data = regexp.MustCompile(`,\n\{"from_hash"[^\n]*"subject":"`+regexp.QuoteMeta(agent.AgentID)+
				`"\}`).ReplaceAll(m[2].Data, nil)
		},
	} {
		members := audittest.Unpack(data)
		tamper(members)
		tampered := append(append([]string{}, files[:len(files)-1]...), save(t, "tampered.tar.gz", audittest.Pack(members)))
		status, out := auditVerify(t, tampered...)
		if status != 1 || !strings.Contains(out, "BROKEN") {
			t.Errorf("%s: exit status %d:\n%s", name, status, out)
		}
		t.Logf("%s:\n%s", name, out)
	}
}

// Many rotations at once leave every chain without a gap, as export and bundle both show.
func TestConcurrentRotationsLeaveEveryChainGapless(t *testing.T) {
	m := borrow(t)
	const agents, rotations = 6, 4
	var ids []string
	for range agents {
		ids = append(ids, m.enrol(t, fresh("crowd")).AgentID)
	}
	var wg sync.WaitGroup
	for _, id := range ids {
		for range rotations {
			wg.Go(func() { // several of one agent at once: each that loses gets a 409
				a, err := m.operator().do(t.Context(), "POST", "/registry/agents/"+id+"/rotate-cert", m.admin(), nil)
				if err != nil || a.status != 200 && a.status != 409 {
					t.Errorf("rotate %s: %d, %v", id, a.status, err)
				}
			})
		}
		wg.Go(func() {
			if a, err := m.operator().do(t.Context(), "POST", auditPath+"checkpoint", m.admin(), nil); err != nil ||
				a.status != 200 && a.status != 409 {
				t.Errorf("checkpoint: %d %s, %v", a.status, a.body, err)
			}
		})
	}
	wg.Wait()
	m.sealed(t)
	if status, out := auditVerify(t, append([]string{"--unpinned"}, m.bundles(t)...)...); status != 0 {
		t.Errorf("bundle: exit status %d:\n%s", status, out)
	}
	var rows []byte
	next := auditPath + "export?limit=1000"
	for next != "" {
		a := m.operator().must(t, 200, "GET", next, m.admin(), nil)
		rows, next = append(rows, a.body...), ""
		if link := regexp.MustCompile(`^<(.*)>; rel="next"$`).FindStringSubmatch(a.header.Get("Link")); link != nil {
			next = link[1]
		}
	}
	if status, out := auditVerify(t, "--unpinned", save(t, "rows.ndjson", rows)); status != 0 {
		t.Errorf("export: exit status %d:\n%s", status, out)
	}
	for _, id := range ids {
		if !bytes.Contains(rows, []byte(id)) {
			t.Errorf("%s is not in the export", id)
		}
	}
}

// guessing is a client at an address of its own: what it guesses must not lock out the other tests.
func (m *target) guessing() *client {
	c := m.newClient()
	transport, _ := c.http.Transport.(*http.Transport)
	transport.DialContext = (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 77)}}).DialContext
	return c
}

// A wrong secret is on the record, many of them as one row a minute, and the secret that was tried is nowhere.
func TestWrongSecretsAreOnTheRecord(t *testing.T) {
	m := borrow(t)
	const guess = "a-guess-that-nobody-may-read"
	// On LocalStack every request has the same address, which more guesses would lock for the other tests.
	guesser, seen, guesses := m.guessing(), map[int]int{}, scaled(20, 1)
	for range guesses {
		a, err := guesser.do(t.Context(), "GET", "/v1/admin/agents", map[string]string{"X-Admin-Secret": guess}, nil)
		if err != nil {
			t.Fatal(err)
		}
		seen[a.status]++
	}
	if seen[403] == 0 || seen[403]+seen[429] != guesses || (seen[429] == 0) == (guesses > 1) {
		t.Errorf("%d guesses were answered %v, want some 403, then 429", guesses, seen)
	}
	var rows []audit.Row
	for line := range bytes.Lines(m.operator().must(t, 200, "GET", auditPath+"export?event_type=admin.login_refused",
		m.admin(), nil).body) {
		if bytes.Contains(line, []byte(guess)) {
			t.Errorf("the guess is on the record: %s", line)
		}
		var r audit.Row
		if err := json.Unmarshal(line, &r); err != nil {
			t.Fatal(err)
		}
		rows = append(rows, r)
	}
	if len(rows) == 0 {
		t.Fatal("no row tells of it")
	}
	minutes := map[string]bool{}
	for _, r := range rows {
		if r.Actor != "api" {
			continue
		}
		at, err := r.Time()
		if err != nil {
			t.Fatal(err)
		}
		if minute := at.Truncate(time.Minute).String(); minutes[minute] {
			t.Errorf("two rows in the minute of %s", minute)
		} else {
			minutes[minute] = true
		}
	}
}

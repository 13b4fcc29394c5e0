package e2e

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// terminal is a shell in which the command is used. It has no secret in its environment: login writes the profile.
type terminal struct {
	t       *testing.T
	program string
	env     []string
}

// run carries a command line out and returns its exit status and its standard output.
func (s terminal) run(in string, args ...string) (int, string) {
	s.t.Helper()
	cmd := exec.Command(s.program, args...)
	cmd.Env, cmd.Stdin = s.env, strings.NewReader(in)
	var out, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaints
	if err := cmd.Run(); cmd.ProcessState == nil {
		s.t.Fatal(err)
	}
	s.t.Logf("$ mastio %s\n%s%s", strings.Join(args, " "), out.String(), complaints.String())
	return cmd.ProcessState.ExitCode(), out.String()
}

func (s terminal) must(want int, args ...string) string {
	s.t.Helper()
	got, out := s.run("", args...)
	if got != want {
		s.t.Fatalf("mastio %s: exit status %d, want %d", strings.Join(args, " "), got, want)
	}
	return out
}

// An operator's session, from login to a fleet that was rotated, and an auditor's after it.
func TestTerminalSession(t *testing.T) {
	onlyLocally(t, "the fleet is that of the session alone")
	m := ownSystem(t)
	program, err := verifier()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	s := terminal{t, program, []string{"HOME=" + dir, "MASTIO_PROFILE=" + filepath.Join(dir, "profile.json")}}
	ca := save(t, "ca.pem", m.CAPEM)
	if got, out := s.run(m.AdminSecret+"\n", "login", "--url", m.URL, "--ca", ca); got != 0 || strings.Contains(out,
		m.AdminSecret) {
		t.Fatalf("login: exit status %d: %s", got, out)
	}
	files := map[string]string{}
	for _, name := range []string{"ledger", "screener"} {
		files[name] = filepath.Join(dir, name)
		s.must(0, "agents", "enrol", name, "--capability", "kyc:read", "--out", files[name])
	}
	s.must(0, "ca", "rotate", "--overlap", "1d", "--dry-run")
	s.must(2, "ca", "rotate", "--overlap", "1d") // without a terminal it wants --yes
	s.must(0, "ca", "rotate", "--overlap", "1d", "--yes")
	for id := range strings.Lines(s.must(0, "agents", "ls", "--generation", "not_current", "-o", "name")) {
		id = strings.TrimSpace(id)
		_, name, _ := strings.Cut(id, "::")
		s.must(0, "agents", "rotate", id, "--out", files[name])
	}
	if left := s.must(0, "agents", "ls", "--generation", "not_current", "-o", "name"); left != "" {
		t.Errorf("these have not moved: %s", left)
	}
	var token struct {
		Claims map[string]any `json:"claims"`
	}
	out := s.must(0, "token", files["screener"], "-o", "json")
	if err := json.Unmarshal([]byte(out), &token); err != nil || token.Claims["generation"] != 2.0 {
		t.Errorf("a token under generation %v, want 2: %v", token.Claims["generation"], err)
	}
	s.must(0, "agents", "deactivate", "screener", "--yes")
	s.must(1, "token", files["screener"]) // the certificate has been revoked
	s.must(0, "status")

	bundle, page := filepath.Join(dir, "audit.tar.gz"), filepath.Join(dir, "report.html")
	s.must(0, "audit", "bundle", "--seal", "--out", bundle)
	var head struct {
		Key struct {
			Fingerprint string `json:"fingerprint"`
		} `json:"signing_key"`
	}
	if err := json.Unmarshal([]byte(s.must(0, "audit", "head", "-o", "json")), &head); err != nil {
		t.Fatal(err)
	}
	s.must(5, "audit", "verify", bundle)
	s.must(0, "audit", "verify", "--key", head.Key.Fingerprint, "--report", page, bundle)
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"org_ca.rotated", "agent.deactivated", "orga::screener", head.Key.Fingerprint} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the page for the auditor does not say %q", want)
		}
	}
}

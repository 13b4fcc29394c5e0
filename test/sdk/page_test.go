package sdk

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// page is shared/AGENTS.md.
func page(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "shared", "AGENTS.md"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// program cuts the program of a name out of the page: the fenced block whose first line is a comment that begins with
// it.
func program(t *testing.T, name string) []byte {
	t.Helper()
	var found []byte
	in := false
	for line := range strings.Lines(page(t)) {
		switch {
		case strings.HasPrefix(line, "# "+name+":"), strings.HasPrefix(line, "// "+name+":"):
			in = true
		case in && strings.HasPrefix(line, "```"):
			return found
		}
		if in {
			found = append(found, line...)
		}
	}
	t.Fatalf("the page has no program %s", name)
	return nil
}

// command is a program of the page in a folder of its own, with the variables that the page names.
type command struct {
	name   string
	runs   []string // what comes before the file's name
	agent  string   // AGENT_NAME
	folder string   // AGENT_DIR
	env    []string // further variables
	input  string
}

func (c command) run(t *testing.T, m *mastio, secret string) []string {
	t.Helper()
	source := t.TempDir() // the agent's folder holds the agent's files alone
	file, ca := filepath.Join(source, c.name), filepath.Join(source, "ca.pem")
	for path, text := range map[string][]byte{file: program(t, c.name), ca: m.CAPEM} {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, c.runs[0], append(c.runs[1:], file)...)
	cmd.Dir, cmd.Stdin = source, strings.NewReader(c.input)
	cmd.Env = append(clean(os.Environ()), "MASTIO_OPERATORS="+m.URL, "MASTIO_AGENTS="+m.URL, "MASTIO_CA="+ca,
		"MCP_PROXY_ADMIN_SECRET="+secret, "AGENT_NAME="+c.agent, "AGENT_DIR="+c.folder, "GOFLAGS=")
	cmd.Env = append(cmd.Env, c.env...)
	var errText strings.Builder
	cmd.Stderr = &errText
	out, err := cmd.Output()
	t.Logf("%s\n%s%s", c.name, out, indent(errText.String()))
	if err != nil {
		t.Fatal(err)
	}
	var said []string
	for line := range strings.Lines(string(out)) {
		if line = strings.TrimRight(line, "\n"); !sdkLog(line) {
			said = append(said, line)
		}
	}
	return said
}

// The programs in three languages do the same: enrol, token, call, renew, and once more with the new certificate.
func TestPrograms(t *testing.T) {
	m := running(t)
	for _, c := range []struct {
		name string
		runs func() []string
	}{
		{"agent.py", func() []string { return []string{sdkPython(t)} }},
		{"agent.mjs", func() []string { return []string{node(t)} }},
		{"agent.go", func() []string { return []string{"go", "run"} }},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := command{name: c.name, runs: c.runs(), agent: fresh("page"), folder: t.TempDir()}
			session := []string{"token DPoP kyc:read", "me " + id(p.agent)}
			want := append([]string{"enrolled " + id(p.agent)}, session...)
			want = append(append(want, "renewed"), session...)
			if diff := cmp.Diff(want, p.run(t, m, m.Secret)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			// The first use of the new certificate has ended the old one.
			kinds := m.chain(t, id(p.agent))
			if diff := cmp.Diff([]string{"agent.enrolled", "agent.cert_renewed", "agent.cert_activated"}, kinds); diff != "" {
				t.Errorf("audit chain (-want +got):\n%s", diff)
			}
		})
	}
	t.Run("sync.sh", func(t *testing.T) { syncOfThePage(t, m) })
}

// The SDK's two calls, as the page shows them.
func TestSDKOfThePage(t *testing.T) {
	m := running(t)
	p := command{name: "enrol.py", runs: []string{sdkPython(t)}, agent: fresh("page"), folder: t.TempDir()}
	cert, key := leaf(t, m.upload(t, ""), "")
	f := flow{folder: p.folder}
	f.write(t, "pipeline-cert.pem", cert)
	f.write(t, "pipeline-key.pem", key)
	if said := p.run(t, m, m.Secret); len(said) > 0 {
		t.Errorf("enrol.py said %q", said)
	}
	p.name = "start.py"
	if diff := cmp.Diff([]string{"me " + id(p.agent)}, p.run(t, m, "")); diff != "" {
		t.Errorf("start.py (-want +got):\n%s", diff)
	}
}

// The page's check of tokens lets in a request that is sound, once, and no other.
func TestResourceServer(t *testing.T) {
	m := running(t)
	i := m.mint(t)
	f := flow{script: "requests.py", agent: i.AgentID, folder: t.TempDir()}
	f.save(t, i)
	f.write(t, "other-cert.pem", []byte(m.mint(t).CertPEM))
	requests := f.say(t, m)
	settings, err := json.Marshal(map[string]string{"issuer": m.URL, "audience": m.URL, "scope": "kyc:read",
		"ca": filepath.Join(f.folder, "server-ca.pem")})
	if err != nil {
		t.Fatal(err)
	}
	p := command{
		name:   "resource.py",
		runs:   []string{sdkPython(t)},
		folder: t.TempDir(),
		input:  string(settings) + "\n" + strings.Join(requests, "\n") + "\n",
	}
	want := []string{
		"let in " + f.agent, "refused: the proof was used before", "let in " + f.agent,
		"refused: the token is bound to another certificate",
		"refused: the proof is for another request", "refused: the proof is for another request",
		"refused: the token is bound to a proof key: it goes with the scheme DPoP", "refused: Signature verification failed",
		"refused: not an access token", "refused: Signature verification failed", "refused: Not enough segments",
	}
	if diff := cmp.Diff(want, p.run(t, m, "")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// node returns Node.js 20 or newer. Without one the test is skipped, in CI it fails.
func node(t *testing.T) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "node", "-p", "process.versions.node.split('.')[0] >= 20").Output()
	if err != nil || !bytes.HasPrefix(out, []byte("true")) {
		missing(t, "the page's program for Node.js needs Node.js 20 or newer")
	}
	return "node"
}

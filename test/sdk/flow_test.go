package sdk

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mastio-aws/mastio/shared/routes"
)

// flow is one script of the folder flows. The script prints lines. A line that begins with a question mark asks the
// test to do something, all others are its words.
type flow struct {
	script string
	agent  string            // its id
	folder string            // the script's files
	given  map[string]any    // what this script takes beyond URL, secret, agent and folder
	asks   map[string]func() // what the script may ask for
}

// run runs the script and compares its words. {agent} in them stands for the agent's id. Every request that the script
// lists must be on the agents' host: an agent's client reaches no other.
func (f flow) run(t *testing.T, m *mastio, want ...string) {
	t.Helper()
	said := f.say(t, m)
	for i, line := range want {
		want[i] = strings.ReplaceAll(line, "{agent}", f.agent)
	}
	if diff := cmp.Diff(want, said); diff != "" {
		t.Errorf("words of %s (-want +got):\n%s", f.script, diff)
	}
	agentsHost(t, said)
}

// say runs the script and returns its words.
func (f flow) say(t *testing.T, m *mastio) []string {
	t.Helper()
	program := sdkPython(t)
	f.write(t, "server-ca.pem", m.CAPEM)
	given := map[string]any{"url": m.URL, "secret": m.Secret, "agent_id": f.agent, "folder": f.folder}
	for name, value := range f.given {
		given[name] = value
	}
	encoded, err := json.Marshal(given)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, filepath.Join("flows", f.script))
	cmd.Env = append(clean(os.Environ()), "FLOW="+string(encoded), "PYTHONDONTWRITEBYTECODE=1", "HOME="+t.TempDir())
	var errText strings.Builder
	cmd.Stderr = &errText
	said, err := f.converse(cmd)
	t.Logf("%s\n%s%s", f.script, shown(said), indent(errText.String()))
	if err != nil {
		t.Fatal(err)
	}
	return said
}

// converse starts the script, does what it asks for, and returns its words.
func (f flow) converse(cmd *exec.Cmd) (said []string, err error) {
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		line := lines.Text()
		what, asked := strings.CutPrefix(line, "?")
		if !asked {
			if !sdkLog(line) {
				said = append(said, line)
			}
			continue
		}
		do := f.asks[what]
		if do == nil {
			_ = in.Close()
			return said, fmt.Errorf("%s asks to %s, which the test does not know; %w", f.script, what, cmd.Wait())
		}
		do()
		if _, err := io.WriteString(in, "done\n"); err != nil {
			return said, err
		}
	}
	return said, cmd.Wait()
}

// sdkLog reports whether a line is the SDK's own log, which it colours and prints between the script's words.
func sdkLog(line string) bool { return strings.HasPrefix(line, "\x1b[") }

func (f flow) write(t *testing.T, name string, text []byte) {
	t.Helper()
	path := filepath.Join(f.folder, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// clean takes out of an environment what would lead a local client elsewhere.
func clean(environ []string) []string {
	return slices.DeleteFunc(slices.Clone(environ), func(setting string) bool {
		name, _, _ := strings.Cut(strings.ToUpper(setting), "=")
		return strings.HasSuffix(name, "_PROXY") || strings.HasPrefix(name, "SSL_CERT_") ||
			strings.HasPrefix(name, "PYTHON") || name == "NODE_EXTRA_CA_CERTS"
	})
}

// shown is what the test's log has of a script's words: whole tokens are left out.
func shown(words []string) string {
	short := slices.DeleteFunc(slices.Clone(words), func(w string) bool { return len(w) > 400 })
	return strings.Join(short, "\n")
}

func indent(text string) string {
	if text == "" {
		return ""
	}
	return "\n    | " + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n    | ")
}

// agentsHost checks that every request that a script lists is a route of the agents' host.
func agentsHost(t *testing.T, said []string) {
	t.Helper()
	for _, line := range said {
		list, ok := strings.CutPrefix(line, "calls: ")
		if !ok {
			continue
		}
		for call := range strings.SplitSeq(list, ", ") {
			method, path, _ := strings.Cut(call, " ")
			resource, _, _ := routes.Match(path)
			if !slices.ContainsFunc(routes.On(resource), func(r routes.Route) bool {
				return r.Method == method && slices.Contains(r.Hosts, routes.Agents)
			}) {
				t.Errorf("the agent calls %s, which is not on the agents' host", call)
			}
		}
	}
}

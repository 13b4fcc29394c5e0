package main

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

const (
	enrolRoute  = "POST /v1/admin/agents"
	rotateRoute = "POST /registry/agents/orga::kyc/rotate-cert"
	caRoute     = "GET /pki/rotate-ca"
	swapRoute   = "POST /pki/rotate-ca"
)

// status is an Org CA in an overlap, and how many of 10 agents have moved.
func status(moved, remaining string) string {
	return `{"generation":2,"fingerprint":"ff","subject":"CN=G2","not_after":"2041-01-01T00:00:00Z",
	"previous":{"generation":1},"overlap_until":"2026-12-07T12:00:00Z","truststore":{"status":"current"},
	"rotation":{"in_progress":false},"staged":{"generation":3,"fingerprint":"ee","source":"mint"},"history":[],
	"progress":{"agents":10,"re_enrolled":` + moved + `,"remaining":` + remaining + `,"silent":0},"scheduled":null}`
}

// The table of exit.go, each class by what causes it.
func TestExitStatus(t *testing.T) {
	for _, c := range []struct {
		name  string
		route string
		says  http.HandlerFunc
		args  []string
		want  int
		text  string
	}{
		{"done", caRoute, says(200, status("1", "9")), []string{"ca", "status"}, 0, "9 remain"},
		{"help", "", nil, []string{"--help"}, 0, "Exit status:"},
		{"version", "", nil, []string{"version"}, 0, "mastio dev"},
		{"version as an option", "", nil, []string{"--version"}, 0, "mastio dev"},
		{"completion", "", nil, []string{"completion", "bash"}, 0, "__start_mastio"},
		{"refused", swapRoute, says(409, `{"code":"rotation_in_progress","detail":"Another rotation."}`),
			[]string{"ca", "rotate", "--yes"}, 1, "rotation_in_progress"},
		{"no command", "", nil, nil, 2, "Usage:"},
		{"a group without a command", "", nil, []string{"agents"}, 2, "Usage:"},
		{"an unknown command", "", nil, []string{"rotate"}, 2, `unknown command "rotate"`},
		{"an unknown option", "", nil, []string{"status", "--secret", "x"}, 2, "unknown flag: --secret"},
		{"an unknown form", "", nil, []string{"status", "-o", "yaml"}, 2, "-o takes table, json, jsonl, name"},
		{"an argument too many", "", nil, []string{"status", "now"}, 2, "unknown command"},
		{"no folder for the files", "", nil, []string{"agents", "enrol", "kyc"}, 2, `"out" not set`},
		{"no terminal to ask at", "", nil, []string{"ca", "rotate"}, 2, "--yes"},
		{"a bad duration", "", nil, []string{"ca", "rotate", "--overlap", "soon"}, 2, "7d, 36h"},
		{"not known", swapRoute, cut, []string{"ca", "rotate", "--yes"}, 4, "--idempotency-key"},
		{"a look without an answer", caRoute, cut, []string{"ca", "status"}, 3, "cannot be reached"},
	} {
		m := newMastio(t)
		if c.route != "" {
			m.routes[c.route] = c.says
		}
		got, stdout, stderr := m.run(c.args...)
		if got != c.want || !strings.Contains(stdout+stderr, c.text) {
			t.Errorf("%s: exit status %d, want %d; it should say %q:\n%s%s", c.name, got, c.want, c.text, stdout, stderr)
		}
	}
	m := newMastio(t)
	m.Close()
	if got, _, stderr := m.run("ca", "rotate", "--yes"); got != 3 || !strings.Contains(stderr, "cannot be reached") {
		t.Errorf("a Mastio that is gone: exit status %d, want 3: %s", got, stderr)
	}
}

func walk(c *cobra.Command, visit func(*cobra.Command)) {
	visit(c)
	for _, below := range c.Commands() {
		walk(below, visit)
	}
}

// Every command explains itself, and none takes a secret where other users of the machine see it.
func TestEveryCommandHasAHelp(t *testing.T) {
	root := (&app{}).root()
	commands := 0
	walk(root, func(c *cobra.Command) {
		commands++
		if c.Short == "" {
			t.Errorf("%s: what is it for?", c.CommandPath())
		}
		if c.Example == "" && !c.HasSubCommands() {
			t.Errorf("%s has no example", c.CommandPath())
		}
		for line := range strings.Lines(c.Example) {
			if fields := strings.Fields(line); len(fields) > 0 && !slices.Contains(fields, "mastio") {
				t.Errorf("%s: an example that is not of this command: %s", c.CommandPath(), line)
			}
		}
		c.Flags().VisitAll(func(f *pflag.Flag) {
			if f.Usage == "" {
				t.Errorf("%s: --%s says nothing", c.CommandPath(), f.Name)
			}
			if strings.Contains(f.Name, "secret") && f.Name != "secret-id" && f.Name != "secret-file" {
				t.Errorf("%s: --%s would show a secret to every user of the machine", c.CommandPath(), f.Name)
			}
		})
	})
	if commands < 12 {
		t.Errorf("found %d commands: the walk is broken", commands)
	}
}

func TestLogin(t *testing.T) {
	m := newMastio(t)
	m.routes["GET /v1/admin/agents"] = says(200, `{"agents":[]}`)
	env := map[string]string{"MASTIO_ADMIN_SECRET": ""}
	if got, _, stderr := m.with(env, "wrong\n", "login"); got != 1 || !strings.Contains(stderr, "admin_secret_invalid") {
		t.Errorf("a wrong secret: exit status %d, want 1: %s", got, stderr)
	}
	if _, err := os.Stat(m.profile); err == nil {
		t.Error("a wrong secret was written into the profile")
	}
	file := filepath.Join(t.TempDir(), "proxy.env")
	if err := os.WriteFile(file, []byte("X=1\nMCP_PROXY_ADMIN_SECRET="+"x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, _, _ := m.with(env, "", "login", "--secret-file", file); got != 1 {
		t.Errorf("the secret of a file that is wrong: exit status %d, want 1", got)
	}
	got, stdout, stderr := m.with(env, adminSecret+"\n", "login")
	if got != 0 || strings.Contains(stdout+stderr, adminSecret) {
		t.Fatalf("exit status %d: %s%s", got, stdout, stderr)
	}
	env["MASTIO_URL"], env["MASTIO_CA"] = "", ""
	if got, stdout, stderr := m.with(env, "", "agents", "ls"); got != 0 || !strings.Contains(stdout, "0 shown") {
		t.Errorf("with the profile alone: exit status %d: %s%s", got, stdout, stderr)
	}
}

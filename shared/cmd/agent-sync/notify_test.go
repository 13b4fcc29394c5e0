package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The command runs once for each change, and again until it succeeds.
func TestCommand(t *testing.T) {
	h := newHost(t)
	list, gate := filepath.Join(t.TempDir(), "list"), filepath.Join(t.TempDir(), "gate")
	h.notify.command = []string{"/bin/sh", "-c", "echo ran >> " + list + "; test -e " + gate}
	ran := func() int {
		text, _ := os.ReadFile(list)
		return strings.Count(string(text), "ran")
	}
	value := h.deliver(t, 0)
	h.want(t, unannounced)
	h.holds(t, value)
	h.want(t, unannounced)
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	h.want(t, done)
	h.want(t, done)
	if got := ran(); got != 3 {
		t.Errorf("%d runs, want two that failed and one", got)
	}
	h.deliver(t, time.Hour)
	h.want(t, done)
	h.want(t, done)
	if got := ran(); got != 4 {
		t.Errorf("%d runs after the second change, want 4", got)
	}
	if said := h.said.String(); strings.Count(said, "the command failed") != 1 ||
		!strings.Contains(said, "exit status 1") {
		t.Error(said)
	}
}

// Without --shell nothing in the command is a shell's.
func TestWords(t *testing.T) {
	for line, want := range map[string][]string{
		`systemctl restart agent`:    {"systemctl", "restart", "agent"},
		`notify 'two words' "a b"`:   {"notify", "two words", "a b"},
		`echo $HOME; rm -rf * | cat`: {"echo", "$HOME;", "rm", "-rf", "*", "|", "cat"},
		"echo `id` $(id)":            {"echo", "`id`", "$(id)"},
		`echo 'open`:                 nil,
		`  `:                         nil,
	} {
		got, err := words(line)
		if diff := cmp.Diff(want, got); diff != "" && (want != nil || err == nil) || (err != nil) != (want == nil) {
			t.Errorf("%s: %v\n%s", line, err, diff)
		}
	}
}

func TestSignal(t *testing.T) {
	got := make(chan os.Signal, 4)
	signal.Notify(got, syscall.SIGUSR2)
	defer signal.Stop(got)
	h := newHost(t)
	h.notify = notifier{signal: syscall.SIGUSR2, pidFile: filepath.Join(t.TempDir(), "pid")}
	h.deliver(t, 0)
	h.want(t, unannounced) // no agent runs yet
	pid := func(text string, mode os.FileMode) {
		t.Helper()
		if err := os.WriteFile(h.notify.pidFile, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(h.notify.pidFile, mode); err != nil {
			t.Fatal(err)
		}
	}
	ended := exec.Command("true")
	if err := ended.Run(); err != nil {
		t.Fatal(err)
	}
	pid(fmt.Sprint(ended.Process.Pid), 0o644)
	h.want(t, unannounced)
	pid(fmt.Sprintln(os.Getpid()), 0o666)
	h.want(t, unannounced)
	pid(fmt.Sprintln(os.Getpid()), 0o644)
	h.want(t, done)
	select {
	case <-got:
	case <-time.After(10 * time.Second):
		t.Fatal("no signal")
	}
	h.want(t, done)
	if len(got) > 0 {
		t.Error("the signal came twice")
	}
}

// Of these files none names one process. The test asks for the number alone: sent to -1, a signal would reach every
// process of the machine.
func TestProcessID(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pid")
	for _, wrong := range []string{"", "0", "-0", "-1", "-4711", "agent", "1 2", "99999999999999999999"} {
		if err := os.WriteFile(file, []byte(wrong), 0o600); err != nil {
			t.Fatal(err)
		}
		if pid, err := processIn(file); err == nil {
			t.Errorf("%q: process %d", wrong, pid)
		}
	}
	if err := os.WriteFile(file, []byte("4711\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if pid, err := processIn(file); err != nil || pid != 4711 {
		t.Errorf("%d, %v", pid, err)
	}
}

func TestCommandLine(t *testing.T) {
	t.Setenv("AWS_REGION", "")
	t.Setenv("AWS_DEFAULT_REGION", "")
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(t.TempDir(), "none"))
	dir := filepath.Join(t.TempDir(), "identity")
	both := []string{"--secret", "mastio/agents/orga/alice", "--dir", dir}
	for _, c := range []struct {
		name string
		args []string
		want int
		says string
	}{
		{"help", []string{"--help"}, done, "examples:"},
		{"version", []string{"--version"}, done, "agent-sync "},
		{"nothing", nil, usage, "which secret?"},
		{"no directory", both[:2], usage, "which directory?"},
		{"no region", both, usage, "which region?"},
		{"a flag that is none", append(both, "--exce", "x"), usage, "-exce"},
		{"an argument", append(both, "restart"), usage, "in quotes"},
		{"too often", append(both, "--interval", "10ms"), usage, "a second or more"},
		{"a shell for nothing", append(both, "--shell"), usage, "--exec"},
		{"a signal without a process", append(both, "--signal", "HUP"), usage, "go together"},
		{"a signal that is none", append(both, "--signal", "KILL", "--pid-file", "x"), usage, "none of HUP"},
		{"half a command", append(both, "--exec", "echo 'x"), usage, "--exec"},
	} {
		var stdout, stderr bytes.Buffer
		got := run(t.Context(), c.args, &stdout, &stderr)
		said, other := &stdout, &stderr
		if c.want != done {
			said, other = other, said
		}
		if got != c.want || !strings.Contains(said.String(), c.says) || other.Len() > 0 {
			t.Errorf("%s: status %d, %q, %q", c.name, got, stdout.String(), stderr.String())
		}
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("a wrong command line makes a directory: %v", err)
	}
}

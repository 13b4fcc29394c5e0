package process

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mastio-aws/mastio/localstack/machine"
)

func newLocalStack(t *testing.T, cfg Config) *LocalStack {
	t.Helper()
	if cfg.Cache == "" {
		cfg.Cache = t.TempDir()
	}
	l, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// program writes an executable that stands in for another.
func program(t *testing.T, path, script string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFindPython(t *testing.T) {
	dir := t.TempDir()
	good := program(t, filepath.Join(dir, "good"), "exit 0")
	bad := program(t, filepath.Join(dir, "bad"), "exit 1")
	t.Setenv("PATH", filepath.Join(dir, "nothing"))
	older := program(t, filepath.Join(dir, "pyenv", "versions", "3.12.1", "bin", "python3"), "exit 0")
	newer := program(t, filepath.Join(dir, "pyenv", "versions", "3.13.0", "bin", "python3"), "exit 0")
	program(t, filepath.Join(dir, "pyenv", "versions", "3.11.7", "bin", "python3"), "exit 0")
	inPyenv := map[string]string{"PYENV_ROOT": filepath.Join(dir, "pyenv")}
	for _, c := range []struct {
		name   string
		env    map[string]string
		broken string // made to fail before the search
		want   string
		err    error
	}{
		{name: "named", env: map[string]string{"MASTIO_PYTHON": good, "PYENV_ROOT": filepath.Join(dir, "pyenv")}, want: good},
		{
			name: "named, but none",
			env:  map[string]string{"MASTIO_PYTHON": bad, "PYENV_ROOT": filepath.Join(dir, "pyenv")},
			err:  ErrNoPython,
		},
		{name: "the newest of pyenv", env: inPyenv, want: newer},
		{name: "pyenv below HOME", env: map[string]string{"HOME": dir}, err: ErrNoPython},
		{name: "the next of pyenv", env: inPyenv, broken: newer, want: older},
		{name: "3.11 is not taken", env: inPyenv, broken: older, err: ErrNoPython},
		{name: "nothing", env: map[string]string{}, err: ErrNoPython},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.broken != "" {
				program(t, c.broken, "exit 1")
			}
			got, err := FindPython(t.Context(), func(name string) string { return c.env[name] })
			if got != c.want || !errors.Is(err, c.err) {
				t.Errorf("got %q, %v; want %q, %v", got, err, c.want, c.err)
			}
		})
	}
}

// The path comes first, and a shim there that runs nothing is passed over.
func TestFindPythonOnThePath(t *testing.T) {
	dir := t.TempDir()
	program(t, filepath.Join(dir, "python3.13"), "exit 1")
	program(t, filepath.Join(dir, "python3.12"), "exit 0")
	t.Setenv("PATH", dir+":/usr/bin:/bin")
	if got, err := FindPython(t.Context(), func(string) string { return "" }); got != "python3.12" || err != nil {
		t.Errorf("got %q, %v; want python3.12", got, err)
	}
}

func TestEnvironment(t *testing.T) {
	outside := map[string]string{"PATH": "/bin", "HOME": "/h", "AWS_PROFILE": "real", "AWS_CA_BUNDLE": "/ca",
		"LAMBDA_PROCESS_FREEZE": "0"}
	lookup := func(name string) (string, bool) { v, ok := outside[name]; return v, ok }
	got := map[string]string{}
	for _, entry := range newLocalStack(t, Config{Cache: "/cache", Port: 4999}).environment(lookup) {
		name, value, _ := strings.Cut(entry, "=")
		got[name] = value
	}
	for name, want := range map[string]string{
		"PATH": "/bin", "LAMBDA_PROCESS_FREEZE": "0", "TMPDIR": "/cache/tmp", "GATEWAY_LISTEN": "127.0.0.1:4999",
		"GATEWAY_SERVER": "loopback",
	} {
		if got[name] != want {
			t.Errorf("%s: got %q, want %q", name, got[name], want)
		}
	}
	for _, name := range []string{"AWS_PROFILE", "AWS_CA_BUNDLE"} {
		if value, ok := got[name]; ok {
			t.Errorf("%s=%s is passed on", name, value)
		}
	}
}

// What Down leaves behind is nothing: not even a process that left its parent, its group and its session, and is
// stopped.
func TestDownEndsEveryMember(t *testing.T) {
	l := newLocalStack(t, Config{})
	orphan := sleeper(t, "TMPDIR="+l.path("tmp"))
	stranger := sleeper(t, "TMPDIR="+l.path("tmp")+"2")
	if err := orphan.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	stopped, err := l.Down(t.Context())
	if err != nil || !stopped {
		t.Fatalf("got %v, %v; want true, nil", stopped, err)
	}
	if err := orphan.Wait(); err == nil {
		t.Error("the member ended without a signal")
	}
	if machine.Started(stranger.Process.Pid) == "" {
		t.Error("a process of another folder was ended")
	}
	if stopped, err := l.Down(t.Context()); err != nil || stopped {
		t.Errorf("a second time: got %v, %v; want false, nil", stopped, err)
	}
}

func TestDownWithoutAFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "never")
	if stopped, err := newLocalStack(t, Config{Cache: dir}).Down(t.Context()); stopped || err != nil {
		t.Errorf("got %v, %v; want false, nil", stopped, err)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("the folder was made")
	}
}

func sleeper(t *testing.T, env string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("sleep", "60")
	cmd.Env, cmd.SysProcAttr = []string{env}, &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	// Until exec, /proc shows this process's own environment.
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if environ, _ := os.ReadFile(filepath.Join("/proc", strconv.Itoa(cmd.Process.Pid), "environ")); contains(environ,
			[]byte(env)) {
			return cmd
		}
	}
	t.Fatal("the process does not show its environment")
	return nil
}

func TestUpTellsWhyNot(t *testing.T) {
	l := newLocalStack(t, Config{Port: 1})
	program(t, l.path("venv", "bin", "python"), "echo no such module >&2; exit 3")
	err := l.start(t.Context())
	if !errors.Is(err, ErrNotUp) || !strings.Contains(err.Error(), "no such module") {
		t.Errorf("got %v, want %v with the log's end", err, ErrNotUp)
	}
	if l.PID() != 0 || len(l.members()) != 0 {
		t.Error("something still runs")
	}
}

func TestHealthy(t *testing.T) {
	for body, want := range map[string]string{`{"version":"4.14.0","services":{}}`: "4.14.0", `{}`: "", `hello`: ""} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/_localstack/health" {
				_, _ = w.Write([]byte(body))
			}
		}))
		if got, ok := Healthy(t.Context(), s.URL); got != want || ok != (want != "") {
			t.Errorf("%s: got %q, %v; want %q", body, got, ok, want)
		}
		s.Close()
		if _, ok := Healthy(t.Context(), s.URL); ok {
			t.Error("healthy without a server")
		}
	}
}

// A step runs again when it did not finish, when its inputs or the folder changed, or when what it made is gone.
func TestInstallIsRepeatedWhenItMust(t *testing.T) {
	l := newLocalStack(t, Config{})
	ran := 0
	saved := steps
	t.Cleanup(func() { steps = saved })
	fail := errors.New("no network")
	var outcome error
	steps = []step{{"it", []string{"requirements.lock"}, "proof", func(l *LocalStack, _ context.Context) error {
		ran++
		if outcome != nil {
			return outcome
		}
		return os.WriteFile(l.path("proof"), nil, 0o600)
	}}}
	install := func(wantErr error, wantRan int) {
		t.Helper()
		if err := l.install(t.Context()); !errors.Is(err, wantErr) || ran != wantRan {
			t.Errorf("got %v after %d runs, want %v after %d", err, ran, wantErr, wantRan)
		}
	}
	outcome = fail
	install(fail, 1)
	outcome = nil
	install(nil, 2)
	install(nil, 2)
	if err := os.Remove(l.path("proof")); err != nil {
		t.Fatal(err)
	}
	install(nil, 3)
	steps[0].inputs = []string{"LoopbackDatabase.java"}
	install(nil, 4)
}

// The lock pins every package by version and hash, and names no registry.
func TestLock(t *testing.T) {
	lock, err := sources.ReadFile("requirements.lock")
	if err != nil {
		t.Fatal(err)
	}
	var unpinned []string
	packages := 0
	for line := range strings.Lines(string(lock)) {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || strings.HasPrefix(line, "#") || strings.HasPrefix(line, "--hash=sha256:"):
		case strings.Contains(line, "==") && strings.HasSuffix(line, ` \`):
			packages++
		default:
			unpinned = append(unpinned, line)
		}
	}
	if diff := cmp.Diff([]string(nil), unpinned); diff != "" || packages < 100 {
		t.Errorf("%d packages; lines that pin nothing:\n%s", packages, diff)
	}
	if strings.Contains(string(lock), "://") {
		t.Error("the lock names a host")
	}
	entry := entryOf(string(lock), "setuptools")
	if !strings.HasPrefix(entry, "setuptools==") || strings.Count(entry, "==") != 1 ||
		!strings.Contains(entry, "--hash=sha256:") {
		t.Errorf("entry of setuptools:\n%s", entry)
	}
}

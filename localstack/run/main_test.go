package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

func TestUsage(t *testing.T) {
	tests := []struct {
		name           string
		args           []string
		status         int
		stdout, stderr string
	}{
		{"help", []string{"--help"}, 0, "Usage:", ""},
		{"unknown flag", []string{"--nope"}, 2, "", "Usage:"},
		{"argument", []string{"start"}, 2, "", `unexpected argument "start"`},
		{"port too high", []string{"--port", "65536"}, 2, "", "65536"},
		{"port zero", []string{"--port", "0"}, 2, "", "--port"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			if got := Main(tt.args, &stdout, &stderr); got != tt.status {
				t.Errorf("status: got %d, want %d", got, tt.status)
			}
			for what, c := range map[string][2]string{"stdout": {stdout.String(), tt.stdout},
				"stderr": {stderr.String(), tt.stderr}} {
				if !strings.Contains(c[0], c[1]) || (c[1] == "") != (c[0] == "") {
					t.Errorf("%s: got %q, want %q in it", what, c[0], c[1])
				}
			}
		})
	}
}

func TestWatch(t *testing.T) {
	var parent atomic.Int64
	parent.Store(7)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	asked := make(chan struct{}, 100)
	go watch(ctx, cancel, func() int { asked <- struct{}{}; return int(parent.Load()) })
	<-asked
	<-asked
	if ctx.Err() != nil {
		t.Fatal("the context ended while the parent was there")
	}
	parent.Store(1)
	select {
	case <-ctx.Done():
	case <-time.After(30 * time.Second):
		t.Error("the context outlived the parent")
	}
}

func TestFromGoRun(t *testing.T) {
	for program, want := range map[string]bool{
		"/root/.cache/go-build/b5/b55c-d/run": true,
		"/tmp/go-build123/b001/exe/run":       true,
		"/tmp/tmp.cache/b5/b55c-d/run":        true,
		"/tmp/tmp.cached/run":                 false,
		"/src/mastio/build/local/run":         false,
	} {
		if got := isFromGoRun(program, "/tmp/tmp.cache"); got != want {
			t.Errorf("%s: %v, want %v", program, got, want)
		}
	}
	if isFromGoRun("/src/run", "") {
		t.Error("without a cache every program is in it")
	}
}

func needTools(t *testing.T, tools ...string) {
	t.Helper()
	for _, tool := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			if os.Getenv("CI") != "" {
				t.Fatalf("%s is needed: %v", tool, err)
			}
			t.Skipf("%s is needed: %v", tool, err)
		}
	}
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// folder is an empty folder inside the checkout, where a user could stand.
func folder(t *testing.T) string {
	t.Helper()
	if err := os.MkdirAll("../../build", 0o755); err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("../../build", "run-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// program is one `go run ./localstack/run`.
type program struct {
	*exec.Cmd
	out  *output
	port int
	dir  string
}

type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// launch starts the command the way the Makefile does and waits until it is ready. It has no terminal.
func launch(t *testing.T, dir string, args ...string) *program {
	t.Helper()
	needTools(t, "go", "npm", "javac", "java", "make")
	p := &program{out: &output{}, port: freePort(t), dir: dir}
	p.Cmd = exec.Command("go", append([]string{"run", "github.com/mastio-aws/mastio/localstack/run", "--port",
		strconv.Itoa(p.port)}, args...)...)
	// A pipe of our own: with exec's, Wait would wait for grandchildren that have it open.
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p.Dir, p.Stdout, p.Stderr = dir, w, w
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	ended := make(chan struct{})
	go func() { io.Copy(p.out, r); close(ended) }()
	t.Cleanup(func() { p.Process.Signal(os.Interrupt); p.Process.Kill(); p.Wait(); <-ended; r.Close() })
	eventually(t, func() bool { return strings.Contains(p.out.String(), "Ready.") },
		func() string { return "ready\n" + p.out.String() })
	return p
}

func eventually(t *testing.T, ok func() bool, what func() string) {
	t.Helper()
	for deadline := time.Now().Add(4 * time.Minute); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what())
		}
	}
}

func (p *program) free() bool {
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", p.port))
	if err == nil {
		l.Close()
	}
	return err == nil
}

// secretLine is what the guide's grep finds.
func (p *program) secretLine(t *testing.T) string {
	t.Helper()
	path := filepath.Join(p.dir, "proxy.env")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("proxy.env: got mode %v (%v), want 0600", info.Mode().Perm(), err)
	}
	found := regexp.MustCompile(`(?m)^MCP_PROXY_ADMIN_SECRET=.{43}$`).FindAllString(string(b), -1)
	if len(found) != 1 {
		t.Fatalf("proxy.env holds %d admin secrets of 43 letters, want 1", len(found))
	}
	return found[0]
}

// copyTables uses the access key of the run as the README's commands do; without it the same command is refused.
func (p *program) copyTables(t *testing.T) {
	t.Helper()
	path := filepath.Join(p.dir, "build", "run", keysFile)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%s: mode %v (%v), want 0600", path, info.Mode().Perm(), err)
	}
	const out = "go run github.com/mastio-aws/mastio/infra/restore out --prefix mastio- "
	for command, want := range map[string]string{
		"set -a; . build/run/aws.env; set +a; " + out + "copy": "",
		"set -a; . build/run/aws.env; set +a; AWS_SECRET_ACCESS_KEY=$AWS_ACCESS_KEY_ID " + out +
			"copy-other": "UnrecognizedClientException",
	} {
		cmd := exec.Command("bash", "-c", command)
		cmd.Dir = p.dir
		got, err := cmd.CombinedOutput()
		if (err == nil) != (want == "") || !strings.Contains(string(got), want) {
			t.Errorf("%s: %v, want %q\n%s", command, err, want, got)
		}
	}
}

// pasted runs the tour's blocks in one shell, as a reader would, and returns what it printed.
func pasted(t *testing.T, p *program) string {
	t.Helper()
	needTools(t, "bash", "curl", "jq", "openssl", "grep", "cut")
	var blocks []string
	block := regexp.MustCompile(`(?ms)^\(\d+\) [^\n]*\n(.*?)\n\n`)
	for _, m := range block.FindAllStringSubmatch(p.out.String(), -1) {
		blocks = append(blocks, m[1])
	}
	if len(blocks) != len(steps) {
		t.Fatalf("blocks printed: got %d, want %d\n%s", len(blocks), len(steps), p.out)
	}
	cmd := exec.Command("bash", "-eu", "-o", "pipefail", "-c", strings.Join(blocks, "\n"))
	cmd.Dir = p.dir
	got, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, got)
	}
	return string(got)
}

// checkTour compares the output of the tour with the output that the tour's text promises.
func checkTour(t *testing.T, got string, generation int) {
	t.Helper()
	statuses := regexp.MustCompile(`(?m)(?:^|\})([1-5]\d\d)$`).FindAllStringSubmatch(got, -1)
	var codes []string
	for _, m := range statuses {
		codes = append(codes, m[1])
	}
	if want := "401 200 401 200"; strings.Join(codes, " ") != want {
		t.Errorf("statuses of the tour: got %v, want %s\n%s", codes, want, got)
	}
	for _, want := range []string{`"agent_id": "orga::kyc-screener"`, `"token_type": "Bearer"`, "cert.pem: OK",
		fmt.Sprintf(`"generation": %d`, generation), `"status": "ok"`} {
		if !strings.Contains(got, want) {
			t.Errorf("the tour printed no %s:\n%s", want, got)
		}
	}
}

func TestRunTourAndRestart(t *testing.T) {
	dir := folder(t)
	if err := os.WriteFile(filepath.Join(dir, "proxy.env"), []byte("# mine\nTOKEN_SIGNER=kms\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	first := launch(t, dir, "--data", "state")
	checkTour(t, pasted(t, first), 2)
	secret := first.secretLine(t)
	first.copyTables(t)

	t.Chdir(dir)
	var stdout, stderr bytes.Buffer
	if got := Main([]string{"--port", strconv.Itoa(freePort(t))}, &stdout, &stderr); got != exitFailed ||
		!strings.Contains(stderr.String(), errFolderInUse.Error()) {
		t.Errorf("a second stack in the folder: got %d %q, want 1 and that it is in use", got, stderr.String())
	}

	// Killing `go run` alone is what a killed make does; everything below must end with it.
	if err := first.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	eventually(t, first.free, func() string { return "the port is free again\n" + first.out.String() })
	eventually(t, func() bool { return strings.Contains(first.out.String(), "stopping") }, first.out.String)

	second := launch(t, dir, "--data", "state")
	// The agent is enrolled already; the rest of the tour goes on from there.
	checkTour(t, pasted(t, second), 3)
	if second.secretLine(t) != secret {
		t.Error("the admin secret changed although state was kept")
	}
	if b, err := os.ReadFile(filepath.Join(dir, "proxy.env")); err != nil ||
		!strings.HasPrefix(string(b), "# mine\nTOKEN_SIGNER=kms\n") {
		t.Errorf("the operator's lines of proxy.env are gone (%v)", err)
	}
}

func TestPortInUse(t *testing.T) {
	needTools(t, "go", "npm", "javac", "java", "make")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	t.Chdir(folder(t))
	var stdout, stderr bytes.Buffer
	port := strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
	if got := Main([]string{"--port", port}, &stdout, &stderr); got != exitFailed {
		t.Errorf("status: got %d, want %d", got, exitFailed)
	}
	if want := "port " + port + ": port is in use"; !strings.Contains(stderr.String(), want) ||
		!strings.Contains(stderr.String(), "PORT=") {
		t.Errorf("stderr: got %q, want %q and what to do", stderr.String(), want)
	}
	if _, err := os.Stat("proxy.env"); err == nil {
		t.Error("a failed start wrote proxy.env")
	}
}

func TestOutsideTheCheckout(t *testing.T) {
	needTools(t, "go", "npm", "javac", "java", "make")
	t.Chdir(t.TempDir())
	var stdout, stderr bytes.Buffer
	if got := Main(nil, &stdout, &stderr); got != exitFailed || !strings.Contains(stderr.String(), "checkout") {
		t.Errorf("got %d %q, want 1 and a word about the checkout", got, stderr.String())
	}
}

package lambda

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// bootstrap is the binary of testdata/bootstrap, built once.
var bootstrap string

func TestMain(m *testing.M) {
	if os.Getenv("LAMBDA_TEST_PARENT") != "" {
		beParent()
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "lambda-test")
	if err != nil {
		fmt.Println(err)
		return 1
	}
	defer os.RemoveAll(dir)
	bootstrap = filepath.Join(dir, "bootstrap")
	build := exec.Command("go", "build", "-tags", "lambda.norpc", "-o", bootstrap, "./testdata/bootstrap")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Printf("%s%v\n", out, err)
		return 1
	}
	if code := m.Run(); code != 0 {
		return code
	}
	if err := goleak.Find(); err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

// service runs one function "f" of the test program.
func service(t testing.TB, f Function, cfg Config) *Service {
	t.Helper()
	f.Name = "f"
	if f.Path == "" {
		f.Path = bootstrap
	}
	cfg.Functions = append(cfg.Functions, f)
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

type report struct {
	PID       int       `json:"pid"`
	Text      string    `json:"text"`
	RequestID string    `json:"request_id"`
	ARN       string    `json:"arn"`
	Trace     string    `json:"trace"`
	Deadline  time.Time `json:"deadline"`
	Env       []string  `json:"env"`
}

// try invokes f and returns what it says; a function error is an error.
func try(ctx context.Context, s *Service, payload string) (report, error) {
	result, err := s.Invoke(ctx, "f", []byte(payload))
	if err != nil {
		return report{}, err
	}
	if result.FunctionError != "" {
		return report{}, fmt.Errorf("%s: %s", result.FunctionError, result.Payload)
	}
	var r report
	if err := json.Unmarshal(result.Payload, &r); err != nil {
		return report{}, fmt.Errorf("answer %s: %w", result.Payload, err)
	}
	if r.RequestID != result.RequestID {
		return report{}, fmt.Errorf("request id in the function %q, of the result %q", r.RequestID, result.RequestID)
	}
	return r, nil
}

// ask invokes f, which must succeed, and returns what it says.
func ask(t *testing.T, s *Service, payload string) report {
	t.Helper()
	r, err := try(t.Context(), s, payload)
	if err != nil {
		t.Fatalf("invoke %s: %v", payload, err)
	}
	return r
}

// document is AWS's error document.
type document struct {
	Type    string `json:"errorType"`
	Message string `json:"errorMessage"`
}

// fails invokes f, which must fail, and returns the error document.
func fails(t *testing.T, s *Service, payload string) (document, string) {
	t.Helper()
	result, err := s.Invoke(t.Context(), "f", []byte(payload))
	if err != nil {
		t.Fatalf("invoke %s: %v", payload, err)
	}
	if result.FunctionError != "Unhandled" {
		t.Errorf("invoke %s: function error %q, want Unhandled", payload, result.FunctionError)
	}
	var d document
	if err := json.Unmarshal(result.Payload, &d); err != nil {
		t.Fatalf("error document %s: %v", result.Payload, err)
	}
	return d, result.RequestID
}

// eventually polls until the condition holds.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s", what)
		}
	}
}

// alive reports whether a process runs; one that has exited and waits to be reaped does not.
func alive(pid int) bool {
	if err := syscall.Kill(pid, 0); err != nil {
		return false
	}
	if runtime.GOOS != "linux" {
		return true
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, after, _ := bytes.Cut(stat, []byte(") "))
	return err == nil && !bytes.HasPrefix(after, []byte("Z"))
}

// buffer collects what the functions print.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// held returns a payload on which the function waits, and what ends the wait.
func held(t *testing.T) (payload string, release func()) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "held")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	payload = fmt.Sprintf(`{"do":"wait","file":%q}`, file)
	return payload, func() { _ = os.Remove(file) }
}

func hasPrefix(list []string, prefix string) bool {
	for _, s := range list {
		if strings.HasPrefix(s, prefix) {
			return true
		}
	}
	return false
}

package lambda

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestInvoke(t *testing.T) {
	t.Setenv("LAMBDA_TEST_SECRET", "must not leak")
	s := service(t, Function{
		Env:     map[string]string{"TABLE": "t1", "TZ": "Europe/Rome"},
		Timeout: 20 * time.Second,
	}, Config{})
	began := time.Now()
	first, second := ask(t, s, `{"do":"echo","text":"one"}`), ask(t, s, `{"do":"echo","text":"two"}`)

	if first.Text != "one" || second.Text != "two" {
		t.Errorf("answers %q, %q", first.Text, second.Text)
	}
	if first.PID != second.PID {
		t.Errorf("a second invocation ran in process %d, want the first one's, %d", second.PID, first.PID)
	}
	if first.RequestID == second.RequestID {
		t.Errorf("two invocations share the request id %s", first.RequestID)
	}
	if want := "arn:aws:lambda:us-east-1:000000000000:function:f"; first.ARN != want {
		t.Errorf("arn %q, want %q", first.ARN, want)
	}
	if !strings.HasPrefix(first.Trace, "Root=1-") {
		t.Errorf("trace id %q", first.Trace)
	}
	if got := first.Deadline.Sub(began); got < 19*time.Second || got > 25*time.Second {
		t.Errorf("deadline %v after the call, want about 20s", got)
	}
	for _, want := range []string{
		"AWS_LAMBDA_FUNCTION_NAME=f", "AWS_LAMBDA_FUNCTION_VERSION=$LATEST", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE=512",
		"LAMBDA_TASK_ROOT=" + filepath.Dir(bootstrap), "_HANDLER=bootstrap", "TZ=:UTC", "TABLE=t1", "AWS_REGION=us-east-1",
	} {
		if !slices.Contains(first.Env, want) {
			t.Errorf("environment lacks %s", want)
		}
	}
	if hasPrefix(first.Env, "LAMBDA_TEST_SECRET=") {
		t.Error("the parent's environment leaks into the function")
	}
}

func TestFunctionErrors(t *testing.T) {
	tests := []struct {
		name, payload, kind, text string
		respawned                 bool
	}{
		{"an error", `{"do":"error","text":"no such thing"}`, "errorString", "no such thing", false},
		{"a panic", `{"do":"panic","text":"oh"}`, "string", "oh", true},
		{"exit 7", `{"do":"exit","size":7}`, "Runtime.ExitError",
			"RequestId: %s Error: Runtime exited with error: exit status 7", true},
		{"exit 0", `{"do":"exit"}`, "Runtime.ExitError", "RequestId: %s Error: Runtime exited without providing a reason",
			true},
		{"a timeout", `{"do":"sleep","sleep":"1h"}`, "Sandbox.Timedout",
			"RequestId: %s Error: Task timed out after 1.00 seconds", true},
		{"an oversized answer", fmt.Sprintf(`{"do":"size","size":%d}`, MaxResponse), "Function.ResponseSizeTooLarge",
			"Response payload size exceeded maximum allowed payload size (6291556 bytes).", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			timeout := time.Minute
			if tt.kind == "Sandbox.Timedout" {
				timeout = time.Second
			}
			s := service(t, Function{Timeout: timeout, MaxInstances: 1}, Config{})
			before := ask(t, s, `{"do":"echo"}`)
			got, id := fails(t, s, tt.payload)
			if got.Type != tt.kind {
				t.Errorf("error type %q, want %q", got.Type, tt.kind)
			}
			if want := strings.ReplaceAll(tt.text, "%s", id); got.Message != want {
				t.Errorf("error message %q, want %q", got.Message, want)
			}
			after := ask(t, s, `{"do":"echo"}`)
			if respawned := before.PID != after.PID; respawned != tt.respawned {
				t.Errorf("next invocation in a new process: %v, want %v", respawned, tt.respawned)
			}
		})
	}
}

func TestLargestResponse(t *testing.T) {
	s := service(t, Function{}, Config{})
	size := MaxResponse - 2 // and two quotes
	result, err := s.Invoke(t.Context(), "f", fmt.Appendf(nil, `{"do":"size","size":%d}`, size))
	if err != nil || result.FunctionError != "" {
		t.Fatalf("%v %q", err, result.FunctionError)
	}
	if got := len(result.Payload); got != MaxResponse {
		t.Errorf("%d bytes, want %d", got, MaxResponse)
	}
}

func TestInitFailures(t *testing.T) {
	notExecutable := filepath.Join(t.TempDir(), "bootstrap")
	if err := os.WriteFile(notExecutable, []byte("not a program"), 0o700); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, init, path, kind, text string
	}{
		{"exits", "exit", "", "Runtime.ExitError", "Runtime exited with error: exit status 3"},
		{"never asks for work", "hang", "", "Sandbox.Timedout", "Init did not finish within 0.40 seconds"},
		{"reports an error", "error", "", "Function.Config", "no table"},
		{"is no program", "", notExecutable, "Runtime.InvalidEntrypoint", "exec format error"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := Function{Path: tt.path, Env: map[string]string{"INIT": tt.init}}
			s := service(t, f, Config{InitTimeout: 400 * time.Millisecond})
			for range 2 { // a failed start is tried again
				got, _ := fails(t, s, `{}`)
				if got.Type != tt.kind || !strings.Contains(got.Message, tt.text) {
					t.Errorf("got %+v, want %s: %s", got, tt.kind, tt.text)
				}
			}
			if err := s.Warm(t.Context()); err == nil || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("warm: %v, want %s", err, tt.text)
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	s := service(t, Function{MaxInstances: 1}, Config{Queue: 1})
	if _, err := s.Invoke(t.Context(), "g", nil); !errors.Is(err, ErrUnknownFunction) {
		t.Errorf("unknown function: %v", err)
	}
	if _, err := s.Invoke(t.Context(), "f", make([]byte, MaxRequest+1)); !errors.Is(err, ErrPayloadTooLarge) {
		t.Errorf("large payload: %v", err)
	}
	payload, release := held(t)
	defer release()
	if err := s.Warm(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 2 { // one runs, one waits
		if _, err := s.submit("f", []byte(payload)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Invoke(t.Context(), "f", []byte(`{}`)); !errors.Is(err, ErrThrottled) {
		t.Errorf("queue full: %v", err)
	}
	release()
	eventually(t, "room in the queue", func() bool {
		_, err := s.Invoke(t.Context(), "f", []byte(`{"do":"echo"}`))
		return err == nil
	})
}

func TestCallerGoesAway(t *testing.T) {
	s := service(t, Function{MaxInstances: 1}, Config{})
	running, release := held(t)
	ctx, cancel := context.WithCancel(t.Context())
	errs := make(chan error, 2)
	for _, payload := range []string{running, `{"do":"exit"}`} {
		go func() {
			_, err := s.Invoke(ctx, "f", []byte(payload))
			errs <- err
		}()
		eventually(t, "the invocation to be queued", func() bool { return s.pools["f"].busyOrQueued(payload) })
	}
	eventually(t, "the first invocation to run", func() bool { return s.pools["f"].running() == 1 })
	pid := s.Processes()["f"][0]
	cancel()
	for range 2 {
		if err := <-errs; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want the context's error", err)
		}
	}
	release()
	// The one that ran was left to finish; the one that waited never ran, or the process would be gone.
	if got := ask(t, s, `{"do":"echo"}`).PID; got != pid {
		t.Errorf("process %d, want %d", got, pid)
	}
}

// running returns how many processes have fetched an invocation and not answered it.
func (p *pool) running() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, in := range p.instances {
		if in.state == busy && in.job.taken {
			n++
		}
	}
	return n
}

func (p *pool) busyOrQueued(payload string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.ContainsFunc(p.queue, func(j *job) bool { return string(j.payload) == payload }) ||
		slices.ContainsFunc(p.instances,
			func(in *instance) bool { return in.job != nil && string(in.job.payload) == payload })
}

func TestOutput(t *testing.T) {
	var out buffer
	s := service(t, Function{}, Config{Stdout: &out})
	if _, err := s.Invoke(t.Context(), "f",
		[]byte(`{"do":"print","text":"{\"msg\":\"pki.rotate\"}\nsecond\nno end"}`)); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	want := "f | {\"msg\":\"pki.rotate\"}\nf | second\nf | no end\n"
	if got := out.String(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestConfigIsChecked(t *testing.T) {
	tests := map[string][]Function{
		"no name":    {{Path: bootstrap}},
		"no file":    {{Name: "f", Path: filepath.Join(t.TempDir(), "none")}},
		"a folder":   {{Name: "f", Path: t.TempDir()}},
		"duplicates": {{Name: "f", Path: bootstrap}, {Name: "f", Path: bootstrap}},
	}
	for name, functions := range tests {
		t.Run(name, func(t *testing.T) {
			if s, err := New(Config{Functions: functions}); err == nil {
				_ = s.Close()
				t.Error("no error")
			}
		})
	}
}

package lambda

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestInstancesRunAtOnce(t *testing.T) {
	const n = 4
	s := service(t, Function{MaxInstances: n}, Config{IdleAfter: 200 * time.Millisecond})
	payload, release := held(t)
	defer release()
	pids := make(chan int, 2*n)
	var wg sync.WaitGroup
	for range 2 * n { // half of them have to wait
		wg.Go(func() {
			r, err := try(t.Context(), s, payload)
			if err != nil {
				t.Error(err)
			}
			pids <- r.PID
		})
	}
	eventually(t, "all instances to run", func() bool { return s.pools["f"].running() == n })
	release()
	wg.Wait()
	close(pids)
	distinct := map[int]bool{}
	for pid := range pids {
		distinct[pid] = true
	}
	if len(distinct) != n {
		t.Errorf("%d processes served, want %d", len(distinct), n)
	}
	eventually(t, "idle instances to be reaped", func() bool { return len(s.Processes()["f"]) == 1 })
	survivor := s.Processes()["f"][0]
	if got := ask(t, s, `{"do":"echo"}`).PID; got != survivor {
		t.Errorf("served by %d, want the instance that was kept, %d", got, survivor)
	}
}

func TestOneCallerNeedsOneInstance(t *testing.T) {
	s := service(t, Function{MaxInstances: 8}, Config{})
	pid := ask(t, s, `{"do":"echo"}`).PID
	for range 300 {
		if got := ask(t, s, `{"do":"echo"}`).PID; got != pid {
			t.Fatalf("one invocation after the other, yet a second process: %d and %d", pid, got)
		}
	}
	if got := s.Processes()["f"]; !slices.Equal(got, []int{pid}) {
		t.Errorf("processes %v, want %d alone", got, pid)
	}
}

func TestManyInvocations(t *testing.T) {
	s := service(t, Function{MaxInstances: 3}, Config{})
	var wg sync.WaitGroup
	for c := range 12 {
		wg.Go(func() {
			for i := range 40 {
				want := fmt.Sprintf("%d/%d", c, i)
				r, err := try(t.Context(), s, fmt.Sprintf(`{"do":"echo","text":%q}`, want))
				if err != nil || r.Text != want {
					t.Errorf("got the answer %q to %q: %v", r.Text, want, err)
				}
			}
		})
	}
	wg.Wait()
}

func TestKill(t *testing.T) {
	s := service(t, Function{}, Config{})
	payload, release := held(t)
	defer release()
	failed := make(chan error, 1)
	go func() {
		_, err := try(t.Context(), s, payload)
		failed <- err
	}()
	eventually(t, "the invocation to run", func() bool { return s.pools["f"].running() == 1 })
	pid := s.Processes()["f"][0]
	if got := s.Kill("f"); got != 1 {
		t.Errorf("killed %d instances, want 1", got)
	}
	if alive(pid) {
		t.Errorf("process %d is alive", pid)
	}
	got := fmt.Sprint(<-failed)
	if !strings.Contains(got, "Runtime.ExitError") || !strings.Contains(got, "signal: killed") {
		t.Errorf("got %s", got)
	}
	if got := ask(t, s, `{"do":"echo"}`).PID; got == pid {
		t.Error("the killed process answers")
	}
	if got := s.Kill("unknown"); got != 0 {
		t.Errorf("killed %d instances of an unknown function", got)
	}
}

// TestKillUnderLoad looks for an invocation that is never answered, whenever a process dies.
func TestKillUnderLoad(t *testing.T) {
	s := service(t, Function{MaxInstances: 2}, Config{})
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for ctx.Err() == nil {
				if _, err := s.Invoke(t.Context(), "f", []byte(`{"do":"echo"}`)); err != nil {
					t.Errorf("invoke: %v", err)
				}
			}
		})
	}
	for killed := 0; killed < 20; {
		killed += s.Kill("f")
	}
	cancel()
	wg.Wait()
}

func TestCloseLeavesNothing(t *testing.T) {
	tests := map[string]struct {
		init  string
		grace time.Duration
	}{
		"that obey":              {"", time.Minute},
		"that ignore SIGTERM":    {"stubborn", 50 * time.Millisecond},
		"that have not begun":    {"hang", time.Minute},
		"killed without a grace": {"", time.Nanosecond},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := service(t, Function{Env: map[string]string{"INIT": tt.init}, MaxInstances: 2}, Config{Grace: tt.grace})
			payload, release := held(t)
			defer release()
			errs := make(chan error, 3)
			for range 3 {
				go func() {
					result, err := s.Invoke(t.Context(), "f", []byte(payload))
					if err == nil && result.FunctionError == "" {
						err = errors.New("the function answered")
					}
					errs <- err
				}()
			}
			eventually(t, "two processes", func() bool { return len(s.Processes()["f"]) == 2 })
			pids := s.Processes()["f"]
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			for _, pid := range pids {
				if alive(pid) {
					t.Errorf("process %d is alive", pid)
				}
			}
			for range 3 {
				if err := <-errs; err != nil && !errors.Is(err, ErrClosed) {
					t.Errorf("invocation under way: %v", err)
				}
			}
			if _, err := s.Invoke(t.Context(), "f", nil); !errors.Is(err, ErrClosed) {
				t.Errorf("invoke after close: %v, want %v", err, ErrClosed)
			}
			if err := s.Warm(t.Context()); !errors.Is(err, ErrClosed) {
				t.Errorf("warm after close: %v, want %v", err, ErrClosed)
			}
		})
	}
}

func TestWarm(t *testing.T) {
	warmed := map[string]time.Duration{}
	s := service(t, Function{}, Config{
		Functions: []Function{{Name: "g", Path: bootstrap}},
		Warmed:    func(name string, took time.Duration) { warmed[name] = took },
	})
	for range 2 { // warm functions stay as they are
		if err := s.Warm(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if warmed["f"] <= 0 || warmed["g"] <= 0 {
		t.Errorf("progress %v, want f and g", warmed)
	}
	processes := s.Processes()
	if len(processes["f"]) != 1 || len(processes["g"]) != 1 {
		t.Errorf("processes %v, want one of each", processes)
	}
	if got := ask(t, s, `{"do":"echo"}`).PID; got != processes["f"][0] {
		t.Errorf("served by %d, want the warm process %d", got, processes["f"][0])
	}
}

func TestWarmIsCancelled(t *testing.T) {
	s := service(t, Function{Env: map[string]string{"INIT": "hang"}}, Config{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Warm(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// TestProcessesDieWithTheirParent kills a process that runs the service.
func TestProcessesDieWithTheirParent(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux promises it")
	}
	parent := exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), "LAMBDA_TEST_PARENT="+bootstrap)
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	var pid int
	line, err := bufio.NewReader(out).ReadString('\n')
	if err == nil {
		_, err = fmt.Sscan(line, &pid)
	}
	if err != nil || !alive(pid) {
		t.Errorf("the parent says %q: %v", line, err)
	}
	if err := parent.Process.Kill(); err != nil {
		t.Error(err)
	}
	_ = parent.Wait() // it was killed
	if pid != 0 {
		eventually(t, "the function to die", func() bool { return !alive(pid) })
	}
}

// beParent runs one function that never ends, prints its process id, and waits to be killed.
func beParent() {
	s, err := New(Config{
		Functions: []Function{{
			Name:    "f",
			Path:    os.Getenv("LAMBDA_TEST_PARENT"),
			Env:     map[string]string{"INIT": "hang"},
			Timeout: time.Hour,
		}},
		InitTimeout: time.Hour,
	})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	go s.Warm(context.Background())
	// Threads that come and go must not matter.
	for range 50 {
		go runtime.LockOSThread()
	}
	for len(s.Processes()["f"]) == 0 {
		time.Sleep(time.Millisecond)
	}
	fmt.Println(s.Processes()["f"][0])
	select {}
}

package machine

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// A process is known by its number and its start, so that another one that got the number is left alone.
func TestPID(t *testing.T) {
	f := PIDFile(filepath.Join(t.TempDir(), "pid"))
	if got := f.PID(); got != 0 {
		t.Errorf("without a note: got %d, want 0", got)
	}
	self := os.Getpid()
	for text, want := range map[string]int{
		fmt.Sprintf("%d %s", self, Started(self)): self,
		fmt.Sprintf("%d 1", self):                 0,
		fmt.Sprintf("%d 1", 1<<30):                0,
		"":                                        0,
		"garbage":                                 0,
	} {
		if err := os.WriteFile(string(f), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := f.PID(); got != want {
			t.Errorf("note %q: got %d, want %d", text, got, want)
		}
	}
}

func TestStop(t *testing.T) {
	for name, script := range map[string]string{"ends when asked": "sleep 60",
		"has to be killed": "trap '' TERM; echo; while :; do sleep 1; done"} {
		t.Run(name, func(t *testing.T) {
			cmd := exec.Command("sh", "-c", "echo; "+script)
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
			if _, err := out.Read(make([]byte, 1)); err != nil { // it runs
				t.Fatal(err)
			}
			f := PIDFile(filepath.Join(t.TempDir(), "pid"))
			if err := f.Write(cmd.Process.Pid); err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- cmd.Wait() }()
			if !f.Stop(200 * time.Millisecond) {
				t.Error("Stop found nothing")
			}
			if err := <-ended; err == nil {
				t.Error("the process ended without a signal")
			}
			if f.Stop(time.Millisecond) {
				t.Error("Stop found it twice")
			}
			if _, err := os.Stat(string(f)); err == nil {
				t.Error("the note is still there")
			}
		})
	}
}

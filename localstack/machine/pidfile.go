package machine

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// PIDFile is the path of a note of one process that outlives the command that started it: its number, and when it
// started, because numbers are used again. A later command can then stop exactly this process.
type PIDFile string

// Write notes a process that runs.
func (f PIDFile) Write(pid int) error {
	return os.WriteFile(string(f), fmt.Appendf(nil, "%d %s", pid, Started(pid)), 0o600)
}

// PID is the noted process, 0 if it runs no more.
func (f PIDFile) PID() int {
	note, err := os.ReadFile(string(f))
	if err != nil {
		return 0
	}
	var pid int
	var started string
	if _, err := fmt.Sscan(string(note), &pid, &started); err != nil || Started(pid) != started {
		return 0
	}
	return pid
}

// Stop asks the noted process to end, kills it if it does not within grace, and removes the note. It reports whether
// there was one.
func (f PIDFile) Stop(grace time.Duration) bool {
	defer os.Remove(string(f))
	pid := f.PID()
	if pid == 0 {
		return false
	}
	_ = syscall.Kill(pid, syscall.SIGTERM)
	for deadline := time.Now().Add(grace); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if f.PID() == 0 {
			return true
		}
	}
	_ = syscall.Kill(pid, syscall.SIGKILL)
	return true
}

// Started returns when a live process started, as a text without spaces; "" for a process that has ended.
func Started(pid int) string {
	if runtime.GOOS != "linux" {
		out, _ := exec.Command("ps", "-o", "lstart=", "-p", strconv.Itoa(pid)).Output()
		return strings.Join(strings.Fields(string(out)), "_")
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	// The second field is the program's name in parentheses, which may itself hold spaces and parentheses (proc(5)).
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	const state, startedAt = 0, 19 // fields 3 and 22
	if len(fields) <= startedAt || fields[state] == "Z" {
		return ""
	}
	return fields[startedAt]
}

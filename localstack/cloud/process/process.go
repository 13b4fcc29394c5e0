package process

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/mastio-aws/mastio/localstack/machine"
)

// PID is LocalStack's process, 0 if it does not run.
func (l *LocalStack) PID() int { return l.note().PID() }

func (l *LocalStack) note() machine.PIDFile { return machine.PIDFile(l.path("pid")) }

// members finds every process that came from this folder's LocalStack, also those whose parent is gone: all of them
// inherit its TMPDIR, which is the folder's own.
func (l *LocalStack) members() []int {
	mark := []byte("TMPDIR=" + l.path("tmp"))
	entries, _ := filepath.Glob("/proc/[0-9]*/environ")
	var found []int
	for _, entry := range entries {
		environ, err := os.ReadFile(entry)
		if err != nil || !contains(environ, mark) {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(entry))); err == nil {
			found = append(found, pid)
		}
	}
	return found
}

func contains(environ, variable []byte) bool {
	for v := range bytes.SplitSeq(environ, []byte{0}) {
		if bytes.Equal(v, variable) {
			return true
		}
	}
	return false
}

// Status describes a running LocalStack; "" if it does not run.
func (l *LocalStack) Status() string {
	pid := l.PID()
	if pid == 0 {
		return ""
	}
	members, kB := l.members(), 0
	for _, m := range members {
		kB += resident(m)
	}
	return fmt.Sprintf("process %d, %d processes in all, %d MB resident, log %s", pid, len(members), kB/1024, l.LogPath())
}

func resident(pid int) (kB int) {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	_, rest, found := strings.Cut(string(status), "VmRSS:")
	if !found {
		return 0
	}
	_, _ = fmt.Sscan(rest, &kB)
	return kB
}

// tail returns the end of a file.
func tail(path string) []byte {
	const most = 4000
	text, _ := os.ReadFile(path)
	return text[max(0, len(text)-most):]
}

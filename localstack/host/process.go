package host

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// PID is LocalStack's process, 0 if it does not run.
func (h *Host) PID() int {
	note, err := os.ReadFile(h.path("pid"))
	if err != nil {
		return 0
	}
	var pid int
	var started string
	if _, err := fmt.Sscan(string(note), &pid, &started); err != nil || startTime(pid) != started {
		return 0
	}
	return pid
}

// startTime tells when a live process started, in the kernel's ticks: with the number it names a process for good,
// since numbers are used again. It is empty for a process that has ended.
func startTime(pid int) string {
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

// members finds every process that came from this folder's LocalStack, also those whose parent is gone: all of them
// inherit its TMPDIR, which is the folder's own.
func (h *Host) members() []int {
	mark := []byte("TMPDIR=" + h.path("tmp"))
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
func (h *Host) Status() string {
	pid := h.PID()
	if pid == 0 {
		return ""
	}
	members, kB := h.members(), 0
	for _, m := range members {
		kB += resident(m)
	}
	return fmt.Sprintf("process %d, %d processes in all, %d MB resident, log %s", pid, len(members), kB/1024, h.LogPath())
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

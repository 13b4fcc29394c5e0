package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// stat is what /proc/PID/stat says about a process, as far as a measurement needs it.
type stat struct {
	parent int
	own    time.Duration // in the program and in the kernel for it
	ended  time.Duration // the same of its children that have ended
}

// statOf reads a process; an error if it is gone, or where there is no /proc.
func statOf(pid int) (stat, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return stat{}, err
	}
	return parseStat(text)
}

// cpuTree returns the CPU time of a process and of all processes below it, by kind: the folder's name for a function,
// "DynamoDB Local" for the JVM. Ended processes have a kind of their own, so the sum of all kinds never falls.
func cpuTree(root int) (map[string]time.Duration, error) {
	list, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, err
	}
	all := map[int]stat{}
	for _, folder := range list {
		pid, err := strconv.Atoi(filepath.Base(folder))
		if err != nil {
			continue
		}
		if s, err := statOf(pid); err == nil { // else it has ended since
			all[pid] = s
		}
	}
	if _, there := all[root]; !there {
		return nil, fmt.Errorf("process %d: %w", root, fs.ErrNotExist)
	}
	used := map[string]time.Duration{}
	for pid, s := range all {
		if below(all, pid, root) {
			used[kindOf(pid, root)] += s.own
			used[endedKind] += s.ended
		}
	}
	return used, nil
}

// below reports whether a process is root or has it among its ancestors.
func below(all map[int]stat, pid, root int) bool {
	for range len(all) { // ids may be reused between two reads: no circle holds this up
		if pid == root {
			return true
		}
		s, there := all[pid]
		if !there {
			return false
		}
		pid = s.parent
	}
	return false
}

const (
	rootKind  = "gateway and KMS, S3, secrets (one process)"
	endedKind = "processes that have ended"
)

// since takes one reading from another. A kind whose processes have ended meanwhile is left with what they had used
// before, which is in the kind of the ended as well: that one gives it back.
func since(before, after map[string]time.Duration) map[string]time.Duration {
	used := map[string]time.Duration{}
	for kind, d := range after {
		used[kind] = d - before[kind]
	}
	for kind, d := range before {
		if _, there := after[kind]; !there {
			used[kind] = -d
		}
	}
	for kind, d := range used {
		if d < 0 {
			used[endedKind] += d
			used[kind] = 0
		}
	}
	return used
}

func kindOf(pid, root int) string {
	if pid == root {
		return rootKind
	}
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	command, _, found := bytes.Cut(line, []byte{0})
	switch {
	case err != nil && !errors.Is(err, fs.ErrNotExist), !found:
		return "ending"
	case filepath.Base(string(command)) == "java":
		return "DynamoDB Local"
	case filepath.Base(string(command)) == "bootstrap":
		return filepath.Base(filepath.Dir(string(command)))
	}
	return filepath.Base(string(command))
}

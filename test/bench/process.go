package main

import (
	"bytes"
	"fmt"
	"strconv"
	"syscall"
	"time"
)

// ownCPU is the processor time that this process has used, in the program and in the kernel for it.
func ownCPU() time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		return 0
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// tick is the unit of /proc/PID/stat: USER_HZ, which is 100 on every architecture that Go runs on.
const tick = 10 * time.Millisecond

// cpuOf is the same of another process; an error if it is gone, or where there is no /proc.
func cpuOf(pid int) (time.Duration, error) {
	s, err := statOf(pid)
	return s.own, err
}

// parseStat reads fields of proc(5)'s stat: ppid is the fourth, utime, stime, cutime and cstime are the 14th to the
// 17th. The second field is the program's name in parentheses and may hold anything; what follows the last of them is
// numbers.
func parseStat(text []byte) (stat, error) {
	const ppid, utime, cstime = 4 - 3, 14 - 3, 17 - 3 // counted from the field after the name
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	if len(fields) <= cstime {
		return stat{}, fmt.Errorf("stat has %d fields behind the name", len(fields))
	}
	parent, err := strconv.Atoi(string(fields[ppid]))
	if err != nil {
		return stat{}, fmt.Errorf("stat: %w", err)
	}
	var ticks [4]time.Duration
	for n := range ticks {
		v, err := strconv.ParseInt(string(fields[utime+n]), 10, 64)
		if err != nil {
			return stat{}, fmt.Errorf("stat: %w", err)
		}
		ticks[n] = time.Duration(v) * tick
	}
	return stat{parent: parent, own: ticks[0] + ticks[1], ended: ticks[2] + ticks[3]}, nil
}

package main

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"
)

// machine is what a run was measured on. Figures of a machine with other work to do mean little: hence the load.
type machine struct {
	At         time.Time `json:"at"`
	System     string    `json:"system"`
	CPU        string    `json:"cpu"`
	Cores      int       `json:"cores"`
	Go         string    `json:"go"`
	LoadBefore string    `json:"load_before"` // averages of 1, 5 and 15 minutes; empty where they cannot be read
	LoadAfter  string    `json:"load_after"`
}

func thisMachine() machine {
	return machine{
		At:         time.Now().UTC().Truncate(time.Second),
		System:     runtime.GOOS + "/" + runtime.GOARCH,
		CPU:        processor(),
		Cores:      runtime.NumCPU(),
		Go:         runtime.Version(),
		LoadBefore: loadAverage(),
	}
}

// String is the line above the table.
func (m machine) String() string {
	return fmt.Sprintf("%s  %s  %s  %d cores  %s  load before: %s  after: %s",
		m.At.Format(time.RFC3339), m.System, m.CPU, m.Cores, m.Go, m.LoadBefore, m.LoadAfter)
}

func loadAverage() string {
	text, err := os.ReadFile("/proc/loadavg")
	if fields := strings.Fields(string(text)); err == nil && len(fields) >= 3 {
		return strings.Join(fields[:3], " ")
	}
	return ""
}

func processor() string {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if name, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

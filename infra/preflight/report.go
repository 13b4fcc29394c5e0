package main

import (
	"fmt"
	"io"
)

// level is what a finding means for a deployment.
type level string

const (
	fits   level = "ok"
	warns  level = "WARN" // it deploys, and something else may suffer
	fails  level = "FAIL" // the deployment would fail
	hidden level = "?"    // these credentials may not look
)

// finding is the result of one check.
type finding struct {
	level  level
	check  string
	detail string
	mend   string // a command, or what to do; empty where nothing is to be done
}

func ok(check, format string, a ...any) finding {
	return finding{level: fits, check: check, detail: fmt.Sprintf(format, a...)}
}

func bad(check, mend, format string, a ...any) finding {
	return finding{level: fails, check: check, detail: fmt.Sprintf(format, a...), mend: mend}
}

func unseen(check string, err error) finding {
	return finding{level: hidden, check: check, detail: fmt.Sprintf("not looked at: %v", err)}
}

// report prints the findings and returns the exit status.
func report(out io.Writer, a assembly, all []finding, dir string) int {
	fmt.Fprintf(out, "Before a deployment of %s, %s (templates in %s):\n\n", a.stacks[0].name,
		a.stacks[len(a.stacks)-1].name, dir)
	count := map[level]int{}
	for _, f := range all {
		count[f.level]++
		fmt.Fprintf(out, "%-5s %-14s %s\n", f.level, f.check, f.detail)
		if f.mend != "" {
			fmt.Fprintf(out, "%-20s → %s\n", "", f.mend)
		}
	}
	fmt.Fprintf(out, "\n%d fine, %d to know, %d would fail, %d not looked at\n", count[fits], count[warns], count[fails],
		count[hidden])
	if count[fails] > 0 {
		return exitWrong
	}
	return exitReady
}

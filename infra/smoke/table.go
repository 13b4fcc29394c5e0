package main

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// step is one thing that is tried.
type step struct {
	name string
	look string // where to look if it fails
	do   func(context.Context) (detail string, err error)
}

// errSkip is a step that this installation, or these credentials, cannot take.
var errSkip = errors.New("skipped")

func skip(format string, a ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{errSkip}, a...)...)
}

// table prints a line for each step.
type table struct {
	out                     io.Writer
	passed, failed, skipped int
}

func (t *table) take(ctx context.Context, s step) {
	detail, err := s.do(ctx)
	switch {
	case errors.Is(err, errSkip):
		t.skipped++
		fmt.Fprintf(t.out, "skip  %-34s %v\n", s.name, err)
	case err != nil:
		t.failed++
		fmt.Fprintf(t.out, "FAIL  %-34s %v\n", s.name, err)
		if s.look != "" {
			fmt.Fprintf(t.out, "%-40s → %s\n", "", s.look)
		}
	default:
		t.passed++
		fmt.Fprintf(t.out, "ok    %-34s %s\n", s.name, detail)
	}
}

func (t *table) end() int {
	fmt.Fprintf(t.out, "\n%d passed, %d failed, %d skipped\n", t.passed, t.failed, t.skipped)
	if t.failed > 0 {
		return exitWrong
	}
	return exitWorks
}

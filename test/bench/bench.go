package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/mastio-aws/mastio/localstack/stack"
)

// bench is one run. The first section that needs a shared part makes it. One goroutine uses it.
type bench struct {
	options
	report report
	table  string // of prices; empty: not asked for

	progress io.Writer
	began    time.Time
	folder   string // the module's
	system   *stack.Stack
	crypto   *cryptoFloors
	database *bare
	loaded   map[int]string // prefixes of the tables, by the size of the fleet in them
	closers  []func() error
}

func newBench(o options, progress io.Writer) *bench {
	return &bench{options: o, progress: progress, began: time.Now(), report: report{Machine: thisMachine()}}
}

// say prints the present step, with the time since the start.
func (b *bench) say(format string, args ...any) {
	fmt.Fprintf(b.progress, "%6.1fs  %s\n", time.Since(b.began).Seconds(), fmt.Sprintf(format, args...))
}

func (b *bench) length() time.Duration { return time.Duration(b.seconds) * time.Second }

func (b *bench) close() error {
	var errs []error
	for _, c := range b.closers {
		errs = append(errs, c())
	}
	return errors.Join(errs...)
}

// root finds the module's folder, wherever in it the command was started.
func (b *bench) root(ctx context.Context) (string, error) {
	if b.folder == "" {
		out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}").Output()
		if err != nil {
			return "", fmt.Errorf("find the module: %w", err)
		}
		b.folder = strings.TrimSpace(string(out))
	}
	return b.folder, nil
}

// functions builds the functions for this machine and returns their folder.
func (b *bench) functions(ctx context.Context) (string, error) {
	root, err := b.root(ctx)
	if err != nil {
		return "", err
	}
	dir := filepath.Join(root, "build", "local")
	b.say("building the functions")
	return dir, stack.Build(ctx, root, dir)
}

// stack starts the whole system, once. Its state is in memory.
func (b *bench) stack(ctx context.Context) (*stack.Stack, error) {
	if b.system != nil {
		return b.system, nil
	}
	functions, err := b.functions(ctx)
	if err != nil {
		return nil, err
	}
	s, err := stack.Start(ctx, stack.Config{
		Cache:     filepath.Join(b.folder, "build", "localstack"),
		Functions: functions,
		Addr:      "127.0.0.1:0",
		Progress:  func(step string) { b.say("%s", step) },
	})
	if err != nil {
		return nil, fmt.Errorf("start the stack: %w", err)
	}
	b.system = s
	b.closers = append(b.closers, s.Close)
	return s, nil
}

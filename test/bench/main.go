// Command bench measures the Mastio: CPU per request, rates, latencies and start-up. It compares each with the floor
// that the machine or the database sets in the same run.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Exit statuses. Slowness is not among them: a benchmark that fails on a busy machine is soon ignored.
const (
	exitDone   = 0
	exitFailed = 1 // something answered with an error, or could not be started
	exitUsage  = 2
)

const usage = `Usage: go run ./test/bench [flags]

Measures everything in one run of a few minutes, on this machine's loopback interface only.
Progress goes to stderr, the table to stdout.

  --only LIST     comma-separated: handler, fleet, rotate-ca, progress, price, gateway, cold-start (default: all)
  --seconds N     length of each measured load, 1 to 60 (default 5)
  --against REV   instead: the local stack of this tree and of a git revision, 8 clients, in turns; see test/README.md
  --rounds N      with --against: how many slices of each, 1 to 100 (default 7)
  --warm-up N     with --against: load on each before the first slice, 1 to 600 seconds (default 60)
  --json FILE     write the figures to FILE as well
  --help          this text

Exit status: 0 measured, 1 something answered with an error, 2 usage.
`

// longest bounds a whole run, whatever hangs.
const longest = 40 * time.Minute

func main() { os.Exit(Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// options is the command line.
type options struct {
	only    []string
	seconds int
	json    string
	against string // a revision; empty: the sections
	rounds  int
	warmUp  int // seconds
}

// section is one part of a run.
type section struct {
	name string
	run  func(*bench, context.Context) error
}

func sections() []section {
	return []section{
		{"handler", (*bench).handlers}, {"fleet", (*bench).fleet}, {"rotate-ca", (*bench).rotateCA},
		{"progress", (*bench).countFleet}, {"price", (*bench).price},
		{"gateway", (*bench).gateway}, {"cold-start", (*bench).coldStart},
	}
}

// Main runs the command and returns its exit status.
func Main(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	if slices.Equal(args, []string{clientMode}) {
		return exitOf(client(ctx, stdin, stdout), stderr)
	}
	o, err := parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(stdout, usage)
		return exitDone
	}
	if err != nil {
		fmt.Fprintf(stderr, "%v\n\n%s", err, usage)
		return exitUsage
	}
	return exitOf(do(ctx, o, stdout, stderr), stderr)
}

func exitOf(err error, stderr io.Writer) int {
	if err != nil {
		fmt.Fprintf(stderr, "error: %v\n", err)
		return exitFailed
	}
	return exitDone
}

func parse(args []string) (options, error) {
	var o options
	var only string
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&only, "only", "", "")
	flags.IntVar(&o.seconds, "seconds", 5, "")
	flags.StringVar(&o.json, "json", "", "")
	flags.StringVar(&o.against, "against", "", "")
	flags.IntVar(&o.rounds, "rounds", 7, "")
	flags.IntVar(&o.warmUp, "warm-up", 60, "")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if o.seconds < 1 || o.seconds > 60 {
		return o, fmt.Errorf("--seconds is not between 1 and 60: %d", o.seconds)
	}
	if o.rounds < 1 || o.rounds > 100 {
		return o, fmt.Errorf("--rounds is not between 1 and 100: %d", o.rounds)
	}
	if o.warmUp < 1 || o.warmUp > 600 {
		return o, fmt.Errorf("--warm-up is not between 1 and 600: %d", o.warmUp)
	}
	for name := range strings.SplitSeq(only, ",") {
		if name == "" {
			continue
		}
		if !slices.ContainsFunc(sections(), func(s section) bool { return s.name == name }) {
			return o, fmt.Errorf("--only does not know %q", name)
		}
		o.only = append(o.only, name)
	}
	return o, nil
}

// do runs the measurements of the options. It also reports those that were made before an error.
func do(ctx context.Context, o options, stdout, stderr io.Writer) (err error) {
	b := newBench(o, stderr)
	defer func() { err = errors.Join(err, b.close()) }()
	if o.against != "" {
		return b.compare(ctx, stdout)
	}
	var failed error
	for _, s := range sections() {
		if len(o.only) > 0 && !slices.Contains(o.only, s.name) {
			continue
		}
		if failed = s.run(b, ctx); failed != nil {
			failed = fmt.Errorf("%s: %w", s.name, failed)
			break
		}
	}
	b.report.Machine.LoadAfter = loadAverage()
	b.report.print(stdout)
	fmt.Fprint(stdout, b.table)
	if o.json != "" {
		failed = errors.Join(failed, b.report.write(o.json))
	}
	return failed
}

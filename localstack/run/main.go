// Command run builds the functions and runs the whole Mastio on this machine until a signal stops it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"strconv"
	"syscall"
	"time"
)

// Exit statuses.
const (
	exitStopped = 0 // it ran, and a signal stopped it
	exitFailed  = 1
	exitUsage   = 2
)

const usage = `Usage: go run ./localstack/run [flags]

Builds the functions and runs the whole Mastio on https://localhost:PORT until Ctrl-C or SIGTERM.
Writes the admin secret to proxy.env in the current folder, and reads the settings in that file at the start.

  --data DIR          keep all state in DIR; without it, the state is lost at the end
  --port N            port of the gateway (default 9443)
  --org ID            id of the organisation (default orga)
  --trust-domain NAME SPIFFE trust domain (default ID.local)
  --demo N            enrol about N agents, and rotate the Org CA twice, before it is ready
  --setup             only check prerequisites and install what is needed
  --help              this text

Exit status: 0 stopped, 1 failed, 2 usage.
`

// garbage is how much may be thrown away before the heap is searched, in percent of what lives. The services keep
// little: at Go's 100 the heap would be searched after every few requests.
const garbage = 400

func main() {
	debug.SetGCPercent(garbage)
	os.Exit(Main(os.Args[1:], os.Stdout, os.Stderr))
}

// options is the command line.
type options struct {
	data, org, trustDomain string
	port, demo             int
	setup                  bool
}

// Main runs the command and returns its exit status.
func Main(args []string, stdout, stderr io.Writer) int {
	o, err := parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(stdout, usage)
		return exitStopped
	}
	if err != nil {
		fmt.Fprintf(stderr, "%v\n\n%s", err, usage)
		return exitUsage
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends it at once
	ctx, orphaned := withParent(ctx)
	defer orphaned()
	if err := do(ctx, o, stdout); err != nil {
		fmt.Fprintf(stderr, "error: %v\n", err)
		return exitFailed
	}
	return exitStopped
}

func parse(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("run", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&o.data, "data", "", "")
	flags.StringVar(&o.org, "org", "orga", "")
	flags.StringVar(&o.trustDomain, "trust-domain", "", "")
	flags.IntVar(&o.port, "port", 9443, "")
	flags.IntVar(&o.demo, "demo", 0, "")
	flags.BoolVar(&o.setup, "setup", false, "")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if o.port < 1 || o.port > 65535 {
		return o, errors.New("--port is not between 1 and 65535: " + strconv.Itoa(o.port))
	}
	if o.demo < 0 || o.demo > 5000 || o.demo > 0 && o.data != "" {
		return o, errors.New("--demo takes up to 5000 agents, and not together with --data: it fills an empty Mastio")
	}
	return o, nil
}

// progress prints each step with the time since the start, which shows the slow steps.
func progress(w io.Writer) func(string) {
	began := time.Now()
	return func(step string) { fmt.Fprintf(w, "%5.1fs  %s\n", time.Since(began).Seconds(), step) }
}

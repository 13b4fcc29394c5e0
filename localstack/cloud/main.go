// Command cloud brings the Mastio up on LocalStack: LocalStack itself, the CDK app deployed to it, and the gateway that
// terminates mutual TLS in front of it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/mastio-aws/mastio/localstack/cloud/process"
)

// Exit statuses.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
	exitNotUp  = 3 // status: LocalStack does not run
)

// defaultEdge is the gateway's port: not the local run's 9443, so that both can be up.
const defaultEdge = 9543

const usage = `Usage: cloud COMMAND [flags]

  up      start LocalStack on 127.0.0.1: in Docker if an engine answers, else as plain processes; install what is
          missing first; do nothing if LocalStack is up already
  deploy  deploy the CDK app to it (cdklocal bootstrap and deploy), make the first Org CA, run the start-up check, start
          the gateway on https://localhost:9543
  serve   the gateway, in the foreground
  test    deploy, and run the end-to-end suite, the guide, and the contract suites of KMS and store against the
          deployment; afterwards stop what this command has started
  logs    print the functions' output
  status  show what runs
  python  print which Python LocalStack would run on
  env     print settings for AWS clients: eval "$(… env)"
  down    stop the gateway, LocalStack and all that they started; LocalStack's state is gone

  --endpoint URL  a LocalStack that already runs (also LOCALSTACK_ENDPOINT); down leaves it running
  --mode MODE     docker or host; without it the command chooses (also LOCALSTACK_MODE)
  --port N        port of a LocalStack that up starts (default 4566; also LOCALSTACK_PORT)
  --edge N        port of the gateway (default 9543)
  --org ID        id of the organisation (default orga)
  --help          this text

Everything it writes is below build/ of the checkout. Exit status: 0 done, 1 failed, 2 usage, 3 status of one that is down.
`

var errUsage = errors.New("usage")

func main() { os.Exit(untilSignal()) }

func untilSignal() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends it at once
	return run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr)
}

// run runs one command and returns its exit status.
func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) int {
	o, err := parse(args, getenv)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(stdout, usage)
		return exitDone
	case err != nil:
		fmt.Fprintf(stderr, "%v\n\n%s", err, usage)
		return exitUsage
	}
	c, err := newCloud(ctx, o, stdout)
	if err == nil {
		err = commands[o.command](c, ctx)
	}
	switch {
	case errors.Is(err, errNotUp) && o.command == "status":
		return exitNotUp
	case errors.Is(err, process.ErrNoPython) && o.command == "test" && getenv("CI") == "":
		fmt.Fprintf(stderr, "skipped: %v\n", err)
		return exitDone
	case err != nil:
		fmt.Fprintf(stderr, "error: %v\n", err)
		return exitFailed
	}
	return exitDone
}

var commands = map[string]func(*cloud, context.Context) error{
	"up": (*cloud).up, "deploy": (*cloud).deploy, "serve": (*cloud).serve, "down": (*cloud).down,
	"status": (*cloud).status, "env": (*cloud).env, "logs": (*cloud).logs, "test": (*cloud).test,
	"python": (*cloud).python,
}

// options is the command line, and what the environment says where that is silent.
type options struct {
	command, endpoint, mode, org string
	port, edge                   int
}

func parse(args []string, getenv func(string) string) (options, error) {
	o := options{endpoint: getenv("LOCALSTACK_ENDPOINT"), mode: getenv("LOCALSTACK_MODE")}
	port := 4566
	if text := getenv("LOCALSTACK_PORT"); text != "" {
		if _, err := fmt.Sscan(text, &port); err != nil {
			return o, fmt.Errorf("LOCALSTACK_PORT=%s is not a number", text)
		}
	}
	flags := flag.NewFlagSet("cloud", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&o.endpoint, "endpoint", o.endpoint, "")
	flags.StringVar(&o.mode, "mode", o.mode, "")
	flags.StringVar(&o.org, "org", "orga", "")
	flags.IntVar(&o.port, "port", port, "")
	flags.IntVar(&o.edge, "edge", defaultEdge, "")
	if len(args) > 0 && args[0] != "" && args[0][0] != '-' {
		o.command, args = args[0], args[1:]
	}
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	switch {
	case o.command == "":
		return o, fmt.Errorf("%w: no command", errUsage)
	case commands[o.command] == nil:
		return o, fmt.Errorf("%w: there is no command %q", errUsage, o.command)
	case flags.NArg() > 0:
		return o, fmt.Errorf("%w: unexpected argument %q", errUsage, flags.Arg(0))
	case o.mode != "" && o.mode != modeDocker && o.mode != modeHost:
		return o, fmt.Errorf("%w: mode %q is neither docker nor host", errUsage, o.mode)
	}
	for name, p := range map[string]int{"port": o.port, "edge": o.edge} {
		if p < 1 || p > 65535 {
			return o, fmt.Errorf("%w: --%s %d is not between 1 and 65535", errUsage, name, p)
		}
	}
	return o, nil
}

// progress prints each step with the time since the start, which shows the slow steps.
func progress(w io.Writer) func(string) {
	began := time.Now()
	return func(step string) { fmt.Fprintf(w, "%5.1fs  %s\n", time.Since(began).Seconds(), step) }
}

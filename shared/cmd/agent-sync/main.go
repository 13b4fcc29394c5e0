// Command agent-sync brings what the Mastio delivers to an agent's secret into the directory that the agent reads:
// agent-sync --secret mastio/agents/ORG/NAME --dir DIR [flags]
//
// It asks AWS Secrets Manager for the secret's current version, and replaces cert.pem, key.pem and dpop.jwk as a whole
// when that is another. Then it runs a command, or sends a signal. The help names the exit statuses.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/mastio-aws/mastio/shared/version"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	status := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

type options struct {
	secret, dir  string
	interval     time.Duration
	once         bool
	exec         string
	shell        bool
	signal, pids string
	version      bool
}

func (o *options) flags() *flag.FlagSet {
	flags := flag.NewFlagSet("agent-sync", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // what it would say of a failure is said below
	flags.StringVar(&o.secret, "secret", "", "`name` or ARN of the agent's secret, mastio/agents/ORG/NAME")
	flags.StringVar(&o.dir, "dir", "", "`directory` of cert.pem, key.pem and dpop.jwk; it is made with mode 0700")
	flags.DurationVar(&o.interval, "interval", time.Minute, "how often to look, give or take a tenth; at least one second")
	flags.BoolVar(&o.once, "once", false, "look once and end")
	flags.StringVar(&o.exec, "exec", "",
		"`command` to run after each change; quotes work as in a shell, nothing else does")
	flags.BoolVar(&o.shell, "shell", false, "run the command of --exec by /bin/sh -c")
	flags.StringVar(&o.signal, "signal", "", "`signal` to send after each change: "+signalNames())
	flags.StringVar(&o.pids, "pid-file", "", "`file` with the id of the process that gets the signal")
	flags.BoolVar(&o.version, "version", false, "print the version and end")
	return flags
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var o options
	flags := o.flags()
	err := flags.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		help(flags, stdout)
		return done
	}
	if err == nil && o.version {
		fmt.Fprintln(stdout, "agent-sync", version.Stamp)
		return done
	}
	var s *syncer
	if err == nil {
		s, err = o.syncer(ctx, flags.Args(), stderr)
	}
	if err != nil {
		fmt.Fprintf(stderr, "agent-sync: %v\n\nagent-sync --help shows the flags, and examples.\n", err)
		return usage
	}
	if o.once {
		return s.round(ctx)
	}
	return s.follow(ctx, o.interval)
}

func help(flags *flag.FlagSet, w io.Writer) {
	fmt.Fprintln(w, "usage: agent-sync --secret mastio/agents/ORG/NAME --dir DIRECTORY [flags]")
	flags.SetOutput(w)
	flags.PrintDefaults()
	fmt.Fprint(w, `
examples:
  agent-sync --secret mastio/agents/orga/kyc-screener --dir /etc/cullis/agents/kyc-screener/identity --once
  agent-sync --secret mastio/agents/orga/kyc-screener --dir /run/agent/identity --exec 'systemctl restart kyc-screener'
  agent-sync --secret mastio/agents/orga/kyc-screener --dir /run/agent/identity --signal HUP --pid-file /run/agent/pid

Credentials, region and endpoint come from the settings of the AWS command line: AWS_PROFILE, AWS_REGION, the role of the
host; AWS_ENDPOINT_URL for LocalStack. The role needs secretsmanager:DescribeSecret and secretsmanager:GetSecretValue on the
one secret, and kms:Decrypt on its key.

Without --once it runs until a signal (INT, TERM, HUP) ends it, and reports and retries what fails.

Exit status: 0 the files are those of the secret, or a signal ended it, 1 Secrets Manager did not answer, or the files could
not be written, 2 wrong usage, 3 the directory is not safe, 4 the secret's content was refused, 5 nothing
was delivered yet, 6 the files are in place and the command or the signal failed. Of these, 2 and 3 also end it without --once.
`)
}

// syncer says what the command line lacks, or returns what does the work.
func (o options) syncer(ctx context.Context, rest []string, stderr io.Writer) (*syncer, error) {
	s := &syncer{secret: secret{id: o.secret}, now: time.Now, log: slog.New(slog.NewTextHandler(stderr, nil))}
	switch {
	case len(rest) > 0:
		return nil, fmt.Errorf("%q is no flag; a command with spaces goes in quotes: --exec 'systemctl restart agent'",
			rest[0])
	case o.secret == "":
		return nil, errors.New("which secret? --secret mastio/agents/ORG/NAME")
	case o.dir == "":
		return nil, errors.New("which directory? --dir /etc/cullis/agents/NAME/identity")
	case o.interval < time.Second:
		return nil, errors.New("--interval takes a second or more, such as 60s or 5m")
	case o.shell && o.exec == "":
		return nil, errors.New("--shell needs --exec, which is missing")
	case (o.signal == "") != (o.pids == ""):
		return nil, errors.New("--signal and --pid-file go together")
	}
	var err error
	if s.notify, err = o.notifier(stderr); err != nil {
		return nil, err
	}
	if s.dir, err = filepath.Abs(o.dir); err != nil {
		return nil, err
	}
	s.secret.store, err = connect(ctx, o.secret)
	return s, err
}

func (o options) notifier(out io.Writer) (n notifier, err error) {
	n = notifier{out: out, pidFile: o.pids}
	switch {
	case o.shell:
		n.command = []string{"/bin/sh", "-c", o.exec}
	case o.exec != "":
		if n.command, err = words(o.exec); err != nil {
			return n, fmt.Errorf("--exec: %w", err)
		}
	}
	if o.signal != "" {
		if n.signal, err = signalNamed(o.signal); err != nil {
			return n, fmt.Errorf("--signal: %w", err)
		}
	}
	return n, nil
}

// connect makes a client in the region of the secret's ARN, or in the environment's region if the secret is a name.
func connect(ctx context.Context, id string) (store, error) {
	var load []func(*config.LoadOptions) error
	if name, err := arn.Parse(id); err == nil {
		load = append(load, config.WithRegion(name.Region))
	}
	cfg, err := config.LoadDefaultConfig(ctx, load...)
	if err != nil {
		return nil, fmt.Errorf("read the AWS configuration: %w", err)
	}
	if cfg.Region == "" {
		return nil, errors.New("which region? set AWS_REGION, or give --secret the ARN")
	}
	return secretsmanager.NewFromConfig(cfg), nil
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/mastio-aws/mastio/localstack/aws/dynamodb"
	"github.com/mastio-aws/mastio/localstack/fleet"
	"github.com/mastio-aws/mastio/localstack/machine"
	"github.com/mastio-aws/mastio/localstack/stack"
)

// tick stands in for the schedule: seldom enough to cost nothing, often enough that a rotation finds a standby.
const tick = 15 * time.Second

var errFolderInUse = errors.New("another stack runs in this folder, and the proxy.env and build/run of both are the " +
	"same; stop it, or start in a folder of its own: " +
	"mkdir -p build/second && cd build/second && go run ../../localstack/run --port N")

// do runs one command to its end. A stop signal is never an error.
func do(ctx context.Context, o options, stdout io.Writer) error {
	say := progress(stdout)
	p, err := prepare(ctx, o, say)
	if err == nil && o.setup {
		err = setup(ctx, p.cache, stdout, say)
	}
	if ctx.Err() != nil || err != nil || o.setup {
		return unlessStopped(ctx, err)
	}
	defer p.log.Close()
	defer p.unlock()
	s, err := p.start(ctx, o, say)
	if err != nil {
		return unlessStopped(ctx, err)
	}
	if o.demo > 0 {
		err = fleet.Fill(ctx, fleet.Config{
			URL:         s.URL,
			CAPEM:       s.CAPEM,
			Secret:      s.AdminSecret,
			Agents:      o.demo,
			TrustDomain: o.trustDomain,
			Progress:    say,
		})
	}
	if err == nil {
		err = p.serve(ctx, s, o, stdout)
	} else {
		err = unlessStopped(ctx, err)
	}
	fmt.Fprintln(stdout, "\nstopping")
	return errors.Join(err, s.Close())
}

// unlessStopped drops the errors of steps that were cut short.
func unlessStopped(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil //nolint:nilerr // a signal stopped the command: work that it cut short is no error
	}
	return err
}

// preparation is what a start needs.
type preparation struct {
	cache, built, run string // folders
	settings          settings
	log               *cappedLog
	unlock            func() // lets another stack start in the current folder
}

func prepare(ctx context.Context, o options, say func(string)) (preparation, error) {
	if err := machine.CheckTools(ctx); err != nil {
		return preparation{}, err
	}
	root, err := moduleRoot(ctx)
	if err != nil {
		return preparation{}, err
	}
	build := filepath.Join(root, "build")
	// The log and the tour's files belong to this run, as proxy.env does; what is installed and built is for all runs.
	p := preparation{
		cache: filepath.Join(build, "localstack"),
		built: filepath.Join(build, "local"),
		run:   filepath.Join("build", "run"),
	}
	if o.setup {
		return p, nil
	}
	if p.settings, err = readSettings(settingsFile); err != nil {
		return p, err
	}
	say("building the functions")
	if err := stack.Build(ctx, root, p.built); err != nil {
		return p, err
	}
	return p, p.claim()
}

// claim keeps the current folder to this stack: a second one would overwrite the admin secret of the first.
func (p *preparation) claim() error {
	if err := os.MkdirAll(p.run, 0o755); err != nil {
		return err
	}
	unlock, err := machine.TryLock(filepath.Join(p.run, "lock"))
	if errors.Is(err, machine.ErrHeld) {
		return errFolderInUse
	}
	if err != nil {
		return err
	}
	p.unlock = unlock
	if p.log, err = openLog(p.run); err != nil {
		unlock()
	}
	return err
}

func (p preparation) start(ctx context.Context, o options, say func(string)) (*stack.Stack, error) {
	return stack.Start(ctx, stack.Config{
		Dir:         o.data,
		Cache:       p.cache,
		Functions:   p.built,
		Addr:        net.JoinHostPort("127.0.0.1", strconv.Itoa(o.port)),
		OrgID:       o.org,
		TrustDomain: o.trustDomain,
		AdminSecret: p.settings.kept(o.data),
		Env:         p.settings.forFunctions(os.Getenv),
		Tick:        tick,
		Progress:    say,
		Log:         p.log,
	})
}

func setup(ctx context.Context, cache string, stdout io.Writer, say func(string)) error {
	if err := dynamodb.Install(ctx, cache, say); err != nil {
		return err
	}
	if more := machine.MissingOptional(ctx); more != "" {
		fmt.Fprintln(stdout, more)
	}
	return nil
}

// serve prints how to reach a running stack, and waits.
func (p preparation) serve(ctx context.Context, s *stack.Stack, o options, stdout io.Writer) error {
	if err := p.settings.write(settingsFile, s.AdminSecret); err != nil {
		return fmt.Errorf("write %s: %w", settingsFile, err)
	}
	ca := filepath.Join(p.run, "ca.pem")
	if err := os.WriteFile(ca, s.CAPEM, 0o644); err != nil {
		return err
	}
	keys := filepath.Join(p.run, keysFile)
	if err := replaceFile(keys, awsEnvironment(s)); err != nil {
		return fmt.Errorf("write %s: %w", keys, err)
	}
	defer os.Remove(keys) //nolint:errcheck // the keys in it end with the stack anyway
	token := filepath.Join(p.run, tokenFile)
	if err := replaceFile(token, []byte(s.MetricsToken)); err != nil {
		return fmt.Errorf("write %s: %w", token, err)
	}
	if o.demo == 0 {
		fmt.Fprint(stdout, tour(s.URL, ca, filepath.Join(p.run, "tour"), o.org))
	}
	fmt.Fprintf(stdout, "\nThe dashboard: %s/proxy (sign in with MCP_PROXY_ADMIN_SECRET out of %s; the browser asks "+
		"about the certificate, or import %s)\n", s.URL, settingsFile, ca)
	fmt.Fprintf(stdout, "Prometheus scrapes %s/metrics with the bearer token in %s.\n", s.URL, token)
	fmt.Fprintf(stdout, "AWS clients reach the services of this run with: set -a; . %s; set +a\n", keys)
	if o.data != "" {
		fmt.Fprintf(stdout, "State is kept in %s.\n", o.data)
	}
	if more := machine.MissingOptional(ctx); more != "" {
		fmt.Fprintln(stdout, more)
	}
	fmt.Fprintln(stdout, "Ready. Ctrl-C stops everything.")
	select {
	case <-ctx.Done():
		return nil
	case <-s.Done():
		return s.Cause()
	}
}

// moduleRoot is the folder of the checkout, wherever below it this was started.
func moduleRoot(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("go env GOMOD: %w", err)
	}
	mod := strings.TrimSpace(string(out))
	if mod == "" || mod == os.DevNull {
		return "", errors.New("this folder is not in the checkout: change into it and start again")
	}
	return filepath.Dir(mod), nil
}

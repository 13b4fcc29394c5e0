// Command exampleagent is a minimal agent. It enrols with a CSR, fetches tokens on a schedule over mutual TLS and
// renews its certificate in its slot, so that it survives a rotation of the Org CA with an overlap.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

func main() {
	if !work() {
		os.Exit(1)
	}
}

// work is the agent's whole life; false if it had to end.
func work() bool {
	a, length := flags(os.Args[1:])
	a.log = slog.New(slog.NewTextHandler(os.Stdout, nil))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if length > 0 {
		var end context.CancelFunc
		ctx, end = context.WithTimeout(ctx, length)
		defer end()
	}
	count, err := a.run(ctx)
	a.log.Info("end", "tokens", count.tokens, "failed", count.failed, "renewals", count.renewals)
	if err != nil {
		a.log.Error("end", "cause", err.Error())
	}
	return err == nil
}

func flags(args []string) (a *agent, length time.Duration) {
	f := flag.NewFlagSet("exampleagent", flag.ExitOnError)
	a = &agent{secret: os.Getenv("MCP_PROXY_ADMIN_SECRET")}
	f.StringVar(&a.base, "mastio", "https://localhost:9443", "the agents' base `URL`")
	f.StringVar(&a.operators, "operators", "", "the operators' base `URL`, for the enrolment (default: the agents')")
	f.StringVar(&a.name, "name", "example", "name for the enrolment, if the folder holds no identity yet; it needs "+
		"MCP_PROXY_ADMIN_SECRET in the environment")
	folder := f.String("dir", ".", "`folder` of the identity: identity.pem holds certificate and key, and is "+
		"replaced as a whole")
	ca := f.String("ca", "", "PEM `file` with the CA of the server's certificate (default: the system's CAs)")
	f.DurationVar(&a.every, "every", 30*time.Second, "how often to fetch a token")
	f.DurationVar(&length, "for", 0, "how long to run (default: until it is stopped)")
	f.Usage = func() {
		fmt.Fprint(f.Output(),
			"An agent of a Mastio: enrols, fetches tokens, renews its certificate when the Mastio asks for it.\n\n")
		f.PrintDefaults()
	}
	f.Parse(args) //nolint:errcheck // it exits
	a.path = filepath.Join(*folder, "identity.pem")
	if a.operators == "" {
		a.operators = a.base
	}
	if *ca != "" {
		pem, err := os.ReadFile(*ca)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
		a.caPEM = pem
	}
	return a, length
}

// count is what became of an agent's life.
type count struct{ tokens, failed, renewals int }

// agent is one agent. Its certificate and key are in one file, so that no crash separates them.
type agent struct {
	base, operators string
	name, secret    string
	path            string
	caPEM           []byte
	every           time.Duration
	log             *slog.Logger

	me identity
	// renewAt is when this agent's slot begins; zero: not known. askAt is when to ask for it again.
	renewAt, askAt time.Time
}

// run lives until ctx ends. An error means that it never came to life.
func (a *agent) run(ctx context.Context) (c count, err error) {
	if a.me, err = a.load(); errors.Is(err, os.ErrNotExist) {
		a.me, err = a.enrol(ctx)
	}
	if err != nil {
		return c, err
	}
	tick := time.NewTicker(a.every)
	defer tick.Stop()
	for {
		a.step(ctx, &c)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return c, nil
		}
	}
}

// step fetches a token and looks after the certificate.
func (a *agent) step(ctx context.Context, c *count) {
	renewAfter, err := a.token(ctx)
	if ctx.Err() != nil {
		return // cut off by the end, not refused
	}
	if err != nil {
		c.failed++
		a.log.Error("token", "cause", err.Error())
	} else {
		c.tokens++
		a.log.Info("token", "generation", a.me.generation())
	}
	if !renewAfter.IsZero() { // the answer says so as soon as the window is open: sooner than the next question would
		a.renewAt = renewAfter
	}
	now := time.Now()
	if !now.Before(a.askAt) {
		a.ask(ctx, now)
	}
	if a.renewAt.IsZero() || now.Before(a.renewAt) {
		return
	}
	// A renewal whose answer is lost is simply tried again at the next step: the certificate in use counts until a new one
	// was used.
	if err := a.renew(ctx); err != nil {
		a.log.Warn("renew", "cause", err.Error())
		return
	}
	c.renewals++
	a.renewAt, a.askAt = time.Time{}, time.Time{}
}

// ask learns when this agent's slot is.
func (a *agent) ask(ctx context.Context, now time.Time) {
	start, again, err := a.renewalInfo(ctx)
	if err != nil {
		a.log.Warn("renewal-info", "cause", err.Error())
		a.askAt = now.Add(a.every)
		return
	}
	a.renewAt, a.askAt = start, now.Add(again)
	a.log.Info("renewal-info", "slot", start.Format(time.RFC3339), "ask_again_in", again)
}

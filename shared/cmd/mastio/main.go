// Command mastio operates a Mastio from a terminal or a pipeline: agents' certificates, the Org CA, the audit trail.
//
//	mastio login | status | doctor | token | version | completion
//	mastio agents ls | show | enrol | rotate | edit | hygiene | deactivate
//	mastio ca status | watch | rotate | upload | stage | commit | schedule | rollback | finalise
//	mastio audit export | bundle | verify | head
//
// Everything is on the public API. exit.go has the exit statuses.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/term"

	"github.com/mastio-aws/mastio/shared/cmd/mastio/settings"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	a := &app{
		env:   os.Getenv,
		now:   time.Now,
		vault: settings.SecretsManager,
		in:    os.Stdin,
		out:   os.Stdout,
		err:   os.Stderr,
	}
	a.asks = term.IsTerminal(int(os.Stdin.Fd())) && term.IsTerminal(int(os.Stderr.Fd()))
	if fd := int(os.Stdout.Fd()); term.IsTerminal(fd) {
		a.terminal = true
		a.width, _, _ = term.GetSize(fd) // without a size: as wide as it gets
	}
	a.secret = func() (string, error) {
		text, err := term.ReadPassword(int(os.Stdin.Fd()))
		fmt.Fprintln(os.Stderr)
		return string(text), err
	}
	status := a.execute(ctx, os.Args[1:])
	stop()
	os.Exit(status)
}

// execute carries a command line out and returns the exit status.
func (a *app) execute(ctx context.Context, args []string) int {
	root := a.root()
	root.SetArgs(args)
	root.SetOut(a.out)
	root.SetErr(a.err)
	root.SetIn(a.in)
	err := root.ExecuteContext(ctx)
	status := statusOf(err)
	if err != nil && status != succeeded && err.Error() != "" {
		_, _ = io.WriteString(a.err, "mastio: "+err.Error()+"\n") // to whom would a failure to complain be reported
	}
	return status
}

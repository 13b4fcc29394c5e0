// Package command starts the deployment's commands. Each of them ends at a signal, with the status that its work
// returns.
package command

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// Main runs a command with the arguments of the process, and exits with the status that run returns. The context ends
// with an interrupt or a termination signal.
func Main(run func(ctx context.Context, args []string, stdout, stderr io.Writer) int) {
	os.Exit(untilSignal(run))
}

func untilSignal(run func(context.Context, []string, io.Writer, io.Writer) int) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return run(ctx, os.Args[1:], os.Stdout, os.Stderr)
}

package main

import (
	"context"
	"os"
	"strings"
	"time"
)

// parentPoll is how often a program under `go run` looks whether that is still there.
const parentPoll = 500 * time.Millisecond

// withParent ends the context when the `go run` that started this program is gone. `go run` does not forward SIGTERM:
// without this check, `kill` of a make or go process would leave everything running. A program that was started in
// another way watches nothing, because a background program may outlive its shell.
func withParent(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	if exe, err := os.Executable(); err != nil || !isFromGoRun(exe, os.Getenv("GOCACHE")) {
		return ctx, cancel
	}
	go watch(ctx, cancel, os.Getppid)
	return ctx, cancel
}

// isFromGoRun reports whether a program lies where `go run` builds: below a folder of this name, in its cache or in a
// temporary one, or in the cache that GOCACHE names.
func isFromGoRun(program, cache string) bool {
	return strings.Contains(program, "go-build") ||
		cache != "" && strings.HasPrefix(program, strings.TrimSuffix(cache, "/")+"/")
}

func watch(ctx context.Context, gone context.CancelFunc, parent func() int) {
	was := parent()
	every := time.NewTicker(parentPoll)
	defer every.Stop()
	for parent() == was {
		select {
		case <-every.C:
		case <-ctx.Done():
			return
		}
	}
	gone()
}

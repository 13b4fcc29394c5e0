package machine_test

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/mastio-aws/mastio/localstack/machine"
)

func TestOneAtATime(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	var inside, most atomic.Int32
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() {
			unlock, err := machine.Lock(t.Context(), path)
			if err != nil {
				t.Error(err)
				return
			}
			most.Store(max(most.Load(), inside.Add(1)))
			inside.Add(-1)
			unlock()
		})
	}
	group.Wait()
	if got := most.Load(); got != 1 {
		t.Errorf("holders at once: got %d, want 1", got)
	}
}

func TestTryLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	unlock, err := machine.TryLock(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := machine.TryLock(path); !errors.Is(err, machine.ErrHeld) {
		t.Errorf("while it is held: got %v, want %v", err, machine.ErrHeld)
	}
	unlock()
	again, err := machine.TryLock(path)
	if err != nil {
		t.Fatalf("after unlock: %v", err)
	}
	again()
}

func TestLockGivesUpWithItsContext(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	unlock, err := machine.TryLock(path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := machine.Lock(ctx, path); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
	unlock()
	// The waiter that gave up must not keep what it may have got.
	again, err := machine.Lock(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	again()
}

func TestNoSuchFolder(t *testing.T) {
	if _, err := machine.Lock(t.Context(), filepath.Join(t.TempDir(), "none", "lock")); err == nil {
		t.Error("got no error for a folder that is not there")
	}
}

package machine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
)

// ErrHeld means that another process, or another holder in this one, has the lock.
var ErrHeld = errors.New("another process has the lock")

// Lock waits for the lock of the file at path. It makes the file if need be and never removes it: otherwise two
// processes could hold locks of the same name. The kernel releases the lock when the process ends, however it ends.
func Lock(ctx context.Context, path string) (unlock func(), err error) {
	f, err := openLock(path)
	if err != nil {
		return nil, err
	}
	locked := make(chan error, 1)
	go func() { locked <- flock(f, syscall.LOCK_EX) }()
	select {
	case err := <-locked:
		return holdLock(f, err)
	case <-ctx.Done():
		// The waiter may still get the lock; it must not keep it.
		go func() { _, _ = <-locked, f.Close() }()
		return nil, ctx.Err()
	}
}

// TryLock is Lock without the wait: it returns ErrHeld instead.
func TryLock(path string) (unlock func(), err error) {
	f, err := openLock(path)
	if err != nil {
		return nil, err
	}
	err = flock(f, syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = ErrHeld
	}
	return holdLock(f, err)
}

func openLock(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
}

func holdLock(f *os.File, err error) (func(), error) {
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", f.Name(), err)
	}
	return func() { f.Close() }, nil
}

func flock(f *os.File, how int) error {
	for {
		if err := syscall.Flock(int(f.Fd()), how); !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}

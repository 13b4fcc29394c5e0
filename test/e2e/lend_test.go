package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
)

// sideBySide is how many local stacks are in use at a time: most of what a test takes is waiting, and each stack takes
// half a gigabyte.
const sideBySide = 3

// lender keeps local stacks for the next test. The tests run side by side, each on a stack that no other test uses
// meanwhile: a rotation of the Org CA ends the certificates of all agents, and a fault hits every request of a stack.
type lender struct {
	places chan struct{}

	mu   sync.Mutex
	idle []*target
}

var lent = &lender{places: make(chan struct{}, sideBySide)}

// borrow makes the test parallel and lends it a Mastio until the test ends. Earlier tests have left agents, generations
// and rows there. On LocalStack every test gets the one deployment, and the tests take turns.
func borrow(t *testing.T) *target {
	t.Helper()
	if onLocalStack() {
		return deployment
	}
	lent.enter(t)
	m, err := lent.take(t)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { lent.giveBack(m) })
	m.explain(t)
	return m
}

// ownSystem makes the test parallel and starts a local stack for it, which ends with the test. env holds names and
// values of settings.
func ownSystem(t *testing.T, env ...string) *target {
	t.Helper()
	lent.enter(t)
	m, err := startLocal(t.Context(), env...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	m.explain(t)
	return m
}

// enter waits for a place, which the test's end frees.
func (l *lender) enter(t *testing.T) {
	t.Helper()
	t.Parallel()
	l.places <- struct{}{}
	t.Cleanup(func() { <-l.places })
}

// take returns the stack that was used last, which is warm, and starts one if all are in use.
func (l *lender) take(t *testing.T) (*target, error) {
	t.Helper()
	l.mu.Lock()
	if last := len(l.idle) - 1; last >= 0 {
		m := l.idle[last]
		l.idle = l.idle[:last]
		l.mu.Unlock()
		return m, nil
	}
	l.mu.Unlock()
	return startLocal(t.Context())
}

func (l *lender) giveBack(m *target) {
	m.faults.set(nil)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.idle = append(l.idle, m)
}

// close ends the stacks; no test has one any more.
func (l *lender) close() error {
	var errs []error
	for _, m := range l.idle {
		errs = append(errs, m.Close())
	}
	return errors.Join(errs...)
}

// explain shows, if the test fails, what the functions printed meanwhile: all errors, and the end.
func (m *target) explain(t *testing.T) {
	t.Helper()
	from := len(m.output.String())
	t.Cleanup(func() {
		if !t.Failed() {
			return
		}
		printed := m.output.String()[from:]
		var bad strings.Builder
		for line := range strings.Lines(printed) {
			if strings.Contains(line, `"level":"ERROR"`) {
				fmt.Fprint(&bad, line)
			}
		}
		t.Logf("errors in the functions' log:\n%s\nits end:\n%s", bad.String(), printed[max(0, len(printed)-5_000):])
	})
}

// syncBuffer collects output from many goroutines.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write appends.
func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

// String returns everything.
func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

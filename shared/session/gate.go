package session

import (
	"errors"
	"fmt"
	"time"
)

// ErrLocked reports an attempt that came too early; a *LockedError tells when the next one is let through.
var ErrLocked = errors.New("too many failed attempts")

// LockedError is the ErrLocked that tells how long to wait.
type LockedError struct{ RetryAfter time.Duration } // whole seconds, at least one

// Error tells how long to wait.
func (e *LockedError) Error() string {
	return fmt.Sprintf("%s: try again in %s", ErrLocked, e.RetryAfter)
}

// Unwrap makes errors.Is(err, ErrLocked) true.
func (e *LockedError) Unwrap() error { return ErrLocked }

// Limit says how many attempts are free, and how the wait after each further one grows.
type Limit struct {
	Free   int           // attempts without a wait
	First  time.Duration // the first wait; each further attempt doubles it
	Most   time.Duration // the longest wait
	Forget time.Duration // after so long without an attempt, all is forgotten
}

// The limits. Whoever guesses from many addresses meets Everyone, which must never keep the operator out: it is short,
// and a browser that has signed in before passes it and is counted by itself.
var (
	PerSource = Limit{Free: 5, First: 2 * time.Second, Most: 15 * time.Minute, Forget: 24 * time.Hour}
	PerDevice = Limit{Free: 10, First: time.Second, Most: time.Minute, Forget: time.Hour}
	Everyone  = Limit{Free: 100, First: time.Second, Most: 20 * time.Second, Forget: 10 * time.Minute}
)

// Gate counts attempts under one key. The zero Gate is open. Version is the record's own, as read; zero: not stored yet.
type Gate struct {
	Key      string
	Attempts int64     // since the last success or the last long pause
	Last     time.Time // of the last attempt
	Until    time.Time // no attempt is let through before
	Version  int64
}

// Try counts an attempt at now and returns the gate as it is to be stored before the secret is looked at: of many
// attempts at once, each has to pass a gate that the one before has moved. Error: ErrLocked.
func (g Gate) Try(l Limit, now time.Time) (Gate, error) {
	if wait := g.Until.Sub(now); wait > 0 {
		return g, &LockedError{RetryAfter: max(wait.Round(time.Second), time.Second)}
	}
	if now.Sub(g.Last) > l.Forget {
		g.Attempts = 0
	}
	g.Attempts++
	g.Last, g.Until = now, time.Time{}
	if over := g.Attempts - int64(l.Free); over >= 0 {
		g.Until = now.Add(l.wait(over))
	}
	return g, nil
}

// wait is the pause behind attempt number Free+over.
func (l Limit) wait(over int64) time.Duration {
	if over > 20 || l.First<<over > l.Most {
		return l.Most
	}
	return l.First << over
}

// Passed takes back what Try counted: the attempt was a sign-in.
func (g Gate) Passed() Gate {
	g.Attempts, g.Until = max(g.Attempts-1, 0), time.Time{}
	return g
}

// Expires is when a store may forget the gate.
func (g Gate) Expires(l Limit) time.Time { return g.Last.Add(l.Forget) }

package session

import (
	"fmt"
	"time"

	"github.com/mastio-aws/mastio/shared/problem"
)

// ErrLocked reports an attempt that came too early. Its RetryIn is the wait until the next one is let through.
var ErrLocked = problem.New(429, "too_many_attempts", "too many failed attempts").
	Says("Too many failed attempts.")

// Locked makes the ErrLocked of an attempt that has to wait: whole seconds, at least one.
func Locked(wait time.Duration) error {
	wait = max(wait.Round(time.Second), time.Second)
	return fmt.Errorf("%w: try again in %s", ErrLocked.After(wait), wait)
}

// Limit says how many attempts are free, and how the wait after each further one grows.
type Limit struct {
	Free   int           // attempts without a wait
	First  time.Duration // the first wait; each further attempt doubles it
	Most   time.Duration // the longest wait
	Forget time.Duration // after so long without an attempt, all is forgotten
}

// The limits. Guesses from many addresses meet Everyone, which refuses wrong secrets only: a flood must not lock out
// an operator who knows the secret. A browser that has signed in before is counted separately from its address.
var (
	PerSource = Limit{Free: 5, First: 2 * time.Second, Most: 15 * time.Minute, Forget: 24 * time.Hour}
	PerDevice = Limit{Free: 10, First: time.Second, Most: time.Minute, Forget: time.Hour}
	Everyone  = Limit{Free: 100, First: time.Second, Most: 20 * time.Second, Forget: 10 * time.Minute}
)

// Gate counts attempts under one key. The zero Gate is open. Version is the record's own, as read; zero: not stored
// yet.
type Gate struct {
	Key      string
	Attempts int64     // since the last success or the last long pause
	Last     time.Time // of the last attempt
	Until    time.Time // no attempt is let through before
	Version  int64
}

// Try counts an attempt at now and returns the gate to store before the secret is checked. So each of many concurrent
// attempts has to pass the gate that the attempt before has moved. Error: ErrLocked.
func (g Gate) Try(l Limit, now time.Time) (Gate, error) {
	if wait := g.Until.Sub(now); wait > 0 && wait <= l.Most+Skew { // a longer one comes from a clock that was ahead
		return g, Locked(wait)
	}
	if now.Sub(g.Last).Abs() > l.Forget {
		g.Attempts = 0
	}
	g.Attempts++
	g.Last, g.Until = now, time.Time{}
	if over := g.Attempts - int64(l.Free); over >= 0 {
		g.Until = now.Add(l.wait(over))
	}
	return g, nil
}

// wait is the pause after attempt number Free+over.
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

// Package lease is the rotation lock: who may change the Org CA now, and which of two holders is the later one.
package lease

import (
	"errors"
	"fmt"
	"time"
)

// TTL is how long a lease lasts unless it is extended or released. It is longer than a function may run behind
// API Gateway (29 s), so a living holder never loses it.
const TTL = 30 * time.Second

// Skew is by how much the clocks of two healthy functions may differ.
const Skew = 10 * time.Second

// ErrHeld reports that somebody else holds the lease; a *HeldError tells who, and for how long.
var ErrHeld = errors.New("another rotation is in progress")

// ErrLost reports that the lease was taken by somebody else while its former holder was at work.
var ErrLost = errors.New("the rotation lock was lost")

// Lease is the lock's present state. The zero Lease has never been held.
//
// Fence rises by one with every acquisition and outlives every release: a commit carries the fence it was made
// under and is refused once a higher one exists, however late it arrives.
type Lease struct {
	Holder    string // empty: free
	Operation string
	Phase     string
	Expires   time.Time
	Fence     int64
}

// Held reports whether a process holds the lease at now: it has not ended, and it is believed.
func (l Lease) Held(now time.Time) bool {
	return l.Holder != "" && now.Before(l.Expires) && !l.Expires.After(Latest(now))
}

// Latest is the latest end of a lease that is believed at now. A lease that ends later was taken by a process whose clock was
// ahead, so its end says nothing; without this bound such a lease would lock everyone out until its clock came true. Taking
// it over is safe, whatever its holder does: the fence refuses the holder's commit.
func Latest(now time.Time) time.Time { return now.Add(TTL + Skew) }

// Stuck reports whether a rotation died and no other has taken its lease since: it ended longer than after ago, or its
// end is not believed.
func (l Lease) Stuck(now time.Time, after time.Duration) bool {
	return l.Holder != "" && (now.Sub(l.Expires) > after || l.Expires.After(Latest(now)))
}

// Remainder is how long the lease lasts from now: whole seconds, at least one and at most TTL.
func (l Lease) Remainder(now time.Time) time.Duration {
	left := l.Expires.Sub(now).Round(time.Second)
	return min(max(left, time.Second), TTL)
}

// HeldError is the ErrHeld that tells what is known of the holder.
type HeldError struct {
	Lease      Lease
	RetryAfter time.Duration // whole seconds
}

// Held makes the error for a lease that somebody else holds at now.
func Held(l Lease, now time.Time) error { return &HeldError{l, l.Remainder(now)} }

// Error names the operation, never the holder: it goes to whoever asked.
func (e *HeldError) Error() string {
	return fmt.Sprintf("%s: %s, phase %s", ErrHeld, e.Lease.Operation, e.Lease.Phase)
}

// Unwrap makes errors.Is(err, ErrHeld) true.
func (e *HeldError) Unwrap() error { return ErrHeld }

// Package lease is the rotation lock: who may change the Org CA now, and which of two holders is the later one.
package lease

import (
	"fmt"
	"time"

	"github.com/mastio-aws/mastio/shared/problem"
)

// TTL is how long a lease lasts unless it is extended or released. It is longer than a function may run behind
// API Gateway (29 s), so a living holder never loses it.
const TTL = 30 * time.Second

// ErrHeld reports that somebody else holds the lease. Its RetryIn is how long for.
var ErrHeld = problem.New(409, "rotation_in_progress", "another rotation is in progress").
	Says("Another rotation is in progress. Retry after it; GET /pki/rotate-ca shows it.").
	After(TTL)

// ErrLost reports that the lease was taken by somebody else while its former holder was at work.
var ErrLost = problem.New(409, "rotation_lock_lost", "the rotation lock was lost").
	Says("This rotation took too long and another one has begun. Nothing was changed; GET /pki/rotate-ca " +
		"shows the present state.").
	After(TTL)

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

// Held reports whether somebody holds the lease at now.
func (l Lease) Held(now time.Time) bool { return l.Holder != "" && now.Before(l.Expires) }

// Remainder is how long the lease lasts from now: whole seconds, at least one and at most TTL.
func (l Lease) Remainder(now time.Time) time.Duration {
	left := l.Expires.Sub(now).Round(time.Second)
	return min(max(left, time.Second), TTL)
}

// Held makes the ErrHeld of a lease that somebody else holds at now. It names the operation, never the holder: it goes to
// the one who asked.
func Held(l Lease, now time.Time) error {
	return fmt.Errorf("%w: %s, phase %s", ErrHeld.After(l.Remainder(now)), l.Operation, l.Phase)
}

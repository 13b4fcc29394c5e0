package orgca

import (
	"fmt"
	"time"

	"github.com/mastio-aws/mastio/shared/problem"
)

// LeaseTTL is how long a lease lasts unless it is extended or released. It is longer than a function may run behind
// API Gateway (29 s), so a living holder never loses it.
const LeaseTTL = 30 * time.Second

// ClockSkew is by how much the clocks of two healthy functions may differ.
const ClockSkew = 10 * time.Second

// ErrLeaseHeld reports that another holder has the lease. Its RetryIn is the time until the lease ends.
var ErrLeaseHeld = problem.New(409, "rotation_in_progress", "another rotation is in progress").
	Says("Another rotation is in progress. Retry after it; GET /pki/rotate-ca shows it.").
	After(LeaseTTL)

// ErrLeaseLost reports that another holder took the lease while its former holder was at work.
var ErrLeaseLost = problem.New(409, "rotation_lock_lost", "the rotation lock was lost").
	Says("This rotation took too long and another one has begun. Nothing was changed; GET /pki/rotate-ca " +
		"shows the present state.").
	After(LeaseTTL)

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
	return l.Holder != "" && now.Before(l.Expires) && !l.Expires.After(LatestLease(now))
}

// LatestLease is the latest end of a lease that is believed at now. A lease that ends later was taken by a process
// whose clock was ahead, so its end says nothing; without this bound such a lease would lock everyone out until its
// clock came true. Taking it over is safe, whatever its holder does: the fence refuses the holder's commit.
func LatestLease(now time.Time) time.Time { return now.Add(LeaseTTL + ClockSkew) }

// Stuck reports whether a rotation died and no other has taken its lease since: it ended longer than after ago, or its
// end is not believed.
func (l Lease) Stuck(now time.Time, after time.Duration) bool {
	return l.Holder != "" && (now.Sub(l.Expires) > after || l.Expires.After(LatestLease(now)))
}

// Remainder is how long the lease lasts from now: whole seconds, at least one and at most TTL.
func (l Lease) Remainder(now time.Time) time.Duration {
	left := l.Expires.Sub(now).Round(time.Second)
	return min(max(left, time.Second), LeaseTTL)
}

// LeaseHeld makes the ErrLeaseHeld of a lease that another holder has at now. It names the operation, never the holder,
// because the caller sees it.
func LeaseHeld(l Lease, now time.Time) error {
	return fmt.Errorf("%w: %s, phase %s", ErrLeaseHeld.After(l.Remainder(now)), l.Operation, l.Phase)
}

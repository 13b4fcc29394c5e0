package orgca

import (
	"fmt"
	"slices"
	"time"

	"github.com/mastio-aws/mastio/shared/problem"
)

// How far ahead a rotation may be scheduled.
const (
	MinAhead = time.Minute
	MaxAhead = 90 * 24 * time.Hour
)

// ErrAt reports an instant to which no rotation can be scheduled.
var ErrAt = problem.New(400, "at_invalid", "at takes an instant between one minute and 90 days ahead").
	Says("at takes an instant as RFC 3339 writes it, one minute to 90 days ahead, with mode=mint and mode=commit: " +
		"at=2027-01-15T02:00:00Z.")

// ErrNotLater reports a date for a rotation whose reason stops the present Org CA at once.
var ErrNotLater = problem.New(400, "at_invalid", "a compromised or withdrawn Org CA is replaced now").
	Says("After a compromise, or when a privilege was withdrawn, nothing of the present Org CA may live on until a " +
		"date: rotate without at. The same holds for a CA that was staged for such a reason.")

// ErrUnfitThen reports a scheduled CA that is not valid at its date.
var ErrUnfitThen = problem.New(409, "ca_not_valid", "an Org CA that is not valid at its date cannot be scheduled").
	Says("This CA, or a certificate of its chain, is not valid at that instant, so nothing was scheduled. Choose " +
		"another instant; the pre-flight shows the dates of the CA.")

// PlanState is where a plan stands. Only a PlanScheduled plan is carried out, and any unknown state is not.
type PlanState string

// The states of a plan.
const (
	PlanScheduled PlanState = "scheduled"
	PlanDone      PlanState = "done"      // its CA is current, or was
	PlanDropped   PlanState = "dropped"   // it went stale; the warning plan_stale lasts as long as this state
	PlanCancelled PlanState = "cancelled" // an operator ended the plan, or the warning
)

// Plan is a rotation of the Org CA that waits for its date. There is one record, and it is never deleted: a late write
// of an earlier plan always meets a higher version.
type Plan struct {
	State       PlanState
	At          time.Time // no commit before it
	Fingerprint string    // of the staged CA that becomes current
	By          string    // the actor who scheduled it, or moved it last
	Request     []byte    // the request that is carried out, as package rotateca writes it
	// what the pre-flight showed: another state of the Org CA is not what the operator agreed to
	Current  int64
	Accepted []Overlap
	Why      string // why a dropped plan was dropped
	Version  int64  // as read; zero: there never was a plan
}

// Pending reports whether the plan waits for its date.
func (p Plan) Pending() bool { return p.State == PlanScheduled }

// Pins reports whether the plan waits for its date with this CA. Such a CA is kept, however long it has been staged.
func (p Plan) Pins(g Generation) bool { return p.Pending() && p.Fingerprint == g.Fingerprint() }

// Ahead reports whether a rotation may be scheduled to an instant: ErrAt.
func Ahead(at, now time.Time) error {
	if at.Before(now.Add(MinAhead)) || at.After(now.Add(MaxAhead)) {
		return ErrAt
	}
	return nil
}

// Stale says why the plan can never be carried out: the Org CA is not in the state that the pre-flight showed. It is
// empty for a plan that can still be carried out. An overlap that has ended at the end that the pre-flight showed does
// not count as a difference.
func (p Plan) Stale(pointer *Pointer, generations []Generation, now time.Time) string {
	if p.At.After(now.Add(MaxAhead + disbelief)) {
		return "its date is too far ahead: a clock that was ahead set it"
	}
	if pointer == nil || pointer.Current != p.Current {
		return "another Org CA is current than the pre-flight showed"
	}
	shown := Pointer{Accepted: p.Accepted}.overlapping(now)
	if !slices.EqualFunc(shown, pointer.overlapping(now), func(a, b Overlap) bool {
		return a.Generation == b.Generation && a.Until.Equal(b.Until)
	}) {
		return "the open overlaps are not those that the pre-flight showed"
	}
	i := slices.IndexFunc(generations, func(g Generation) bool {
		return g.State == Staged && g.Fingerprint() == p.Fingerprint
	})
	switch {
	case i < 0:
		return "the CA that it pinned is not staged any more"
	case AtOnce(generations[i].Reason):
		return fmt.Sprintf("generation %d was staged for the reason %s, which takes no date", generations[i].Number,
			generations[i].Reason)
	case now.After(p.At) && !generations[i].Validity().At(now):
		return fmt.Sprintf("generation %d is not valid now", generations[i].Number)
	}
	return ""
}

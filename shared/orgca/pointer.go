package orgca

import (
	"fmt"
	"hash/fnv"
	"slices"
	"time"

	"github.com/mastio-aws/mastio/shared/problem"
)

// Copies is how many equal copies of the pointer there are. One DynamoDB item lives on one partition, which serves
// 3,000 read units a second; sixteen copies carry 48,000 token requests a second. A reader picks its copy by agent.
const Copies = 16

// Copy picks the pointer copy that a reader uses for an agent.
func Copy(agentID string) int {
	h := fnv.New32a()
	h.Write([]byte(agentID))
	return int(h.Sum32() % Copies)
}

// Overlap is a superseded generation whose pins still count, until a deadline.
type Overlap struct {
	Generation int64     `json:"generation"`
	Until      time.Time `json:"until"`
	// Undone: a rollback has left the generation and kept it for the agents that had moved to it. The overlap ends when
	// they are back; Until is then brought forward.
	Undone bool `json:"undone"`
	// Opens and Closes are when agents that renew themselves are to leave the generation; zero: in the first two thirds
	// of the overlap. Bound limits that to agents whose Share is below; zero: no limit.
	Opens  time.Time `json:"opens"`
	Closes time.Time `json:"closes"`
	Bound  int64     `json:"bound"`
}

// disbelief is by how much an overlap may exceed the longest one: far more than clocks differ, so that no clock that is
// a little behind ends an overlap.
const disbelief = 7 * 24 * time.Hour

// lasts reports whether the overlap goes on at now. An overlap that ends later than the longest possible one was made
// under a fast clock. It is over, and the standby job removes it from the pointer: otherwise it would count again
// years later.
func (a Overlap) lasts(now time.Time) bool {
	return now.Before(a.Until) && a.Until.Before(now.Add(MaxOverlap+disbelief))
}

// Pointer says which generation is current: the one value that a rotation of the Org CA swaps. All its copies are
// written in one transaction. It holds what issuing and authenticating need, so that neither reads anything else;
// it must stay below 4 KB, the size that one read unit covers.
type Pointer struct {
	Current     int64
	Fingerprint string
	Accepted    []Overlap // superseded ones in an overlap
	Previous    int64     // superseded generation that a rollback can make current again; zero: none
	Fence       int64     // of the lease under which it was written
	SigningKey  string    // KMS key ARN
	Chain       [][]byte  // DER; Chain[0] issues, the last is the root
	Legacy      bool
	NotAfter    time.Time // of the root
	RotatedAt   time.Time
	Version     int64 // as read; zero: not stored yet
}

// Accepts reports whether pins made under a generation count at now.
func (p Pointer) Accepts(generation int64, now time.Time) bool {
	if generation == p.Current {
		return true
	}
	return slices.ContainsFunc(p.Accepted, func(a Overlap) bool {
		return a.Generation == generation && a.lasts(now)
	})
}

// Spent reports whether no pin made under a superseded generation counts at now, nor ever can again: no overlap
// accepts the generation, no rollback would restore it, and neither state comes back.
func (p Pointer) Spent(g Generation, now time.Time) bool {
	return g.State == Superseded && !p.Accepts(g.Number, now) && p.Previous != g.Number
}

// Left reports whether a generation was left for good, as far as the pointer alone can say: it is older than the
// current one, and neither an overlap on record, however old, nor a rollback has it. It needs no clock, so instances
// whose clocks differ agree. A newer generation may be one that this pointer is too old to know.
func (p Pointer) Left(generation int64) bool {
	return generation > 0 && generation < p.Current && generation != p.Previous &&
		!slices.ContainsFunc(p.Accepted, func(a Overlap) bool { return a.Generation == generation })
}

// CA returns the DER of the Org CA's certificate and of those above it, up to the root.
func (p Pointer) CA() [][]byte {
	if len(p.Chain) > 1 {
		return p.Chain[1:] // only a legacy root, which has nothing above it, issues without an issuing CA
	}
	return p.Chain
}

// Deadline returns when the last of the overlaps that go on at now ends; false: none goes on.
func (p Pointer) Deadline(now time.Time) (until time.Time, ok bool) {
	for _, a := range p.overlapping(now) {
		if a.Until.After(until) {
			until, ok = a.Until, true
		}
	}
	return until, ok
}

// AcceptedUntil returns when the overlap of a superseded generation ends; false: none accepts it at now.
func (p Pointer) AcceptedUntil(generation int64, now time.Time) (until time.Time, ok bool) {
	for _, a := range p.overlapping(now) {
		if a.Generation == generation && a.Until.After(until) {
			until, ok = a.Until, true
		}
	}
	return until, ok
}

// IsCurrent reports whether a generation is the one that issues.
func (p Pointer) IsCurrent(generation int64) bool { return generation == p.Current }

// ErrStaleFence reports a swap under a fence that does not exceed the last one's.
var ErrStaleFence = problem.New(409, "rotation_lock_lost", "a later rotation has already committed").
	Says("A later rotation has committed. Nothing was changed.")

// ErrNoRollback reports that there is no generation to roll back to, or that going back to it is refused.
var ErrNoRollback = problem.New(409, "rollback_not_possible", "rollback is not possible").
	Says("There is no generation to go back to: the rotation was finalised, undone already, or made for a " +
		"compromised key.")

// ErrOverlap reports an overlap that is not within 0 and MaxOverlap.
var ErrOverlap = problem.New(400, "overlap_invalid", "overlap takes 0 to 7776000 seconds").
	Says("overlap takes 0 to 7776000 seconds, with mode=mint, mode=upload and mode=commit.")

// ErrOverlaps reports one overlap more than MaxAccepted.
var ErrOverlaps = problem.New(409, "overlaps_exhausted", "too many overlaps at once").
	Says("Eight earlier Org CAs are in an overlap already. Rotate without overlap, or end the overlaps with " +
		"mode=finalise first.")

// ErrCompromised reports an overlap for a generation that must stop counting at once, most often because its key is in
// wrong hands.
var ErrCompromised = problem.New(400, "overlap_invalid", "a compromised or withdrawn Org CA gets no overlap").
	Says("After a compromise nothing of the present Org CA may live on: a holder of its key could make " +
		"certificates for any SPIFFE ID. Rotate without overlap.")

// MaxAccepted is how many superseded generations can be in an overlap at once: the pointer must stay small, and so
// many overlaps at once have no use.
const MaxAccepted = 8

// MaxOverlap is the longest time for which a superseded generation's pins may still count: 90 days.
const MaxOverlap = 90 * 24 * time.Hour

// Swap is what replacing the current generation changes: the pointer, and the two generations' states.
type Swap struct {
	Pointer  Pointer
	Next     Generation
	Previous *Generation // nil for the first generation
}

// Plan decides the swap from the generation that p points at to next, which must be staged. With an overlap the
// previous generation's pins count until now+overlap; without one, they stop with the commit.
//
// Errors: ErrTransition when next is not staged or previous not current, ErrStaleFence, ErrOverlap, ErrOverlaps,
// ErrCompromised, ErrUnfit.
func (p Pointer) Plan(
	next Generation, previous *Generation, fence int64, overlap time.Duration, now time.Time,
) (Swap, error) {
	if next.State != Staged {
		return Swap{}, fmt.Errorf("%w: generation %d is %q, not staged", ErrTransition, next.Number, next.State)
	}
	if overlap < 0 || overlap > MaxOverlap {
		return Swap{}, ErrOverlap
	}
	if overlap > 0 && AtOnce(next.Reason) {
		return Swap{}, ErrCompromised
	}
	s, err := p.swap(next, previous, fence, now)
	if err != nil || previous == nil {
		return s, err
	}
	s.Pointer.Previous, s.Previous.Left = previous.Number, next.Reason
	if AtOnce(next.Reason) {
		s.Pointer.Previous = 0
	}
	if overlap > 0 && len(p.overlapping(now)) == MaxAccepted {
		return Swap{}, ErrOverlaps
	}
	if overlap > 0 {
		s.Pointer.Accepted = append(p.overlapping(now), Overlap{Generation: previous.Number, Until: now.Add(overlap)})
	}
	return s, nil
}

// overlapping returns the superseded generations that are still accepted at now: a rotation with an overlap does not
// cut short the one before it.
func (p Pointer) overlapping(now time.Time) []Overlap {
	return slices.DeleteFunc(slices.Clone(p.Accepted), func(a Overlap) bool { return !a.lasts(now) })
}

// Rollback decides the swap back to the generation that the last one superseded, and with it to its pins. It keeps no
// overlap for the generation that it leaves: the operator rolls back to get rid of it.
//
// Errors: ErrNoRollback once finalised, after another rollback, or when the rotation's reason was a compromise;
// ErrTransition, ErrStaleFence, ErrUnfit.
func (p Pointer) Rollback(previous, current Generation, fence int64, now time.Time) (Swap, error) {
	if p.Previous == 0 || previous.Number != p.Previous || previous.State != Superseded {
		return Swap{}, ErrNoRollback
	}
	return p.swap(previous, &current, fence, now)
}

// Finalise decides the end of an overlap, and of the way back.
func (p Pointer) Finalise(fence int64) (Pointer, error) {
	if fence <= p.Fence {
		return p, fmt.Errorf("%w: fence %d, pointer has %d", ErrStaleFence, fence, p.Fence)
	}
	p.Accepted, p.Previous, p.Fence = nil, 0, fence
	return p, nil
}

// Lapse returns the pointer without the overlaps that are over at now, and those overlaps. This changes no decision:
// an overlap that is over accepts no pin.
func (p Pointer) Lapse(now time.Time) (next Pointer, ended []Overlap) {
	next = p
	next.Accepted = p.overlapping(now)
	for _, a := range p.Accepted {
		if !a.lasts(now) {
			ended = append(ended, a)
		}
	}
	return next, ended
}

// swap moves the pointer from previous to next, and both to their new states.
func (p Pointer) swap(next Generation, previous *Generation, fence int64, now time.Time) (Swap, error) {
	if fence <= p.Fence {
		return Swap{}, fmt.Errorf("%w: fence %d, pointer has %d", ErrStaleFence, fence, p.Fence)
	}
	if (previous == nil) != (p.Version == 0) || (previous != nil && previous.Number != p.Current) {
		return Swap{}, fmt.Errorf("%w: the generation to supersede is not the one the pointer names", ErrTransition)
	}
	if err := next.unfit(now); err != nil {
		return Swap{}, err
	}
	next, err := next.To(Current, now)
	if err != nil {
		return Swap{}, err
	}
	s := Swap{
		Next: next,
		Pointer: Pointer{
			Current:     next.Number,
			Fingerprint: next.Fingerprint(),
			Fence:       fence,
			SigningKey:  next.SigningKey(),
			Chain:       next.Chain(),
			Legacy:      next.Legacy,
			NotAfter:    next.NotAfter,
			RotatedAt:   now,
			Version:     p.Version,
		},
	}
	if previous == nil {
		return s, nil
	}
	old, err := previous.To(Superseded, now)
	if err != nil {
		return Swap{}, err
	}
	s.Previous = &old
	return s, nil
}

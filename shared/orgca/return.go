package orgca

import (
	"slices"
	"time"
)

// Return decides the same swap back as Rollback for a rotation that has gone wrong. It keeps every overlap, and
// accepts the generation that it leaves. An agent that has moved may have deleted its old key, so its certificate
// counts until the agent is back. Returned ends that acceptance.
//
// Errors: those of Rollback, ErrOverlaps.
func (p Pointer) Return(previous, current Generation, fence int64, now time.Time) (Swap, error) {
	s, err := p.Rollback(previous, current, fence, now)
	if err != nil {
		return s, err
	}
	kept := slices.DeleteFunc(p.overlapping(now), func(a Overlap) bool { return a.Generation == previous.Number })
	if len(kept) >= MaxAccepted {
		return Swap{}, ErrOverlaps
	}
	s.Pointer.Accepted = slices.Concat(kept, []Overlap{{
		Generation: current.Number,
		Until:      now.Add(MaxOverlap),
		Undone:     true,
		Opens:      now,
		Closes:     now.Add(ReturnWithin),
	}})
	return s, nil
}

// ReturnWithin is the time in which agents that renew themselves are to leave a generation that was undone.
const ReturnWithin = time.Hour

// Returned brings the ends of overlaps that a rollback has opened forward to until: their agents are back. changed is
// false if there is none that ends later.
func (p Pointer) Returned(until time.Time) (next Pointer, changed bool) {
	next = p
	next.Accepted = slices.Clone(p.Accepted)
	for i, a := range next.Accepted {
		if a.Undone && until.Before(a.Until) {
			next.Accepted[i].Until, changed = until, true
		}
	}
	return next, changed
}

// Undoing returns the generations that a rollback has left and whose overlap goes on at now.
func (p Pointer) Undoing(now time.Time) (generations []int64) {
	for _, a := range p.Accepted {
		if a.Undone && a.lasts(now) {
			generations = append(generations, a.Generation)
		}
	}
	return generations
}

package orgca

import (
	"slices"
	"time"

	"github.com/mastio-aws/mastio/shared/problem"
)

// What a request may say about waves.
const (
	DefaultHold = 10 * time.Minute
	MaxHold     = 24 * time.Hour
	MaxWaves    = 10
)

// DefaultWaves are the cumulative percents of a rotation that names none.
func DefaultWaves() []int { return []int{1, 10, 100} }

// Errors of a request for waves.
var (
	ErrWaves = problem.New(400, "waves_invalid", "waves are not rising percents up to 100 that fit the overlap").
			Says("waves takes up to ten whole percents that rise and end with 100, such as 1,10,100, together with an " +
			"overlap that is longer than hold after each wave but the last.")
	ErrHold = problem.New(400, "hold_invalid", "hold takes 0 to 86400 seconds").
		Says("hold takes 0 to 86400 seconds, together with an overlap.")
	ErrOnHalt = problem.New(400, "on_halt_invalid", "on_halt takes hold or rollback").
			Says("on_halt takes hold or rollback, together with an overlap.")
)

// Moves says in which waves a rotation with an overlap brings the fleet along. The zero Moves brings all of it at once.
type Moves struct {
	Waves  []int         `json:"waves,omitempty"` // cumulative percents, rising; the last is 100
	Hold   time.Duration `json:"hold,omitempty"`  // at least, between a wave and the next
	OnHalt OnHalt        `json:"on_halt,omitempty"`
}

// InWaves reports whether there is more than one wave.
func (m Moves) InWaves() bool { return len(m.Waves) > 1 }

// Check reports what is wrong with a request for waves and an overlap of this length: ErrWaves, ErrHold, ErrOnHalt.
func (m Moves) Check(overlap time.Duration) error {
	if len(m.Waves) == 0 && m.Hold == 0 && m.OnHalt == "" {
		return nil
	}
	if m.OnHalt != HoldOnHalt && m.OnHalt != RollBackOnHalt {
		return ErrOnHalt
	}
	if m.Hold < 0 || m.Hold > MaxHold {
		return ErrHold
	}
	n := len(m.Waves)
	if n == 0 || n > MaxWaves || m.Waves[0] < 1 || m.Waves[n-1] != 100 {
		return ErrWaves
	}
	for i, w := range m.Waves[1:] {
		if w <= m.Waves[i] {
			return ErrWaves
		}
	}
	if overlap <= 0 || overlap <= m.Hold*time.Duration(n-1) {
		return ErrWaves
	}
	return nil
}

// begin puts the waves of a request into the record of the re-issue that its swap begins.
func (r *Reissue) begin(m Moves) {
	if len(m.Waves) == 0 {
		return
	}
	r.Waves, r.Hold, r.OnHalt = slices.Clone(m.Waves), m.Hold, m.OnHalt
	r.Bound = BoundOf(r.Waves[0])
}

// LastWave reports whether the present wave is the last one.
func (r Reissue) LastWave() bool { return r.Wave >= len(r.Waves)-1 }

// NextWave returns the record with its next wave begun, running, whatever stopped it before.
func (r Reissue) NextWave(now time.Time) Reissue {
	r.Wave++
	r.WaveBegan, r.Bound = now, BoundOf(r.Waves[r.Wave])
	r.State, r.Why, r.Agents, r.Next = Running, "", nil, time.Time{}
	return r
}

// Goes reports whether the record is about the pointer and not finished: an operator can still steer the re-issue.
func (r *Reissue) Goes(p *Pointer) bool {
	return r != nil && p != nil && r.Generation == p.Current &&
		(r.State == Running || r.State == Paused || r.State == Halted)
}

const (
	// noAgent is the Bound of an overlap in which no agent is to renew because of the overlap.
	noAgent int64 = -1
	// shortestSlot is the least time that the agents of a wave have to renew in: they learn of it with their next token.
	shortestSlot = 10 * time.Minute
)

// Steer returns the pointer with the slots in which agents renew themselves: those of the waves that have begun, and
// none while the re-issue stands still. Without waves an overlap has the slots that it always has.
func (r Reissue) Steer(p Pointer) Pointer {
	p.Accepted = slices.Clone(p.Accepted)
	for i, a := range p.Accepted {
		if a.Undone {
			continue
		}
		a.Bound, a.Opens, a.Closes = 0, time.Time{}, time.Time{}
		switch {
		case r.State == Paused || r.State == Halted:
			a.Bound = noAgent
		case len(r.Waves) > 1:
			a.Opens, a.Closes = r.WaveBegan, r.WaveBegan.Add(max(r.Hold, shortestSlot))
			if r.Bound < Everyone {
				a.Bound = r.Bound
			}
			if usual := p.RotatedAt.Add(a.Until.Sub(p.RotatedAt) / 3 * 2); r.LastWave() && usual.After(a.Closes) {
				a.Closes = usual
			}
		}
		p.Accepted[i] = a
	}
	return p
}

// OverlapEnds returns when the last overlap that the re-issue is about ends; the zero time: none is open.
func (r Reissue) OverlapEnds(p Pointer, now time.Time) (end time.Time) {
	for _, a := range p.overlapping(now) {
		if !a.Undone && a.Until.After(end) {
			end = a.Until
		}
	}
	return end
}

// LateNotice is how long before the waves no longer fit that is said.
const LateNotice = time.Hour

// Late reports whether the waves that remain no longer fit before the end of the overlap, or will not within
// LateNotice. The overlap is not lengthened: an operator skips waves, or rotates again.
func (r *Reissue) Late(p *Pointer, now time.Time) bool {
	if !r.Goes(p) || r.LastWave() {
		return false
	}
	end := r.OverlapEnds(*p, now)
	left := time.Duration(len(r.Waves)-1-r.Wave) * max(r.Hold, time.Minute)
	return end.IsZero() || !now.Add(left+LateNotice).Before(end)
}

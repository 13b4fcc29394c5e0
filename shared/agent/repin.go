package agent

import "time"

// Keep says what a new pin leaves of the ones before it.
type Keep struct {
	Grace time.Duration // pins that have not ended yet stay for so long at most; zero: they end at once
	// UntilUse: the new pin is a successor. The pin in use before it ends with the successor's first use or with Grace,
	// whichever comes first. So a lost answer does not lock the agent out.
	UntilUse bool
	// Restorable is the generation that a rollback would make current again; zero: none. The pin with which the agent
	// leaves it stays, dormant, so that a rollback restores it. A second rotation drops it: then an operator ended the
	// certificate on purpose, not the re-enrolment under a new CA. A successor does not drop it: no operator ordered
	// that rotation.
	Restorable int64
}

const (
	// A rotation a minute with two days of grace must not grow the record past DynamoDB's item limit.
	maxPins = 8
	// maxUnused bounds the successors whose answers were lost. The pin that yields to them stays whatever their number.
	maxUnused = 3
)

// Repin returns the agent with next as its newest pin, and with those older pins that keep retains. It never
// lengthens an older deadline.
func (a Agent) Repin(next Pin, keep Keep, now time.Time) Agent {
	if next.Unused = keep.UntilUse; keep.UntilUse {
		next.Renewed = now
	}
	pins, unused := []Pin{next}, 1
	for i, p := range a.Pins {
		p, ok := keep.of(p.restored(next.Generation), i == 0, next, now)
		if !ok || len(pins) == maxPins || keep.UntilUse && p.Unused && unused == maxUnused {
			continue
		}
		if p.Unused {
			unused++
		}
		pins = append(pins, p)
	}
	before := a
	if !keep.UntilUse {
		a = a.Trusted()
	}
	a.Pins, a.UpdatedAt = pins, now
	return before.follow(a.Learn(next), now)
}

// restored returns a pin that a rollback made count again, without the marks that its replacement set.
func (p Pin) restored(current int64) Pin {
	if p.Dormant && p.Generation == current {
		p.Dormant = false
		if p.Yields {
			p.Yields, p.Until = false, time.Time{}
		}
	}
	return p
}

// of decides the fate of one older pin.
func (k Keep) of(p Pin, newest bool, next Pin, now time.Time) (Pin, bool) {
	// Only the agent knows which certificate it holds: the newest, or any of them while the newest was not used.
	held := newest || (p.Unused || p.Yields) && !p.sleeps(now)
	leaves := held && p.Generation == k.Restorable && next.Generation != k.Restorable && !p.ended(now)
	switch {
	case k.UntilUse:
		return k.yield(p, leaves, now)
	case k.Grace > 0:
		return k.shorten(p, now)
	case leaves:
		return p.asleep(now), true
	}
	return Pin{}, false
}

// yield lets the pin in use wait for its successor's first use, and leaves other successors and deadlines alone.
func (k Keep) yield(p Pin, leaves bool, now time.Time) (Pin, bool) {
	switch {
	case p.sleeps(now):
		return p, p.Generation == k.Restorable
	case p.ended(now):
		return Pin{}, false
	case p.Unused || !p.Until.IsZero() && !p.Yields:
		return p, true
	}
	p.Until = earlier(p.Until, now.Add(k.Grace))
	p.Yields, p.Dormant = true, leaves
	return p, true
}

// shorten ends a pin with the grace at the latest.
func (k Keep) shorten(p Pin, now time.Time) (Pin, bool) {
	if p.ended(now) {
		return Pin{}, false
	}
	p.Until = earlier(p.Until, now.Add(k.Grace))
	p.Dormant, p.Unused, p.Yields = p.Dormant && !p.Yields, false, false
	return p, true
}

// earlier returns the earlier deadline; the zero time is none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}

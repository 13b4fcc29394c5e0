package registry

import (
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
)

// Sighting is the last hour in which an agent got a token, as far as it was noted: nothing waits for the note.
type Sighting struct {
	Agent agent.ID
	Hour  time.Time // its beginning, UTC
	// Generation of the certificate that got the first token of the hour; zero: it does not depend on the Org CA.
	Generation int64
	Interval   int64 // usual hours from one hour with tokens to the next; zero: the agent was seen in one hour alone
	// Corrects is the hour, as read, of a clock that was far ahead, which this sighting replaces. It is not stored.
	Corrects time.Time
}

// SightingOf is the sighting of an agent that gets a token at now, without what earlier hours say.
func SightingOf(id agent.ID, generation int64, now time.Time) Sighting {
	return Sighting{Agent: id, Hour: now.UTC().Truncate(time.Hour), Generation: generation}
}

// Behind returns s with what follows from the sighting before it: the interval, and what it corrects. The usual
// interval moves half the way to the last one. A last interval of more than three usual ones counts as three: one long
// pause does not make an agent look rare.
func (s Sighting) Behind(before Sighting) Sighting {
	last := int64(s.Hour.Sub(before.Hour) / time.Hour)
	if before.Hour.After(LatestSighting(s.Hour)) {
		s.Corrects = before.Hour
	}
	usual := before.Interval
	switch {
	case before.Hour.IsZero() || last <= 0: // not seen before, or by a clock that was ahead
		s.Interval = 0
	case usual == 0:
		s.Interval = last
	case last > usual:
		s.Interval = (usual + min(last, silentIntervals*usual) + 1) / 2
	default:
		s.Interval = (usual + last) / 2
	}
	return s
}

// Replaces reports whether a store keeps s in the place of old: s is later, or corrects old. So a write that comes late
// undoes nothing.
func (s Sighting) Replaces(old Sighting) bool {
	return old.Hour.Before(s.Hour) || !s.Corrects.IsZero() && old.Hour.Equal(s.Corrects)
}

// LatestSighting is the latest hour of a sighting that is believed at now: far more ahead than clocks differ.
func LatestSighting(now time.Time) time.Time { return now.Add(time.Hour) }

// Believed returns the beginning of the hour, as far as it is known at now; the zero time otherwise.
func (s Sighting) Believed(now time.Time) time.Time {
	if s.Hour.After(LatestSighting(now)) {
		return time.Time{}
	}
	return s.Hour
}

// Day is how long an agent counts as in use after its last token, where that decides what may be cut off.
const Day = 24 * time.Hour

// Recent reports whether the agent may have got a token within Day before now. The zero Sighting is not recent, nor is
// one that is not believed.
func (s Sighting) Recent(now time.Time) bool { return s.within(Day, now) }

// silentIntervals are the usual intervals without a token after which an agent is silent.
const silentIntervals = 3

// Silent reports whether the agent got no token for three of its usual intervals; where none is known, for Day. An
// interval is at least an hour. The zero Sighting is silent, and so is one that is not believed.
func (s Sighting) Silent(now time.Time) bool {
	patience := Day
	if s.Interval > 0 {
		patience = time.Duration(min(s.Interval, longestInterval)) * silentIntervals * time.Hour
	}
	return !s.within(patience, now)
}

const longestInterval = 366 * 24 // hours

func (s Sighting) within(d time.Duration, now time.Time) bool {
	return s.Believed(now).Add(time.Hour).After(now.Add(-d))
}

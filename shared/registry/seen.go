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
}

// SightingOf is the sighting of an agent that gets a token at now.
func SightingOf(id agent.ID, generation int64, now time.Time) Sighting {
	return Sighting{id, now.UTC().Truncate(time.Hour), generation}
}

// Replaces reports whether a store keeps s in the place of old: s is later, or old lies so far ahead that the clock
// which stored it was wrong.
func (s Sighting) Replaces(old Sighting) bool {
	return old.Hour.Before(s.Hour) || old.Hour.After(LatestSighting(s.Hour))
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

// Silence is how long an agent gets no token until it counts as silent.
const Silence = 24 * time.Hour

// Recent reports whether the agent may have got a token within Silence before now. The zero Sighting is not recent, nor
// is one that is not believed.
func (s Sighting) Recent(now time.Time) bool {
	return s.Believed(now).Add(time.Hour).After(now.Add(-Silence))
}

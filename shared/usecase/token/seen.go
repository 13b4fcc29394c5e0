package token

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/registry"
)

const (
	seenTimeout = 500 * time.Millisecond // of one write, which no token waits for
	seenTries   = 3                      // writes of one agent's hour by one instance, until one is confirmed
	seenKept    = 5000                   // agents in each half of what an instance remembers
	seenAtOnce  = 16                     // writes under way
)

// Sightings notes the hours in which agents get tokens, without a part in any token: it writes when the token is
// signed, and nothing waits for it. A write that fails, or that a freeze of the instance cuts off, is repeated with the
// agent's next token.
//
// An instance remembers which agents were noted in this hour, so that all their other tokens cost nothing. The first
// token of an agent and hour in an instance reads the note in the same call as the agent, and writes only if no other
// instance has. What an instance forgets it reads again. It is safe for concurrent use.
type Sightings struct {
	Store interface {
		Seen(ctx context.Context, s registry.Sighting) error
	}
	Background func(func()) // runs what no answer waits for
	Log        *slog.Logger

	mu       sync.Mutex
	hour     time.Time
	kept     [2]map[agent.ID]attempt // of the hour; the second half is the older one
	underWay int
}

// attempt is what an instance knows of an agent's note of this hour.
type attempt struct {
	tries    int
	underWay bool
	noted    bool
}

// over reports whether there is nothing to read or to write.
func (a attempt) over() bool { return a.noted || a.underWay || a.tries >= seenTries }

// viewer reads the note of an agent with the agent, while the instance does not know of one in this hour.
type viewer struct {
	Store
	sightings *Sightings
	now       time.Time
	last      registry.View // that was read
}

// View reads an agent and a copy of the pointer in one call.
func (v *viewer) View(ctx context.Context, id agent.ID) (view registry.View, err error) {
	if v.sightings.over(id, v.now) {
		view, err = v.Store.View(ctx, id)
	} else {
		view, err = v.Store.ViewSeen(ctx, id)
	}
	v.last = view
	return view, err
}

func (s *Sightings) over(id agent.ID, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.turn(registry.SightingOf(id, 0, now).Hour)
	return s.attempt(id).over()
}

// note writes that an agent got a token at now, unless the note that was read with the agent says so; before is nil
// where none was read. It runs first before it writes; nil: there is nothing to run.
func (s *Sightings) note(
	ctx context.Context, before *registry.Sighting, seen registry.Sighting, first func(context.Context),
) {
	writes := false
	if before != nil {
		seen = seen.Behind(*before)
		writes = s.begin(*before, seen)
	}
	if first == nil && !writes {
		return
	}
	ctx = context.WithoutCancel(ctx)
	s.Background(func() {
		if first != nil {
			first(ctx)
		}
		if !writes {
			return
		}
		ctx, cancel := context.WithTimeout(ctx, seenTimeout)
		defer cancel()
		err := s.Store.Seen(ctx, seen)
		if err != nil {
			s.Log.WarnContext(ctx, "token.seen_unknown", "agent", string(seen.Agent), "cause", err.Error())
		}
		s.end(seen, err == nil)
	})
}

// begin reports whether to write, and counts the try.
func (s *Sightings) begin(before, seen registry.Sighting) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.turn(seen.Hour)
	a := s.attempt(seen.Agent)
	if !seen.Replaces(before) {
		a.noted = true
		s.keep(seen.Agent, a)
		return false
	}
	if a.over() || s.underWay >= seenAtOnce {
		return false
	}
	s.underWay++
	s.keep(seen.Agent, attempt{tries: a.tries + 1, underWay: true})
	return true
}

func (s *Sightings) end(seen registry.Sighting, confirmed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.underWay--
	if s.hour.Equal(seen.Hour) {
		s.keep(seen.Agent, attempt{tries: s.attempt(seen.Agent).tries, noted: confirmed})
	}
}

// turn forgets what is of another hour.
func (s *Sightings) turn(hour time.Time) {
	if !s.hour.Equal(hour) {
		s.hour, s.kept = hour, [2]map[agent.ID]attempt{}
	}
}

// attempt looks an agent up. What is looked up in the older half moves to the younger one: when the younger half is
// full, the older one has the agents that were not asked for since.
func (s *Sightings) attempt(id agent.ID) attempt {
	if a, ok := s.kept[0][id]; ok {
		return a
	}
	a, ok := s.kept[1][id]
	if ok {
		s.keep(id, a)
	}
	return a
}

func (s *Sightings) keep(id agent.ID, a attempt) {
	if len(s.kept[0]) >= seenKept {
		if _, there := s.kept[0][id]; !there {
			s.kept[0], s.kept[1] = nil, s.kept[0]
		}
	}
	if s.kept[0] == nil {
		s.kept[0] = map[agent.ID]attempt{}
	}
	s.kept[0][id] = a
}

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
// An instance remembers which agents it has noted in this hour, so that all their other tokens cost no call. What it
// forgets it notes again. It is safe for concurrent use.
type Sightings struct {
	Store interface {
		Seen(ctx context.Context, s registry.Sighting) error
	}
	Beside func(func()) // runs what no answer waits for
	Log    *slog.Logger

	mu       sync.Mutex
	hour     time.Time
	kept     [2]map[agent.ID]int // tries of the hour; the second half is the older one
	underWay int
}

// note writes that an agent got a token at now, if that has to be written.
func (s *Sightings) note(ctx context.Context, id agent.ID, generation int64, now time.Time) {
	seen := registry.SightingOf(id, generation, now)
	if !s.begin(seen) {
		return
	}
	ctx = context.WithoutCancel(ctx)
	s.Beside(func() {
		ctx, cancel := context.WithTimeout(ctx, seenTimeout)
		defer cancel()
		err := s.Store.Seen(ctx, seen)
		if err != nil {
			s.Log.WarnContext(ctx, "token.seen_unknown", "agent", string(id), "cause", err.Error())
		}
		s.end(seen, err == nil)
	})
}

// begin reports whether to write, and counts the try.
func (s *Sightings) begin(seen registry.Sighting) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.hour.Equal(seen.Hour) {
		s.hour, s.kept = seen.Hour, [2]map[agent.ID]int{}
	}
	tries := s.tries(seen.Agent)
	if tries >= seenTries || s.underWay >= seenAtOnce {
		return false
	}
	s.keep(seen.Agent, tries+1)
	s.underWay++
	return true
}

func (s *Sightings) end(seen registry.Sighting, confirmed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.underWay--
	if confirmed && s.hour.Equal(seen.Hour) {
		s.keep(seen.Agent, seenTries)
	}
}

// tries looks an agent up. What is looked up in the older half moves to the younger one: when the younger half is full,
// the older one has the agents that were not asked for since.
func (s *Sightings) tries(id agent.ID) int {
	if n, ok := s.kept[0][id]; ok {
		return n
	}
	n, ok := s.kept[1][id]
	if ok {
		s.keep(id, n)
	}
	return n
}

func (s *Sightings) keep(id agent.ID, tries int) {
	if len(s.kept[0]) >= seenKept {
		if _, there := s.kept[0][id]; !there {
			s.kept[0], s.kept[1] = nil, s.kept[0]
		}
	}
	if s.kept[0] == nil {
		s.kept[0] = map[agent.ID]int{}
	}
	s.kept[0][id] = tries
}

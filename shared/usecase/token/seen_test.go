package token

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/registry"
)

type sightings map[agent.ID]int

func (n sightings) Seen(_ context.Context, s registry.Sighting) error { n[s.Agent]++; return nil }

// asks is a token of an agent that no other instance has noted.
func asks(ctx context.Context, s *Sightings, id agent.ID, now time.Time) {
	var before *registry.Sighting
	if !s.over(id, now) {
		before = &registry.Sighting{}
	}
	s.note(ctx, before, registry.SightingOf(id, 1, now), nil)
}

// What an instance remembers is bounded, and an agent that keeps asking is not what it forgets.
func TestSightingsForgetTheAgentsThatAreGone(t *testing.T) {
	store := sightings{}
	s := &Sightings{Store: store, Background: func(do func()) { do() }, Log: slog.New(slog.DiscardHandler)}
	now := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	name := func(n int) agent.ID { return agent.ID(fmt.Sprintf("acme::agent-%d", n)) }
	const fleet = 7 * seenKept
	for n := range fleet {
		asks(t.Context(), s, name(n), now)
		asks(t.Context(), s, "acme::busy", now)
		if kept := len(s.kept[0]) + len(s.kept[1]); kept > 2*seenKept {
			t.Fatalf("%d agents are remembered after %d, want at most %d", kept, n, 2*seenKept)
		}
	}
	if store["acme::busy"] != 1 {
		t.Errorf("an agent that asked all the time was written %d times in an hour, want once", store["acme::busy"])
	}
	for n := range fleet {
		if store[name(n)] != 1 {
			t.Fatalf("agent %d was written %d times, want once", n, store[name(n)])
		}
	}
	if asks(t.Context(), s, name(0), now); store[name(0)] != 2 {
		t.Error("what was forgotten was not noted again")
	}
	asks(t.Context(), s, "acme::busy", now.Add(time.Hour))
	if kept := len(s.kept[0]) + len(s.kept[1]); store["acme::busy"] != 2 || kept != 1 {
		t.Errorf("in the next hour: written %d times, %d agents remembered; want 2 and 1", store["acme::busy"], kept)
	}
}

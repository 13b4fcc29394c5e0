package hygiene_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
	"github.com/mastio-aws/mastio/shared/usecase/hygiene"
	"github.com/mastio-aws/mastio/test/inmemory"
)

// inOrder is a fleet whose listing is in the opposite order to when its agents were last seen: the first of the result
// was seen last. The last two were never seen, or by a clock that was years ahead.
func inOrder(t *testing.T, m *inmemory.Mastio, size int) (ids []agent.ID) {
	t.Helper()
	for n := range size {
		a := admit(t, m, fmt.Sprintf("agent-%03d", size-n), agent.SecretsManager)
		ids = append(ids, a.Agent.ID)
		seen := registry.SightingOf(a.Agent.ID, 1, m.Now().Add(-time.Duration(n)*time.Hour))
		switch n {
		case size - 2:
			seen.Hour = m.Now().AddDate(9, 0, 0).Truncate(time.Hour)
		case size - 1:
			continue
		}
		if err := m.Store.Seen(t.Context(), seen); err != nil {
			t.Fatal(err)
		}
	}
	return ids
}

// Without an overlap every agent is without a token. Those come back first that were seen last, in each pass anew.
func TestThoseSeenLastComeBackFirst(t *testing.T) {
	m := fresh(t, memstore.Config{})
	ids := inOrder(t, m, 60)
	swap(t, m, 0)
	for pass := 1; pass <= 3; pass++ {
		enough := 15 * pass
		m.Over = func() bool { return m.Secrets.Calls()["Promote"] >= enough }
		read := m.Store.Calls()["SeenAt"]
		if _, err := m.Hygiene.Reissue(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := m.Store.Calls()["SeenAt"] - read; n != 1 {
			t.Errorf("pass %d: sightings read in %d batches, want one for a page", pass, n)
		}
		moved := 0
		for n, id := range ids {
			if stored(t, m, id).Pin().Generation != 2 {
				continue
			}
			// Those that are worked on at once overtake one another.
			if moved++; n >= enough+hygiene.Concurrency+1 {
				t.Errorf("pass %d: %s came back among the first %d, it is number %d", pass, id, enough, n+1)
			}
		}
		if moved < enough || moved == len(ids) {
			t.Errorf("pass %d: %d of %d agents are back, want %d or a few more", pass, moved, len(ids), enough)
		}
		m.Advance(time.Minute)
	}
	m.Over = nil
	reissues(t, m)
}

// In an overlap nothing waits: nothing is read for the order.
func TestOverlapNeedsNoOrder(t *testing.T) {
	m := fresh(t, memstore.Config{})
	inOrder(t, m, 3)
	swap(t, m, time.Hour)
	reissues(t, m)
	if n := m.Store.Calls()["SeenAt"]; n != 0 {
		t.Errorf("sightings were read %d times", n)
	}
}

// The order is worth no error: without the sightings the fleet comes back all the same.
func TestReissueWithoutSightings(t *testing.T) {
	m := fresh(t, memstore.Config{Fault: func(op string) memstore.Fault {
		if op == "SeenAt" {
			return memstore.Refuse
		}
		return memstore.None
	}})
	ids := inOrder(t, m, 5)
	swap(t, m, 0)
	if r := reissues(t, m); r.Delivered != int64(len(ids)) || r.Failed != 0 {
		t.Errorf("the end is %+v", r)
	}
}

// Agents that an earlier rotation has cut off come before those of the overlap.
func TestCutOffAgentsGoBeforeTheOverlap(t *testing.T) {
	m := fresh(t, memstore.Config{})
	off := inOrder(t, m, 12)
	swap(t, m, 0)
	if _, err := m.Standby.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	in := admit(t, m, "in-the-overlap", agent.SecretsManager).Agent.ID
	swap(t, m, time.Hour)
	m.Over = func() bool { return m.Secrets.Calls()["Promote"] > 0 }
	if _, err := m.Hygiene.Reissue(t.Context()); err != nil {
		t.Fatal(err)
	}
	back := slices.ContainsFunc(off, func(id agent.ID) bool { return stored(t, m, id).Pin().Generation == 3 })
	if !back || stored(t, m, in).Pin().Generation != 2 {
		t.Error("the agent of the overlap went before those that get no tokens")
	}
}

// Where the look at the fleet takes its share of a pass, the rest is handed over as it comes.
func TestOrderTakesItsShareOfAPass(t *testing.T) {
	var m *inmemory.Mastio
	m = fresh(t, memstore.Config{Fault: func(op string) memstore.Fault {
		if op == "SeenAt" {
			m.Advance(20 * time.Second)
		}
		return memstore.None
	}})
	ids := inOrder(t, m, 5)
	swap(t, m, 0)
	if _, err := m.Standby.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	ids = append(ids, admit(t, m, "younger", agent.SecretsManager).Agent.ID)
	swap(t, m, 0)
	if r, err := m.Hygiene.Reissue(t.Context()); err != nil || r.Over || r.Delivered != int64(len(ids)) {
		t.Errorf("%+v, %v; want all %d delivered", r, err, len(ids))
	}
	if n := m.Store.Calls()["SeenAt"]; n != 1 {
		t.Errorf("sightings were read %d times, want once: then the share is used up", n)
	}
}

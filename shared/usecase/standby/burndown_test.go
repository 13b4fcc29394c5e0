package standby_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
	"github.com/mastio-aws/mastio/test/inmemory"
)

func burndown(t *testing.T, m *inmemory.Mastio) registry.Burndown {
	t.Helper()
	b, err := m.Store.Burndown(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The job draws a rotation, at no cost before it and with no more than an item after it.
func TestRunPlotsARotation(t *testing.T) {
	m := inmemory.Open(t, memstore.Config{})
	for _, name := range []string{"a", "b"} {
		if _, err := m.Admit(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	before := m.Store.Calls()
	run(t, m)
	after := m.Store.Calls()
	for _, op := range []string{"Census", "Burndown", "PutBurndown"} {
		if after[op] != before[op] {
			t.Errorf("%s was called although there was no rotation", op)
		}
	}
	m.Do(t, rotateca.Request{Mode: rotateca.Mint, Overlap: 24 * time.Hour})
	since := m.Org(t).Pointer.RotatedAt
	var want []registry.BurndownPoint
	for _, left := range []int64{2, 1, 0, 0} {
		run(t, m)
		p := registry.BurndownPoint{At: m.Now().Truncate(time.Millisecond), Remaining: map[agent.Method]int64{}}
		if left > 0 {
			p.Remaining[agent.Minted] = left
		}
		want = append(want, p)
		m.Advance(5 * time.Minute)
		if left > 0 {
			if _, err := m.Rotate(t.Context(), map[int64]agent.ID{2: "orga::a", 1: "orga::b"}[left]); err != nil {
				t.Fatal(err)
			}
		}
	}
	got := burndown(t, m)
	if diff := cmp.Diff(registry.Burndown{Generation: 2, Since: since, Points: want, Version: 4}, got); diff != "" {
		t.Errorf("burn-down (-want +got):\n%s", diff)
	}
	run(t, m)
	if diff := cmp.Diff(got, burndown(t, m)); diff != "" {
		t.Errorf("after all have moved (-want +got):\n%s", diff)
	}
	m.Do(t, rotateca.Request{Mode: rotateca.Mint})
	run(t, m)
	if b := burndown(t, m); b.Generation != 3 || len(b.Points) != 1 || b.Points[0].All() != 2 {
		t.Errorf("after the next rotation: %+v", b)
	}
	m.Advance(8 * 24 * time.Hour)
	before = m.Store.Calls()
	run(t, m)
	if after := m.Store.Calls(); after["Burndown"] != before["Burndown"] {
		t.Error("a week after a rotation without an overlap it is still drawn")
	}
}

// A chart that cannot be drawn fails no run of the job.
func TestRunWithoutTheBurndown(t *testing.T) {
	for _, op := range []string{"Census", "Burndown", "PutBurndown"} {
		for _, fault := range []memstore.Fault{memstore.Refuse, memstore.Lose} {
			broken := false
			m := inmemory.Open(t, memstore.Config{Fault: func(called string) memstore.Fault {
				if broken && called == op {
					return fault
				}
				return memstore.None
			}})
			m.Do(t, rotateca.Request{Mode: rotateca.Mint, Overlap: time.Hour})
			broken = true
			if fault == memstore.Lose && op != "PutBurndown" {
				continue // reads are refused or answered
			}
			run(t, m)
			broken = false
			run(t, m)
			if b := burndown(t, m); b.Generation != 2 || len(b.Points) == 0 {
				t.Errorf("%s: the next run drew %+v", op, b)
			}
		}
	}
}

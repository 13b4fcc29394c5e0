package storetest

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/registry"
)

type tallies = map[agent.Method]registry.Tally

// expected counts a fleet as it was written.
func expected(fleet []agent.Agent, current, newest int64) tallies {
	want := tallies{agent.Minted: {}, agent.BYOCA: {}, agent.SPIFFE: {}}
	for _, a := range fleet {
		t := want[a.Method]
		switch g := a.Pin().Generation; {
		case a.Status != agent.Active:
		case g == current:
			t.Current++
		case g > current && g <= newest:
			t.Newer++
		default:
			t.Older++
		}
		want[a.Method] = t
	}
	return want
}

func census(t *testing.T, f fixture) {
	none := tallies{agent.Minted: {}, agent.BYOCA: {}, agent.SPIFFE: {}}
	f.counted(1, 1, none)
	fleet := f.fleet()
	for _, c := range []struct{ current, newest int64 }{{1, 1}, {1, 2}, {1, 3}, {2, 2}, {2, 3}, {3, 3}, {4, 4},
		{1_000_000, 1_000_000}} {
		f.counted(c.current, c.newest, expected(fleet, c.current, c.newest))
	}
	for n, a := range fleet { // who re-enrols, or goes, is counted where it is now
		stored := *f.view(a.ID).Agent
		switch {
		case a.Status != agent.Active || n%2 == 0:
			continue
		case n%3 == 0:
			c := rotation(stored, 4)
			gone := c.Agent.Deactivate(noon)
			c.Agent = &gone
			c = c.Ends(stored, noon)
			f.apply(c)
			fleet[n] = gone
		default:
			c := rotation(stored, 4)
			f.apply(c)
			fleet[n] = *c.Agent
		}
	}
	f.counted(4, 4, expected(fleet, 4, 4))
	f.counted(3, 4, expected(fleet, 3, 4))
}

// counted waits until an index that lags behind has caught up: it fails unless the census becomes what is wanted.
func (f fixture) counted(current, newest int64, want tallies) {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), 30*time.Second)
	defer cancel()
	for {
		got, err := f.Census(f.t.Context(), current, newest)
		if err != nil {
			f.t.Fatalf("census of generation %d: %v", current, err)
		}
		if cmp.Equal(want, got) {
			return
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			f.t.Fatalf("census of generation %d, newest %d (-want +got):\n%s", current, newest, cmp.Diff(want, got))
		}
	}
}

package orgca

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestSwapBeginsReissue(t *testing.T) {
	at := time.Date(2027, 1, 15, 2, 0, 0, 0, time.UTC)
	first := Swap{Next: Generation{Number: 1}}
	if r := NewReissue(first, nil, Moves{}, at); r != nil {
		t.Errorf("the first generation begins the re-issue %+v, want none: there were no agents", *r)
	}
	back := Swap{Next: Generation{Number: 1}, Previous: &Generation{Number: 2}, Pointer: Pointer{Fence: 9}}
	before := &Reissue{
		Generation:    2,
		From:          1,
		State:         Halted,
		Why:           "refusals",
		Agents:        []string{"a::b"},
		ReissueCounts: ReissueCounts{Delivered: 3},
		Next:          at.Add(time.Minute),
		Version:       7,
	}
	want := &Reissue{
		Generation: 1,
		From:       2,
		Fence:      9,
		Began:      at,
		WaveBegan:  at,
		Waves:      []int{100},
		OnHalt:     HoldOnHalt,
		Bound:      Everyone,
		State:      Running,
		Version:    7,
	}
	if diff := cmp.Diff(want, NewReissue(back, before, Moves{}, at)); diff != "" {
		t.Errorf("re-issue of a rollback (-want +got):\n%s", diff)
	}
}

func TestReissueWorks(t *testing.T) {
	p := &Pointer{Current: 2}
	for _, c := range []struct {
		name string
		r    *Reissue
		p    *Pointer
		want bool
	}{
		{"running", &Reissue{Generation: 2, State: Running}, p, true},
		{"none", nil, p, false},
		{"no Org CA", &Reissue{State: Running}, nil, false},
		{"of an earlier swap", &Reissue{Generation: 1, State: Running}, p, false},
		{"paused", &Reissue{Generation: 2, State: Paused}, p, false},
		{"halted", &Reissue{Generation: 2, State: Halted}, p, false},
		{"finished", &Reissue{Generation: 2, State: Finished}, p, false},
		{"without a state", &Reissue{Generation: 2}, p, false},
		{"in a state that is not known", &Reissue{Generation: 2, State: "RUNNING"}, p, false},
	} {
		if got := c.r.Works(c.p); got != c.want {
			t.Errorf("%s: works %v, want %v", c.name, got, c.want)
		}
	}
}

// The waves of a fleet have the sizes that their percents say, whatever the agents' names have in common, and a later
// wave has everything that an earlier one has.
func TestSharesAreEven(t *testing.T) {
	const agents = 20_000
	for _, percent := range []int{1, 10, 50, 100} {
		r := Reissue{Bound: BoundOf(percent)}
		taken := 0
		for n := range agents {
			id := fmt.Sprintf("acme::agent-%05d", n)
			if r.Takes(id) {
				taken++
			}
			if (Reissue{Bound: BoundOf(percent / 2)}).Takes(id) && !r.Takes(id) {
				t.Fatalf("%s is in the wave of %d %% and not in that of %d %%", id, percent/2, percent)
			}
		}
		if want := agents * percent / 100; taken < want-want/5 || taken > want+want/5 {
			t.Errorf("%d %% of %d agents: took %d, want about %d", percent, agents, taken, want)
		}
	}
	if (Reissue{}).Takes("acme::agent") {
		t.Error("a re-issue without a bound takes an agent")
	}
	if BoundOf(100) != Everyone || BoundOf(0) != 0 {
		t.Errorf("bounds of 0 and 100 %%: %d and %d, want 0 and %d", BoundOf(0), BoundOf(100), Everyone)
	}
}

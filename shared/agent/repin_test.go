package agent

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The pin in use yields; a second successor is pinned beside the first, whose answer may be lost.
func TestRepinUntilUse(t *testing.T) {
	keep := Keep{Grace: time.Hour, UntilUse: true}
	a := Agent{Pins: []Pin{{Thumbprint: "a"}, {Thumbprint: "operator's", Until: now.Add(48 * time.Hour)}}}
	later := now.Add(time.Minute)
	got := a.Repin(Pin{Thumbprint: "b"}, keep, now).Repin(Pin{Thumbprint: "c"}, keep, later)
	want := []Pin{
		{Thumbprint: "c", Unused: true}, {Thumbprint: "b", Unused: true},
		{Thumbprint: "a", Yields: true, Until: now.Add(time.Hour)}, {Thumbprint: "operator's", Until: now.Add(48 * time.Hour)},
	}
	if diff := cmp.Diff(want, got.Pins); diff != "" {
		t.Errorf("pins (-want +got):\n%s", diff)
	}
	used, changed := got.Use(got.Pins[1], generations{}, later)
	want = []Pin{{Thumbprint: "b"}, {Thumbprint: "operator's", Until: now.Add(48 * time.Hour)}}
	if diff := cmp.Diff(want, used.Pins); diff != "" || !changed {
		t.Errorf("pins after the first use, changed %v (-want +got):\n%s", changed, diff)
	}
	ended := got.Activation(used, got.Pins[1], later).Details["ended_thumbprints"]
	if diff := cmp.Diff([]any{"c", "a"}, ended); diff != "" {
		t.Errorf("the row tells of the ended (-want +got):\n%s", diff)
	}
	if _, changed := used.Use(used.Pins[0], generations{}, later); changed {
		t.Error("the second use changes something")
	}
}

// However many answers are lost: the pin in use is never among those that make room.
func TestRepinUntilUseIsBounded(t *testing.T) {
	a := Agent{Status: Active, Pins: []Pin{{Thumbprint: "in use", Generation: 1}}}
	for n := range 50 {
		a = a.Repin(Pin{Thumbprint: fmt.Sprint(n), Generation: 1}, Keep{Grace: time.Hour, UntilUse: true}, now)
	}
	if len(a.Pins) != maxUnused+1 {
		t.Errorf("%d pins after 50 lost answers, want %d", len(a.Pins), maxUnused+1)
	}
	if _, err := a.Authenticate("in use", generations{current: 1}, now.Add(time.Hour-1)); err != nil {
		t.Errorf("the certificate in use: %v", err)
	}
	if _, err := a.Authenticate("in use", generations{current: 1}, now.Add(time.Hour)); err == nil {
		t.Error("the certificate in use authenticates after the overlap")
	}
}

// After a rollback, before the restored certificate was used: whatever is pinned next treats it as one in use, not as one
// that its agent has left.
func TestRepinAfterARollback(t *testing.T) {
	hour := now.Add(time.Hour)
	undone := Pin{Thumbprint: "undone", Generation: 2}
	next := Pin{Thumbprint: "next", Generation: 1}
	for name, c := range map[string]struct {
		left Pin // as the move to the generation that was undone left it
		keep Keep
		want *Pin // nil: it is gone
	}{
		"a rotation": {Pin{Thumbprint: "left", Generation: 1, Dormant: true}, Keep{}, nil},
		"a rotation with grace": {
			Pin{Thumbprint: "left", Generation: 1, Dormant: true}, Keep{Grace: time.Hour},
			&Pin{Thumbprint: "left", Generation: 1, Until: hour},
		},
		"a rotation with grace, of what ended for a successor": {
			Pin{Thumbprint: "left", Generation: 1, Dormant: true, Yields: true, Until: now.Add(-time.Minute)}, Keep{Grace: time.Hour},
			&Pin{Thumbprint: "left", Generation: 1, Until: hour},
		},
		"a successor": {
			Pin{Thumbprint: "left", Generation: 1, Dormant: true}, Keep{Grace: time.Hour, UntilUse: true},
			&Pin{Thumbprint: "left", Generation: 1, Until: hour, Yields: true},
		},
		"a successor, of what ended for another": {
			Pin{Thumbprint: "left", Generation: 1, Dormant: true, Yields: true, Until: now.Add(-time.Minute)}, Keep{Grace: time.Hour, UntilUse: true},
			&Pin{Thumbprint: "left", Generation: 1, Until: hour, Yields: true},
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := Agent{Status: Active, Pins: []Pin{undone, c.left}}
			if _, err := a.Authenticate("left", generations{current: 1}, now); err != nil {
				t.Fatalf("the rollback did not restore it: %v", err)
			}
			var got *Pin
			for _, p := range a.Repin(next, c.keep, now).Pins {
				if p.Thumbprint == "left" {
					got = &p
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("the restored pin (-want +got):\n%s", diff)
			}
		})
	}
}

package agent

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The pin in use yields; a second successor is pinned next to the first, whose answer may be lost.
func TestRepinUntilUse(t *testing.T) {
	keep := Keep{Grace: time.Hour, UntilUse: true}
	a := Agent{Pins: []Pin{{Thumbprint: "a"}, {Thumbprint: "operator's", Until: now.Add(48 * time.Hour)}}}
	later := now.Add(time.Minute)
	got := a.Repin(Pin{Thumbprint: "b"}, keep, now).Repin(Pin{Thumbprint: "c"}, keep, later)
	want := []Pin{
		{Thumbprint: "c", Unused: true, Renewed: later}, {Thumbprint: "b", Unused: true, Renewed: now},
		{
			Thumbprint: "a",
			Yields:     true,
			Until:      now.Add(time.Hour),
		}, {Thumbprint: "operator's", Until: now.Add(48 * time.Hour)},
	}
	if diff := cmp.Diff(want, got.Pins); diff != "" {
		t.Errorf("pins (-want +got):\n%s", diff)
	}
	used, changed := got.Use(got.Pins[1], generations{}, later)
	want = []Pin{{Thumbprint: "b", Renewed: now}, {Thumbprint: "operator's", Until: now.Add(48 * time.Hour)}}
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

// After a rollback, before the restored certificate was used: whatever is pinned next treats it as one in use, not as
// one that its agent has left.
func TestRepinAfterARollback(t *testing.T) {
	hour := now.Add(time.Hour)
	undone := Pin{Thumbprint: "undone", Generation: 2}
	next := Pin{Thumbprint: "next", Generation: 1}
	for name, c := range map[string]struct {
		left Pin // as the move to the generation that was undone left it
		keep Keep
		want Pin // zero: it is gone
	}{
		"a rotation": {Pin{Thumbprint: "left", Generation: 1, Dormant: true}, Keep{}, Pin{}},
		"a rotation with grace": {
			Pin{Thumbprint: "left", Generation: 1, Dormant: true}, Keep{Grace: time.Hour},
			Pin{Thumbprint: "left", Generation: 1, Until: hour},
		},
		"a rotation with grace, of what ended for a successor": {
			Pin{
				Thumbprint: "left",
				Generation: 1,
				Dormant:    true,
				Yields:     true,
				Until:      now.Add(-time.Minute),
			}, Keep{Grace: time.Hour},
			Pin{Thumbprint: "left", Generation: 1, Until: hour},
		},
		"a successor": {
			Pin{Thumbprint: "left", Generation: 1, Dormant: true}, Keep{Grace: time.Hour, UntilUse: true},
			Pin{Thumbprint: "left", Generation: 1, Until: hour, Yields: true},
		},
		"a successor, of what ended for another": {
			Pin{
				Thumbprint: "left",
				Generation: 1,
				Dormant:    true,
				Yields:     true,
				Until:      now.Add(-time.Minute),
			}, Keep{Grace: time.Hour, UntilUse: true},
			Pin{Thumbprint: "left", Generation: 1, Until: hour, Yields: true},
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := Agent{Status: Active, Pins: []Pin{undone, c.left}}
			if _, err := a.Authenticate("left", generations{current: 1}, now); err != nil {
				t.Fatalf("the rollback did not restore it: %v", err)
			}
			if diff := cmp.Diff(c.want, a.Repin(next, c.keep, now).pinOf("left")); diff != "" {
				t.Errorf("the restored pin (-want +got):\n%s", diff)
			}
		})
	}
}

// The grace of a rotation is for what counts. It wakes nothing that its agent has left, in an overlap or not; what has
// waited for a successor in an overlap goes on counting, until the grace ends.
func TestGraceInAnOverlap(t *testing.T) {
	in := generations{current: 2, overlapping: 1}
	for name, c := range map[string]struct {
		old  Pin
		want bool
	}{
		"left": {Pin{Thumbprint: "old", Generation: 1, Dormant: true}, false},
		"waits for a successor": {Pin{
			Thumbprint: "old",
			Generation: 1,
			Dormant:    true,
			Yields:     true,
			Until:      now.Add(2 * time.Hour),
		}, true},
		"ended for a successor":  {Pin{Thumbprint: "old", Generation: 1, Dormant: true, Yields: true, Until: now}, false},
		"in use":                 {Pin{Thumbprint: "old", Generation: 1}, true},
		"in use, with less time": {Pin{Thumbprint: "old", Generation: 1, Until: now.Add(time.Minute)}, true},
	} {
		t.Run(name, func(t *testing.T) {
			a := Agent{Status: Active, Pins: []Pin{{Thumbprint: "newer", Generation: 2}, c.old}}
			a = a.Repin(Pin{Thumbprint: "next", Generation: 2}, Keep{Grace: time.Hour, Restorable: 1}, now)
			if _, err := a.Authenticate("old", in, now); (err == nil) != c.want {
				t.Errorf("in the grace: %v, want that it authenticates %v", err, c.want)
			}
			if _, err := a.Authenticate("old", in, now.Add(time.Hour)); err == nil {
				t.Error("it authenticates after the grace")
			}
		})
	}
}

// A rotation with grace ends for good what the agent had left before: a rollback restores it within the grace alone.
func TestRollbackAfterAGrace(t *testing.T) {
	a := Agent{Status: Active, Pins: []Pin{{Thumbprint: "one", Generation: 1}}}
	a = a.Repin(Pin{Thumbprint: "two", Generation: 2}, Keep{Restorable: 1}, now)
	a = a.Repin(Pin{Thumbprint: "three", Generation: 2}, Keep{Grace: time.Hour, Restorable: 1}, now)
	back := generations{current: 1}
	if _, err := a.Authenticate("one", back, now.Add(time.Hour-1)); err != nil {
		t.Errorf("rolled back within the grace: %v", err)
	}
	if _, err := a.Authenticate("one", back, now.Add(time.Hour)); err == nil {
		t.Error("rolled back after the grace, it authenticates")
	}
}

// What ended before its agent left its generation stays ended: it was not the move that ended it.
func TestRollbackRestoresNothingThatHadEnded(t *testing.T) {
	a := Agent{Status: Active, Pins: []Pin{{Thumbprint: "old", Generation: 1}}}
	a = a.Repin(Pin{Thumbprint: "lost", Generation: 1}, Keep{Grace: time.Hour, UntilUse: true}, now)
	later := now.Add(time.Hour)
	a = a.Repin(Pin{Thumbprint: "moved", Generation: 2}, Keep{Restorable: 1}, later)
	back := generations{current: 1}
	if _, err := a.Authenticate("old", back, later); err == nil {
		t.Errorf("what ended with its overlap authenticates after the rollback: %+v", a.Pins)
	}
	if _, err := a.Authenticate("lost", back, later); err != nil {
		t.Errorf("its successor, which had not ended: %v", err)
	}
}

// A restored pin whose successors were restored with it yields to them still: the first use of one ends it.
func TestRestoredPinYieldsToItsSuccessors(t *testing.T) {
	a := Agent{Status: Active, Pins: []Pin{{Thumbprint: "old", Generation: 1}}}
	a = a.Repin(Pin{Thumbprint: "lost", Generation: 1}, Keep{Grace: time.Hour, UntilUse: true}, now)
	a = a.Repin(Pin{Thumbprint: "moved", Generation: 2}, Keep{Restorable: 1}, now)
	back := generations{current: 1}
	for _, thumbprint := range []string{"old", "lost"} {
		p, err := a.Authenticate(thumbprint, back, now)
		if err != nil {
			t.Fatalf("%s was restored: %v", thumbprint, err)
		}
		if a, _ = a.Use(p, back, now); a.pinOf("moved") != (Pin{}) {
			t.Errorf("after the use of %s, the pin of the generation that was undone is there: %+v", thumbprint, a.Pins)
		}
	}
	if _, err := a.Authenticate("old", back, now); err == nil {
		t.Errorf("after the first use of its successor, it authenticates: %+v", a.Pins)
	}
}

// A successor leaves no room in the record to what cannot count again.
func TestSuccessorDropsWhatHasEnded(t *testing.T) {
	a := Agent{
		Status: Active,
		Pins: []Pin{
			{Thumbprint: "in use", Generation: 3},
			{Thumbprint: "in its grace", Generation: 3, Until: now.Add(time.Minute)},
			{Thumbprint: "after its grace", Generation: 3, Until: now},
			{Thumbprint: "left", Generation: 2, Dormant: true},
			{Thumbprint: "left for good", Generation: 1, Dormant: true},
		},
	}
	a = a.Repin(Pin{Thumbprint: "next", Generation: 3}, Keep{Grace: time.Hour, UntilUse: true, Restorable: 2}, now)
	var got []string
	for _, p := range a.Pins {
		got = append(got, p.Thumbprint)
	}
	if diff := cmp.Diff([]string{"next", "in use", "in its grace", "left"}, got); diff != "" {
		t.Errorf("pins (-want +got):\n%s", diff)
	}
}

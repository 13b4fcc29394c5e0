package orgca

import (
	"errors"
	"testing"
	"time"
)

// swapped are the pointer and both generations after the second one has become current.
func swapped(t *testing.T, reason string) (p Pointer, previous, current Generation) {
	t.Helper()
	first, err := Pointer{}.Plan(staged(1), nil, 1, 0, now)
	if err != nil {
		t.Fatal(err)
	}
	first.Pointer.Version = 1
	next := staged(2)
	next.Reason = reason
	overlap := time.Hour
	if Compromised(reason) {
		if _, err := first.Pointer.Plan(next, &first.Next, 2, time.Nanosecond, now); !errors.Is(err, ErrCompromised) {
			t.Fatalf("an overlap for %s: %v", reason, err)
		}
		overlap = 0
	}
	s, err := first.Pointer.Plan(next, &first.Next, 2, overlap, now)
	if err != nil {
		t.Fatal(err)
	}
	return s.Pointer, *s.Previous, s.Next
}

func TestRollback(t *testing.T) {
	p, previous, current := swapped(t, "superseded")
	s, err := p.Rollback(previous, current, 3, now)
	if err != nil || s.Pointer.Current != 1 || s.Next.State != Current || s.Previous.State != Superseded {
		t.Fatalf("%+v, %v", s, err)
	}
	if s.Pointer.Previous != 0 || s.Pointer.Accepts(2, now) {
		t.Errorf("the generation that was undone counts, or comes back: %+v", s.Pointer)
	}
	if _, err := s.Pointer.Rollback(*s.Previous, s.Next, 4, now); !errors.Is(err, ErrNoRollback) {
		t.Errorf("a rollback of the rollback: %v", err)
	}
}

func TestNoRollback(t *testing.T) {
	for _, reason := range []string{"keyCompromise", "cACompromise"} {
		p, previous, current := swapped(t, reason)
		if _, err := p.Rollback(previous, current, 3, now); !errors.Is(err, ErrNoRollback) || p.Previous != 0 {
			t.Errorf("%s: %v, previous %d", reason, err, p.Previous)
		}
	}
	p, previous, current := swapped(t, "superseded")
	for _, state := range []State{Preparing, Staged, Current, Retired, Failed, "", "other"} {
		g := previous
		g.State = state
		if _, err := p.Rollback(g, current, 3, now); !errors.Is(err, ErrNoRollback) {
			t.Errorf("to a generation that is %q: %v", state, err)
		}
	}
	other := previous
	other.Number = 3
	if _, err := p.Rollback(other, current, 3, now); !errors.Is(err, ErrNoRollback) {
		t.Errorf("to another generation: %v", err)
	}
	for _, fence := range []int64{0, 1, 2} {
		if _, err := p.Rollback(previous, current, fence, now); !errors.Is(err, ErrStaleFence) {
			t.Errorf("under fence %d: %v", fence, err)
		}
		if _, err := p.Finalise(fence); !errors.Is(err, ErrStaleFence) {
			t.Errorf("finalised under fence %d: %v", fence, err)
		}
	}
	final, err := p.Finalise(3)
	if err != nil || final.Fence != 3 || final.Accepts(1, now) {
		t.Errorf("finalised: %+v, %v", final, err)
	}
	if _, err := final.Rollback(previous, current, 4, now); !errors.Is(err, ErrNoRollback) {
		t.Errorf("after finalise: %v", err)
	}
}

package session

import (
	"errors"
	"testing"
	"time"
)

// Attempts that were counted under a fast clock delay no sign-in for longer than the longest wait.
func TestGateOfAClockThatWasAhead(t *testing.T) {
	now := time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC)
	for name, l := range map[string]Limit{"source": PerSource, "device": PerDevice, "everyone": Everyone} {
		for _, ahead := range []time.Duration{l.Most + Skew + 1, 48 * time.Hour, 14 * 365 * 24 * time.Hour} {
			var g Gate
			for range 200 { // as many as it takes to be held up for long
				g, _ = g.Try(l, now.Add(ahead))
				g.Until = time.Time{}
			}
			g, _ = g.Try(l, now.Add(ahead))
			if g.Until.IsZero() {
				t.Fatalf("%s: not held up", name)
			}
			next, err := g.Try(l, now)
			if err != nil {
				t.Errorf("%s, %s ahead: %v", name, ahead, err)
			}
			if _, err := next.Try(l, now); ahead <= l.Forget && !errors.Is(err, ErrLocked) {
				t.Errorf("%s, %s ahead: the attempts before are forgotten: %v", name, ahead, err)
			}
		}
	}
}

// A session that was opened while a clock was ahead does not outlive that.
func TestSessionOfAClockThatWasAhead(t *testing.T) {
	now := time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC)
	for ahead, want := range map[time.Duration]error{0: nil, Skew: nil, Skew + 1: ErrNone, 48 * time.Hour: ErrNone} {
		s := Session{Created: now.Add(ahead), Expires: now.Add(ahead + TTL)}
		if err := s.Check(0, now); !errors.Is(err, want) {
			t.Errorf("%s ahead: %v, want %v", ahead, err, want)
		}
	}
}

package session

import (
	"errors"
	"testing"
	"time"

	"github.com/mastio-aws/mastio/shared/problem"
)

var noon = time.Date(2026, time.January, 2, 12, 0, 0, 0, time.UTC)

func TestASessionEnds(t *testing.T) {
	s := &Session{ID: ID("t"), Epoch: 3, Created: noon, Expires: noon.Add(TTL)}
	for _, c := range []struct {
		name  string
		s     *Session
		epoch int64
		now   time.Time
		want  error
	}{
		{"at once", s, 3, noon, nil},
		{"in its last millisecond", s, 3, noon.Add(TTL - time.Millisecond), nil},
		{"at its end", s, 3, noon.Add(TTL), ErrNone},
		{"once all were ended", s, 4, noon, ErrNone},
		{"of an epoch to come", s, 2, noon, ErrNone},
		{"none", nil, 0, noon, ErrNone},
	} {
		if err := c.s.Check(c.epoch, c.now); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, err, c.want)
		}
	}
}

func TestTokensAreTakenForOneUseOnly(t *testing.T) {
	a, b := NewToken(), NewToken()
	if a == b || len(a) != 43 {
		t.Fatalf("tokens %q and %q", a, b)
	}
	seen := map[string]bool{}
	for _, v := range []string{ID(a), ID(b), DeviceID(a), DeviceID(b), FormToken(a), FormToken(b), a, b} {
		if seen[v] {
			t.Errorf("%q stands for two things", v)
		}
		seen[v] = true
	}
	for shown, want := range map[string]error{FormToken(a): nil, FormToken(b): ErrForged, "": ErrForged, a: ErrForged,
		ID(a): ErrForged} {
		if err := CheckForm(a, shown); !errors.Is(err, want) {
			t.Errorf("CheckForm(%q) = %v, want %v", shown, err, want)
		}
	}
}

func TestSource(t *testing.T) {
	for address, want := range map[string]string{
		"192.0.2.7": "192.0.2.7", "::ffff:192.0.2.7": "192.0.2.7", "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64",
		"2001:db8:1:2:ffff::": "2001:db8:1:2::/64", "2001:db8:1:3::": "2001:db8:1:3::/64", "fe80::1%eth0": "fe80::/64",
		"": "unknown", "x": "unknown",
	} {
		if got := Source(address); got != want {
			t.Errorf("Source(%q) = %q, want %q", address, got, want)
		}
	}
}

func TestTheWaitGrowsAndEnds(t *testing.T) {
	l := Limit{Free: 3, First: time.Second, Most: 5 * time.Second, Forget: time.Minute}
	g, now := Gate{Key: "k"}, noon
	for n, want := range []time.Duration{0, 0, time.Second, 2 * time.Second, 4 * time.Second, 5 * time.Second,
		5 * time.Second} {
		next, err := g.Try(l, now)
		if err != nil {
			t.Fatalf("attempt %d: %v", n+1, err)
		}
		if got := max(next.Until.Sub(now), 0); got != want {
			t.Errorf("wait after attempt %d: got %v, want %v", n+1, got, want)
		}
		if want > 0 {
			_, err := next.Try(l, now.Add(want-time.Millisecond))
			if !errors.Is(err, ErrLocked) || problem.Of(err).RetryIn != time.Second {
				t.Errorf("attempt %d, too early: %v", n+2, err)
			}
		}
		g, now = next, now.Add(want)
	}
	if next, err := g.Try(l, now.Add(l.Forget+time.Millisecond)); err != nil || next.Attempts != 1 ||
		!next.Until.IsZero() {
		t.Errorf("after a long pause: %+v, %v", next, err)
	}
	if p := g.Passed(); p.Attempts != g.Attempts-1 || !p.Until.IsZero() || (Gate{}).Passed().Attempts != 0 {
		t.Errorf("after a success: %+v", p)
	}
}

// However long an attacker guesses from many addresses, an unknown browser waits for seconds only.
func TestNobodyIsLockedOutForGood(t *testing.T) {
	g, now := Gate{}, noon
	for range 100_000 {
		if next, err := g.Try(Everyone, now); err == nil {
			g = next
		}
		now = now.Add(100 * time.Millisecond)
	}
	if wait := g.Until.Sub(now); wait > Everyone.Most {
		t.Errorf("the wait is %v", wait)
	}
}

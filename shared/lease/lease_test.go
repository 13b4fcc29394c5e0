package lease

import (
	"errors"
	"strings"
	"testing"
	"time"
)

var now = time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC)

func TestHeld(t *testing.T) {
	for name, c := range map[string]struct {
		lease Lease
		want  bool
	}{
		"never held": {Lease{}, false},
		"released":   {Lease{Fence: 3}, false},
		"held":       {Lease{Holder: "a", Expires: now.Add(time.Millisecond)}, true},
		"expired":    {Lease{Holder: "a", Expires: now}, false},
		"believed":   {Lease{Holder: "a", Expires: now.Add(TTL + Skew)}, true},
		"too late":   {Lease{Holder: "a", Expires: now.Add(TTL + Skew + 1)}, false},
	} {
		if got := c.lease.Held(now); got != c.want {
			t.Errorf("%s: Held = %v, want %v", name, got, c.want)
		}
	}
}

func TestRemainderIsAWholeNumberOfSecondsWithinTheTTL(t *testing.T) {
	for left, want := range map[time.Duration]time.Duration{
		-time.Hour: time.Second, 0: time.Second, 400 * time.Millisecond: time.Second,
		12600 * time.Millisecond: 13 * time.Second, TTL: TTL, time.Hour: TTL,
	} {
		if got := (Lease{Expires: now.Add(left)}).Remainder(now); got != want {
			t.Errorf("%s left: Remainder = %s, want %s", left, got, want)
		}
	}
}

func TestHeldErrorTellsTheOperationButNotTheHolder(t *testing.T) {
	err := Held(Lease{Holder: "01J-secret-holder", Operation: "rotate-ca", Phase: "swap", Expires: now.Add(9 * time.Second)}, now)
	var held *HeldError
	if !errors.Is(err, ErrHeld) || !errors.As(err, &held) || held.RetryAfter != 9*time.Second {
		t.Fatalf("err = %#v", err)
	}
	if text := err.Error(); strings.Contains(text, "secret-holder") || !strings.Contains(text, "rotate-ca") {
		t.Errorf("text = %q", text)
	}
}

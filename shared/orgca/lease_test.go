package orgca

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/mastio-aws/mastio/shared/problem"
)

var leaseNow = time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC)

func TestHeld(t *testing.T) {
	for name, c := range map[string]struct {
		lease Lease
		want  bool
	}{
		"never held": {Lease{}, false},
		"released":   {Lease{Fence: 3}, false},
		"held":       {Lease{Holder: "a", Expires: leaseNow.Add(time.Millisecond)}, true},
		"expired":    {Lease{Holder: "a", Expires: leaseNow}, false},
		"believed":   {Lease{Holder: "a", Expires: leaseNow.Add(LeaseTTL + ClockSkew)}, true},
		"too late":   {Lease{Holder: "a", Expires: leaseNow.Add(LeaseTTL + ClockSkew + 1)}, false},
	} {
		if got := c.lease.Held(leaseNow); got != c.want {
			t.Errorf("%s: Held = %v, want %v", name, got, c.want)
		}
	}
}

func TestRemainderIsAWholeNumberOfSecondsWithinTheTTL(t *testing.T) {
	for left, want := range map[time.Duration]time.Duration{
		-time.Hour: time.Second, 0: time.Second, 400 * time.Millisecond: time.Second,
		12600 * time.Millisecond: 13 * time.Second, LeaseTTL: LeaseTTL, time.Hour: LeaseTTL,
	} {
		if got := (Lease{Expires: leaseNow.Add(left)}).Remainder(leaseNow); got != want {
			t.Errorf("%s left: Remainder = %s, want %s", left, got, want)
		}
	}
}

func TestHeldErrorTellsTheOperationButNotTheHolder(t *testing.T) {
	err := LeaseHeld(Lease{
		Holder:    "01J-secret-holder",
		Operation: "rotate-ca",
		Phase:     "swap",
		Expires:   leaseNow.Add(9 * time.Second),
	}, leaseNow)
	if !errors.Is(err, ErrLeaseHeld) || problem.Of(err).RetryIn != 9*time.Second {
		t.Fatalf("err = %#v", err)
	}
	if text := err.Error(); strings.Contains(text, "secret-holder") || !strings.Contains(text, "rotate-ca") {
		t.Errorf("text = %q", text)
	}
}

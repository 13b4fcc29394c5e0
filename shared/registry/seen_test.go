package registry_test

import (
	"testing"
	"time"

	"github.com/mastio-aws/mastio/shared/registry"
)

// A sighting is recent from a clock that is slightly ahead until its whole hour is a day old.
func TestSightingIsRecentForADay(t *testing.T) {
	now := time.Date(2026, 11, 30, 12, 20, 0, 0, time.UTC)
	for _, c := range []struct {
		name string
		at   time.Time
		want bool
	}{
		{"this hour", now, true},
		{"within an hour ahead", now.Add(40 * time.Minute), true},
		{"by a clock that was ahead", now.Add(2 * time.Hour), false},
		{"by a clock that was years ahead", now.AddDate(14, 0, 0), false},
		{"a day ago", now.Add(-24 * time.Hour), true},
		{"in the hour that ended a day ago", now.Add(-24*time.Hour - 21*time.Minute), false},
	} {
		if got := registry.SightingOf("acme::a", 1, c.at).Recent(now); got != c.want {
			t.Errorf("seen %s: recent %v, want %v", c.name, got, c.want)
		}
	}
	if (registry.Sighting{}).Recent(now) {
		t.Error("an agent that was never seen is recent")
	}
}

func TestSightingOfAClockThatWasAhead(t *testing.T) {
	now := time.Date(2026, 11, 30, 12, 20, 0, 0, time.UTC)
	s := registry.SightingOf("acme::a", 1, now)
	for _, c := range []struct {
		ahead time.Duration
		want  bool
	}{{-time.Hour, true}, {0, false}, {time.Hour, false}, {2 * time.Hour, true}, {14 * 365 * 24 * time.Hour, true}} {
		if got := s.Replaces(registry.SightingOf("acme::a", 1, now.Add(c.ahead))); got != c.want {
			t.Errorf("replaces one that is %s ahead: %v, want %v", c.ahead, got, c.want)
		}
	}
}

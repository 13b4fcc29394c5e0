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
	for _, c := range []struct {
		ahead time.Duration
		want  bool
	}{{-time.Hour, true}, {0, false}, {time.Hour, false}, {2 * time.Hour, true}, {14 * 365 * 24 * time.Hour, true}} {
		old := registry.SightingOf("acme::a", 1, now.Add(c.ahead))
		s := registry.SightingOf("acme::a", 1, now).Behind(old)
		if got := s.Replaces(old); got != c.want {
			t.Errorf("replaces one that is %s ahead: %v, want %v", c.ahead, got, c.want)
		}
		if later := registry.SightingOf("acme::a", 1, now.Add(3*time.Hour)); c.ahead != 3*time.Hour && s.Replaces(later) {
			t.Errorf("what corrects one that is %s ahead undoes a right one of three hours later", c.ahead)
		}
	}
}

// An agent is silent after three of its usual intervals, and after a day while none is known.
func TestSilence(t *testing.T) {
	noon := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	seen := func(hours ...int) (s registry.Sighting) {
		for _, h := range hours {
			s = registry.SightingOf("acme::a", 1, noon.Add(time.Duration(h)*time.Hour)).Behind(s)
		}
		return s
	}
	for _, c := range []struct {
		name     string
		seen     registry.Sighting
		interval int64
		silent   time.Duration // after the end of the last hour
	}{
		{"once", seen(0), 0, 24 * time.Hour},
		{"every hour", seen(-3, -2, -1, 0), 1, 3 * time.Hour},
		{"every eight hours", seen(-24, -16, -8, 0), 8, 24 * time.Hour},
		{"every week", seen(-3*168, -2*168, -168, 0), 168, 3 * 168 * time.Hour},
		{"every hour, and then a pause of a month", seen(-722, -721, -720, 0), 2, 6 * time.Hour},
		{"every hour again", seen(-724, -723, -3, -2, -1, 0), 1, 3 * time.Hour},
		{"by a clock that was years ahead, then by a right one", seen(-1, 14*8760, 0), 0, 24 * time.Hour},
		{"hundred years ago", seen(-2*876000, -876000, 0), 876000, 3 * 366 * 24 * time.Hour},
	} {
		if c.seen.Interval != c.interval {
			t.Errorf("%s: usual interval %d hours, want %d", c.name, c.seen.Interval, c.interval)
		}
		end := noon.Add(time.Hour)
		if c.seen.Silent(end.Add(c.silent-time.Millisecond)) || !c.seen.Silent(end.Add(c.silent)) {
			t.Errorf("%s: not silent exactly %s after the last hour", c.name, c.silent)
		}
	}
	if !(registry.Sighting{}).Silent(noon) || !seen(14*8760).Silent(noon) {
		t.Error("an agent that was never seen, or only by a wrong clock, is not silent")
	}
}

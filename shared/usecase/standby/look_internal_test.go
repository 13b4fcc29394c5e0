package standby

import (
	"testing"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/registry"
)

// An agent is silent when it got no token since it moved for three of its own usual intervals, and got them before.
func TestFellSilent(t *testing.T) {
	moved := time.Date(2026, 11, 30, 12, 20, 0, 0, time.UTC)
	pin := agent.Pin{NotBefore: moved.Add(-time.Hour), Renewed: moved}
	hour := func(ago time.Duration) time.Time { return moved.Truncate(time.Hour).Add(-ago) }
	for name, c := range map[string]struct {
		seen  registry.Sighting
		after time.Duration
		want  bool
	}{
		"hourly, just moved":        {registry.Sighting{Hour: hour(0), Interval: 1}, 0, false},
		"hourly, in patience":       {registry.Sighting{Hour: hour(time.Hour), Interval: 1}, 219 * time.Minute, false},
		"hourly, silent":            {registry.Sighting{Hour: hour(time.Hour), Interval: 1}, 221 * time.Minute, true},
		"hourly, seen since":        {registry.Sighting{Hour: hour(-3 * time.Hour), Interval: 1}, 4 * time.Hour, false},
		"silent before it moved":    {registry.Sighting{Hour: hour(9 * time.Hour), Interval: 1}, 24 * time.Hour, false},
		"daily, half a day":         {registry.Sighting{Hour: hour(12 * time.Hour), Interval: 24}, 12 * time.Hour, false},
		"daily, for four days":      {registry.Sighting{Hour: hour(12 * time.Hour), Interval: 24}, 96 * time.Hour, true},
		"no usual interval":         {registry.Sighting{Hour: hour(0)}, 96 * time.Hour, false},
		"never seen":                {registry.Sighting{}, 96 * time.Hour, false},
		"a clock that was ahead":    {registry.Sighting{Hour: hour(-90 * time.Hour), Interval: 1}, 5 * time.Hour, false},
		"an interval beyond belief": {registry.Sighting{Hour: hour(0), Interval: 1 << 40}, 240 * time.Hour, false},
	} {
		if got := fellSilent(c.seen, pin, moved.Add(c.after)); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

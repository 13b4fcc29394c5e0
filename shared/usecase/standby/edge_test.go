package standby

import (
	"testing"
	"time"

	"github.com/mastio-aws/mastio/shared/registry"
)

func TestMarkOfAClockThatWasAhead(t *testing.T) {
	now := time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		unnamed time.Time
		named   bool
		want    registry.EdgeMark
		due     bool
	}{
		"unmarked, named":     {time.Time{}, true, registry.EdgeMark{}, false},
		"marked, named":       {now.Add(-time.Hour), true, registry.EdgeMark{}, true},
		"marked ahead, named": {now.Add(time.Hour), true, registry.EdgeMark{}, true},
		"unmarked, not named": {time.Time{}, false, registry.EdgeMark{Unnamed: now}, true},
		"marked a moment ago": {now.Add(-unnamedAge + time.Millisecond), false, registry.EdgeMark{Forget: true},
			false},
		"marked long enough ago":      {now.Add(-unnamedAge), false, registry.EdgeMark{Forget: true}, true},
		"marked by a clock far ahead": {now.AddDate(1, 0, 0), false, registry.EdgeMark{Unnamed: now}, true},
	} {
		got, due := verdict(registry.EdgeCA{Unnamed: c.unnamed}, c.named, now)
		if due != c.due || due && (got.Forget != c.want.Forget || !got.Unnamed.Equal(c.want.Unnamed) ||
			!got.CA.Unnamed.Equal(c.unnamed)) {
			t.Errorf("%s: got %+v, %v, want %+v, %v", name, got, due, c.want, c.due)
		}
	}
}

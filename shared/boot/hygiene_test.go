package boot

import (
	"context"
	"testing"
	"time"
)

// However little time a function has, most of it is for the work.
func TestNearly(t *testing.T) {
	for _, c := range []struct{ has, works time.Duration }{
		{15 * time.Minute, 15*time.Minute - 30*time.Second}, {2 * time.Minute, 90 * time.Second},
		{20 * time.Second, 15 * time.Second},
	} {
		now := time.Now()
		ctx, cancel := context.WithDeadline(t.Context(), now.Add(c.has))
		over := nearly(ctx, func() time.Time { return now })
		now = now.Add(c.works - time.Millisecond)
		if over(ctx) {
			t.Errorf("of %s: over before %s", c.has, c.works)
		}
		now = now.Add(time.Millisecond)
		if !over(ctx) {
			t.Errorf("of %s: not over after %s", c.has, c.works)
		}
		cancel()
		if !over(ctx) {
			t.Error("not over although nobody waits")
		}
	}
	if nearly(t.Context(), time.Now)(t.Context()) {
		t.Error("over without a deadline")
	}
}

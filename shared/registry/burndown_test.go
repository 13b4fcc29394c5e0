package registry_test

import (
	"testing"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/registry"
)

// A job that is run every five minutes, more or less, draws 90 days and an hour in few points, from the first one to
// about the last one.
func TestBurndownHasFewPoints(t *testing.T) {
	start := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	for _, span := range []time.Duration{time.Hour, 24 * time.Hour, 90 * 24 * time.Hour} {
		var b registry.Burndown
		writes := 0
		for at := time.Duration(0); at <= span; at += 5 * time.Minute {
			now := start.Add(at + time.Duration(writes%7)*time.Second)
			if !b.Due(now) {
				continue
			}
			writes++
			b = b.With(registry.BurndownPoint{At: now, Remaining: map[agent.Method]int64{agent.Minted: 9}})
			if len(b.Points) > registry.MostPoints {
				t.Fatalf("%d points", len(b.Points))
			}
		}
		first, last := b.Points[0].At, b.Points[len(b.Points)-1].At
		if len(b.Points) < 12 || !first.Equal(start) || last.Sub(start) < span*9/10 {
			t.Errorf("%s: %d points from %s to %s", span, len(b.Points), first, last)
		}
		if writes > 300 {
			t.Errorf("%s took %d writes, want 300 at most", span, writes)
		}
	}
}

func TestBurndownEndsWithNoneLeft(t *testing.T) {
	now := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	var b registry.Burndown
	for n, left := range []int64{3, 0, 0} {
		if !b.Due(now) {
			t.Fatalf("point %d is not due", n)
		}
		b = b.With(registry.BurndownPoint{At: now, Remaining: map[agent.Method]int64{agent.Minted: left}})
		now = now.Add(5 * time.Minute)
	}
	if b.Due(now.AddDate(1, 0, 0)) {
		t.Error("one more point is due after two without an agent")
	}
}

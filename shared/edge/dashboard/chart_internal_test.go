package dashboard

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/registry"
)

// The areas of the methods stand on each other, and reach from the first point to the present one, not to the deadline.
func TestChart(t *testing.T) {
	start := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	point := func(minutes int, minted, byoca int64) registry.BurndownPoint {
		return registry.BurndownPoint{At: start.Add(time.Duration(minutes) * time.Minute),
			Remaining: map[agent.Method]int64{agent.Minted: minted, agent.BYOCA: byoca}}
	}
	deadline, now := start.Add(100*time.Minute), point(50, 1, 1)
	c := chartOf([]registry.BurndownPoint{point(0, 2, 2), point(25, 1, 2), point(60, 9, 9)}, start, &deadline, &now)
	want := []area{
		{agent.Minted, "0.0,200.0 250.0,300.0 500.0,300.0 500.0,400.0 250.0,400.0 0.0,400.0"},
		{agent.BYOCA, "0.0,0.0 250.0,100.0 500.0,200.0 500.0,300.0 250.0,300.0 0.0,200.0"},
	}
	if diff := cmp.Diff(want, c.Areas); diff != "" {
		t.Errorf("areas (-want +got):\n%s", diff)
	}
	if c.Pace != "0.0,0.0 1000.0,400.0" || c.NowX != "500.0" || c.Top != 4 || len(c.Rows) != 3 {
		t.Errorf("chart %+v", c)
	}
	for name, c := range map[string]chart{
		"nothing":        chartOf(nil, start, nil, nil),
		"none remains":   chartOf([]registry.BurndownPoint{point(0, 0, 0)}, start, &deadline, nil),
		"a single point": chartOf([]registry.BurndownPoint{point(0, 1, 0)}, start, nil, nil),
	} {
		if c.Shown() {
			t.Errorf("%s is drawn: %+v", name, c)
		}
	}
}

package dashboard

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/registry"
)

func place(t *testing.T, percent string) float64 {
	t.Helper()
	x, err := strconv.ParseFloat(strings.TrimSuffix(percent, "%"), 64)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// lives are four generations of years, two of them in an overlap, and a standby.
func lives(now time.Time) registry.Org {
	day := func(n int) time.Time { return now.AddDate(0, 0, n) }
	return registry.Org{
		Pointer: &orgca.Pointer{
			Current:  4,
			Accepted: []orgca.Overlap{{Generation: 2, Until: day(1)}, {Generation: 3, Until: day(7)}},
		},
		Generations: []orgca.Generation{
			{Number: 1, State: orgca.Retired, StagedAt: day(-1001), CurrentAt: day(-1000), SupersededAt: day(-400)},
			{Number: 2, State: orgca.Superseded, StagedAt: day(-1000), CurrentAt: day(-400), SupersededAt: day(-6)},
			{Number: 3, State: orgca.Superseded, StagedAt: day(-400), CurrentAt: day(-6), SupersededAt: day(-1)},
			{Number: 4, State: orgca.Current, StagedAt: day(-6), CurrentAt: day(-1)},
			{Number: 5, State: orgca.Failed, StagedAt: day(-1)},
			{Number: 6, State: orgca.Staged, StagedAt: day(-1)},
			{Number: 7, State: orgca.Preparing},
		},
	}
}

// Each generation is a row with the parts of its life on one scale: what was is before now, what is accepted ends
// after it, and every end has its date.
func TestTimeline(t *testing.T) {
	now := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	line := timelineOf(lives(now), now)
	var present float64
	for _, m := range line.Ticks {
		if m.Now {
			present = place(t, m.X)
		}
	}
	if present <= 10 || present >= 95 || len(line.Ticks) < 3 {
		t.Fatalf("marks %+v", line.Ticks)
	}
	want := map[int64]struct{ state, words, kinds string }{
		6: {"info staged", "", "staged"},
		4: {"good current", "", "staged current"},
		3: {"warn superseded", "accepted until", "staged past accepted"},
		2: {"warn superseded", "accepted until", "staged past accepted"},
		1: {"off retired", "replaced", "staged past"},
	}
	if len(line.Rows) != len(want) || line.Rows[0].Generation != 6 {
		t.Fatalf("rows %+v", line.Rows)
	}
	for _, row := range line.Rows {
		var kinds []string
		for _, b := range row.Bars {
			kinds = append(kinds, b.Kind)
			from, to := place(t, b.X), place(t, b.X)+place(t, b.Width)
			if from < 0 || to > 100.01 || to-from < narrowest-0.01 {
				t.Errorf("G%d, %s: from %v to %v", row.Generation, b.Kind, from, to)
			}
			if after := to > present+0.1; after != (b.Kind == "accepted") {
				t.Errorf("G%d, %s: ends at %v, now is at %v", row.Generation, b.Kind, to, present)
			}
		}
		got := struct{ state, words, kinds string }{
			row.State.Kind + " " + row.State.Text, row.Words, strings.Join(kinds, " "),
		}
		if got != want[row.Generation] {
			t.Errorf("G%d: got %+v, want %+v", row.Generation, got, want[row.Generation])
		}
	}
	if u := line.Rows[2].Until; !u.Equal(now.AddDate(0, 0, 7)) {
		t.Errorf("G3 is accepted until %v", u)
	}
}

// The picture stays one that is read at a glance, and there is none before the first Org CA.
func TestTimelineIsShort(t *testing.T) {
	now := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	org := lives(now)
	for n := range int64(40) {
		org.Generations = append(org.Generations, orgca.Generation{Number: 8 + n, State: orgca.Staged, StagedAt: now})
	}
	if n := len(timelineOf(org, now).Rows); n != timelineMax {
		t.Errorf("%d rows, want %d", n, timelineMax)
	}
	if got := timelineOf(registry.Org{}, now); len(got.Rows) != 0 || len(got.Ticks) != 0 {
		t.Errorf("without an Org CA: %+v", got)
	}
}

// Marks of the scale never stand on each other, whatever there is to show.
func TestMarksAreApart(t *testing.T) {
	now := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	for name, marks := range map[string][]time.Time{
		"minutes":          {now.Add(-9 * time.Minute), now.Add(-time.Second)},
		"a week ahead":     {now.Add(-9 * time.Minute), now.Add(7 * day24)},
		"years":            {now.AddDate(-12, 0, 0), now.AddDate(-1, 0, 0), now.Add(90 * day24)},
		"nothing happened": nil,
	} {
		s := scaleOf(marks, now)
		ticks := s.ticks()
		for i, a := range ticks {
			for _, b := range ticks[:i] {
				if d := place(t, a.X) - place(t, b.X); d > -apart+0.1 && d < apart-0.1 {
					t.Errorf("%s: %q and %q are %v apart", name, a.Text, b.Text, d)
				}
			}
		}
		for _, at := range marks {
			if x := s.x(at); x < -0.01 || x > 100.01 {
				t.Errorf("%s: %v is at %v", name, at, x)
			}
		}
	}
}

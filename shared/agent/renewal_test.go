package agent

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/mastio-aws/mastio/shared/orgca"
)

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func yearly() Pin {
	return Pin{Generation: 1, NotBefore: noon, NotAfter: noon.AddDate(0, 0, 360)}
}

func TestWindowOfALife(t *testing.T) {
	w := RenewalWindowOf("orga::a", yearly(), orgca.Pointer{Current: 1}, noon)
	open, end := noon.AddDate(0, 0, 240), noon.AddDate(0, 0, 270)
	if !w.Open.Equal(open) || w.Start.Before(open) || w.End.After(end) || w.End.Sub(w.Start) != 30*time.Hour {
		t.Errorf("window = %+v, want a slot of 30 h within %s and %s", w, open, end)
	}
	if again := RenewalWindowOf("orga::a", yearly(), orgca.Pointer{Current: 1}, noon.AddDate(0, 3, 0)); again != w {
		t.Errorf("later it is %+v, was %+v", again, w)
	}
}

// In an overlap the whole fleet is to move, none of it after the end.
func TestWindowOfAnOverlap(t *testing.T) {
	ca := orgca.Pointer{
		Current:   2,
		RotatedAt: noon,
		Accepted:  []orgca.Overlap{{Generation: 1, Until: noon.Add(9 * time.Hour)}},
	}
	w := RenewalWindowOf("orga::a", yearly(), ca, noon)
	if !w.Open.Equal(noon) || w.Start.Before(noon) || w.End.After(noon.Add(6*time.Hour)) {
		t.Errorf("window = %+v", w)
	}
	moved := yearly()
	moved.Generation = 2
	if w := RenewalWindowOf("orga::a", moved, ca, noon); !w.Open.Equal(noon.AddDate(0, 0, 240)) {
		t.Errorf("of a certificate under the current generation: %+v", w)
	}
	late := yearly()
	late.NotBefore, late.NotAfter = noon.AddDate(0, 0, -300), noon.AddDate(0, 0, 60)
	if w := RenewalWindowOf("orga::a", late, ca, noon); !w.Open.Before(noon) {
		t.Errorf("an overlap must not put off what was due before: %+v", w)
	}
	lost := yearly()
	lost.Yields, lost.Until = true, noon.Add(time.Hour)
	if w := RenewalWindowOf("orga::a", lost, ca, noon); !w.Start.Equal(noon) || !w.End.Equal(lost.Until) {
		t.Errorf("of a certificate whose successor was not heard of: %+v", w)
	}
}

func TestFleetIsSpread(t *testing.T) {
	var starts []time.Duration
	for n := range 10_000 {
		w := RenewalWindowOf(ID(fmt.Sprint("orga::agent-", n)), yearly(), orgca.Pointer{Current: 1}, noon)
		starts = append(starts, w.Start.Sub(w.Open))
	}
	slices.Sort(starts)
	hour := map[int64]int{}
	for _, s := range starts {
		hour[int64(s/time.Hour)]++
	}
	most := 0
	for _, n := range hour {
		most = max(most, n)
	}
	if len(hour) < 680 || most > 40 { // 690 hours, 14.5 agents in each on average
		t.Errorf("10,000 agents begin in %d hours of 690, up to %d in one", len(hour), most)
	}
}

func TestPoll(t *testing.T) {
	w := RenewalWindow{Start: noon}
	for now, want := range map[time.Time]time.Duration{
		noon.AddDate(0, 0, -9): 6 * time.Hour, noon.Add(-2 * time.Hour): 2 * time.Hour, noon.Add(-time.Second): time.Minute,
		noon.Add(time.Hour): time.Minute,
	} {
		if got := w.Poll(now); got != want {
			t.Errorf("at %s: %v, want %v", now, got, want)
		}
	}
}

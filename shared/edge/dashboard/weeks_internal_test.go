package dashboard

import (
	"testing"
	"time"

	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
)

// Bars begin on Mondays, hold what is due in their week, and say where they are incomplete.
func TestWeeks(t *testing.T) {
	now := time.Date(2026, 12, 2, 12, 0, 0, 0, time.UTC) // a Wednesday
	monday := time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC)
	times := []time.Time{now.Add(time.Hour), monday.Add(week), monday.Add(2*week - time.Millisecond), monday.Add(6 * week)}
	w := weeksOf(4, times, monday.Add(7*week), now)
	if len(w.Bars) != 1+weekCount || !w.Bars[1].From.Equal(monday) || w.Now != 4 || w.Soon != 3 {
		t.Fatalf("weeks %+v", w)
	}
	for n, want := range map[int]int64{0: 4, 1: 1, 2: 2, 3: 0, 7: 1, 12: 0} {
		if got := w.Bars[n].Count; got != want {
			t.Errorf("bar %d has %d, want %d", n, got, want)
		}
	}
	if b := w.Bars[0]; b.H != weekHeight || b.Y != 0 || w.Bars[2].H != weekHeight/2 {
		t.Errorf("heights %+v", w.Bars)
	}
	if w.Bars[7].AtLeast || !w.Bars[8].AtLeast || w.Bars[8].Number() != "0+" {
		t.Errorf("what was read ends with the seventh week: %+v", w.Bars[7:9])
	}
	if got := w.Bars[2].Text(); got != "2 certificates due in the week of 7 Dec 2026" {
		t.Errorf("in words: %q", got)
	}
	for day, want := range map[int]int{29: 23, 30: 30} { // Sunday, Monday
		if got := mondayOf(time.Date(2026, 11, day, 23, 0, 0, 0, time.UTC)); got.Day() != want {
			t.Errorf("%d Nov is in the week of %v", day, got)
		}
	}
}

// A week in an address is one, or chooses nothing.
func TestChosenWeek(t *testing.T) {
	if c := chosen("week-2026-12-02"); c.Value != "week-2026-11-30" || !c.Due {
		t.Errorf("a Wednesday chooses %+v", c)
	}
	for _, value := range []string{"week-", "week-2026-13-01", "week-9999-12-31", "2026-12-02"} {
		if c := chosen(value); c.Value != "" {
			t.Errorf("%q chooses %+v", value, c)
		}
	}
}

// The hours of last tokens: the oldest stands first, and an earlier Org CA's certificates are on top of the others.
func TestLastTokens(t *testing.T) {
	now := time.Date(2026, 12, 2, 12, 30, 0, 0, time.UTC)
	var p rotateca.Progress
	p.LastTokens.Hours[0] = rotateca.HourTally{Earlier: 1, Current: 3}
	p.LastTokens.Hours[23] = rotateca.HourTally{Current: 2}
	p.LastTokens.Older, p.LastTokens.Never = rotateca.HourTally{Earlier: 2}, 5
	l := lastTokensOf(&p, now)
	if len(l.Hours) != 25 || !l.Hours[0].Before || l.Hours[0].Earlier != 2 || l.Never != 5 {
		t.Fatalf("hours %+v", l)
	}
	last := l.Hours[24]
	if !last.Hour.Equal(now.Truncate(time.Hour)) || last.H != 75 || last.TopH != 25 || last.TopY != 0 || last.Y != 25 {
		t.Errorf("the present hour: %+v", last)
	}
	want := "In the last 24 hours 1 agent got their last token with a certificate of an earlier Org CA, and 5 with one " +
		"of the current Org CA."
	if got := l.Title(); got != want {
		t.Errorf("in words: %q", got)
	}
	if lastTokensOf(nil, now).Any() || lastTokensOf(&rotateca.Progress{}, now).Any() {
		t.Error("nothing is drawn where nothing is known")
	}
}

// People's acts stay, and of schedules what is no routine; the rest is a line with what it was and how often.
func TestActs(t *testing.T) {
	row := func(e audit.Event, actor string) audit.Row {
		return audit.Row{EventType: e, Actor: actor, Timestamp: "2026-12-02T12:00:00.000Z"}
	}
	rows := []audit.Row{
		row(audit.OrgCAStaged, "schedule:standby"), row(audit.OrgCAStaged, "admin:x"),
		row(audit.CheckpointMade, "schedule:checkpoint"), row(audit.RotationHalted, "schedule:standby"),
		row(audit.CheckpointMade, "schedule:checkpoint"), row(audit.CheckpointMade, "admin:x"),
	}
	all, rest := acts(rows)
	if len(all) != 3 || all[0].Title != "Audit trail sealed" || all[1].Title != "Re-issue halted" {
		t.Errorf("acts %+v", all)
	}
	if rest.Events != 3 || rest.Words != "Audit trail sealed 2×, Org CA staged 1×" || rest.Last.IsZero() {
		t.Errorf("routine %+v", rest)
	}
	for range 20 {
		rows = append(rows, row(audit.OrgCARotated, "admin:x"))
	}
	if all, _ := acts(rows); len(all) != lastActs {
		t.Errorf("%d acts are shown", len(all))
	}
}

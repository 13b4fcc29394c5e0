package dashboard

import (
	"context"
	"strings"
	"time"
)

const (
	weekCount = 12 // within agent.Foresight: an entry of the index is exact then
	week      = 7 * day24
	// weekEntries bounds what is read of the due index: so many entries of each of its partitions.
	weekEntries = 250
	weekHeight  = 100 // of the tallest bar, in the picture's units
)

// weeks are the certificates that are due, by the week.
type weeks struct {
	Known bool
	Now   int64 // due already, or named to their owners
	Soon  int64 // of those that are not due yet: within ahead
	Bars  []weekBar
}

// weekBar is one week, or what is due already.
type weekBar struct {
	From    time.Time // its Monday; zero: what is due already
	Label   string
	Count   int64
	AtLeast bool // there are more than were read
	Y, H    int64
	Link    string
}

// Text is a bar in words, for people who do not see it.
func (b weekBar) Text() string {
	n := plural(int(b.Count), "certificate")
	if b.AtLeast {
		n = "at least " + n
	}
	if b.From.IsZero() {
		return n + " due now"
	}
	return n + " due in the week of " + day(b.From)
}

// Number is a bar's count, for its head.
func (b weekBar) Number() string {
	if b.AtLeast {
		return count(int(b.Count)) + "+"
	}
	return count(int(b.Count))
}

// Any reports whether there is anything to draw.
func (w weeks) Any() bool {
	for _, b := range w.Bars {
		if b.Count > 0 {
			return true
		}
	}
	return false
}

// weeks reads the due index, within a bound: what it costs follows what is due, not the fleet.
func (d *Dashboard) weeks(ctx context.Context) weeks {
	now := d.Now().UTC()
	first := mondayOf(now)
	due, err := d.Enroll.CountDue(ctx, 0, mostSeen)
	if err != nil {
		return weeks{}
	}
	times, through, err := d.Enroll.DueTimes(ctx, now, first.Add(weekCount*week), weekEntries)
	if err != nil {
		return weeks{}
	}
	return weeksOf(due, times, through, now)
}

// weeksOf sorts what was read into weeks.
func weeksOf(due int64, times []time.Time, through, now time.Time) weeks {
	w := weeks{Known: true, Now: due}
	w.Bars = append(w.Bars, weekBar{
		Label:   "now",
		Count:   due,
		AtLeast: due >= mostSeen,
		Link:    dueURL(0),
	})
	first := mondayOf(now)
	for n := range weekCount {
		from := first.Add(time.Duration(n) * week)
		w.Bars = append(w.Bars, weekBar{
			From:    from,
			Label:   from.Format("2 Jan"),
			AtLeast: through.Before(from.Add(week - time.Millisecond)),
			Link:    agentFilter{Chosen: dueInWeek(from)}.url(""),
		})
	}
	for _, at := range times {
		if n := int(at.Sub(first) / week); n >= 0 && n < weekCount {
			w.Bars[n+1].Count++
		}
		if !at.After(now.Add(ahead)) {
			w.Soon++
		}
	}
	most := int64(1)
	for _, b := range w.Bars {
		most = max(most, b.Count)
	}
	for n, b := range w.Bars {
		if b.Count > 0 {
			w.Bars[n].H = max(2, b.Count*weekHeight/most)
		}
		w.Bars[n].Y = weekHeight - w.Bars[n].H
	}
	return w
}

// mondayOf is the beginning of the week of an instant, in UTC.
func mondayOf(t time.Time) time.Time {
	today := t.UTC().Truncate(day24)
	return today.AddDate(0, 0, -(int(today.Weekday())+6)%7)
}

// dueInWeek chooses the agents whose certificates are due in the week that begins with a Monday.
func dueInWeek(monday time.Time) choice {
	return choice{
		Value: weekPrefix + monday.Format(time.DateOnly),
		Text:  "Due in the week of " + day(monday),
		Due:   true,
		Week:  monday,
	}
}

const weekPrefix = "week-"

// chosenWeek reads such a choice from an address.
func chosenWeek(value string) (choice, bool) {
	text, ok := strings.CutPrefix(value, weekPrefix)
	monday, err := time.Parse(time.DateOnly, text)
	if !ok || err != nil || monday.Year() > 9998 {
		return choice{}, false
	}
	return dueInWeek(mondayOf(monday)), true
}

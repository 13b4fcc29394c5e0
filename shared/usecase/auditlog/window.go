package auditlog

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/mastio-aws/mastio/shared/audit"
)

const (
	dayForm = "2006-01-02"
	oneDay  = 24 * time.Hour
	// mostDays is how many days are read at once while little is in them: a quiet year is over in a second.
	mostDays = 16
)

// window is the time that is still to be read.
type window struct {
	begin  time.Time // of the day that comes next
	after  string    // id in it to read on after
	before string    // id at the end of it all
	end    time.Time
	days   int // to read at once
	chunk  int // rows of a day to read at once
}

// window begins where the cursor, the query or the history does, whichever is last, and ends with the query or a day
// from now: clocks differ.
func (t *Trail) window(ctx context.Context, q Query, after string) (*window, error) {
	w := &window{begin: q.Start, end: q.End, after: after, days: 1, chunk: chunk}
	if q.Limit > 0 && q.Event == "" && q.Actor == "" { // every row that is read goes onto the page
		w.chunk = min(chunk, q.Limit+1)
	}
	if latest := t.Now().Add(oneDay); w.end.IsZero() || w.end.After(latest) {
		w.end = latest
	}
	first, err := t.first(ctx)
	if err != nil {
		return nil, err
	}
	if w.begin.Before(first) {
		w.begin = first
	}
	if after != "" {
		at, err := audit.IDTime(after)
		if err != nil {
			return nil, err // the cursor was checked
		}
		if at.Before(w.begin.Truncate(oneDay)) {
			w.after = "" // of an earlier day
		} else {
			w.begin = at
		}
	}
	w.begin, w.before = w.begin.UTC().Truncate(oneDay), audit.FirstID(w.end)
	return w, nil
}

// first is a time before the first row: refusals can be older than the first Org CA, but not by a day.
func (t *Trail) first(ctx context.Context) (time.Time, error) {
	rows, err := t.Store.Rows(ctx, t.OrgID, 0, 1)
	if err != nil {
		return time.Time{}, err
	}
	if len(rows) == 0 {
		return t.Now().Add(-oneDay), nil
	}
	at, err := rows[0].Time()
	return at.Add(-oneDay), err
}

func (w *window) more() bool { return w.begin.Before(w.end) }

// read reads on: a part of a day, or some days whole. In most histories days are either many or full.
func (w *window) read(ctx context.Context, s TrailStore) ([]audit.Row, error) {
	parts, errs := make([][]audit.Row, w.days), make([]error, w.days)
	var wg sync.WaitGroup
	for n := range w.days {
		day, after := w.begin.Add(time.Duration(n)*oneDay), ""
		if n == 0 {
			after = w.after
		}
		if day.Before(w.end) {
			wg.Go(func() { parts[n], errs[n] = s.RowsOfDay(ctx, day.Format(dayForm), after, w.before, w.chunk) })
		}
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	var rows []audit.Row
	for n, part := range parts {
		rows = append(rows, part...)
		if len(part) == w.chunk { // there is more of this day: what was read of later ones is read again
			w.begin, w.after, w.days = w.begin.Add(time.Duration(n)*oneDay), part[w.chunk-1].ID, 1
			return rows, nil
		}
	}
	w.begin, w.after = w.begin.Add(time.Duration(w.days)*oneDay), ""
	w.days = min(2*w.days, mostDays)
	return rows, nil
}

package auditlog

import (
	"cmp"
	"context"
	"errors"
	"strconv"
	"sync"
	"time"

	"github.com/mastio-aws/mastio/shared/audit"
)

// What a page of the latest rows looks at: its reader waits for it.
const (
	// mostCounted is how many rows are looked at to count those that match.
	mostCounted = 1000
	// mostLooked is how many rows are looked at for a filter that few pass. The next page goes on behind them.
	mostLooked = 5000
)

// Latest is a page of rows for display, newest first.
type Latest struct {
	Rows []audit.Row
	Next string // cursor of the page with earlier rows; empty: there are none
	// Count is how many rows match, as far as they were looked at; on a later page zero. AtLeast: there may be more.
	Count   int
	AtLeast bool
}

// Latest reads a page from the end of the trail. Rows that are written while its reader goes from page to page are on
// no later page. q.Limit is at least 1, and q.Live has no meaning.
//
// Errors: ErrLimit, ErrPeriod, ErrEvent, registry.ErrCursor.
func (t *Trail) Latest(ctx context.Context, q Query) (Latest, error) {
	switch {
	case q.Limit < 1 || q.Limit > MaxLimit:
		return Latest{}, ErrLimit
	case !q.End.IsZero() && !q.Start.Before(q.End):
		return Latest{}, ErrPeriod
	case q.Event != "" && !q.Event.Known():
		return Latest{}, ErrEvent
	}
	p := &latestPage{wants: page{q: q}, limit: q.Limit, first: q.Cursor == ""}
	if q.Subject != "" {
		return t.latestOfChain(ctx, p)
	}
	return t.latestOfDays(ctx, p)
}

// latestPage is filled row by row, from the newest on.
type latestPage struct {
	wants  page // for its filter alone
	limit  int
	first  bool // later pages count nothing
	rows   []audit.Row
	count  int
	looked int
	more   bool      // a row that matches is on a later page
	last   audit.Row // that was looked at
}

// take looks at a row. It reports false if the page needs no further one; the row is looked at all the same.
func (p *latestPage) take(r audit.Row) bool {
	p.looked++
	if p.wants.wants(r) {
		p.count++
		if len(p.rows) < p.limit {
			p.rows = append(p.rows, r)
		} else {
			p.more = true
		}
	}
	if len(p.rows) < p.limit || !p.more {
		p.last = r
	}
	if p.more {
		return p.first && p.looked < mostCounted
	}
	return p.looked < mostLooked
}

// page is the finished page. ended: every row of the period was looked at. place is the cursor of a row.
func (p *latestPage) page(ended bool, place func(audit.Row) string) Latest {
	l := Latest{Rows: p.rows}
	if p.first {
		l.Count, l.AtLeast = p.count, !ended
	}
	switch {
	case p.more:
		l.Next = place(p.rows[len(p.rows)-1])
	case !ended:
		l.Next = place(p.last)
	}
	return l
}

// latestOfChain reads one chain from its end.
func (t *Trail) latestOfChain(ctx context.Context, p *latestPage) (Latest, error) {
	before, err := decodeCursor("c", p.wants.q.Cursor, seqPattern)
	if err != nil {
		return Latest{}, err
	}
	place := func(r audit.Row) string { return encodeCursor("c", strconv.FormatInt(r.Seq, 10)) }
	end, err := t.end(ctx, p.wants.q.Subject, before)
	if err != nil {
		return Latest{}, err
	}
	for end > 0 {
		start := max(0, end-chunk)
		rows, err := t.Store.Rows(ctx, p.wants.q.Subject, start, int(end-start))
		if err != nil {
			return Latest{}, err
		}
		for n := len(rows) - 1; n >= 0; n-- {
			if !p.take(rows[n]) {
				return p.page(n == 0 && start == 0, place), nil
			}
		}
		end = start
	}
	return p.page(true, place), nil
}

// end is the number of the chain's last row before a cursor.
func (t *Trail) end(ctx context.Context, subject, before string) (int64, error) {
	if before != "" {
		n, err := strconv.ParseInt(before, 10, 64)
		return n - 1, err
	}
	row, err := t.Store.LastRow(ctx, subject)
	if err != nil || row == nil {
		return 0, err
	}
	return row.Seq, nil
}

// latestOfDays reads the index from its end, a few days at the same time where little is in them.
func (t *Trail) latestOfDays(ctx context.Context, p *latestPage) (Latest, error) {
	place := func(r audit.Row) string { return encodeCursor("l", r.ID) }
	before, err := decodeCursor("l", p.wants.q.Cursor, idPattern)
	if err != nil {
		return Latest{}, err
	}
	begin, end, err := t.span(ctx, p.wants.q, before)
	if err != nil {
		return Latest{}, err
	}
	before = cmp.Or(before, audit.FirstID(end))
	for days := 4; !end.Before(begin); days = min(2*days, mostDays) {
		parts, err := t.daysBack(ctx, end, begin, before, days)
		if err != nil {
			return Latest{}, err
		}
		rows, next := 0, end
		for n, part := range parts {
			for _, r := range part {
				rows++
				if !p.take(r) {
					return p.page(false, place), nil
				}
			}
			next = end.Add(-time.Duration(n+1) * oneDay)
			if len(part) == chunk { // there is more of this day
				next, before = end.Add(-time.Duration(n)*oneDay), part[chunk-1].ID
				break
			}
		}
		end = next
	}
	return p.page(true, place), nil
}

// span is the first and the last day that the query asks for, as far as there may be rows.
func (t *Trail) span(ctx context.Context, q Query, before string) (begin, end time.Time, err error) {
	begin, end = q.Start, t.Now().Add(oneDay) // clocks differ
	if !q.End.IsZero() && q.End.Before(end) {
		end = q.End
	}
	if before != "" {
		if end, err = audit.IDTime(before); err != nil {
			return begin, end, err // the cursor was checked
		}
	}
	first, err := t.first(ctx)
	if begin.Before(first) {
		begin = first
	}
	return begin.UTC().Truncate(oneDay), end.UTC().Truncate(oneDay), err
}

// daysBack reads the ends of some days side by side, the latest first.
func (t *Trail) daysBack(ctx context.Context, end, begin time.Time, before string, days int) ([][]audit.Row, error) {
	var parts [][]audit.Row
	for n := range days {
		if end.Add(-time.Duration(n) * oneDay).Before(begin) {
			break
		}
		parts = append(parts, nil)
	}
	errs := make([]error, len(parts))
	var wg sync.WaitGroup
	for n := range parts {
		day := end.Add(-time.Duration(n) * oneDay).Format(dayForm)
		wg.Go(func() { parts[n], errs[n] = t.Store.LatestRows(ctx, day, "", before, chunk) })
	}
	wg.Wait()
	return parts, errors.Join(errs...)
}

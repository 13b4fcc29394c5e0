package auditlog

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/registry"
)

// Query asks for rows. Zero fields ask for nothing.
type Query struct {
	Start, End time.Time // rows of the time from Start on and before End
	Subject    string
	Event      audit.Event
	Actor      string // the whole of it, or its beginning up to a colon: "admin" is any version of the admin secret
	Limit      int    // 1 to MaxLimit; zero: everything or ErrTooLarge
	Cursor     string // of the page before
	// Live is for display, not for proof. A page may end with a row that was written a moment ago; the next page then
	// misses a row of the same moment that shows up late.
	Live bool
}

// Page is a page of rows in the order of their ids. Rows of one subject are in the order of their numbers.
type Page struct {
	Rows []audit.Row
	Next string // cursor of the next page; empty: this was the last
}

// MaxLimit is the longest page.
const MaxLimit = 10_000

const (
	// settle is the least age of a row's id before a page may end after the row. Ids are made before the commit, by clocks
	// that differ, and the index lags behind. A row that is missing after settle never appears. The last page has the
	// newest rows too, because no later page follows that could miss a row.
	settle = time.Minute

	maxScan   = 50_000    // rows looked at for one page: a filter that few pass must not take longer than a function may
	maxAnswer = 5_500_000 // octets of an answer, as the function's own answer spells it; 6 MB is the end of it
	chunk     = 1000      // rows read at once
)

// Export reads a page. No row is lost or doubled between pages, whatever is appended while they are read.
//
// Errors: ErrLimit, ErrPeriod, ErrEvent, ErrTooLarge, registry.ErrCursor.
func (t *Trail) Export(ctx context.Context, q Query) (Page, error) {
	switch {
	case q.Limit < 0 || q.Limit > MaxLimit:
		return Page{}, ErrLimit
	case !q.End.IsZero() && !q.Start.Before(q.End):
		return Page{}, ErrPeriod
	case q.Event != "" && !q.Event.Known():
		return Page{}, ErrEvent
	}
	if q.Limit == 0 && q.Cursor != "" {
		q.Limit = MaxLimit
	}
	p := &page{q: q, limit: cmp.Or(q.Limit, maxScan)}
	if q.Subject != "" {
		return t.chain(ctx, p)
	}
	return t.days(ctx, p)
}

// page is filled row by row.
type page struct {
	q       Query
	limit   int
	rows    []audit.Row
	scanned int
	octets  int
	full    bool
}

// take looks at a row. It reports false, and leaves the row, if the page is full.
func (p *page) take(r audit.Row) bool {
	if p.scanned == maxScan {
		p.full = true
		return false
	}
	if p.wants(r) {
		cost := costOf(r)
		if len(p.rows) == p.limit || len(p.rows) > 0 && p.octets+cost > maxAnswer {
			p.full = true
			return false
		}
		p.rows, p.octets = append(p.rows, r), p.octets+cost
	}
	p.scanned++
	return true
}

// costOf is how many octets a row takes in the function's answer, where quotes and backslashes take two and semicolons
// up to seven, in either format.
func costOf(r audit.Row) int {
	line, err := r.Encode()
	if err != nil {
		return 0 // it was read from this form
	}
	const csv = 16 // quotes around fields that hold some
	return len(line) + 2*bytes.Count(line, []byte(`"`)) + 2*bytes.Count(line, []byte(`\`)) + 6*bytes.Count(line,
		[]byte(`;`)) + csv
}

func (p *page) wants(r audit.Row) bool {
	if p.q.Event != "" && r.EventType != p.q.Event {
		return false
	}
	if p.q.Actor != "" && r.Actor != p.q.Actor && !strings.HasPrefix(r.Actor, p.q.Actor+":") {
		return false
	}
	return (p.q.Start.IsZero() || r.Timestamp >= audit.Stamp(p.q.Start)) &&
		(p.q.End.IsZero() || r.Timestamp < audit.Stamp(p.q.End))
}

// done is the page, up to where the cursor says.
func (p *page) done(next string) (Page, error) {
	if p.q.Limit == 0 && p.full {
		return Page{}, ErrTooLarge
	}
	if !p.full {
		next = ""
	}
	return Page{p.rows, next}, nil
}

// chain reads one chain by its own key: strongly consistent, and in its own order.
func (t *Trail) chain(ctx context.Context, p *page) (Page, error) {
	after, err := chainCursor(p.q.Cursor)
	if err != nil {
		return Page{}, err
	}
	for {
		rows, err := t.Store.Rows(ctx, p.q.Subject, after, chunk)
		if err != nil {
			return Page{}, err
		}
		for _, r := range rows {
			if !p.take(r) {
				return p.done(encodeCursor("s", strconv.FormatInt(after, 10)))
			}
			after = r.Seq
		}
		if len(rows) < chunk {
			return p.done("")
		}
	}
}

// days reads the index, day by day.
func (t *Trail) days(ctx context.Context, p *page) (Page, error) {
	after, err := dayCursor(p.q.Cursor)
	if err != nil {
		return Page{}, err
	}
	w, err := t.window(ctx, p.q, after)
	if err != nil || !w.more() {
		return Page{}, err
	}
	horizon := audit.FirstID(t.Now().Add(-settle))
	if p.q.Live {
		horizon = w.before
	}
	// the last id that the page may end after, and the rows up to it
	settled, kept := cmp.Or(after, audit.FirstID(w.begin)), 0
	for w.more() {
		rows, err := w.read(ctx, t.Store)
		if err != nil {
			return Page{}, err
		}
		for _, r := range rows {
			if !p.take(r) {
				if p.q.Limit > 0 { // what is after the horizon waits for the next page
					p.rows = p.rows[:kept]
				}
				return p.done(encodeCursor("d", settled))
			}
			if r.ID < horizon {
				settled, kept = r.ID, len(p.rows)
			}
		}
	}
	return p.done("")
}

// Cursors name the last row of the page before: its id, or its number in the one chain.
var (
	idPattern  = regexp.MustCompile(`^[0-7][0-9A-HJKMNP-TV-Z]{25}$`)
	seqPattern = regexp.MustCompile(`^(0|[1-9][0-9]{0,11})$`)
)

func encodeCursor(kind, at string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(kind + at))
}

func decodeCursor(kind, cursor string, form *regexp.Regexp) (string, error) {
	if cursor == "" {
		return "", nil
	}
	decoded, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil || base64.RawURLEncoding.EncodeToString(decoded) != cursor {
		return "", registry.ErrCursor
	}
	at, ok := strings.CutPrefix(string(decoded), kind)
	if !ok || !form.MatchString(at) {
		return "", registry.ErrCursor
	}
	return at, nil
}

func chainCursor(cursor string) (int64, error) {
	at, err := decodeCursor("s", cursor, seqPattern)
	if err != nil || at == "" {
		return 0, err
	}
	return strconv.ParseInt(at, 10, 64)
}

func dayCursor(cursor string) (string, error) { return decodeCursor("d", cursor, idPattern) }

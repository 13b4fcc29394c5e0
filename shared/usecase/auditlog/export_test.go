package auditlog_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
	"github.com/mastio-aws/mastio/shared/usecase/auditlog"
)

func (w *world) export(t testing.TB, q auditlog.Query) auditlog.Page {
	t.Helper()
	p, err := w.trail.Export(t.Context(), q)
	if err != nil {
		t.Fatalf("%+v: %v", q, err)
	}
	return p
}

// pages reads a query to its end.
func (w *world) pages(ctx context.Context, q auditlog.Query, between func()) (rows []audit.Row, pages int, err error) {
	for {
		p, err := w.trail.Export(ctx, q)
		if err != nil {
			return nil, pages, err
		}
		pages++
		if len(p.Rows) > q.Limit {
			return nil, pages, fmt.Errorf("a page of %d rows, limit %d", len(p.Rows), q.Limit)
		}
		rows = append(rows, p.Rows...)
		if p.Next == "" {
			return rows, pages, nil
		}
		if pages > 10_000 {
			return nil, pages, errors.New("pages without end")
		}
		q.Cursor = p.Next
		between()
	}
}

func ids(rows []audit.Row) []string {
	list := make([]string, len(rows))
	for i, r := range rows {
		list[i] = r.ID
	}
	return list
}

func TestExportEverything(t *testing.T) {
	w := open(memstore.Config{})
	if p := w.export(t, auditlog.Query{}); len(p.Rows) != 0 || p.Next != "" {
		t.Errorf("of nothing: %+v", p)
	}
	w.grow(t, subjects...)
	w.advance(40 * 24 * time.Hour) // quiet days
	w.grow(t, subjects...)
	all := w.export(t, auditlog.Query{})
	if len(all.Rows) != 10 || all.Next != "" || !slices.IsSorted(ids(all.Rows)) {
		t.Errorf("%d rows, %q, in order: %t", len(all.Rows), all.Next, slices.IsSorted(ids(all.Rows)))
	}
}

func TestFilters(t *testing.T) {
	w := open(memstore.Config{})
	w.grow(t, org, "orga::a", "orga::b", "orga::a")
	w.advance(48 * time.Hour)
	w.grow(t, "orga::a", "orga::b")
	day := noon.Add(48 * time.Hour).Truncate(24 * time.Hour)
	for _, c := range []struct {
		name string
		q    auditlog.Query
		want string // subject and number of each row
	}{
		{"a subject", auditlog.Query{Subject: "orga::a"}, "orga::a/1 orga::a/2 orga::a/3"},
		{"a subject from a day on", auditlog.Query{Subject: "orga::a", Start: day}, "orga::a/3"},
		{"a subject before a day", auditlog.Query{Subject: "orga::a", End: day}, "orga::a/1 orga::a/2"},
		{"a subject that is none", auditlog.Query{Subject: "orga::x"}, ""},
		{"an event", auditlog.Query{Event: audit.OrgCARotated}, "orga/1"},
		{"an event of a subject", auditlog.Query{Event: audit.OrgCARotated, Subject: "orga::a"}, ""},
		{"from a day on", auditlog.Query{Start: day}, "orga::a/3 orga::b/2"},
		{"before a day", auditlog.Query{End: day}, "orga/1 orga::a/1 orga::b/1 orga::a/2"},
		{"a time", auditlog.Query{
			Start: noon.Add(20 * time.Millisecond),
			End:   noon.Add(40 * time.Millisecond),
		}, "orga::a/1 orga::b/1"},
		{"long ago", auditlog.Query{Start: time.Unix(0, 0), End: noon}, ""},
		{"to come", auditlog.Query{Start: noon.AddDate(9, 0, 0)}, ""},
		{"an actor", auditlog.Query{Actor: "admin:v1", Event: audit.OrgCARotated}, "orga/1"},
		{"a kind of actor", auditlog.Query{Actor: "admin", Event: audit.OrgCARotated}, "orga/1"},
		{"the beginning of an actor", auditlog.Query{Actor: "adm"}, ""},
	} {
		for _, limit := range []int{0, 1, 100} {
			c.q.Limit = limit
			var got []string
			rows, _, err := w.pages(t.Context(), auditlog.Query{
				Limit:   max(limit, 1000),
				Start:   c.q.Start,
				End:     c.q.End,
				Subject: c.q.Subject,
				Event:   c.q.Event,
				Actor:   c.q.Actor,
			}, func() {})
			if limit == 1 {
				rows, _, err = w.pages(t.Context(), c.q, func() { w.advance(time.Hour) })
			}
			for _, r := range rows {
				got = append(got, fmt.Sprintf("%s/%d", r.Subject, r.Seq))
			}
			if strings.Join(got, " ") != c.want || err != nil {
				t.Errorf("%s, limit %d: got %v, %v; want %s", c.name, limit, got, err, c.want)
			}
		}
	}
}

// Rows that are made early and committed late, while pages are read: none is lost and none doubled, as long as a
// function lives no longer than it may.
func TestNoRowIsLostBetweenPages(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := open(memstore.Config{})
		ctx := context.Background()
		heads := map[string]audit.Head{}
		type entry struct {
			row audit.Row
			due time.Time
		}
		var early []entry
		begin := func() {
			subject := fmt.Sprint("orga::", len(heads)) // each its own chain: nothing orders their commits
			row, head, err := heads[subject].Append(audit.Entry{
				Time:    w.now(),
				Event:   audit.AgentEnrolled,
				Actor:   "a",
				Subject: subject,
			})
			if err != nil {
				t.Fatal(err)
			}
			heads[subject] = head
			early = append(early, entry{row, w.now().Add(time.Duration(rapid.IntRange(0, 59).Draw(t, "late")) * time.Second)})
		}
		commit := func(all bool) {
			var left []entry
			for _, p := range early {
				if !all && w.now().Before(p.due) {
					left = append(left, p)
					continue
				}
				if err := w.store.Apply(ctx, registry.Change{ID: p.row.ID, Rows: []audit.Row{p.row}}); err != nil {
					t.Fatal(err)
				}
			}
			early = left
		}
		for range rapid.IntRange(0, 30).Draw(t, "before") {
			begin()
			w.advance(time.Duration(rapid.IntRange(0, 20).Draw(t, "seconds")) * time.Second)
			commit(false)
		}
		rounds := rapid.IntRange(0, 10).Draw(t, "rounds")
		got, _, err := w.pages(ctx, auditlog.Query{Limit: rapid.IntRange(1, 7).Draw(t, "limit")}, func() {
			if rounds--; rounds > 0 {
				begin()
			}
			w.advance(time.Duration(rapid.IntRange(0, 30).Draw(t, "between")) * time.Second)
			commit(false)
		})
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]bool{}
		for _, r := range got {
			if seen[r.ID] {
				t.Fatalf("row %s twice", r.ID)
			}
			seen[r.ID] = true
		}
		for subject := range heads { // what was committed before the last page was read is in it, or in one before it
			last, err := w.store.LastRow(ctx, subject)
			if err != nil {
				t.Fatal(err)
			}
			if last != nil && !seen[last.ID] {
				t.Fatalf("row %s of %s is lost", last.ID, last.Timestamp)
			}
		}
	})
}

func TestLargeAnswersAreRefusedOrPaged(t *testing.T) {
	w := open(memstore.Config{})
	h := audit.Head{}
	for n := range 60 {
		row, next, err := h.Append(audit.Entry{
			Time:    noon,
			Event:   audit.OrgCARotated,
			Actor:   "a",
			Subject: org,
			Details: map[string]any{"text": strings.Repeat(`"`, 30_000)},
		})
		if err != nil {
			t.Fatal(err)
		}
		h = next
		if err := w.store.Apply(t.Context(), registry.Change{ID: fmt.Sprint("c", n), Rows: []audit.Row{row}}); err != nil {
			t.Fatal(err)
		}
	}
	w.advance(time.Hour)
	for _, q := range []auditlog.Query{{}, {Subject: org}} {
		if _, err := w.trail.Export(t.Context(), q); !errors.Is(err, auditlog.ErrTooLarge) {
			t.Errorf("%+v: %v, want ErrTooLarge", q, err)
		}
		q.Limit = 1000
		rows, pages, err := w.pages(t.Context(), q, func() {})
		if err != nil || len(rows) != 60 || pages < 2 {
			t.Errorf("%+v: %d rows on %d pages, %v", q, len(rows), pages, err)
		}
	}
}

func TestBadQueries(t *testing.T) {
	w := open(memstore.Config{})
	w.grow(t, "orga::a")
	cursor := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	for _, c := range []struct {
		q    auditlog.Query
		want error
	}{
		{auditlog.Query{Limit: -1}, auditlog.ErrLimit},
		{auditlog.Query{Limit: auditlog.MaxLimit + 1}, auditlog.ErrLimit},
		{auditlog.Query{Start: noon, End: noon}, auditlog.ErrPeriod},
		{auditlog.Query{Start: noon, End: noon.Add(-1)}, auditlog.ErrPeriod},
		{auditlog.Query{Event: "agent.forgiven"}, auditlog.ErrEvent},
		{auditlog.Query{Cursor: "x"}, registry.ErrCursor},
		{auditlog.Query{Cursor: cursor("d")}, registry.ErrCursor},
		{auditlog.Query{Cursor: cursor("s1")}, registry.ErrCursor},
		{auditlog.Query{Cursor: cursor("d" + strings.Repeat("8", 26))}, registry.ErrCursor},
		{auditlog.Query{Cursor: cursor("d"+strings.Repeat("0", 26)) + "\n"}, registry.ErrCursor},
		{auditlog.Query{Subject: org, Cursor: cursor("d" + strings.Repeat("0", 26))}, registry.ErrCursor},
		{auditlog.Query{Subject: org, Cursor: cursor("s01")}, registry.ErrCursor},
		{auditlog.Query{Subject: org, Cursor: cursor("s-1")}, registry.ErrCursor},
	} {
		if p, err := w.trail.Export(t.Context(), c.q); !errors.Is(err, c.want) || p.Rows != nil {
			t.Errorf("%+v: %v, want %v", c.q, err, c.want)
		}
	}
}

func TestHead(t *testing.T) {
	w := open(memstore.Config{})
	none, err := w.trail.Head(t.Context(), "")
	if diff := cmp.Diff(audit.Genesis, none.Hash); err != nil || diff != "" || none.Seq != 0 || none.Checkpoint != nil ||
		none.SigningKey.Fingerprint != w.key.Fingerprint {
		t.Errorf("of nothing: %+v, %v", none, err)
	}
	if _, err := w.trail.Head(t.Context(), "orga::a"); !errors.Is(err, audit.ErrNoChain) {
		t.Errorf("of no chain: %v, want ErrNoChain", err)
	}
	w.grow(t, org, "orga::a", "orga::a")
	r := w.seal(t)
	h, err := w.trail.Head(t.Context(), "")
	if err != nil || h.Subject != org || h.Seq != 2 || h.Checkpoint == nil || h.Checkpoint.Hash != r.Hash ||
		h.Checkpoint.Verify(w.key.Key) != nil {
		t.Errorf("%+v, %v", h, err)
	}
	if h, err := w.trail.Head(t.Context(), "orga::a"); err != nil || h.Seq != 2 || h.Subject != "orga::a" {
		t.Errorf("of an agent: %+v, %v", h, err)
	}
}

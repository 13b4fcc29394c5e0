package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/registry"
)

// grow appends n rows, a minute apart, to each of some chains and returns them by chain.
func (f fixture) grow(heads map[string]audit.Head, n int, subjects ...string) map[string][]audit.Row {
	f.t.Helper()
	rows := map[string][]audit.Row{}
	for range n {
		for _, subject := range subjects {
			at := noon.Add(time.Duration(heads[subject].Seq) * time.Minute)
			row, head, err := heads[subject].Append(audit.Entry{
				Time:    at,
				Event:   audit.AgentCertRotated,
				Actor:   "admin",
				Subject: subject,
			})
			if err != nil {
				f.t.Fatal(err)
			}
			f.apply(registry.Change{ID: newID(), Rows: []audit.Row{row}})
			heads[subject], rows[subject] = head, append(rows[subject], row)
		}
	}
	return rows
}

func (f fixture) told() []audit.Leaf {
	f.t.Helper()
	leaves, err := f.Moved(f.t.Context(), 1000)
	f.fails("moved", err, nil)
	return leaves
}

func leafOf(rows ...audit.Row) (l audit.Leaf) {
	for _, r := range rows {
		l = l.Follow(r)
	}
	return l
}

func covered(t *testing.T, f fixture) {
	heads := map[string]audit.Head{}
	rows := f.grow(heads, 130, "acme::a") // more than a batch
	other := f.grow(heads, 3, "acme::b")["acme::b"]
	all := append(slices.Clone(rows["acme::a"]), other...)
	for _, c := range []struct {
		name   string
		leaves []audit.Leaf
		want   []audit.Row
	}{
		{"none", nil, nil},
		{"everything", []audit.Leaf{leafOf(rows["acme::a"]...), leafOf(other...)}, all},
		{"the other way round", []audit.Leaf{leafOf(other...), leafOf(rows["acme::a"]...)},
			append(slices.Clone(other), rows["acme::a"]...)},
		{"a part", []audit.Leaf{{Subject: "acme::a", FromSeq: 99, Seq: 101}}, all[99:101]},
		{"beyond the end", []audit.Leaf{{Subject: "acme::b", FromSeq: 2, Seq: 9}}, other[2:]},
		{"a chain that is not there", []audit.Leaf{{Subject: "acme::c", Seq: 2}}, nil},
	} {
		got, err := f.Covered(t.Context(), c.leaves...)
		f.fails(c.name, err, nil)
		f.same(c.name, got, c.want)
	}
	for subject, want := range map[string]*audit.Row{"acme::a": &all[129], "acme::b": &other[2], "acme::c": nil} {
		got, err := f.LastRow(t.Context(), subject)
		f.fails("last row", err, nil)
		f.same("last row of "+subject, got, want)
	}
}

// eventually asks again while an index may lag behind.
func (f fixture) eventually(what string, read func() ([]audit.Row, error), want []audit.Row) {
	f.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; {
		got, err := read()
		f.fails(what, err, nil)
		if len(got) == len(want) || time.Now().After(deadline) {
			f.same(what, got, want)
			return
		}
	}
}

func dayInOrder(t *testing.T, f fixture) {
	var all []audit.Row
	heads := map[string]audit.Head{}
	for n := range 40 {
		for _, rows := range f.grow(heads, 3, fmt.Sprintf("acme::%02d", n)) {
			all = append(all, rows...)
		}
	}
	slices.SortFunc(all, func(a, b audit.Row) int { return strings.Compare(a.ID, b.ID) })
	const first, last, day = "00000000000000000000000000", "7ZZZZZZZZZZZZZZZZZZZZZZZZZ", "2100-01-02"
	type question struct {
		name               string
		day, after, before string
		limit              int
		want               []audit.Row
	}
	type reader func(ctx context.Context, day, after, before string, limit int) ([]audit.Row, error)
	answers := func(rows reader, all ...question) {
		for _, q := range all {
			f.eventually(q.name, func() ([]audit.Row, error) {
				return rows(t.Context(), q.day, q.after, q.before, q.limit)
			}, q.want)
		}
	}
	answers(f.RowsOfDay, []question{
		{"the whole day", day, first, last, 1000, all},
		{"another day", "2100-01-03", first, last, 1000, nil},
		{"its beginning", day, first, last, 50, all[:50]},
		{"what follows", day, all[49].ID, last, 1000, all[50:]},
		{"up to a row", day, all[9].ID, all[12].ID, 1000, all[10:12]},
		{"nothing between neighbours", day, all[9].ID, all[10].ID, 1000, nil},
		{"nothing backwards", day, all[9].ID, all[9].ID, 1000, nil},
		{"no rows", day, first, last, 0, nil},
	}...)
	back := slices.Clone(all)
	slices.Reverse(back)
	answers(f.LatestRows, []question{
		{"the whole day backwards", day, first, last, 1000, back},
		{"another day backwards", "2100-01-03", first, last, 1000, nil},
		{"its end", day, first, last, 50, back[:50]},
		{"what came before", day, first, back[49].ID, 1000, back[50:]},
		{"backwards down to a row", day, back[12].ID, back[9].ID, 1000, back[10:12]},
		{"nothing between neighbours backwards", day, back[10].ID, back[9].ID, 1000, nil},
		{"no rows backwards", day, first, last, 0, nil},
	}...)
}

func moved(t *testing.T, f fixture) {
	heads := map[string]audit.Head{}
	f.same("of nothing", f.told(), []audit.Leaf(nil))
	a := f.grow(heads, 2, "acme::a")["acme::a"]
	b := f.grow(heads, 1, "acme::b")["acme::b"]
	f.same("both", f.told(), []audit.Leaf{leafOf(a...), leafOf(b...)})
	early := leafOf(a...)
	more := f.grow(heads, 2, "acme::a")["acme::a"]
	f.same("one moved on", f.told(), []audit.Leaf{leafOf(append(a, more...)...), leafOf(b...)})
	for range 2 {
		f.fails("cover what was read earlier", f.Cover(t.Context(), early), nil)
		f.same("what it moved since stays", f.told(), []audit.Leaf{leafOf(more...), leafOf(b...)})
	}
	for range 2 {
		f.fails("cover the other", f.Cover(t.Context(), leafOf(b...)), nil)
		f.same("it is told no more", f.told(), []audit.Leaf{leafOf(more...)})
	}
	f.fails("cover the rest", f.Cover(t.Context(), leafOf(more...)), nil)
	f.fails("cover what was covered long ago", f.Cover(t.Context(), early), nil)
	f.fails("cover a chain that is not there", f.Cover(t.Context(), audit.Leaf{
		Subject: "acme::c",
		Seq:     1,
		Hash:    "x",
	}), nil)
	f.same("nothing is left", f.told(), []audit.Leaf(nil))
	next := f.grow(heads, 1, "acme::a")["acme::a"]
	f.fails("cover what was covered long ago", f.Cover(t.Context(), early), nil)
	f.same("and on it goes, from where it was covered", f.told(), []audit.Leaf{leafOf(next...)})

	row, head := appended(heads["acme::a"], "acme::a", audit.AgentDeactivated)
	second, _ := appended(head, "acme::a", audit.AgentEnrolled)
	third, _ := appended(heads["acme::b"], "acme::b", audit.AgentDeactivated)
	f.apply(registry.Change{ID: newID(), Rows: []audit.Row{row, third, second}})
	f.same("several rows of one change", f.told(), []audit.Leaf{leafOf(next[0], row, second), leafOf(third)})
	refused := registry.Change{ID: newID(), Rows: []audit.Row{row}}
	f.fails("a row whose place is taken", f.Apply(t.Context(), refused), registry.ErrConflict)
	f.same("moves nothing", f.told(), []audit.Leaf{leafOf(next[0], row, second), leafOf(third)})
}

func movedInParts(t *testing.T, f fixture) {
	heads := map[string]audit.Head{}
	var want []string
	for n := range 100 {
		subject := fmt.Sprintf("acme::%03d", n)
		f.grow(heads, 1, subject)
		want = append(want, subject)
	}
	var got []string
	for {
		part, err := f.Moved(t.Context(), 7)
		f.fails("moved", err, nil)
		if len(part) == 0 {
			break
		}
		if len(part) > 7 {
			t.Fatalf("%d chains, asked for 7", len(part))
		}
		for _, l := range part {
			f.fails("cover", f.Cover(t.Context(), l), nil)
			got = append(got, l.Subject)
		}
	}
	slices.Sort(got)
	f.same("all of them, each once", got, want)
	none, err := f.Moved(t.Context(), 0)
	f.fails("moved", err, nil)
	f.same("none asked for", len(none), 0)
}

func checkpoints(t *testing.T, f fixture) {
	none, err := f.Checkpoint(t.Context())
	f.fails("checkpoint", err, nil)
	f.same("of nothing", none, (*registry.LastCheckpoint)(nil))
	var present registry.LastCheckpoint
	for n := range int64(2) {
		present.Sealed, present.Done = fullSealed(n+1), false
		wins := 0
		for _, err := range atOnce(func(int) error {
			return f.Apply(t.Context(), registry.Change{ID: newID(), Checkpoint: &present})
		}) {
			if err == nil {
				wins++
			} else if !errors.Is(err, registry.ErrConflict) {
				t.Errorf("checkpoint: %v", err)
			}
		}
		f.same("winners", wins, 1)
		for _, done := range []bool{false, true} {
			present.Version++
			got, err := f.Checkpoint(t.Context())
			f.fails("checkpoint", err, nil)
			f.same("checkpoint", got, &present)
			if !done {
				present.Done, present.SetBack = true, 7
				f.apply(registry.Change{ID: newID(), Checkpoint: &present})
			}
		}
	}
}

func fullSealed(number int64) audit.SignedCheckpoint {
	return audit.SignedCheckpoint{
		Checkpoint: audit.Checkpoint{
			Type:      audit.CheckpointType,
			OrgID:     orgID,
			Number:    number,
			Previous:  audit.Genesis,
			Root:      "aa",
			Leaves:    1,
			Rows:      2,
			Key:       "bb",
			Timestamp: "t",
		},
		Signature: "c2ln",
		Token:     "dG9rZW4=",
	}
}

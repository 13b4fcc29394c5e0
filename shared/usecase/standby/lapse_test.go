package standby_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
	"github.com/mastio-aws/mastio/shared/usecase/standby"
	"github.com/mastio-aws/mastio/test/inmemory"
)

func overlapRows(t *testing.T, m *inmemory.Mastio) (ended []any) {
	t.Helper()
	rows, err := m.Store.Rows(t.Context(), inmemory.OrgID, 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := audit.Verify(rows); err != nil {
		t.Error(err)
	}
	for _, r := range rows {
		if r.EventType == audit.OverlapEnded {
			ended = append(ended, r.Details["ended"])
		}
	}
	return ended
}

// An overlap ends by the clock; that it did is a row, once, whatever becomes of the writes.
func TestTheEndOfAnOverlapIsARow(t *testing.T) {
	for _, fault := range []memstore.Fault{memstore.None, memstore.HalfAck, memstore.Lose} {
		next := memstore.None
		m := inmemory.New(memstore.Config{Fault: func(op string) memstore.Fault {
			if op != "Apply" {
				return memstore.None
			}
			f := next
			next = memstore.None
			return f
		}})
		run(t, m)
		if _, err := m.RotateCA.Do(t.Context(), rotateca.Request{
			Mode:    rotateca.Mint,
			Overlap: time.Hour,
			By:      audit.By{Actor: "test"},
		}); err != nil {
			t.Fatal(err)
		}
		run(t, m) // makes the next standby
		m.Advance(time.Hour - time.Millisecond)
		if got := run(t, m); got.Lapsed != 0 || len(overlapRows(t, m)) != 0 {
			t.Errorf("before its end: %+v, %v", got, overlapRows(t, m))
		}
		m.Advance(time.Millisecond)
		next = fault
		if diff := cmp.Diff(standby.Report{Generation: 2, Standby: 3, Lapsed: 1}, run(t, m)); diff != "" {
			t.Errorf("fault %d: at its end (-want +got):\n%s", fault, diff)
		}
		run(t, m)
		if diff := cmp.Diff([]any{[]any{float64(1)}}, overlapRows(t, m)); diff != "" {
			t.Errorf("fault %d: rows (-want +got):\n%s", fault, diff)
		}
		o := m.Org(t)
		if len(o.Pointer.Accepted) != 0 || o.Pointer.Current != 2 || o.Pointer.Previous != 1 {
			t.Errorf("pointer = %+v", o.Pointer)
		}
	}
}

// A rotation that commits between the read and the write wins: the end is noted by the next run, on what it left.
func TestARotationWinsOverTheNoteOfAnEnd(t *testing.T) {
	m := inmemory.New(memstore.Config{})
	run(t, m)
	if _, err := m.RotateCA.Do(t.Context(), rotateca.Request{
		Mode:    rotateca.Mint,
		Overlap: time.Hour,
		By:      audit.By{Actor: "test"},
	}); err != nil {
		t.Fatal(err)
	}
	run(t, m)
	m.Advance(time.Hour)
	stale := m.Org(t)
	if _, err := m.RotateCA.Do(t.Context(), rotateca.Request{
		Mode:    rotateca.Mint,
		Overlap: time.Hour,
		By:      audit.By{Actor: "test"},
	}); err != nil {
		t.Fatal(err)
	}
	pointer, ended := stale.Pointer.Lapse(m.Now())
	if err := m.Store.Apply(t.Context(), registry.Change{
		ID:      m.NewID(),
		Pointer: &pointer,
	}); err == nil || len(ended) != 1 {
		t.Errorf("a note on a pointer that has moved is committed: %v, %v", ended, err)
	}
	if got := run(t, m); got.Generation != 3 {
		t.Errorf("report = %+v", got)
	}
	if o := m.Org(t); len(o.Pointer.Accepted) != 1 || o.Pointer.Accepted[0].Generation != 2 {
		t.Errorf("accepted = %+v, want generation 2 alone", o.Pointer.Accepted)
	}
}

package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/registry"
)

func (f fixture) status(since time.Time) registry.Status {
	f.t.Helper()
	st, err := f.Status(f.t.Context(), since)
	f.fails("status", err, nil)
	return st
}

// deaths are returned from an instant on, in order, as the changes had them.
func deaths(t *testing.T, f fixture) {
	f.same("status of an empty store", f.status(time.Time{}), registry.Status{})
	p := fullPointer()
	f.apply(registry.Change{ID: newID(), Pointer: &p})
	var want []registry.Deaths
	for n := range 3 {
		at := noon.Add(time.Duration(n) * time.Millisecond)
		c := enrolment(agentID(n), 1)
		c.Agent.Handle = agent.NewHandle(fmt.Sprint(n))
		f.apply(c)
		was := *f.view(agentID(n)).Agent
		next := was.Deactivate(at)
		change := registry.Change{ID: newID(), Agent: &next, Was: &was}.Ends(was, at)
		if change.Deaths == nil || len(change.Deaths.Dead) != 2 {
			t.Fatalf("a deactivation ends %+v, want a certificate and a handle", change.Deaths)
		}
		f.apply(change)
		f.apply(change) // an answer was lost
		want = append(want, *change.Deaths)
	}
	f.same("status", f.status(noon.Add(-time.Hour)), registry.Status{Pointer: storedPointer(p), Deaths: want})
	f.same("status since the first", f.status(noon), registry.Status{Pointer: storedPointer(p), Deaths: want[1:]})
	f.same("status since the last", f.status(want[2].At), registry.Status{Pointer: storedPointer(p)})

	was := *f.view(agentID(1)).Agent
	next := was
	next.Version--
	lost := registry.Change{ID: newID(), Agent: &next, Deaths: &registry.Deaths{Change: "x", At: noon.Add(time.Hour)}}
	f.fails("change under an old version", f.Apply(t.Context(), lost), registry.ErrConflict)
	f.same("status after a conflict", f.status(want[2].At), registry.Status{Pointer: storedPointer(p)})
}

func statusNotes(t *testing.T, f fixture) {
	first := registry.StatusNote{Seq: 7, Digest: "a"}
	f.fails("note that follows none", f.PutStatusNote(t.Context(), first, 6), registry.ErrConflict)
	f.fails("first note", f.PutStatusNote(t.Context(), first, 0), nil)
	f.same("note", f.status(noon).Note, first)
	won := 0
	for n, err := range atOnce(func(n int) error {
		return f.PutStatusNote(t.Context(), registry.StatusNote{Seq: 8, Digest: fmt.Sprint(n)}, 7)
	}) {
		if err == nil {
			won++
			f.same("note of who won", f.status(noon).Note, registry.StatusNote{Seq: 8, Digest: fmt.Sprint(n)})
		} else {
			f.fails("note of who lost", err, registry.ErrConflict)
		}
	}
	if won != 1 {
		t.Errorf("%d of many notes won, want 1", won)
	}
	f.fails("a second first", f.PutStatusNote(t.Context(), first, 0), registry.ErrConflict)
}

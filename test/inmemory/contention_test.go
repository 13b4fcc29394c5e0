package inmemory_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
	"github.com/mastio-aws/mastio/test/inmemory"
)

// meddled is a Mastio in which something else happens right before calls of one operation, as often as it is set to.
func meddled(t *testing.T, op string, what func(m *inmemory.Mastio)) (m *inmemory.Mastio, times *int) {
	t.Helper()
	times = new(int)
	busy := false
	m = inmemory.Open(t, memstore.Config{Fault: func(called string) memstore.Fault {
		if called == op && *times > 0 && !busy {
			*times, busy = *times-1, true
			what(m)
			busy = false
		}
		return memstore.None
	}})
	return m, times
}

// neighbour appends a row to the organisation's chain, as the scheduled functions do, which have no lease.
func neighbour(t *testing.T) func(m *inmemory.Mastio) {
	return func(m *inmemory.Mastio) {
		org, err := m.Store.Org(context.Background())
		if err != nil {
			t.Error(err)
		}
		row, head, err := org.Head.Append(audit.Entry{
			Time:    m.Now(),
			Event:   audit.OrgCAUploadRefused,
			Actor:   "test",
			Subject: inmemory.OrgID,
		})
		if err != nil {
			t.Error(err)
		}
		if err := m.Store.Apply(context.Background(), registry.Change{
			ID:   m.NewID(),
			Head: &head,
			Rows: []audit.Row{row},
		}); err != nil {
			t.Error(err)
		}
	}
}

// A rotation that holds the lease does not fail because of other rows of the organisation's chain, however many there
// are.
func TestALeaseOutlastsTheNeighbours(t *testing.T) {
	m, neighbours := meddled(t, "Apply", neighbour(t))
	for n, req := range []rotateca.Request{
		{
			Mode:    rotateca.Mint,
			Overlap: time.Hour,
		}, {Mode: rotateca.Rollback}, {Mode: rotateca.Mint}, {Mode: rotateca.Mint}, {Mode: rotateca.Finalise},
	} {
		*neighbours = 25
		m.Do(t, req)
		if *neighbours != 0 {
			t.Errorf("request %d met %d neighbours, want 25", n, 25-*neighbours)
		}
	}
	events(t, m, inmemory.OrgID) // verifies the chain
}

// A rotation that loses its lease while it waits for its neighbours does not commit.
func TestALeaseThatIsLostAmongNeighbours(t *testing.T) {
	come := neighbour(t)
	count := 0
	m, neighbours := meddled(t, "Apply", func(m *inmemory.Mastio) {
		come(m)
		if count++; count == 8 {
			m.Advance(orgca.LeaseTTL)
			m.Do(t, rotateca.Request{Mode: rotateca.Mint})
		}
	})
	*neighbours = 25
	if _, err := m.Mint(t.Context()); !errors.Is(err, orgca.ErrLeaseLost) || count != 8 {
		t.Errorf("%v after %d neighbours, want the lease lost after 8", err, count)
	}
}

// A commit that lands after everybody has given it up is answered as it landed: with its own row, not with that of a
// later try.
func TestACommitThatLandsLate(t *testing.T) {
	applied := 0
	var m *inmemory.Mastio
	m = inmemory.Open(t, memstore.Config{Fault: func(op string) memstore.Fault {
		if op != "Apply" || applied == 0 {
			return memstore.None
		}
		m.Advance(time.Second)
		if applied++; applied <= 4 { // as often as one change is sent
			return memstore.Late
		}
		m.Store.Deliver()
		return memstore.None
	}})
	applied = 1
	result := m.Do(t, rotateca.Request{Mode: rotateca.Mint})
	org := m.Org(t)
	if org.Pointer.Current != 2 || result.Generation != 2 || result.Audit.Hash != org.Head.Hash || applied != 5 {
		t.Errorf("after %d commits, generation %d, answer %+v with the row %+v; the chain ends with %+v", applied-1,
			org.Pointer.Current, result, *result.Audit, org.Head)
	}
}

// Of two requests with one idempotency key at the same moment, the second is let in when the first is through, and
// answers as it did.
func TestOneIdempotencyKeyTwiceAtOnce(t *testing.T) {
	req := rotateca.Request{Mode: rotateca.Mint, IdempotencyKey: "key", By: audit.By{Actor: "test"}}
	var first rotateca.Result
	m, times := meddled(t, "Acquire", func(m *inmemory.Mastio) { first = m.Do(t, req) })
	*times = 1
	second := m.Do(t, req)
	if second.Generation != 2 || second.Audit == nil || first.Audit == nil || *second.Audit != *first.Audit {
		t.Errorf("first %+v, second %+v", first, second)
	}
	if status, err := m.RotateCA.Status(t.Context()); err != nil || status.Generation != 2 || status.Rotation.InProgress {
		t.Errorf("status = %+v, %v", status, err)
	}
}

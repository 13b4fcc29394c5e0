package hygiene_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
	"github.com/mastio-aws/mastio/shared/usecase/hygiene"
	"github.com/mastio-aws/mastio/test/inmemory"
)

// populate stores agents as they are after their enrolment. The first ones are due, every other one for delivery.
func populate(t *testing.T, m *inmemory.Mastio, size, due int) []agent.ID {
	t.Helper()
	var ids []agent.ID
	for n := range size {
		id := agent.ID(fmt.Sprintf("%s::agent-%05d", inmemory.OrgID, n))
		begin := m.Now()
		if n < due {
			begin = begin.Add(-340 * day)
			ids = append(ids, id)
		}
		pin := agent.Pin{
			Thumbprint: fmt.Sprintf("%064x", n),
			Generation: 1,
			NotBefore:  begin,
			NotAfter:   begin.Add(365 * day),
			Due:        begin.Add(335 * day),
		}
		a := agent.Agent{ID: id, Method: agent.Minted, Status: agent.Active, Pins: []agent.Pin{pin}, EnrolledAt: begin}
		if n%2 == 1 {
			a.Hygiene.Deliver = agent.SecretsManager
		}
		m.Seed(t, a)
	}
	return ids
}

// settled fails unless every one of the due was dealt with, once.
func settled(t *testing.T, m *inmemory.Mastio, due []agent.ID) {
	t.Helper()
	for n, id := range due {
		want := []audit.Event{audit.AgentEnrolled, audit.AgentCertDue}
		if n%2 == 1 {
			want[1] = audit.AgentCertRotated
		}
		if diff := cmp.Diff(want, events(t, m, id)); diff != "" {
			t.Errorf("events of %s (-want +got):\n%s", id, diff)
		}
	}
	if secrets := m.Secrets.Calls(); secrets["Stage"] != len(due)/2 {
		t.Errorf("%d versions staged, want %d", secrets["Stage"], len(due)/2)
	}
}

// 10,000 agents, 300 of them due. The first run is killed in the middle of it all: every call from then on fails. The
// second one's time is over after some more. The third one finishes.
func TestKilledAndResumed(t *testing.T) {
	var calls, most atomic.Int64
	var killed atomic.Bool
	m := fresh(t, memstore.Config{Fault: func(string) memstore.Fault {
		if limit := most.Load(); limit > 0 && calls.Add(1) > limit {
			killed.Store(true)
		}
		if killed.Load() {
			return memstore.Refuse
		}
		return memstore.None
	}})
	due := populate(t, m, 10_000, 300)
	ctx, cancel := context.WithCancel(t.Context())
	m.Over = killed.Load
	most.Store(500)
	first, err := m.Hygiene.Run(ctx)
	cancel()
	if !killed.Load() || err == nil {
		t.Fatalf("the first run was not killed: %+v, %v", first, err)
	}
	most.Store(0)
	killed.Store(false)
	var begun atomic.Int64
	m.Over = func() bool { return begun.Add(1) > 100 }
	second, err := m.Hygiene.Run(t.Context())
	if err != nil || second.Remaining == 0 {
		t.Fatalf("second run: %+v, %v; want a remainder", second, err)
	}
	m.Over = nil
	third, err := m.Hygiene.Run(t.Context())
	if err != nil || third.Failed != 0 || third.Remaining != 0 {
		t.Fatalf("third run: %+v, %v", third, err)
	}
	t.Logf("killed: %+v\nover: %+v\nlast: %+v", first, second, third)
	settled(t, m, due)
	if done := third.Rotated + third.Notified; done != second.Remaining {
		t.Errorf("the third run did %d, the second one left %d", done, second.Remaining)
	}
	run(t, m, hygiene.Report{})
}

// What a run costs is what is due.
func TestCostFollowsTheDue(t *testing.T) {
	cost := func(size int) map[string]int {
		m := fresh(t, memstore.Config{})
		due := populate(t, m, size, 30)
		before := m.Store.Calls()
		run(t, m, hygiene.Report{Due: 30, Rotated: 15, Notified: 15})
		spent := m.Store.Calls()
		settled(t, m, due)
		for op, n := range before {
			if spent[op] -= n; spent[op] == 0 {
				delete(spent, op)
			}
		}
		return spent
	}
	small, large := cost(100), cost(10_000)
	if diff := cmp.Diff(small, large); diff != "" {
		t.Errorf("calls (-100 agents +10,000):\n%s", diff)
	}
	t.Logf("30 due among 100 and among 10,000: %v", small)
}

// However many are due, so many are worked on at once and no more.
func TestConcurrencyIsBounded(t *testing.T) {
	m := fresh(t, memstore.Config{Latency: func(op string) time.Duration {
		if op == "View" {
			return time.Millisecond
		}
		return 0
	}})
	populate(t, m, 100, 100)
	var now, most atomic.Int64
	m.Secrets.Fault = func(_ string, after bool) error {
		if after {
			now.Add(-1)
			return nil
		}
		n := now.Add(1)
		for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
		}
		return nil
	}
	run(t, m, hygiene.Report{Due: 100, Rotated: 50, Notified: 50})
	if most.Load() > hygiene.Concurrency {
		t.Errorf("%d at once, want at most %d", most.Load(), hygiene.Concurrency)
	}
}

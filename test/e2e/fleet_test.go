package e2e

import (
	"context"
	"flag"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
)

var fleetSize = flag.Int("fleet", 0, "agents that move to another Org CA while they work; 0: 60, with -short 20")

// fleet is agents at work: each asks for tokens with whatever certificate it holds.
type fleet struct {
	m      *target
	t      *testing.T
	agents []*worker
	served atomic.Int64
	failed atomic.Int64
}

type worker struct {
	id string
	mu sync.Mutex
	c  *client
}

func (w *worker) client() *client {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.c
}

func (m *target) newFleet(t *testing.T, size int) *fleet {
	t.Helper()
	f := &fleet{m: m, t: t, agents: make([]*worker, size)}
	f.each(func(i int) {
		i0 := m.enrol(t, fresh("fleet"))
		f.agents[i] = &worker{id: i0.AgentID, c: m.newClient(i0.certificate(t))}
	})
	return f
}

// each does something for every agent, a few at a time.
func (f *fleet) each(do func(int)) {
	work := make(chan int)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for i := range work {
				do(i)
			}
		})
	}
	for i := range f.agents {
		work <- i
	}
	close(work)
	all.Wait()
}

// work lets the agents ask for tokens until the returned function is called, which says how many were served.
func (f *fleet) work() (stop func() (served, failed int64)) {
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for n := range 4 {
		all.Go(func() {
			for i := n; ctx.Err() == nil; i += 4 {
				f.ask(ctx, f.agents[i%len(f.agents)])
				if testing.Short() { // other tests run at the same time
					<-time.After(30 * time.Millisecond)
				}
			}
		})
	}
	return func() (int64, int64) { cancel(); all.Wait(); return f.served.Load(), f.failed.Load() }
}

func (f *fleet) ask(ctx context.Context, w *worker) {
	c := w.client()
	a, err := c.do(ctx, "POST", tokenPath, nil, nil)
	switch {
	case ctx.Err() != nil:
	case err == nil && a.status == http.StatusOK:
		f.served.Add(1)
	default:
		f.failed.Add(1)
		f.t.Errorf("%s: %d %s %v", w.id, a.status, a.body, err)
	}
}

// move gives every agent its next certificate, as a pipeline would: with a minute's grace, for its delivery takes a
// while.
func (f *fleet) move() {
	f.each(func(i int) {
		w := f.agents[i]
		next := read(f.t, f.m.operator().must(f.t, 200, "POST", "/registry/agents/"+w.id+"/rotate-cert",
			with(f.m.admin(), "Content-Type", "application/json"), []byte(`{"grace_seconds": 60}`)))
		w.mu.Lock()
		defer w.mu.Unlock()
		w.c.http.CloseIdleConnections()
		w.c = f.m.newClient(next.certificate(f.t))
	})
}

// A fleet moves to another Org CA while it works, and no request fails.
func TestFleetUnderLoadMovesWithoutAnOutage(t *testing.T) {
	onlyLocally(t, "25 calls a second are no load")
	m := borrow(t)
	m.forget(t)
	m.standby(t)
	if *fleetSize == 0 {
		if *fleetSize = 60; testing.Short() {
			*fleetSize = 20
		}
	}
	f := m.newFleet(t, *fleetSize)
	stop := f.work()
	began := time.Now()
	m.change(t, "mode=mint&overlap=3600")
	swapped := time.Since(began)
	m.tick(t)
	f.move()
	moved := time.Since(began)
	served, failed := stop()
	if failed > 0 || served == 0 {
		t.Errorf("%d requests failed, %d were served", failed, served)
	}
	current := m.state(t).Pointer.Current
	for _, w := range f.agents {
		view, err := m.store().View(t.Context(), agent.ID(w.id))
		if err != nil || view.Agent.Pin().Generation != current {
			t.Fatalf("%s is of generation %d, %v", w.id, view.Agent.Pin().Generation, err)
		}
	}
	t.Logf("%d agents: swap in %s, all moved in %s; %d token requests meanwhile, %d failed", *fleetSize,
		swapped.Round(time.Millisecond), moved.Round(time.Millisecond), served, failed)
	m.change(t, "mode=finalise")
}

// A legacy installation migrates automatically while its agents work: no agent notices.
func TestLegacyMigratesUnderLoad(t *testing.T) {
	onlyLocally(t, "the first Org CA is made by the deployment")
	m := ownSystem(t, "MASTIO_FIRST_CA", "adopt", "MCP_PROXY_PKI_AUTO_MIGRATE", "1")
	m.upload(t, m.operator(), newOperatorCA(t, 0), "mode=upload", "").want(t, 200, "")
	legacy := []any{"org_ca_legacy_pathlen_zero"}
	if got := m.operator().must(t, 200, "GET", "/healthz", nil, nil).decode(t)["warnings"].([]any); !slices.Equal(got,
		legacy) {
		t.Errorf("warnings %v, want %v", got, legacy)
	}
	f := m.newFleet(t, 10)
	stop := f.work()
	m.tick(t) // as after a deployment
	f.move()
	served, failed := stop()
	if failed > 0 || served == 0 {
		t.Errorf("%d requests failed, %d were served", failed, served)
	}
	if got := m.operator().must(t, 200, "GET", "/healthz", nil, nil).decode(t)["warnings"].([]any); len(got) != 0 {
		t.Errorf("warnings after the migration: %v", got)
	}
	var reason any
	for _, r := range m.chain(t, "orga") {
		if r.EventType == "org_ca.rotated" {
			reason = r.Details["reason"]
		}
	}
	if reason != "legacy_pathlen_zero" {
		t.Errorf("reason of the rotation = %v", reason)
	}
	t.Logf("%d token requests across the migration, %d failed", served, failed)
}

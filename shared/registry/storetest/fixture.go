package storetest

import (
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/registry"
)

const (
	orgID = "acme"
	many  = 50 // goroutines at once
)

// noon is the present. It lies far ahead, so that no database deletes what expires after it.
var noon = time.Date(2100, time.January, 2, 12, 0, 0, 678_000_000, time.UTC)

func ago(d time.Duration) time.Time { return noon.Add(-d) }

// fixture is a store under test.
type fixture struct {
	registry.Store
	t *testing.T
}

func newID() string { return rand.Text() }

func (f fixture) apply(c registry.Change) {
	f.t.Helper()
	if err := f.Apply(f.t.Context(), c); err != nil {
		f.t.Fatalf("apply: %v", err)
	}
}

func (f fixture) view(id agent.ID) registry.View {
	f.t.Helper()
	v, err := f.View(f.t.Context(), id)
	if err != nil {
		f.t.Fatalf("view: %v", err)
	}
	return v
}

func (f fixture) org() registry.Org {
	f.t.Helper()
	o, err := f.Org(f.t.Context())
	if err != nil {
		f.t.Fatalf("org: %v", err)
	}
	return o
}

func (f fixture) rows(subject string) []audit.Row {
	f.t.Helper()
	rows, err := f.Rows(f.t.Context(), subject, 0, 1000)
	if err != nil {
		f.t.Fatalf("rows: %v", err)
	}
	return rows
}

func (f fixture) acquire(holder string, now time.Time) orgca.Lease {
	f.t.Helper()
	l, err := f.Acquire(f.t.Context(), want(holder, now), now)
	if err != nil {
		f.t.Fatalf("acquire: %v", err)
	}
	return l
}

func want(holder string, now time.Time) orgca.Lease {
	return orgca.Lease{Holder: holder, Operation: "rotate-ca", Phase: "swap", Expires: now.Add(orgca.LeaseTTL)}
}

func (f fixture) same(what string, got, want any) {
	f.t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		f.t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func (f fixture) fails(what string, got, want error) {
	f.t.Helper()
	if !errors.Is(got, want) {
		f.t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// atOnce runs do many times at once and returns the errors.
func atOnce(do func(n int) error) []error {
	errs := make([]error, many)
	var start, end sync.WaitGroup
	start.Add(1)
	for n := range many {
		end.Go(func() {
			start.Wait()
			errs[n] = do(n)
		})
	}
	start.Done()
	end.Wait()
	return errs
}

func agentID(n int) agent.ID { return agent.ID(fmt.Sprintf("%s::agent-%03d", orgID, n)) }

// enrolment is the change that creates an agent with a pin of a generation, and its first row.
func enrolment(id agent.ID, generation int64) registry.Change {
	row, head := appended(audit.Head{}, string(id), audit.AgentEnrolled)
	return registry.Change{
		ID:   newID(),
		Rows: []audit.Row{row},
		Agent: &agent.Agent{
			ID:         id,
			Method:     agent.Minted,
			Status:     agent.Active,
			Pins:       []agent.Pin{pin(generation)},
			EnrolledAt: noon,
			UpdatedAt:  noon,
			Head:       head,
		},
	}
}

// rotation is the change that gives an agent, as stored, a pin of a generation.
func rotation(a agent.Agent, generation int64) registry.Change {
	next := a.Repin(pin(generation), agent.Keep{}, noon)
	row, head := appended(a.Head, string(a.ID), audit.AgentCertRotated)
	next.Head = head
	return registry.Change{ID: newID(), Agent: &next, Was: &a, Rows: []audit.Row{row}}.Ends(a, noon)
}

func pin(generation int64) agent.Pin {
	return agent.Pin{Thumbprint: rand.Text(), Generation: generation, NotBefore: noon, NotAfter: noon.AddDate(1, 0, 0)}
}

func appended(h audit.Head, subject string, event audit.Event) (audit.Row, audit.Head) {
	row, next, err := h.Append(audit.Entry{
		Time:    noon,
		Event:   event,
		Actor:   "admin",
		Subject: subject,
		Details: map[string]any{"reason": "superseded", "n": 1.5},
	})
	if err != nil {
		panic(err) // the entry is constant
	}
	return row, next
}

// A record is read with the version after the one that it was written with.

func storedAgent(a agent.Agent) *agent.Agent {
	a.Version++
	return &a
}

func storedPointer(p orgca.Pointer) *orgca.Pointer {
	p.Version++
	return &p
}

func storedGenerations(list ...orgca.Generation) []orgca.Generation {
	for i := range list {
		list[i].Version++
	}
	return list
}

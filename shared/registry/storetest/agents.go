package storetest

import (
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/registry"
)

// fleetSize is how many agents the tests of pages enrol: enough for several pages of every size, with -short
// fewer. Some searches are for the numbers from 100 on.
func fleetSize() int {
	if testing.Short() {
		return 130
	}
	return 300
}

// fleet enrols agents of every method under three generations, and deactivates some, and returns them as pages have
// them.
func (f fixture) fleet() []agent.Agent {
	f.t.Helper()
	fleet := make([]agent.Agent, fleetSize())
	var wg sync.WaitGroup
	for worker := range 10 {
		wg.Go(func() {
			for n := worker; n < len(fleet); n += 10 {
				fleet[n] = f.enrol(n)
			}
		})
	}
	wg.Wait()
	slices.SortFunc(fleet, func(a, b agent.Agent) int {
		if place(a) < place(b) {
			return -1
		}
		return 1
	})
	return fleet
}

func (f fixture) enrol(n int) agent.Agent {
	c := enrolment(agentID(n), int64(n%3+1))
	a := c.Agent
	a.Method = []agent.Method{agent.Minted, agent.BYOCA, agent.SPIFFE}[n/3%3]
	a.DisplayName, a.Capabilities, a.JKT = fmt.Sprint("agent ", n), []string{"read"}, "jkt"
	a.Owner = fmt.Sprint("Team ", n%4)
	switch {
	case n%10 == 9:
		*a = a.Deactivate(noon)
	case a.Method == agent.SPIFFE:
		a.Pins, a.SPIFFEID = nil, "spiffe://acme.test/x"
	}
	if err := f.Apply(f.t.Context(), c); err != nil {
		f.t.Errorf("enrol %s: %v", a.ID, err)
	}
	return agent.Agent{
		ID:         a.ID,
		Profile:    a.Profile,
		Method:     a.Method,
		Status:     a.Status,
		Pins:       a.Pins,
		EnrolledAt: a.EnrolledAt,
		UpdatedAt:  a.UpdatedAt,
	}
}

func place(a agent.Agent) string {
	return fmt.Sprintf("%06d#%s#%s", a.Pin().Generation, a.Method, a.ID)
}

// walk reads all pages.
func (f fixture) walk(q registry.Query) (all []agent.Agent, sizes []int) {
	f.t.Helper()
	for len(sizes) <= fleetSize() {
		page, err := f.Agents(f.t.Context(), q)
		if err != nil {
			f.t.Fatalf("agents: %v", err)
		}
		all, sizes = append(all, page.Agents...), append(sizes, len(page.Agents))
		if page.Next == "" {
			return all, sizes
		}
		q.Cursor = page.Next
	}
	f.t.Fatalf("no end after %d pages", len(sizes))
	return nil, nil
}

func pages(t *testing.T, f fixture) {
	fleet := f.fleet()
	f.settled(fleet)
	for _, limit := range []int{7, 50, 100, len(fleet) - 1, len(fleet), 1000} {
		got, sizes := f.walk(registry.Query{Limit: limit})
		f.same(fmt.Sprintf("agents in pages of %d", limit), got, fleet)
		if full := (len(fleet) + limit - 1) / limit; len(sizes) != full {
			t.Errorf("pages of %d: got %v, want %d", limit, sizes, full)
		}
	}
	for generation := int64(1); generation <= 4; generation++ {
		want := slices.DeleteFunc(slices.Clone(fleet), func(a agent.Agent) bool { return a.Pin().Generation != generation })
		got, _ := f.walk(registry.Query{Limit: 20, Generation: generation})
		f.same(fmt.Sprintf("agents of generation %d", generation), append([]agent.Agent{}, got...), want)
	}
	want := slices.DeleteFunc(slices.Clone(fleet), func(a agent.Agent) bool {
		return a.Method != agent.SPIFFE || a.Pin().Generation != 0
	})
	got, sizes := f.walk(registry.Query{Limit: 7, Method: agent.SPIFFE})
	f.same("agents that are known by their SPIFFE ID", got, want)
	if len(sizes) < 2 {
		t.Errorf("agents with SPIFFE IDs in pages of 7: got %v, want several pages", sizes)
	}
	f.moved(fleet)
}

// settled waits until an index that lags behind has caught up.
func (f fixture) settled(fleet []agent.Agent) {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), 30*time.Second)
	defer cancel()
	for {
		got, _ := f.walk(registry.Query{Limit: 1000})
		if cmp.Equal(got, fleet) {
			return
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			f.t.Fatalf("the list of agents does not become what was written (-want +got):\n%s", cmp.Diff(fleet, got))
		}
	}
}

// moved rotates the first agent that has a pin: it is met at its new place, and there alone.
func (f fixture) moved(fleet []agent.Agent) {
	f.t.Helper()
	n := slices.IndexFunc(fleet, func(a agent.Agent) bool { return a.Pin().Generation > 0 })
	c := rotation(*f.view(fleet[n].ID).Agent, 7)
	f.apply(c)
	a := fleet[n]
	a.Pins, a.UpdatedAt = c.Agent.Pins, c.Agent.UpdatedAt
	f.settled(append(slices.Delete(slices.Clone(fleet), n, n+1), a))
}

// comesAndGoes has an agent move between generations, by changes that say what it was, and such that do not: it is met
// at its last place, and there alone.
func comesAndGoes(t *testing.T, f fixture) {
	f.apply(enrolment(agentID(1), 1))
	at := func(generation int64) func() any {
		return func() any {
			got, _ := f.walk(registry.Query{Limit: 10})
			if len(got) != 1 {
				return fmt.Sprintf("%d agents", len(got))
			}
			return got[0].Pin().Generation
		}
	}
	for n, generation := range []int64{1, 2, 1, 1, 3, 2, 2} {
		c := rotation(*f.view(agentID(1)).Agent, generation)
		if n%3 == 2 {
			c.Was = nil
		}
		f.apply(c)
		f.caughtUp(fmt.Sprintf("generation after change %d", n), at(generation), generation)
	}
	gone := f.view(agentID(1)).Agent
	next := gone.Deactivate(noon)
	f.apply(registry.Change{ID: newID(), Agent: &next, Was: gone}.Ends(*gone, noon))
	f.caughtUp("generation when deactivated", at(0), int64(0))
	census, err := f.Census(t.Context(), 2, 9)
	f.fails("census", err, nil)
	f.same("census", census[agent.Minted], registry.Tally{})
}

func cursors(t *testing.T, f fixture) {
	for n := range 4 {
		f.apply(enrolment(agentID(n), 2))
	}
	page, err := f.Agents(t.Context(), registry.Query{Limit: 2})
	if err != nil || page.Next == "" {
		t.Fatalf("first page: got %+v, %v", page, err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	for _, cursor := range []string{
		"x", "!", page.Next + "=", page.Next + "A", page.Next[1:], encode([]byte("2")), encode([]byte("000002#minted#")),
		encode([]byte("000002#minted#no-organisation")), encode([]byte("00000x#minted#acme::a")),
		encode([]byte("#minted#acme::a")),
		encode([]byte("000002#minted#acme::a\x00")), encode([]byte("\xff")),
	} {
		got, err := f.Agents(t.Context(), registry.Query{Limit: 2, Cursor: cursor})
		f.fails(fmt.Sprintf("cursor %q", cursor), err, registry.ErrCursor)
		f.same("page", got, registry.Page{})
	}
	_, err = f.Agents(t.Context(), registry.Query{Limit: 2, Cursor: page.Next, Generation: 3})
	f.fails("cursor of another query", err, registry.ErrCursor)
	_, err = f.Agents(t.Context(), registry.Query{Limit: 2, Cursor: page.Next, Method: agent.SPIFFE})
	f.fails("cursor of a query without a method", err, registry.ErrCursor)
	_, err = f.Agents(t.Context(), registry.Query{Limit: 2, Cursor: page.Next})
	f.fails("cursor", err, nil)
}

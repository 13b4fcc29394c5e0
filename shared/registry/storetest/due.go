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

const hour = time.Hour

// dueFleet enrols agents whose certificates become due one after the other, an hour apart, and all that is not due.
func (f fixture) dueFleet() []agent.ID {
	f.t.Helper()
	const fleet = 60
	ids := make([]agent.ID, fleet)
	var wg sync.WaitGroup
	for worker := range 6 {
		wg.Go(func() {
			for n := worker; n < fleet; n += 6 {
				ids[n] = f.dueAt(n, noon.Add(time.Duration(n-fleet)*hour), nil)
			}
		})
	}
	wg.Wait()
	f.dueAt(500, noon.Add(time.Millisecond), nil)
	for n, not := range []func(*agent.Agent){
		func(a *agent.Agent) { a.Method = agent.BYOCA },
		func(a *agent.Agent) { a.Method, a.Pins = agent.SPIFFE, nil },
		func(a *agent.Agent) { a.Pins = nil },
		func(a *agent.Agent) { a.Status = agent.Deactivated },
		func(a *agent.Agent) { a.Hygiene.Later = noon.Add(hour) },
		func(a *agent.Agent) { a.Hygiene.Told = true; a.Pins[0].NotAfter = noon },
	} {
		f.dueAt(501+n, ago(hour), not)
	}
	last := f.dueAt(600, ago(100*24*hour), func(a *agent.Agent) { a.Hygiene.Later = noon })
	void := f.dueAt(601, noon, func(a *agent.Agent) {
		a.Hygiene = agent.Hygiene{
			About: "another",
			Told:  true,
			Later: noon.Add(hour),
		}
	})
	return append(ids, last, void)
}

func (f fixture) dueAt(n int, due time.Time, change func(*agent.Agent)) agent.ID {
	f.t.Helper()
	c := enrolment(agentID(n), 1)
	c.Agent.Pins[0].Due, c.Agent.Hygiene.About = due, c.Agent.Pins[0].Thumbprint
	if change != nil {
		change(c.Agent)
	}
	if err := f.Apply(f.t.Context(), c); err != nil {
		f.t.Errorf("enrol %s: %v", c.Agent.ID, err)
	}
	return c.Agent.ID
}

func (f fixture) walkDue(at time.Time, limit int) (all []agent.ID, pages int) {
	f.t.Helper()
	return f.walkDuePages(registry.DueQuery{At: at, Limit: limit})
}

func (f fixture) walkDuePages(q registry.DueQuery) (all []agent.ID, pages int) {
	f.t.Helper()
	for ; pages < 200; pages++ {
		page, err := f.Due(f.t.Context(), q)
		if err != nil {
			f.t.Fatalf("due: %v", err)
		}
		if all = append(all, page.Agents...); page.Next == "" {
			return all, pages + 1
		}
		q.Cursor = page.Next
	}
	f.t.Fatal("no end after 200 pages")
	return nil, 0
}

func due(t *testing.T, f fixture) {
	none, _ := f.walkDue(noon, 10)
	f.same("who is due in an empty store", none, []agent.ID(nil))
	want := f.dueFleet()
	f.caughtUp("who is due", func() any { got, _ := f.walkDue(noon, 1000); return got }, want)
	for _, limit := range []int{1, 7, 62, 1000} {
		got, pages := f.walkDue(noon, limit)
		f.same("who is due, in pages", got, want)
		if full := max((len(want)+limit-1)/limit, 1); pages != full {
			t.Errorf("pages of %d: got %d, want %d", limit, pages, full)
		}
	}
	got, _ := f.walkDue(ago(31*hour), 1000)
	f.same("who was due 31 hours ago", got, want[:30])
	for _, limit := range []int{0, len(want) + 1, 1000} {
		n, err := f.CountDue(t.Context(), registry.DueQuery{At: noon, Limit: limit})
		f.fails("count", err, nil)
		f.same("count", n, int64(len(want)))
	}
	if n, err := f.CountDue(t.Context(), registry.DueQuery{At: noon, Limit: 3}); err != nil || n < 3 {
		t.Errorf("count up to 3: %d, %v", n, err)
	}
	f.dueTimes(want)
	for _, cursor := range []string{"x", "AAAA", "MCMx",
		base64.RawURLEncoding.EncodeToString([]byte("0#00001700000000000#acme::agent-0001"))} {
		_, err := f.Due(t.Context(), registry.DueQuery{At: noon, Limit: 1, Cursor: cursor})
		f.fails("cursor "+cursor, err, registry.ErrCursor)
	}
	for _, place := range []string{"1#99999999999999#acme::agent-0001",
		fmt.Sprintf("1#%014d#acme::agent-0500", noon.UnixMilli()+1)} {
		page, err := f.Due(t.Context(), registry.DueQuery{
			At:     noon,
			Limit:  1,
			Cursor: base64.RawURLEncoding.EncodeToString([]byte(place)),
		})
		f.fails("behind the end of the range: "+place, err, nil)
		f.same("behind the end of the range", page, registry.DuePage{})
	}

	for _, id := range want[:2] { // who got a new certificate, or is gone, is due no more
		c := rotation(*f.view(id).Agent, 2)
		c.Agent.Pins[0].Due = noon.AddDate(0, 11, 0)
		f.apply(c)
	}
	was := *f.view(want[2]).Agent
	gone := was.Deactivate(noon)
	f.apply(registry.Change{ID: newID(), Agent: &gone}.Ends(was, noon))
	f.caughtUp("who is still due", func() any { got, _ := f.walkDue(noon, 1000); return got }, want[3:])
}

// dueTimes holds DueTimes to what Due lists: the same agents' instants, in order, in a range and up to a limit.
func (f fixture) dueTimes(want []agent.ID) {
	f.t.Helper()
	var times []time.Time
	for _, id := range want {
		at, _ := f.view(id).Agent.Entry()
		times = append(times, at)
	}
	got, through, err := f.DueTimes(f.t.Context(), registry.DueQuery{At: noon, Limit: 1000})
	f.fails("when agents are due", err, nil)
	f.same("when agents are due", got, times)
	f.same("they are known through", through, noon)

	middle := times[len(times)/2]
	got, _, err = f.DueTimes(f.t.Context(), registry.DueQuery{At: noon, After: middle, Limit: 1000})
	f.fails("when agents are due after an instant", err, nil)
	f.same("when agents are due after an instant", got, slices.DeleteFunc(slices.Clone(times),
		func(at time.Time) bool { return !at.After(middle) }))

	got, through, err = f.DueTimes(f.t.Context(), registry.DueQuery{At: noon, Limit: 1})
	f.fails("when few agents are due", err, nil)
	if len(got) >= len(times) || !through.Before(noon) {
		f.t.Errorf("a limit of 1 has %d of %d instants, through %v", len(got), len(times), through)
	}
	known := func(all []time.Time) []time.Time {
		return slices.DeleteFunc(slices.Clone(all), func(at time.Time) bool { return at.After(through) })
	}
	f.same("what is known through an instant", known(got), known(times))
}

// dueTold lists the agents whose operators were notified before the others, and reads the records.
func dueTold(t *testing.T, f fixture) {
	told := func(left time.Duration) func(*agent.Agent) {
		return func(a *agent.Agent) { a.Hygiene.Told = true; a.Pins[0].NotAfter = noon.Add(left) }
	}
	want := []agent.ID{
		f.dueAt(4, ago(hour), told(-hour)), f.dueAt(2, ago(3*hour), told(hour)), f.dueAt(3, ago(2*hour), told(2*hour)),
		f.dueAt(9, ago(hour), nil), f.dueAt(1, noon, nil),
	}
	f.dueAt(5, noon.Add(hour), nil)
	q := registry.DueQuery{At: noon, Told: true, Limit: 1000}
	f.caughtUp("who is due, told or not", func() any { got, _ := f.walkDuePages(q); return got }, want)
	for q.Limit = range 4 {
		q.Limit++
		got, _ := f.walkDuePages(q)
		f.same("who is due, told or not, in pages", got, want)
	}
	n, err := f.CountDue(t.Context(), q)
	f.fails("count", err, nil)
	f.same("count", n, int64(len(want)))

	ids := append([]agent.ID{agentID(77)}, want...)
	found, err := f.Records(t.Context(), ids)
	f.fails("records", err, nil)
	var got []agent.ID
	for _, a := range found {
		got = append(got, a.ID)
		f.same("record", a, registry.Listed(*f.view(a.ID).Agent))
	}
	f.same("records, without the one that is not there", got, want)
	found, err = f.Records(t.Context(), nil)
	f.fails("no records", err, nil)
	f.same("no records", len(found), 0)
}

// dueEarly reads ranges that begin after an instant, among them entries that are earlier than their agents are due.
func dueEarly(t *testing.T, f fixture) {
	early := func(at time.Time) func(*agent.Agent) { return func(a *agent.Agent) { a.Early = at } }
	f.dueAt(1, ago(hour), nil)
	f.dueAt(2, noon, nil)
	ids := []agent.ID{
		f.dueAt(9, noon.Add(time.Millisecond), nil), f.dueAt(3, noon.Add(9*hour), early(noon.Add(hour))),
		f.dueAt(4, noon.Add(2*hour), early(noon.Add(3*hour))), // later than due: the entry is never late
	}
	f.dueAt(5, noon.Add(3*hour), nil)
	f.dueAt(6, noon.Add(9*hour), func(a *agent.Agent) { a.Hygiene.Told, a.Early = true, noon.Add(hour) })
	f.dueAt(7, noon.Add(9*hour), func(a *agent.Agent) { a.Status, a.Early = agent.Deactivated, noon.Add(hour) })
	q := registry.DueQuery{After: noon, At: noon.Add(2 * hour), Limit: 1000}
	f.caughtUp("who is due after noon", func() any { got, _ := f.walkDuePages(q); return got }, ids)
	for _, told := range []bool{false, true} { // who was notified is in no range that begins after an instant
		q.Told, q.Limit = told, 2
		got, pages := f.walkDuePages(q)
		f.same("in pages", got, ids)
		f.same("pages", pages, 2)
		n, err := f.CountDue(t.Context(), q)
		f.fails("count", err, nil)
		f.same("count", n, int64(len(ids)))
	}
	cursor := base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "1#%014d#%s", noon.UnixMilli(), agentID(2)))
	_, err := f.Due(t.Context(), registry.DueQuery{After: noon, At: noon.Add(hour), Limit: 1, Cursor: cursor})
	f.fails("cursor before the range", err, registry.ErrCursor)

	before := *f.view(agentID(3)).Agent
	placed := before.Placed()
	f.apply(registry.Change{ID: newID(), Agent: &placed})
	f.caughtUp("behind the one that was moved", func() any { got, _ := f.walkDuePages(q); return got },
		[]agent.ID{ids[0], ids[2]})
}

func expiring(t *testing.T, f fixture) {
	is := func(now, overdue time.Time) func() any {
		return func() any {
			got, err := f.Expiring(t.Context(), now, overdue)
			f.fails("expiring", err, nil)
			return got
		}
	}
	f.same("in an empty store", is(noon, noon)(), false)
	f.dueAt(1, ago(hour), nil)
	f.caughtUp("due for an hour", is(noon, ago(hour)), true)
	f.same("due for an hour, overdue after more", is(noon, ago(hour+time.Millisecond))(), false)

	f.dueAt(2, ago(hour), func(a *agent.Agent) { a.Hygiene.Told = true; a.Pins[0].NotAfter = noon.Add(hour) })
	f.caughtUp("told, ends in an hour", is(noon, ago(48*hour)), true)
	f.same("told, ended", is(noon.Add(hour), ago(48*hour))(), false)
	f.apply(rotation(*f.view(agentID(2)).Agent, 2))
	f.caughtUp("told, and replaced", is(noon, ago(48*hour)), false)
}

// caughtUp waits until an index that lags behind has caught up: it fails unless what is read becomes what is wanted.
func (f fixture) caughtUp(what string, read func() any, want any) {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), 30*time.Second)
	defer cancel()
	for {
		got := read()
		if cmp.Equal(got, want) {
			return
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			f.t.Fatalf("%s (-want +got):\n%s", what, cmp.Diff(want, got))
		}
	}
}

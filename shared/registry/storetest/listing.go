package storetest

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/registry"
)

// listings compares every listing with the fleet, filtered and sorted here once more.
func listings(t *testing.T, f fixture) {
	fleet := f.fleet()
	f.settled(fleet)
	due := noon.AddDate(0, 2, 0)
	filters := map[string]registry.Filter{
		"all":         {},
		"name":        {Name: "GENT-1"},
		"method":      {Method: agent.BYOCA},
		"active":      {Status: agent.Active},
		"deactivated": {Status: agent.Deactivated},
		"owner":       {Owner: "team 3"},
		"generation":  {Generation: 2},
		"not current": {Not: 2},
		"not first":   {Not: 1},
		"due":         {DueAt: due},
		"several":     {Name: "2", Method: agent.Minted, Status: agent.Active, Owner: "Team 1", Not: 3},
		"active of":   {Status: agent.Active, Method: agent.SPIFFE},
		"pinned of":   {Not: 3, Method: agent.BYOCA},
		"none":        {Name: "no such name"},
		"selected":    {Among: registry.Among(agentID(1), agentID(12), "acme::nobody")},
		"one twice":   {Among: registry.Among(agentID(1), agentID(1), agentID(2))},
		"of selected": {Among: registry.Among(agentID(1), agentID(2), agentID(9)), Method: agent.Minted, Name: "1"},
	}
	for name, filter := range filters {
		for _, sort := range []registry.Sort{registry.ByGeneration, registry.ByName, registry.ByDue} {
			want := slices.DeleteFunc(slices.Clone(fleet), func(a agent.Agent) bool {
				at, _ := a.Due()
				return !wanted(filter, a) || sort == registry.ByDue && at.IsZero()
			})
			sorted(want, sort)
			l := registry.Selection{Filter: filter, Sort: sort, Keys: 1000, Records: 1000}
			for _, limit := range []int{7, 1000} {
				l.Limit = limit
				f.same(fmt.Sprintf("%s by %q in pages of %d", name, sort, limit), f.listed(l, fleetSize()), want)
			}
			l.Limit, l.Keys, l.Records = 1000, 40, 15
			f.same(fmt.Sprintf("%s by %q, a few at a time", name, sort), f.listed(l, 15), want)
			f.total(name, l, len(want))
		}
	}
	f.strangeCursors()
	f.names(fleet)
}

func (f fixture) names(fleet []agent.Agent) {
	f.t.Helper()
	want := make([]agent.ID, len(fleet))
	for n, a := range fleet {
		want[n] = a.ID
	}
	slices.Sort(want)
	for _, most := range []int{1, len(want) - 1, len(want), len(want) + 1} {
		ids, whole, err := f.Names(f.t.Context(), most)
		if err != nil || !slices.Equal(ids, want[:min(most, len(want))]) || whole != (most >= len(want)) {
			f.t.Errorf("the first %d names are %v, whole: %t, %v; want those of %v", most, ids, whole, err, want)
		}
	}
}

// wanted is the filter in other words.
func wanted(f registry.Filter, a agent.Agent) bool {
	at, _ := a.Due()
	generation := a.Pin().Generation
	return strings.Contains(strings.ToUpper(a.ID.Name()), strings.ToUpper(f.Name)) &&
		(f.Among == "" || slices.Contains(strings.Fields(f.Among), string(a.ID))) &&
		(f.Method == "" || f.Method == a.Method) && (f.Status == "" || f.Status == a.Status) &&
		(f.Owner == "" || strings.EqualFold(f.Owner, a.Owner)) &&
		(f.Generation == 0 || f.Generation == generation) &&
		(f.Not == 0 || generation != 0 && generation != f.Not) &&
		(f.DueAt.IsZero() || !at.IsZero() && !at.After(f.DueAt))
}

func sorted(fleet []agent.Agent, by registry.Sort) {
	slices.SortStableFunc(fleet, func(a, b agent.Agent) int {
		switch by {
		case registry.ByName:
			return cmp.Compare(a.ID, b.ID)
		case registry.ByDue:
			one, _ := a.Due()
			two, _ := b.Due()
			return cmp.Or(one.Compare(two), cmp.Compare(a.ID, b.ID))
		case registry.ByGeneration:
		}
		return cmp.Compare(place(a), place(b))
	})
}

// listed reads all pages; none may have more agents than most.
func (f fixture) listed(l registry.Selection, most int) (all []agent.Agent) {
	f.t.Helper()
	all = []agent.Agent{}
	for range fleetSize() + 1 {
		page, err := f.List(f.t.Context(), l)
		if err != nil {
			f.t.Fatalf("list %+v: %v", l, err)
		}
		if len(page.Agents) > min(most, l.Limit) {
			f.t.Errorf("a page of %d agents, want at most %d", len(page.Agents), min(most, l.Limit))
		}
		all = append(all, page.Agents...)
		if l.Cursor = page.Next; l.Cursor == "" {
			return all
		}
	}
	f.t.Fatalf("no end of %+v", l)
	return nil
}

func (f fixture) total(name string, l registry.Selection, want int) {
	f.t.Helper()
	n, err := f.Count(f.t.Context(), l)
	switch can := l.Counter() != registry.Uncounted; {
	case can && (err != nil || n != int64(want)):
		f.t.Errorf("%s by %q: counted %d, %v, want %d", name, l.Sort, n, err, want)
	case !can && err == nil:
		f.t.Errorf("%s by %q: counted %d, although no index can", name, l.Sort, n)
	}
}

// strangeCursors are of no listing in this order.
func (f fixture) strangeCursors() {
	f.t.Helper()
	at := map[registry.Sort]string{}
	for _, sort := range []registry.Sort{registry.ByGeneration, registry.ByName, registry.ByDue} {
		page, err := f.List(f.t.Context(), registry.Selection{Sort: sort, Limit: 3, Keys: 1000, Records: 1000})
		if err != nil || page.Next == "" {
			f.t.Fatalf("first page by %q: %+v, %v", sort, page, err)
		}
		at[sort] = page.Next
		if sort == registry.ByName && page.Next != registry.BehindName(page.Agents[2].ID) {
			f.t.Errorf("the cursor by name is %q, want that of %s", page.Next, page.Agents[2].ID)
		}
	}
	for sort := range at {
		for of, cursor := range at {
			if of == sort {
				continue
			}
			_, err := f.List(f.t.Context(), registry.Selection{Sort: sort, Cursor: cursor, Limit: 3, Keys: 10, Records: 10})
			if !errors.Is(err, registry.ErrCursor) {
				f.t.Errorf("a cursor by %q in a listing by %q: %v", of, sort, err)
			}
		}
		broken := registry.Selection{Sort: sort, Cursor: "x" + at[sort], Limit: 3, Keys: 10, Records: 10}
		_, err := f.List(f.t.Context(), broken)
		if !errors.Is(err, registry.ErrCursor) {
			f.t.Errorf("a broken cursor by %q: %v", sort, err)
		}
	}
}

package memstore

import (
	"context"
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/registry"
)

// List reads a page of the agents that match a filter. It panics on an invalid limit.
func (s *Store) List(ctx context.Context, l registry.Selection) (page registry.Page, err error) {
	const doing = "list agents"
	if l.Limit < 1 || l.Limit > 1000 || l.Keys < 1 || l.Records < 1 {
		panic(fmt.Sprintf("memstore: page of %d agents out of %d keys and %d records", l.Limit, l.Keys, l.Records))
	}
	after, err := placeIn(l.Cursor, func(place string) bool { return isPlace(l, place) })
	if err != nil {
		return page, fmt.Errorf("%s: %w", doing, err)
	}
	err = s.read(ctx, "List", doing, func() { page = s.list(l, after) })
	return page, err
}

// Names reads the ids of all agents.
func (s *Store) Names(ctx context.Context, most int) (ids []agent.ID, whole bool, err error) {
	err = s.read(ctx, "Names", "read the names", func() { ids = slices.Sorted(maps.Keys(s.agents)) })
	n := min(len(ids), most)
	return ids[:n], n == len(ids), err
}

func (s *Store) list(l registry.Selection, after string) (page registry.Page) {
	at := map[string]agent.Agent{}
	var places []string
	for _, a := range s.agents {
		if p := placeOf(l, a); p > after && p != "" {
			at[p] = a
			places = append(places, p)
		}
	}
	slices.Sort(places)
	records := 0
	for n, p := range places {
		if n == l.Keys || records == l.Records || len(page.Agents) == l.Limit {
			page.Next = base64.RawURLEncoding.EncodeToString([]byte(places[n-1]))
			return page
		}
		a := at[p]
		if !l.NamedSo(a.ID) || l.Sort == registry.ByGeneration && l.Method != "" && a.Method != l.Method {
			continue
		}
		records++
		if l.Matches(a) {
			page.Agents = append(page.Agents, listed(a))
		}
	}
	return page
}

// placeOf is where the listing's order has an agent; empty: its range has not.
func placeOf(l registry.Selection, a agent.Agent) string {
	switch l.Sort {
	case registry.ByName:
		return string(a.ID)
	case registry.ByDue:
		at, notified := a.Entry()
		switch {
		case at.IsZero():
			return ""
		case notified:
			return fmt.Sprintf("0#%014d#%s", at.UnixMilli(), a.ID)
		case !l.DueAt.IsZero() && at.UnixMilli() > l.DueAt.UnixMilli():
			return ""
		}
		return fmt.Sprintf("1#%014d#%s", at.UnixMilli(), a.ID)
	case registry.ByGeneration:
	}
	g := a.Pin().Generation
	if l.Generation != 0 && g != l.Generation || l.Not != 0 && (g == 0 || g == l.Not) ||
		l.Status == agent.Deactivated && g != 0 { // a deactivated agent has no pin
		return ""
	}
	return place(a)
}

// isPlace reports whether a cursor may have a place.
func isPlace(l registry.Selection, place string) bool {
	id := place
	switch l.Sort {
	case registry.ByDue:
		if !duePattern.MatchString(place) {
			return false
		}
		id = strings.SplitN(place, "#", 3)[2]
	case registry.ByGeneration:
		parts := placePattern.FindStringSubmatch(place)
		if parts == nil || l.Generation != 0 && parts[1] != fmt.Sprintf("%06d", l.Generation) {
			return false
		}
		id = parts[2]
	case registry.ByName:
	}
	_, err := agent.ParseID(id)
	return err == nil
}

// Count counts what all pages of a listing have.
func (s *Store) Count(ctx context.Context, l registry.Selection) (n int64, err error) {
	if l.Counter() == registry.Uncounted {
		return 0, fmt.Errorf("count agents: %w", registry.ErrUnsupported)
	}
	err = s.read(ctx, "Count", "count agents", func() {
		if !l.DueAt.IsZero() {
			l.Sort = registry.ByDue
		}
		for _, a := range s.agents {
			f := l.Filter
			if l.Sort == registry.ByDue { // the index counts, which may have an agent early
				f = registry.Filter{}
			}
			if placeOf(l, a) != "" && f.Matches(a) {
				n++
			}
		}
	})
	return n, err
}

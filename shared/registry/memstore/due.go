package memstore

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/registry"
)

var duePattern = regexp.MustCompile(`^[01]#[0-9]{14,}#.+$`)

// Due reads a page of the agents that are due. It panics on an invalid limit.
func (s *Store) Due(ctx context.Context, q registry.DueQuery) (page registry.DuePage, err error) {
	const doing = "list who is due"
	if q.Limit < 1 || q.Limit > 1000 {
		panic(fmt.Sprintf("memstore: page of %d agents", q.Limit))
	}
	after, err := placeIn(q.Cursor, func(place string) bool {
		if q.After.IsZero() {
			return duePattern.MatchString(place) && (q.Told || place[0] == '1')
		}
		return duePattern.MatchString(place) && place > fmt.Sprintf("1#%014d$", q.After.UnixMilli())
	})
	if err != nil {
		return page, fmt.Errorf("%s: %w", doing, err)
	}
	err = s.read(ctx, "Due", doing, func() {
		var places []string
		places, page.Next = cut(s.due(q), after, q.Limit)
		for _, p := range places {
			page.Agents = append(page.Agents, agent.ID(strings.SplitN(p, "#", 3)[2]))
		}
	})
	return page, err
}

// CountDue counts them, all of them: a limit only lets it stop.
func (s *Store) CountDue(ctx context.Context, q registry.DueQuery) (n int64, err error) {
	err = s.read(ctx, "CountDue", "count who is due", func() { n = int64(len(s.due(q))) })
	return n, err
}

// partitions is how many the due index of a store has; each has its own limit.
const partitions = 16

// DueTimes reads the earliest of them.
func (s *Store) DueTimes(ctx context.Context, q registry.DueQuery) (at []time.Time, through time.Time, err error) {
	q.Told, through = false, q.At
	err = s.read(ctx, "DueTimes", "read when agents are due", func() {
		places := s.due(q)
		slices.Sort(places)
		for n, place := range places {
			ms, _ := strconv.ParseInt(strings.SplitN(place, "#", 3)[1], 10, 64)
			due := time.UnixMilli(ms).UTC()
			if n == partitions*q.Limit {
				through = due.Add(-time.Millisecond)
				break
			}
			at = append(at, due)
		}
	})
	return at, through, err
}

// Records reads agents by their ids.
func (s *Store) Records(ctx context.Context, ids []agent.ID) (found []agent.Agent, err error) {
	err = s.read(ctx, "Records", "read agents", func() {
		for _, id := range ids {
			if a, ok := s.agents[id]; ok {
				found = append(found, listed(a))
			}
		}
	})
	return found, err
}

// Expiring looks for a certificate that ends and is not replaced.
func (s *Store) Expiring(ctx context.Context, now, overdue time.Time) (found bool, err error) {
	err = s.read(ctx, "Expiring", "look for certificates that end", func() {
		for _, a := range s.agents {
			at, notified := a.Entry()
			found = found || !at.IsZero() &&
				(notified && now.UnixMilli() < at.UnixMilli() || !notified && at.UnixMilli() <= overdue.UnixMilli())
		}
	})
	return found, err
}

// due are the places of those that are due.
func (s *Store) due(q registry.DueQuery) []string {
	var places []string
	for _, a := range s.agents {
		switch due, notified := a.Entry(); {
		case due.IsZero(), !q.After.IsZero() && (notified || due.UnixMilli() <= q.After.UnixMilli()):
		case notified && q.Told:
			places = append(places, fmt.Sprintf("0#%014d#%s", due.UnixMilli(), a.ID))
		case !notified && due.UnixMilli() <= q.At.UnixMilli():
			places = append(places, fmt.Sprintf("1#%014d#%s", due.UnixMilli(), a.ID))
		}
	}
	return places
}

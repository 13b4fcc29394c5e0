package memstore

import (
	"context"
	"encoding/base64"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/registry"
)

var duePattern = regexp.MustCompile(`^[01]#[0-9]{14,}#.+$`)

// Due reads a page of the agents that are due. It panics on a limit that is none.
func (s *Store) Due(ctx context.Context, q registry.DueQuery) (page registry.DuePage, err error) {
	const doing = "list who is due"
	if q.Limit < 1 || q.Limit > 1000 {
		panic(fmt.Sprintf("memstore: page of %d agents", q.Limit))
	}
	after, err := base64.RawURLEncoding.DecodeString(q.Cursor)
	if err != nil || q.Cursor != "" && (!duePattern.Match(after) || !q.Told && after[0] == '0') {
		return page, fmt.Errorf("%s: %w", doing, registry.ErrCursor)
	}
	err = s.read(ctx, "Due", doing, func() {
		places := s.due(q)
		places = slices.DeleteFunc(places, func(p string) bool { return p <= string(after) })
		for _, p := range places[:min(q.Limit, len(places))] {
			page.Agents = append(page.Agents, agent.ID(strings.SplitN(p, "#", 3)[2]))
		}
		if len(places) > q.Limit {
			page.Next = base64.RawURLEncoding.EncodeToString([]byte(places[q.Limit-1]))
		}
	})
	return page, err
}

// CountDue counts them, all of them: a limit only lets it stop.
func (s *Store) CountDue(ctx context.Context, q registry.DueQuery) (n int64, err error) {
	err = s.read(ctx, "CountDue", "count who is due", func() { n = int64(len(s.due(q))) })
	return n, err
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
			at, told := a.Due()
			found = found || !at.IsZero() && (told && now.UnixMilli() < at.UnixMilli() || !told && at.UnixMilli() <= overdue.UnixMilli())
		}
	})
	return found, err
}

// due are the places of those that are due, in order.
func (s *Store) due(q registry.DueQuery) []string {
	var places []string
	for _, a := range s.agents {
		switch due, told := a.Due(); {
		case due.IsZero():
		case told && q.Told:
			places = append(places, fmt.Sprintf("0#%014d#%s", due.UnixMilli(), a.ID))
		case !told && due.UnixMilli() <= q.At.UnixMilli():
			places = append(places, fmt.Sprintf("1#%014d#%s", due.UnixMilli(), a.ID))
		}
	}
	slices.Sort(places)
	return places
}

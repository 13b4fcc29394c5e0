package memstore

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/registry"
)

// Agents reads a page of agents. It panics on an invalid limit.
func (s *Store) Agents(ctx context.Context, q registry.Query) (page registry.Page, err error) {
	const doing = "list agents"
	if q.Limit < 1 || q.Limit > 1000 {
		panic(fmt.Sprintf("memstore: page of %d agents", q.Limit))
	}
	if q.Method != "" && (q.Method != agent.SPIFFE || q.Generation != 0) {
		panic(fmt.Sprintf("memstore: page of method %q, generation %d", q.Method, q.Generation))
	}
	after, err := placeIn(q.Cursor, func(place string) bool {
		parts := placePattern.FindStringSubmatch(place)
		if parts == nil || q.Generation != 0 && parts[1] != fmt.Sprintf("%06d", q.Generation) ||
			q.Method != "" && !strings.HasPrefix(place, "000000#"+string(q.Method)+"#") {
			return false
		}
		_, err := agent.ParseID(parts[2])
		return err == nil
	})
	if err != nil {
		return page, fmt.Errorf("%s: %w", doing, err)
	}
	err = s.read(ctx, "Agents", doing, func() {
		var places []string
		for _, a := range s.agents {
			if q.Method != "" && (a.Method != q.Method || a.Pin().Generation != 0) {
				continue
			}
			if q.Generation == 0 || a.Pin().Generation == q.Generation {
				places = append(places, place(a))
			}
		}
		places, page.Next = cut(places, after, q.Limit)
		for _, p := range places {
			page.Agents = append(page.Agents, listed(s.agents[idIn(p)]))
		}
	})
	return page, err
}

func place(a agent.Agent) string {
	return fmt.Sprintf("%06d#%s#%s", a.Pin().Generation, a.Method, a.ID)
}

// listed is an agent as a page shows it.
func listed(a agent.Agent) agent.Agent {
	return cloneAgent(registry.Listed(a))
}

var placePattern = regexp.MustCompile(`^([0-9]{6,})#[a-z]*#(.+)$`)

func idIn(place string) agent.ID { return agent.ID(placePattern.FindStringSubmatch(place)[2]) }

package memstore

import (
	"context"
	"encoding/base64"
	"fmt"
	"regexp"
	"slices"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/registry"
)

// Agents reads a page of agents. It panics on a limit that is none.
func (s *Store) Agents(ctx context.Context, q registry.Query) (page registry.Page, err error) {
	const doing = "list agents"
	if q.Limit < 1 || q.Limit > 1000 {
		panic(fmt.Sprintf("memstore: page of %d agents", q.Limit))
	}
	after, err := parseCursor(q)
	if err != nil {
		return page, fmt.Errorf("%s: %w", doing, err)
	}
	err = s.read(ctx, "Agents", doing, func() {
		places := s.places(q.Generation, after)
		for _, place := range places[:min(q.Limit, len(places))] {
			page.Agents = append(page.Agents, listed(s.agents[idIn(place)]))
		}
		if len(places) > q.Limit {
			page.Next = base64.RawURLEncoding.EncodeToString([]byte(places[q.Limit-1]))
		}
	})
	return page, err
}

func place(a agent.Agent) string {
	return fmt.Sprintf("%06d#%s#%s", a.Pin().Generation, a.Method, a.ID)
}

// places are the places in the list behind after, in order.
func (s *Store) places(generation int64, after string) []string {
	var places []string
	for _, a := range s.agents {
		if p := place(a); p > after && (generation == 0 || a.Pin().Generation == generation) {
			places = append(places, p)
		}
	}
	slices.Sort(places)
	return places
}

// listed is what a page tells of an agent.
func listed(a agent.Agent) agent.Agent {
	return cloneAgent(registry.Listed(a))
}

var placePattern = regexp.MustCompile(`^([0-9]{6,})#[a-z]*#(.+)$`)

func idIn(place string) agent.ID { return agent.ID(placePattern.FindStringSubmatch(place)[2]) }

// parseCursor returns the place behind which a page begins.
func parseCursor(q registry.Query) (string, error) {
	if q.Cursor == "" {
		return "", nil
	}
	decoded, err := base64.RawURLEncoding.DecodeString(q.Cursor)
	parts := placePattern.FindStringSubmatch(string(decoded))
	if err != nil || parts == nil || q.Generation != 0 && parts[1] != fmt.Sprintf("%06d", q.Generation) {
		return "", registry.ErrCursor
	}
	if _, err := agent.ParseID(parts[2]); err != nil {
		return "", registry.ErrCursor
	}
	return string(decoded), nil
}

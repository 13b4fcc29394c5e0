package dynamo

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/registry"
)

// maxFound is the most agents of one page of Find: what one batch reads.
const maxFound = 100

// Find reads a page of agents by the beginning of their ids. The index holds keys alone, which an agent never changes,
// so it costs nothing but at enrolment; the records themselves are read in one batch.
func (s *Store) Find(ctx context.Context, q registry.Search) (registry.Page, error) {
	const doing = "find agents"
	low, err := after(q)
	if err != nil {
		return registry.Page{}, fmt.Errorf("%s: %w", doing, err)
	}
	limit := min(max(q.Limit, 1), maxFound)
	m := s.newMerge(s.byName(), low, q.Prefix+"~", limit+1)
	var page registry.Page
	var ids []string
	page.Next, err = m.page(ctx, limit, func(id string, _ item) error {
		ids = append(ids, id)
		return nil
	})
	if err != nil {
		return registry.Page{}, unavailable(doing, err)
	}
	if page.Agents, err = s.agents(ctx, ids); err != nil {
		return registry.Page{}, unavailable(doing, err)
	}
	return page, nil
}

// after is where a page may begin. In the order of bytes '!' comes before everything that occurs in an id, and '~'
// after.
func after(q registry.Search) (string, error) {
	if q.Cursor == "" {
		return cmp.Or(q.Prefix, "!"), nil
	}
	id, ok := placeIn(q.Cursor)
	if !ok || !strings.HasPrefix(id, q.Prefix) {
		return "", registry.ErrCursor
	}
	if _, err := agent.ParseID(id); err != nil {
		return "", registry.ErrCursor
	}
	return id + "!", nil
}

// Records reads agents by their ids, at most as many as a page of Find has, in the order in which they are asked for.
// Those that are not there are left out.
func (s *Store) Records(ctx context.Context, ids []agent.ID) ([]agent.Agent, error) {
	const doing = "read agents"
	keys := make([]string, len(ids))
	place := make(map[agent.ID]int, len(ids))
	for n, id := range ids {
		keys[n], place[id] = string(id), n
	}
	found, err := s.agents(ctx, keys)
	if err != nil {
		return nil, unavailable(doing, err)
	}
	slices.SortFunc(found, func(a, b agent.Agent) int { return cmp.Compare(place[a.ID], place[b.ID]) })
	return found, nil
}

// agents reads records in the order of their ids, without what only a request about one agent needs.
func (s *Store) agents(ctx context.Context, ids []string) ([]agent.Agent, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	keys := make([]item, len(ids))
	for n, id := range ids {
		keys[n] = key(agentKey(agent.ID(id)), single)
	}
	items, err := s.batch(ctx, s.registry, keys)
	if err != nil {
		return nil, err
	}
	agents := make([]agent.Agent, len(items))
	for n, i := range items {
		if agents[n], err = decodeAgent(i); err != nil {
			return nil, err
		}
		agents[n] = registry.Listed(agents[n])
	}
	slices.SortFunc(agents, func(a, b agent.Agent) int { return cmp.Compare(a.ID, b.ID) })
	return agents, nil
}

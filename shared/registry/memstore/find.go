package memstore

import (
	"context"
	"fmt"
	"strings"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/registry"
)

// Find reads a page of agents by the beginning of their ids. It panics on an invalid limit.
func (s *Store) Find(ctx context.Context, q registry.Search) (page registry.Page, err error) {
	const doing = "find agents"
	if q.Limit < 1 || q.Limit > 100 {
		panic(fmt.Sprintf("memstore: page of %d agents", q.Limit))
	}
	after, err := placeIn(q.Cursor, func(id string) bool {
		_, err := agent.ParseID(id)
		return err == nil && strings.HasPrefix(id, q.Prefix)
	})
	if err != nil {
		return page, fmt.Errorf("%s: %w", doing, err)
	}
	err = s.read(ctx, "Find", doing, func() {
		var ids []string
		for id := range s.agents {
			if strings.HasPrefix(string(id), q.Prefix) {
				ids = append(ids, string(id))
			}
		}
		ids, page.Next = cut(ids, after, q.Limit)
		for _, id := range ids {
			page.Agents = append(page.Agents, listed(s.agents[agent.ID(id)]))
		}
	})
	return page, err
}

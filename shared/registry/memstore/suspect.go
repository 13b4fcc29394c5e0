package memstore

import (
	"context"
	"slices"

	"github.com/mastio-aws/mastio/shared/agent"
)

// Suspects reads the ids of suspect agents.
func (s *Store) Suspects(ctx context.Context, limit int) (ids []agent.ID, err error) {
	err = s.read(ctx, "Suspects", "look for suspect agents", func() {
		for id, a := range s.agents {
			if a.Suspicious() {
				ids = append(ids, id)
			}
		}
	})
	slices.Sort(ids)
	return ids[:min(len(ids), limit)], err
}

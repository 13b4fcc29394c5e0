package memstore

import (
	"context"
	"fmt"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/registry"
)

// Refuse notes a refusal. It panics on one that names no agent, or no certificate.
func (s *Store) Refuse(ctx context.Context, r registry.Refusal) error {
	if r.Agent == "" || r.Thumbprint == "" {
		panic(fmt.Sprintf("memstore: refusal of %q by %q", r.Thumbprint, r.Agent))
	}
	return s.write(ctx, "Refuse", "note a refusal of "+string(r.Agent), func() error {
		if old, ok := s.refusals[r.Agent]; !ok || old.Thumbprint != r.Thumbprint {
			r.At = stamp(r.At)
			s.refusals[r.Agent] = r
		}
		return nil
	})
}

// Refusals reads refusals. It panics on too many agents.
func (s *Store) Refusals(
	ctx context.Context, ids []agent.ID,
) (found map[agent.ID]registry.Refusal, err error) {
	if len(ids) > 1000 {
		panic(fmt.Sprintf("memstore: refusals of %d agents", len(ids)))
	}
	err = s.read(ctx, "Refusals", "read refusals", func() {
		found = map[agent.ID]registry.Refusal{}
		for _, id := range ids {
			if r, ok := s.refusals[id]; ok {
				found[id] = r
			}
		}
	})
	return found, err
}

package memstore

import (
	"context"
	"fmt"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/registry"
)

// Seen notes a sighting. It panics on one that names no agent, or no hour.
func (s *Store) Seen(ctx context.Context, seen registry.Sighting) error {
	if !seen.Hour.Equal(seen.Hour.UTC().Truncate(time.Hour)) || seen.Agent == "" {
		panic(fmt.Sprintf("memstore: sighting of %q at %s", seen.Agent, seen.Hour))
	}
	return s.write(ctx, "Seen", "note that "+string(seen.Agent)+" was seen", func() error {
		if old, ok := s.seen[seen.Agent]; !ok || seen.Replaces(old) {
			seen.Corrects = time.Time{}
			s.seen[seen.Agent] = seen
		}
		return nil
	})
}

// SeenAt reads sightings. It panics on too many agents.
func (s *Store) SeenAt(ctx context.Context, ids []agent.ID) (found map[agent.ID]registry.Sighting, err error) {
	if len(ids) > 1000 {
		panic(fmt.Sprintf("memstore: sightings of %d agents", len(ids)))
	}
	err = s.read(ctx, "SeenAt", "read when agents were seen", func() {
		found = map[agent.ID]registry.Sighting{}
		for _, id := range ids {
			if seen, ok := s.seen[id]; ok {
				found[id] = seen
			}
		}
	})
	return found, err
}

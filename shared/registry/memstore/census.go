package memstore

import (
	"context"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/registry"
)

// Census counts the active agents.
func (s *Store) Census(ctx context.Context, current, newest int64) (census map[agent.Method]registry.Tally, err error) {
	err = s.read(ctx, "Census", "count agents", func() {
		census = map[agent.Method]registry.Tally{}
		for _, method := range agent.Methods() {
			census[method] = registry.Tally{}
		}
		for _, a := range s.agents {
			if t, known := census[a.Method]; known && a.Status == agent.Active {
				census[a.Method] = add(t, a.Pin().Generation, current, newest)
			}
		}
	})
	return census, err
}

func add(t registry.Tally, generation, current, newest int64) registry.Tally {
	switch {
	case generation == current:
		t.Current++
	case generation > current && generation <= newest:
		t.Newer++
	default:
		t.Older++
	}
	return t
}

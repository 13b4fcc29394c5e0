package dynamo

import (
	"context"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/registry"
)

func encodeAlias(a registry.Alias) item {
	w := writer{key(aliasKey(a.Name), single)}
	w.text("agent", string(a.Agent))
	if !a.Expires.IsZero() {
		w.item["ttl"] = expiry(a.Expires)
	}
	return w.item
}

// Alias finds the agent that the first of these names leads to, in one call.
func (s *Store) Alias(ctx context.Context, names ...string) (agent.ID, error) {
	const doing = "read an alias"
	var keys []item
	for _, name := range names {
		keys = append(keys, key(aliasKey(name), single))
	}
	items, err := s.batch(ctx, s.registry, keys)
	if err != nil {
		return "", unavailable(doing, err)
	}
	found := map[string]agent.ID{}
	for _, i := range items {
		r := reader{item: i}
		found[r.text("pk")] = agent.ID(r.text("agent"))
		if r.err != nil {
			return "", unavailable(doing, r.err)
		}
	}
	for _, name := range names {
		if id, ok := found[aliasKey(name)]; ok {
			return id, nil
		}
	}
	return "", nil
}

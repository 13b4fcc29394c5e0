package dynamo

import (
	"context"
	"encoding/json"

	"github.com/mastio-aws/mastio/shared/registry"
)

// Burndown reads the burn-down of the last rotation: one item of its own, below 4 KB.
func (s *Store) Burndown(ctx context.Context) (b registry.Burndown, err error) {
	const doing = "read the burn-down"
	i, err := s.get(ctx, s.registry, key(burndownRecord, single))
	if err != nil || i == nil {
		return b, wrap(doing, err)
	}
	r := reader{item: i}
	b = registry.Burndown{Generation: r.number("generation"), Since: r.time("since"), Version: r.number("version")}
	points := r.blob("points")
	if r.err != nil {
		return registry.Burndown{}, unavailable(doing, r.err)
	}
	if len(points) > 0 {
		err = json.Unmarshal(points, &b.Points)
	}
	if err != nil {
		return registry.Burndown{}, unavailable(doing, err)
	}
	return b, nil
}

// PutBurndown stores it iff it is still as it was read.
func (s *Store) PutBurndown(ctx context.Context, b registry.Burndown) error {
	const doing = "store the burn-down"
	points, err := json.Marshal(b.Points)
	if err != nil {
		return unavailable(doing, err)
	}
	w := writer{key(burndownRecord, single)}
	w.number("generation", b.Generation)
	w.time("since", b.Since)
	w.number("version", b.Version+1)
	if len(b.Points) > 0 {
		w.blob("points", points)
	}
	return s.putVersioned(ctx, doing, s.registry, w.item, b.Version)
}

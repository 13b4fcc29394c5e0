package memstore

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/mastio-aws/mastio/shared/registry"
)

// Burndown reads the burn-down of the last rotation.
func (s *Store) Burndown(ctx context.Context) (b registry.Burndown, err error) {
	err = s.read(ctx, "Burndown", "read the burn-down", func() { b = cloneBurndown(s.burndown) })
	return b, err
}

// PutBurndown stores it iff it is still as it was read. It panics on too many points.
func (s *Store) PutBurndown(ctx context.Context, b registry.Burndown) error {
	if len(b.Points) > registry.MostPoints {
		panic(fmt.Sprintf("memstore: burn-down of %d points", len(b.Points)))
	}
	b = cloneBurndown(b)
	return s.write(ctx, "PutBurndown", "store the burn-down", func() error {
		if s.burndown.Version != b.Version {
			return registry.ErrConflict
		}
		b.Version++
		s.burndown = b
		return nil
	})
}

func cloneBurndown(b registry.Burndown) registry.Burndown {
	b.Since, b.Points = stamp(b.Since), slices.Clone(b.Points)
	for n, p := range b.Points {
		b.Points[n].At, b.Points[n].Remaining = stamp(p.At), maps.Clone(p.Remaining)
	}
	return b
}

package standby

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
)

// plotted is for how long after a rotation without an overlap its agents are counted.
const plotted = 7 * 24 * time.Hour

// plot counts the agents that remain of a running rotation, for its chart: registry.MostPoints at most, in one item.
// It decides nothing, so a point that another run has written first is left out. Between rotations it costs nothing.
func (j *Job) plot(ctx context.Context, org registry.Org) error {
	now := j.Now()
	if !running(org, now) {
		return nil
	}
	b, err := j.Store.Burndown(ctx)
	if err != nil {
		return err
	}
	p := org.Pointer
	if b.Generation != p.Current || !b.Since.Equal(p.RotatedAt) {
		b = registry.Burndown{Generation: p.Current, Since: p.RotatedAt, Version: b.Version}
	}
	if !b.Due(now) {
		return nil
	}
	census, err := j.Store.Census(ctx, p.Current, rotateca.Newest(org))
	if err != nil {
		return err
	}
	remaining := map[agent.Method]int64{}
	for method, t := range census {
		if left := t.Older + t.Newer; method != agent.SPIFFE && left > 0 {
			remaining[method] = left
		}
	}
	err = j.Store.PutBurndown(ctx, b.With(registry.BurndownPoint{At: now, Remaining: remaining}))
	if err != nil && !errors.Is(err, registry.ErrConflict) {
		return fmt.Errorf("count who remains: %w", err)
	}
	return nil
}

// running reports whether a rotation is under way: in its overlap, or not long ago.
func running(org registry.Org, now time.Time) bool {
	if org.Pointer == nil || !slices.ContainsFunc(org.Generations, func(g orgca.Generation) bool {
		return g.State == orgca.Superseded || g.State == orgca.Retired
	}) {
		return false
	}
	_, overlap := org.Pointer.Deadline(now)
	age := now.Sub(org.Pointer.RotatedAt)
	return overlap || age >= 0 && age < plotted
}

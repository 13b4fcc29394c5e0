package auditlog

import (
	"context"
	"errors"
	"fmt"

	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/usecase/idempotency"
)

// keeper makes what is kept under an idempotency key of the checkpoint that is about to be committed; nil: nothing is.
type keeper func(next registry.LastCheckpoint) (*registry.Answer, error)

func unnamed(registry.LastCheckpoint) (*registry.Answer, error) { return nil, nil }

// Once is Run for a request that may name an idempotency key. Under a key it makes one checkpoint at most, because
// the answer is committed with the checkpoint; its report says More if that checkpoint is full. A repetition first
// completes the last checkpoint, so it is answered only when the work of its own checkpoint is done.
//
// Errors: as of Run and of idempotency.Do.
func (j *Sealer) Once(ctx context.Context, by audit.By, once idempotency.Request[Report]) (Report, error) {
	if once.Key == "" {
		return j.Run(ctx, by)
	}
	found := false
	for range commitTries {
		report, err := j.once(ctx, by, once, &found)
		if !errors.Is(err, registry.ErrConflict) {
			return report, err
		}
		// Another run was first, perhaps a repetition of this one: the next round finds its answer.
	}
	return Report{}, fmt.Errorf("make a checkpoint: %w", registry.ErrConflict)
}

func (j *Sealer) once(ctx context.Context, by audit.By, once idempotency.Request[Report], found *bool) (Report, error) {
	last, err := j.last(ctx)
	if err != nil {
		return Report{}, fmt.Errorf("make a checkpoint: %w", err)
	}
	if err := once.Known(ctx, j.Store, j.Now()); err != nil {
		return Report{}, err
	}
	if err := j.look(ctx, by, &last, found); err != nil {
		return Report{}, err
	}
	var report Report
	report.of(last)
	if report.More = j.late(ctx); report.More { // nothing was done, so nothing is kept
		return report, nil
	}
	leaves, err := j.pick(ctx)
	if err != nil {
		return Report{}, fmt.Errorf("make a checkpoint: %w", err)
	}
	if len(leaves) == 0 {
		answer, err := once.Keep(report, j.Now())
		if err != nil {
			return Report{}, err
		}
		return report, registry.Settle(ctx, j.Store.Apply, registry.Change{ID: j.NewID(), Answer: answer})
	}
	keep := func(next registry.LastCheckpoint) (*registry.Answer, error) {
		p := lastSeal{LastCheckpoint: next}
		if err := p.name(); err != nil {
			return nil, err
		}
		report.of(p)
		report.Made, report.Rows = 1, rowsOf(leaves)
		report.More = report.Rows >= j.Most
		return once.Keep(report, j.Now())
	}
	made, err := j.make(ctx, by, last.LastCheckpoint, leaves, keep)
	switch {
	case err != nil:
		return Report{}, fmt.Errorf("make checkpoint %d: %w", last.Number+1, err)
	case !made:
		return Report{}, registry.ErrConflict
	}
	return report, nil
}

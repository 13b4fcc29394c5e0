package rotateca

import (
	"context"
	"fmt"

	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/registry"
)

// mint takes the standby. With a trusted standby it costs one read and one transaction.
func (w *run) mint(ctx context.Context) (Result, error) {
	org, err := w.Store.Org(ctx)
	if err != nil {
		return Result{}, err
	}
	if err := w.awaits(org); err != nil {
		return Result{}, err
	}
	return w.makeCurrent(ctx, org, some(org.Standby(w.Now())))
}

// some is nil if there is no such generation.
func some(g orgca.Generation, ok bool) *orgca.Generation {
	if !ok {
		return nil
	}
	return &g
}

// awaits refuses to make the first Org CA if the operator is to upload it: afterwards no CA could be adopted any
// more.
func (w *run) awaits(org registry.Org) error {
	if w.Awaits && org.Pointer == nil {
		return ErrAwaited
	}
	return nil
}

// commitStaged takes the staged generation that the operator has seen.
func (w *run) commitStaged(ctx context.Context) (Result, error) {
	org, err := w.Store.Org(ctx)
	if err != nil {
		return Result{}, err
	}
	next := some(staged(org, w.req.Fingerprint))
	if next == nil {
		return Result{}, ErrNotStaged
	}
	return w.makeCurrent(ctx, org, next)
}

func staged(org registry.Org, fingerprint string) (orgca.Generation, bool) {
	for _, g := range org.Generations {
		if g.State == orgca.Staged && g.Fingerprint() == fingerprint {
			return g, true
		}
	}
	return orgca.Generation{}, false
}

// makeCurrent adds the next generation to the truststore and swaps to it. It makes the generation if next is nil.
func (w *run) makeCurrent(ctx context.Context, org registry.Org, next *orgca.Generation) (Result, error) {
	org, staged, err := w.trusted(ctx, org, next)
	if err != nil {
		return Result{}, err
	}
	return w.commit(ctx, org, func(org registry.Org) (plan, error) { return w.planSwap(org, staged) })
}

// trusted returns the next generation, made and in the truststore, and the organisation as it is then.
func (w *run) trusted(
	ctx context.Context, org registry.Org, next *orgca.Generation,
) (registry.Org, orgca.Generation, error) {
	if next != nil && next.Truststore != "" {
		return org, *next, nil
	}
	made, err := w.ready(ctx, next)
	if err == nil {
		org, err = w.Store.Org(ctx)
	}
	return org, made, err
}

// ready makes the next generation if it is nil, and has the truststore trust it.
func (w *run) ready(ctx context.Context, next *orgca.Generation) (g orgca.Generation, err error) {
	if _, err := w.saving.wait(); err != nil { // before anything is made
		return g, err
	}
	if next != nil {
		g = *next
	} else if g, err = w.prepare(ctx); err != nil {
		return g, err
	}
	if g.Truststore == "" {
		g.Truststore, err = w.trust(ctx)
	}
	return g, err
}

func (w *run) rollback(ctx context.Context) (Result, error) { return w.decide(ctx, w.planRollback) }

func (w *run) finalise(ctx context.Context) (Result, error) { return w.decide(ctx, w.planFinalise) }

// decide commits a plan that depends on the present state alone.
func (w *run) decide(ctx context.Context, on func(registry.Org) (plan, error)) (Result, error) {
	org, err := w.Store.Org(ctx)
	if err != nil {
		return Result{}, err
	}
	return w.commit(ctx, org, on)
}

// prepare makes the generation here and now. KMS may take seconds, so the lease is extended around it.
func (w *run) prepare(ctx context.Context) (orgca.Generation, error) {
	if err := w.phase(ctx, "prepare"); err != nil {
		return orgca.Generation{}, err
	}
	return w.Ceremony.Prepare(ctx, GenerationSpec{
		By:         w.req.By,
		RotationID: w.held.Holder,
		Reason:     w.req.Reason,
		Upload:     w.material,
	})
}

func (w *run) trust(ctx context.Context) (string, error) {
	if err := w.phase(ctx, "truststore"); err != nil {
		return "", err
	}
	version, err := w.Trust(ctx)
	if err != nil {
		return "", fmt.Errorf("bring the truststore up to date: %w", err)
	}
	return version, nil
}

package rotateca

import (
	"context"
	"fmt"

	"github.com/mastio-aws/mastio/shared/anchor"
	"github.com/mastio-aws/mastio/shared/lease"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/usecase/ceremony"
)

// mint takes the standby. With a trusted standby it costs one read and one transaction.
func (r *Rotator) mint(ctx context.Context, req Request, held *lease.Lease) (Result, error) {
	org, err := r.Store.Org(ctx)
	if err != nil {
		return Result{}, err
	}
	if err := r.awaits(org); err != nil {
		return Result{}, err
	}
	next, ok := org.Standby(r.Now())
	return r.makeCurrent(ctx, req, held, org, next, ok, nil)
}

// awaits refuses to make the first Org CA if the operator is to upload it: afterwards no CA could be adopted any
// more.
func (r *Rotator) awaits(org registry.Org) error {
	if r.Awaits && org.Pointer == nil {
		return ErrAwaited
	}
	return nil
}

// commitStaged takes the staged generation that the operator has seen.
func (r *Rotator) commitStaged(ctx context.Context, req Request, held *lease.Lease) (Result, error) {
	org, err := r.Store.Org(ctx)
	if err != nil {
		return Result{}, err
	}
	next, ok := staged(org, req.Fingerprint)
	if !ok {
		return Result{}, ErrNotStaged
	}
	return r.makeCurrent(ctx, req, held, org, next, true, nil)
}

func staged(org registry.Org, fingerprint string) (orgca.Generation, bool) {
	for _, g := range org.Generations {
		if g.State == orgca.Staged && g.Fingerprint() == fingerprint {
			return g, true
		}
	}
	return orgca.Generation{}, false
}

// makeCurrent adds the next generation to the truststore and swaps to it. It makes the generation if there is none.
func (r *Rotator) makeCurrent(ctx context.Context, req Request, held *lease.Lease, org registry.Org, next orgca.Generation, ready bool, material *anchor.Material) (Result, error) {
	if !ready || next.Truststore == "" {
		var err error
		if next, err = r.ready(ctx, req, held, next, ready, material); err != nil {
			return Result{}, err
		}
		if org, err = r.Store.Org(ctx); err != nil {
			return Result{}, err
		}
	}
	return r.commit(ctx, *held, org, func(org registry.Org) (plan, error) { return r.planSwap(org, req, *held, next) })
}

func (r *Rotator) ready(ctx context.Context, req Request, held *lease.Lease, next orgca.Generation, ready bool, material *anchor.Material) (orgca.Generation, error) {
	if _, err := req.saving.wait(); err != nil { // before anything is made
		return next, err
	}
	var err error
	if !ready {
		if next, err = r.prepare(ctx, req, held, material); err != nil {
			return next, err
		}
	}
	if next.Truststore == "" {
		next.Truststore, err = r.trust(ctx, held)
	}
	return next, err
}

func (r *Rotator) rollback(ctx context.Context, req Request, held *lease.Lease) (Result, error) {
	org, err := r.Store.Org(ctx)
	if err != nil {
		return Result{}, err
	}
	return r.commit(ctx, *held, org, func(org registry.Org) (plan, error) { return r.planRollback(org, req, *held) })
}

func (r *Rotator) finalise(ctx context.Context, req Request, held *lease.Lease) (Result, error) {
	org, err := r.Store.Org(ctx)
	if err != nil {
		return Result{}, err
	}
	return r.commit(ctx, *held, org, func(org registry.Org) (plan, error) { return r.planFinalise(org, req, *held) })
}

// prepare makes the generation here and now. KMS may take seconds, so the lease is extended around it.
func (r *Rotator) prepare(ctx context.Context, req Request, held *lease.Lease, material *anchor.Material) (orgca.Generation, error) {
	if err := r.phase(ctx, held, "prepare"); err != nil {
		return orgca.Generation{}, err
	}
	return r.Preparer.Prepare(ctx, ceremony.Order{RotationID: held.Holder, Reason: req.Reason, By: req.By, Upload: material})
}

func (r *Rotator) trust(ctx context.Context, held *lease.Lease) (string, error) {
	if err := r.phase(ctx, held, "truststore"); err != nil {
		return "", err
	}
	version, err := r.Trust(ctx)
	if err != nil {
		return "", fmt.Errorf("bring the truststore up to date: %w", err)
	}
	return version, nil
}

func (r *Rotator) phase(ctx context.Context, held *lease.Lease, phase string) error {
	held.Phase, held.Expires = phase, r.Now().Add(lease.TTL)
	return r.Store.Extend(ctx, *held)
}

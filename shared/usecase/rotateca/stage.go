package rotateca

import (
	"context"
	"fmt"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/anchor"
	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/lease"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/registry"
)

// stage makes sure that there is a standby, or stages an upload, and answers what a commit of it would make current.
func (r *Rotator) stage(ctx context.Context, req Request, held *lease.Lease) (Result, error) {
	org, err := r.Store.Org(ctx)
	if err != nil {
		return Result{}, err
	}
	next, ok := org.Standby(r.Now())
	var material *anchor.Material
	if req.Upload == nil {
		if err := r.awaits(org); err != nil {
			return Result{}, err
		}
	} else {
		if material, next, ok, err = r.judge(ctx, req, org); err != nil {
			return Result{}, err
		}
		defer material.Zero()
	}
	if next, err = r.ready(ctx, req, held, next, ok, material); err != nil {
		return Result{}, err
	}
	if org, err = r.Store.Org(ctx); err != nil { // the truststore may have moved
		return Result{}, err
	}
	return r.bind(ctx, req, *held, org, next)
}

// bind frees the lease and, in the same change, keeps the reason that a CA was staged for where it says more than the
// generation does: whatever swap takes it is bound by it. The answer under an idempotency key is kept in it too. The
// change carries the lease, so a release after a timeout proves that the change never lands.
func (r *Rotator) bind(ctx context.Context, req Request, held lease.Lease, org registry.Org, next orgca.Generation) (Result, error) {
	reason := orgca.Binding(next.Reason, req.Reason)
	binds := reason != next.Reason
	next.Reason = reason
	now := r.Now()
	result := preflight(org, next, now)
	answer, err := req.once.Keep(result, now)
	if err != nil {
		return Result{}, err
	}
	if !binds && answer == nil {
		return result, r.Store.Release(ctx, held)
	}
	return result, registry.Amend(ctx, r.Store, org, func(org registry.Org) (registry.Change, error) {
		stored, ok := org.Generation(next.Number)
		if !ok || stored.State != orgca.Staged {
			return registry.Change{}, fmt.Errorf("generation %d: %w", next.Number, registry.ErrConflict)
		}
		if org.Lease.Holder != held.Holder || org.Lease.Fence != held.Fence {
			return registry.Change{}, lease.ErrLost
		}
		change := registry.Change{ID: r.NewID(), Release: &held, Answer: answer}
		if !binds {
			return change, nil
		}
		stored.Reason = reason
		row, head, err := org.Head.Append(r.entry(req, audit.OrgCAStaged, now, map[string]any{
			"generation": stored.Number, "fingerprint": stored.Fingerprint(), "source": string(stored.Source), "reason": reason, "rotation_id": stored.RotationID,
		}))
		change.Generations, change.Head, change.Rows = []orgca.Generation{stored}, &head, []audit.Row{row}
		return change, err
	})
}

// rehearse answers what a request would do. It reads and changes nothing.
func (r *Rotator) rehearse(ctx context.Context, req Request) (Result, error) {
	org, err := r.Store.Org(ctx)
	if err != nil {
		return Result{}, err
	}
	next, ok := org.Standby(r.Now())
	if req.Mode == Upload {
		return r.rehearseUpload(ctx, req, org)
	}
	if err := r.awaits(org); err != nil && req.Mode == Mint {
		return Result{}, err
	}
	if req.Mode == Commit {
		if next, ok = staged(org, req.Fingerprint); !ok {
			return Result{}, ErrNotStaged
		}
	}
	if !ok { // one would be made; nothing is known of it but its number
		next = orgca.Generation{Number: org.NextNumber(), State: orgca.Preparing, Source: orgca.Mint}
	}
	next.Reason = orgca.Binding(next.Reason, req.Reason)
	if req.Overlap > 0 && orgca.AtOnce(next.Reason) {
		return Result{}, orgca.ErrCompromised
	}
	if v := next.Validity(); ok && !v.At(r.Now()) {
		return Result{}, fmt.Errorf("generation %d: %w", next.Number, orgca.ErrUnfit)
	}
	return r.rehearsed(ctx, req, org, preflight(org, next, r.Now())), nil
}

// rehearsed completes the answer of a dry run by what a swap would do to the fleet.
func (r *Rotator) rehearsed(ctx context.Context, req Request, org registry.Org, result Result) Result {
	result.DryRun = true
	if org.Pointer == nil {
		return result
	}
	effect := &Effect{AtOnce: req.Overlap == 0, Overlaps: []Overlapping{}}
	now := r.Now()
	if !effect.AtOnce {
		stop := now.Add(req.Overlap)
		effect.StopAt = &stop
	}
	for _, a := range org.Pointer.Accepted {
		if org.Pointer.Accepts(a.Generation, now) {
			effect.Overlaps = append(effect.Overlaps, Overlapping{a.Generation, a.Until, effect.AtOnce})
		}
	}
	if counted := r.observer.progress(ctx, org); counted != nil {
		effect.Agents, effect.PerMethod = new(int64), map[agent.Method]int64{}
		for method, m := range counted.PerMethod {
			if method != agent.SPIFFE { // their certificates do not hang on the Org CA
				effect.PerMethod[method] = m.Agents
				*effect.Agents += m.Agents
			}
		}
	}
	result.Effect = effect
	return result
}

package rotateca

import (
	"context"
	"fmt"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/registry"
)

// stage makes sure that there is a standby, or stages an upload, and answers what a commit of it would make current.
func (w *run) stage(ctx context.Context) (Result, error) {
	org, err := w.Store.Org(ctx)
	if err != nil {
		return Result{}, err
	}
	var standby *orgca.Generation
	if w.req.Upload != nil {
		standby, err = w.judge(ctx, org)
	} else if err = w.awaits(org); err == nil {
		standby = some(org.Standby(w.Now()))
	}
	if err != nil {
		return Result{}, err
	}
	next, err := w.ready(ctx, standby)
	if err != nil {
		return Result{}, err
	}
	if org, err = w.Store.Org(ctx); err != nil { // the truststore may have moved
		return Result{}, err
	}
	return w.bind(ctx, org, next)
}

// bind frees the lease. In the same change it stores the reason that a CA was staged for, if it is stricter than the
// reason of the generation: it binds every swap that takes the CA. The answer under an idempotency key is kept in it
// too. The change carries the lease, so a release after a timeout proves that the change never lands.
func (w *run) bind(ctx context.Context, org registry.Org, next orgca.Generation) (Result, error) {
	held := w.held
	reason := orgca.Binding(next.Reason, w.req.Reason)
	binds := reason != next.Reason
	next.Reason = reason
	now := w.Now()
	result := preflight(org, next, now)
	answer, err := w.once.Keep(result, now)
	if err != nil {
		return Result{}, err
	}
	if !binds && answer == nil {
		return result, w.Store.Release(ctx, held)
	}
	return result, registry.Amend(ctx, w.Store, org, func(org registry.Org) (registry.Change, error) {
		stored, ok := org.Generation(next.Number)
		if !ok || stored.State != orgca.Staged {
			return registry.Change{}, fmt.Errorf("generation %d: %w", next.Number, registry.ErrConflict)
		}
		if org.Lease.Holder != held.Holder || org.Lease.Fence != held.Fence {
			return registry.Change{}, orgca.ErrLeaseLost
		}
		change := registry.Change{ID: w.NewID(), Release: &held, Answer: answer}
		if !binds {
			return change, nil
		}
		stored.Reason = reason
		row, head, err := org.Head.Append(w.entry(audit.OrgCAStaged, now, map[string]any{
			"generation":  stored.Number,
			"fingerprint": stored.Fingerprint(),
			"source":      string(stored.Source),
			"reason":      reason,
			"rotation_id": stored.RotationID,
		}))
		change.Generations, change.Head, change.Rows = []orgca.Generation{stored}, &head, []audit.Row{row}
		return change, err
	})
}

// rehearse answers what a request would do. It reads and changes nothing.
func (w *run) rehearse(ctx context.Context) (Result, error) {
	org, err := w.Store.Org(ctx)
	if err != nil {
		return Result{}, err
	}
	if !w.req.At.IsZero() {
		return w.rehearseDate(ctx, org)
	}
	next, ok := org.Standby(w.Now())
	if w.req.Mode == Upload {
		return w.rehearseUpload(ctx, org)
	}
	if err := w.awaits(org); err != nil && w.req.Mode == Mint {
		return Result{}, err
	}
	if w.req.Mode == Commit {
		if next, ok = staged(org, w.req.Fingerprint); !ok {
			return Result{}, ErrNotStaged
		}
	}
	if !ok { // one would be made; nothing is known of it but its number
		next = orgca.Generation{Number: org.NextNumber(), State: orgca.Preparing, Source: orgca.Mint}
	}
	next.Reason = orgca.Binding(next.Reason, w.req.Reason)
	if w.req.Overlap > 0 && orgca.AtOnce(next.Reason) {
		return Result{}, orgca.ErrCompromised
	}
	if v := next.Validity(); ok && !v.At(w.Now()) {
		return Result{}, fmt.Errorf("generation %d: %w", next.Number, orgca.ErrUnfit)
	}
	return w.rehearsed(ctx, org, preflight(org, next, w.Now())), nil
}

// rehearsed completes the answer of a dry run by what a swap would do to the fleet.
func (w *run) rehearsed(ctx context.Context, org registry.Org, result Result) Result {
	result.DryRun = true
	if org.Pointer == nil {
		return result
	}
	effect := &Effect{AtOnce: w.req.Overlap == 0, Overlaps: []OverlappingGeneration{}}
	now := w.Now()
	if !w.req.At.IsZero() {
		now = w.req.At
	}
	if !effect.AtOnce {
		stop := now.Add(w.req.Overlap)
		effect.StopAt = &stop
	}
	for _, a := range org.Pointer.Accepted {
		if org.Pointer.Accepts(a.Generation, now) {
			effect.Overlaps = append(effect.Overlaps, OverlappingGeneration{a.Generation, a.Until, effect.AtOnce})
		}
	}
	if counted := w.observer.progress(ctx, org, false); counted != nil {
		effect.Agents, effect.PerMethod = new(int64), map[agent.Method]int64{}
		for method, m := range counted.PerMethod {
			if method != agent.SPIFFE { // their certificates do not depend on the Org CA
				effect.PerMethod[method] = m.Agents
				*effect.Agents += m.Agents
			}
		}
	}
	result.Effect = effect
	return result
}

package rotateca

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/problem"
	"github.com/mastio-aws/mastio/shared/registry"
)

// Errors of a rotation that has a date.
var (
	ErrScheduled = problem.New(409, "already_scheduled", "another rotation is scheduled").
			Says("A rotation of the Org CA is scheduled already; GET /pki/rotate-ca shows it. The same request with " +
			"another at moves it, mode=cancel ends it.")
	ErrNotScheduled = problem.New(409, "not_scheduled", "no rotation is scheduled").
			Says("No rotation of the Org CA is scheduled: it was carried out, cancelled, or never asked for.")
	ErrStale = problem.New(409, "scheduled_rotation_stale", "the scheduled rotation cannot be carried out any more").
			Says("The Org CA is not in the state that the pre-flight of the scheduled rotation showed. The standby job " +
			"drops the plan at its next run; mode=cancel ends it now.")
)

// dated checks what a request says about a date. Whether the date is far enough ahead is checked later: a request that
// is repeated under its idempotency key gets its answer although its date has come closer.
func (r Request) dated() (Request, error) {
	if r.At.IsZero() {
		return r, nil
	}
	if r.Mode != Mint && r.Mode != Commit || r.Plan != 0 {
		return r, orgca.ErrAt
	}
	if orgca.AtOnce(r.Reason) {
		return r, orgca.ErrNotLater
	}
	r.At = r.At.UTC().Truncate(time.Millisecond) // as it is stored
	return r, nil
}

// schedule stages the CA now, and plans its commit. The lease keeps a commit of the standby job and other operators
// away; the change carries it, so a release after a timeout proves that the plan never lands.
func (w *run) schedule(ctx context.Context) (Result, error) {
	org, err := w.Store.Org(ctx)
	if err != nil {
		return Result{}, err
	}
	pinned, err := w.pin(org)
	if err != nil {
		return Result{}, err
	}
	org, next, err := w.trusted(ctx, org, pinned)
	if err != nil {
		return Result{}, err
	}
	var result Result
	err = registry.Amend(ctx, w.Store, org, func(org registry.Org) (change registry.Change, err error) {
		if org.Lease.Holder != w.held.Holder || org.Lease.Fence != w.held.Fence {
			return change, orgca.ErrLeaseLost
		}
		change, result, err = w.planDate(org, next)
		return change, err
	})
	return result, err
}

// pin is the staged CA that the plan is to commit; nil: one has to be made. A plan that is moved keeps its CA.
func (w *run) pin(org registry.Org) (*orgca.Generation, error) {
	if err := w.awaits(org); err != nil {
		return nil, err
	}
	if org.Pointer == nil {
		return nil, orgca.ErrMissing
	}
	if err := w.free(org); err != nil {
		return nil, err
	}
	now := w.Now()
	fit := func(g orgca.Generation) bool { return g.Fit(now) && g.Fit(w.req.At) }
	if w.req.Mode == Mint {
		if g, ok := staged(org, org.Plan.Fingerprint); org.Plan.Pending() && ok && fit(g) {
			return &g, nil
		}
		if g, ok := org.Standby(w.req.At); ok && fit(g) {
			return &g, nil
		}
		return nil, nil
	}
	g, ok := staged(org, w.req.Fingerprint)
	switch {
	case !ok:
		return nil, ErrNotStaged
	case g.Source == orgca.Mint && !fit(g): // the standby job would replace it before its date
		return nil, orgca.ErrUnfitThen
	}
	return &g, nil
}

// free reports whether this request may write the plan: no plan waits, or this request moves it.
func (w *run) free(org registry.Org) error {
	if !org.Plan.Pending() {
		return nil
	}
	if org.Plan.Stale(org.Pointer, org.Generations, w.Now()) != "" {
		return ErrStale
	}
	if !w.req.moves(org.Plan) {
		return ErrScheduled
	}
	return nil
}

// planDate is the change that schedules a rotation to next, or moves it. The same request for the same instant changes
// nothing.
func (w *run) planDate(org registry.Org, next orgca.Generation) (registry.Change, Result, error) {
	if err := w.free(org); err != nil {
		return registry.Change{}, Result{}, err
	}
	p, err := w.planOf(org, next)
	if err != nil {
		return registry.Change{}, Result{}, err
	}
	now, held := w.Now(), w.held
	next.Reason = orgca.Binding(next.Reason, w.req.Reason)
	result := preflight(org, next, w.req.At)
	result.Scheduled = scheduledOf(p)
	change := registry.Change{ID: w.NewID(), Release: &held}
	if same := org.Plan.Pending() && org.Plan.At.Equal(p.At) && org.Plan.Fingerprint == p.Fingerprint; same {
		result.Scheduled = scheduledOf(org.Plan)
	} else {
		details := planDetails(p)
		details["generation"], details["source"], details["reason"] = next.Number, string(next.Source), next.Reason
		details["overlap_seconds"] = int64(w.req.Overlap / time.Second)
		if org.Plan.Pending() {
			details["moved_from"] = org.Plan.At.Format(time.RFC3339)
		}
		row, head, err := org.Head.Append(w.entry(audit.RotationScheduled, now, details))
		if err != nil {
			return registry.Change{}, Result{}, err
		}
		result.Audit = &Audit{row.Seq, row.Hash}
		change.Plan, change.Head, change.Rows = &p, &head, []audit.Row{row}
	}
	change.Answer, err = w.once.Keep(result, now)
	return change, result, err
}

// planOf is the plan of this request. It rehearses the swap at the plan's date: what would be refused then is refused
// now.
func (w *run) planOf(org registry.Org, next orgca.Generation) (orgca.Plan, error) {
	stored, ok := org.Generation(next.Number)
	if !ok || stored.State != orgca.Staged {
		return orgca.Plan{}, fmt.Errorf("generation %d: %w", next.Number, registry.ErrConflict)
	}
	if orgca.AtOnce(orgca.Binding(stored.Reason, w.req.Reason)) {
		return orgca.Plan{}, orgca.ErrNotLater
	}
	_, err := w.swapAt(org, next, org.Pointer.Fence+1, w.req.At)
	if errors.Is(err, orgca.ErrUnfit) {
		return orgca.Plan{}, orgca.ErrUnfitThen
	}
	if err != nil {
		return orgca.Plan{}, err
	}
	request, err := json.Marshal(w.req.unplanned())
	return orgca.Plan{
		State:       orgca.PlanScheduled,
		At:          w.req.At,
		Fingerprint: next.Fingerprint(),
		By:          w.req.Actor,
		Request:     request,
		Current:     org.Pointer.Current,
		Accepted:    slices.Clone(org.Pointer.Accepted),
		Version:     org.Plan.Version,
	}, err
}

// cancel ends the plan, or the warning about one that was dropped.
func (w *run) cancel(ctx context.Context) (Result, error) {
	org, err := w.Store.Org(ctx)
	if err != nil {
		return Result{}, err
	}
	var result Result
	err = registry.Amend(ctx, w.Store, org, func(org registry.Org) (change registry.Change, err error) {
		p, held, now := org.Plan, w.held, w.Now()
		switch {
		case org.Lease.Holder != held.Holder || org.Lease.Fence != held.Fence:
			return change, orgca.ErrLeaseLost
		case org.Pointer == nil || !p.Pending() && p.State != orgca.PlanDropped:
			return change, ErrNotScheduled
		case w.req.Fingerprint != "" && w.req.Fingerprint != p.Fingerprint:
			return change, ErrMoved
		}
		if result, err = present(org); err != nil {
			return change, err
		}
		details := planDetails(p)
		details["was"] = string(p.State)
		row, head, err := org.Head.Append(w.entry(audit.RotationCancelled, now, details))
		if err != nil {
			return change, err
		}
		p.State = orgca.PlanCancelled
		result.Audit = &Audit{row.Seq, row.Hash}
		change = registry.Change{ID: w.NewID(), Plan: &p, Head: &head, Rows: []audit.Row{row}, Release: &held}
		change.Answer, err = w.once.Keep(result, now)
		return change, err
	})
	return result, err
}

// rehearseDate answers what a request with a date would plan. It reads and changes nothing.
func (w *run) rehearseDate(ctx context.Context, org registry.Org) (Result, error) {
	if err := orgca.Ahead(w.req.At, w.Now()); err != nil {
		return Result{}, err
	}
	pinned, err := w.pin(org)
	if err != nil {
		return Result{}, err
	}
	if pinned == nil { // one would be made; nothing is known of it but its number
		next := orgca.Generation{Number: org.NextNumber(), State: orgca.Preparing, Source: orgca.Mint, Reason: w.req.Reason}
		return w.rehearsed(ctx, org, preflight(org, next, w.req.At)), nil
	}
	p, err := w.planOf(org, *pinned)
	if err != nil {
		return Result{}, err
	}
	pinned.Reason = orgca.Binding(pinned.Reason, w.req.Reason)
	result := w.rehearsed(ctx, org, preflight(org, *pinned, w.req.At))
	result.Scheduled = scheduledOf(p)
	return result, nil
}

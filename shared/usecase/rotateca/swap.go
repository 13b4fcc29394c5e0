package rotateca

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/registry"
)

// plan is a change and the answer after its commit.
type plan struct {
	change registry.Change
	result Result
}

// silences is how often a rotation reads the outcome of a commit, and commits again, after a timeout of the store.
const silences = 5

// errCommitted reports that the commit has happened although its answer was lost.
var errCommitted = errors.New("committed already")

// commit plans on the present state and commits. A conflict has one of two causes. Another writer changed an
// unrelated record (a row of the organisation's chain, a staged standby): commit reads and tries again. Or the lease
// is gone, and with it the right to commit. org is the state as last read.
//
// After a timeout, commit resends the same change. It plans a new one only after a conflict proves that the first can
// never commit. So the answer always agrees with the chain.
func (w *run) commit(ctx context.Context, org registry.Org, decide func(registry.Org) (plan, error)) (Result, error) {
	held := w.held
	var p plan
	silent := false
	once := func(org registry.Org) (registry.Change, error) {
		if committed(org, held) {
			return registry.Change{}, errCommitted
		}
		if org.Lease.Holder != held.Holder || org.Lease.Fence != held.Fence {
			return registry.Change{}, orgca.ErrLeaseLost
		}
		if silent {
			silent = false
			return p.change, nil
		}
		next, err := decide(org)
		if err == nil {
			p = next
		}
		return next.change, err
	}
	var err error
	for range silences {
		err = registry.Amend(ctx, w.Store, org, once)
		if err == nil || errors.Is(err, errCommitted) {
			return p.result, nil
		}
		var readErr error
		if !errors.Is(err, registry.ErrUnknown) {
			break
		}
		if org, readErr = w.Store.Org(ctx); readErr != nil {
			break // err says what is known of the commit; that outranks the failed read
		}
		silent = true
	}
	return Result{}, fmt.Errorf("commit: %w", err)
}

// committed reports whether the commit under this lease is in: a fence belongs to one lease only.
func committed(org registry.Org, held orgca.Lease) bool {
	return org.Pointer != nil && org.Pointer.Fence == held.Fence
}

// planSwap builds the one change that is the rotation: pointer, both generations, audit row, lease, answer.
func (w *run) planSwap(org registry.Org, next orgca.Generation) (plan, error) {
	now := w.Now()
	if err := w.keepsDate(org, now); err != nil {
		return plan{}, err
	}
	swap, err := w.swapAt(org, next, w.held.Fence, now)
	if err != nil {
		return plan{}, err
	}
	event := audit.OrgCARotated
	if swap.Previous == nil {
		event = audit.OrgCACreated
	}
	return w.planned(org, swap, event, swap.Next.Reason, now)
}

// swapAt decides the swap to a staged generation, under a fence and at an instant.
func (w *run) swapAt(org registry.Org, next orgca.Generation, fence int64, at time.Time) (orgca.Swap, error) {
	stored, ok := org.Generation(next.Number)
	if !ok {
		return orgca.Swap{}, fmt.Errorf("generation %d: %w", next.Number, registry.ErrConflict)
	}
	stored.Truststore, stored.Reason = next.Truststore, orgca.Binding(stored.Reason, w.req.Reason)
	var pointer orgca.Pointer
	var previous *orgca.Generation
	if org.Pointer != nil {
		pointer = *org.Pointer
		old, ok := org.Generation(pointer.Current)
		if !ok {
			return orgca.Swap{}, fmt.Errorf("generation %d: %w", pointer.Current, orgca.ErrTransition)
		}
		previous = &old
	}
	return pointer.Plan(stored, previous, fence, w.req.Overlap, at)
}

// planRollback builds the same change backwards.
func (w *run) planRollback(org registry.Org) (plan, error) {
	if org.Pointer == nil {
		return plan{}, orgca.ErrMissing
	}
	current, ok := org.Generation(org.Pointer.Current)
	if !ok {
		return plan{}, fmt.Errorf("generation %d: %w", org.Pointer.Current, orgca.ErrTransition)
	}
	previous, ok := org.Generation(org.Pointer.Previous) // none: Rollback refuses
	if ok && !w.req.matches(previous) {
		return plan{}, ErrMoved
	}
	if previous.Legacy && w.Strict {
		return plan{}, ErrStrict
	}
	now := w.Now()
	back := org.Pointer.Rollback
	if w.req.Mode == Return {
		if orgca.Compromised(w.req.Reason) {
			return plan{}, orgca.ErrCompromised
		}
		back = org.Pointer.Return
	}
	swap, err := back(previous, current, w.held.Fence, now)
	if err != nil {
		return plan{}, err
	}
	swap.Previous.Left = w.req.Reason
	return w.planned(org, swap, audit.OrgCARolledBack, w.req.Reason, now)
}

// planFinalise builds the change that ends an overlap: the pointer alone, its row, the lease.
func (w *run) planFinalise(org registry.Org) (plan, error) {
	if org.Pointer == nil {
		return plan{}, orgca.ErrMissing
	}
	pointer, err := org.Pointer.Finalise(w.held.Fence)
	if err != nil {
		return plan{}, err
	}
	current, ok := org.Generation(pointer.Current)
	if !ok {
		return plan{}, fmt.Errorf("generation %d: %w", pointer.Current, orgca.ErrTransition)
	}
	if !w.req.matches(current) {
		return plan{}, ErrMoved
	}
	result := describe(org, current)
	if result.CutsOff, err = w.examined(*org.Pointer); err != nil {
		return plan{}, err
	}
	now := w.Now()
	accepted := []any{}
	for _, a := range org.Pointer.Accepted {
		accepted = append(accepted, a.Generation)
	}
	entry := w.entry(audit.OverlapEnded, now, map[string]any{
		"generation": pointer.Current,
		"ended":      accepted,
		"fence":      pointer.Fence,
	})
	return w.sealed(org, orgca.Swap{Pointer: pointer}, result, entry)
}

func (w *run) planned(org registry.Org, s orgca.Swap, event audit.Event, reason string, now time.Time) (plan, error) {
	backup, err := w.saving.wait()
	if err != nil {
		return plan{}, err
	}
	details := map[string]any{
		"backup":          backup.details(),
		"generation":      s.Next.Number,
		"fingerprint":     s.Next.Fingerprint(),
		"source":          string(s.Next.Source),
		"reason":          reason,
		"rotation_id":     s.Next.RotationID,
		"fence":           s.Pointer.Fence,
		"overlap_seconds": int64(w.req.Overlap / time.Second),
	}
	if s.Previous != nil {
		details["previous_generation"], details["previous_fingerprint"] = s.Previous.Number, s.Previous.Fingerprint()
	}
	if w.req.Plan != 0 {
		details["scheduled_by"], details["scheduled_at"] = org.Plan.By, org.Plan.At.Format(time.RFC3339)
	}
	result := resultOf(org, s)
	result.Backup = &backup
	return w.sealed(org, s, result, w.entry(event, now, details))
}

func (w *run) entry(event audit.Event, now time.Time, details map[string]any) audit.Entry {
	w.req.Note(details)
	if w.req.Comment != "" {
		details["comment"] = w.req.Comment
	}
	return audit.Entry{Time: now, Event: event, Actor: w.req.Actor, Subject: w.OrgID, Details: details}
}

// sealed adds to a swap what every change of the Org CA carries: its row, the end of its lease, its answer. The row of
// a plan that the swap drops comes before its own, which ends the chain.
func (w *run) sealed(org registry.Org, s orgca.Swap, result Result, e audit.Entry) (plan, error) {
	held := w.held
	change := registry.Change{ID: w.NewID(), Pointer: &s.Pointer, Release: &held}
	entries := []audit.Entry{e}
	if s.Next.Number != 0 {
		var dropped map[string]any
		change.Generations = append(change.Generations, s.Next)
		if change.Plan, dropped = w.planAfter(org.Plan, s.Next.Number); dropped != nil {
			entries = []audit.Entry{w.entry(audit.RotationDropped, e.Time, dropped), e}
		}
	}
	head := org.Head
	for _, entry := range entries {
		row, next, err := head.Append(entry)
		if err != nil {
			return plan{}, err
		}
		head, change.Rows, result.Audit = next, append(change.Rows, row), &Audit{row.Seq, row.Hash}
	}
	change.Head = &head
	if s.Previous != nil {
		change.Generations = append(change.Generations, *s.Previous)
	}
	if s.Next.Number != 0 {
		change.Reissue = orgca.NewReissue(s, org.Reissue, w.req.Moves, e.Time)
	}
	if change.Reissue != nil {
		s.Pointer = change.Reissue.Steer(s.Pointer)
	}
	var err error
	change.Answer, err = w.once.Keep(result, e.Time)
	return plan{change, result}, err
}

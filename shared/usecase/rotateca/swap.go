package rotateca

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/lease"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/registry"
)

const swapTries = 3

// swap commits. A conflict is either a harmless neighbour (a row of the organisation's chain, a standby being staged):
// read and try again; or the lease is gone, and with it the right to commit. org is the state as last read.
func (r *Rotator) swap(ctx context.Context, req Request, held lease.Lease, next orgca.Generation, org registry.Org) (Result, error) {
	var err error
	for range swapTries {
		if org.Lease.Holder != held.Holder || org.Lease.Fence != held.Fence {
			return Result{}, lease.ErrLost
		}
		change, result, planErr := r.plan(org, req, held, next)
		if planErr != nil {
			return Result{}, planErr
		}
		if err = registry.Settle(ctx, r.Store.Apply, change); err == nil {
			return result, nil
		}
		if !errors.Is(err, registry.ErrConflict) && !errors.Is(err, registry.ErrUnknown) {
			break
		}
		var readErr error
		if org, readErr = r.Store.Org(ctx); readErr != nil {
			break // err says what is known of the commit; that outranks the failed read
		}
		if committed(org, held) {
			return r.fromState(org, next.Number)
		}
	}
	return Result{}, fmt.Errorf("commit generation %d: %w", next.Number, err)
}

// committed reports whether the commit under this lease is in: a fence belongs to one lease only.
func committed(org registry.Org, held lease.Lease) bool {
	return org.Pointer != nil && org.Pointer.Fence == held.Fence
}

// plan builds the one change that is the rotation: pointer, both generations, audit row, lease, answer.
func (r *Rotator) plan(org registry.Org, req Request, held lease.Lease, next orgca.Generation) (registry.Change, Result, error) {
	now := r.Now()
	stored, ok := org.Generation(next.Number)
	if !ok {
		return registry.Change{}, Result{}, fmt.Errorf("generation %d: %w", next.Number, registry.ErrConflict)
	}
	stored.Truststore, stored.Reason = next.Truststore, req.Reason
	var pointer orgca.Pointer
	var previous *orgca.Generation
	if org.Pointer != nil {
		pointer = *org.Pointer
		old, ok := org.Generation(pointer.Current)
		if !ok {
			return registry.Change{}, Result{}, fmt.Errorf("generation %d: %w", pointer.Current, orgca.ErrTransition)
		}
		previous = &old
	}
	swap, err := pointer.Plan(stored, previous, held.Fence, 0, now)
	if err != nil {
		return registry.Change{}, Result{}, err
	}
	row, head, err := org.Head.Append(r.entry(req, swap, now))
	if err != nil {
		return registry.Change{}, Result{}, err
	}
	result := resultOf(swap, row)
	change := registry.Change{
		ID: r.NewID(), Pointer: &swap.Pointer, Generations: []orgca.Generation{swap.Next},
		Head: &head, Rows: []audit.Row{row}, Release: &held,
	}
	if swap.Previous != nil {
		change.Generations = append(change.Generations, *swap.Previous)
	}
	change.Answer, err = answer(req, result, now)
	return change, result, err
}

func (r *Rotator) entry(req Request, s orgca.Swap, now time.Time) audit.Entry {
	details := map[string]any{
		"generation": s.Next.Number, "fingerprint": s.Next.Fingerprint(), "source": string(s.Next.Source), "reason": req.Reason,
		"rotation_id": s.Next.RotationID, "fence": s.Pointer.Fence, "request_id": req.RequestID, "source_ip": req.SourceIP,
	}
	event := audit.OrgCACreated
	if s.Previous != nil {
		event = audit.OrgCARotated
		details["previous_generation"], details["previous_fingerprint"] = s.Previous.Number, s.Previous.Fingerprint()
	}
	return audit.Entry{Time: now, Event: event, Actor: req.Actor, Subject: r.OrgID, Details: details}
}

func answer(req Request, result Result, now time.Time) (*registry.Answer, error) {
	if req.IdempotencyKey == "" {
		return nil, nil
	}
	encoded, err := json.Marshal(result)
	return &registry.Answer{Key: req.IdempotencyKey, Request: req.fingerprint(), Result: encoded, Expires: now.Add(registry.AnswerTTL).Truncate(time.Second)}, err
}

// fromState rebuilds the result of a commit whose answer was lost. The chain may have moved on, so the row is not named.
func (r *Rotator) fromState(org registry.Org, number int64) (Result, error) {
	next, ok := org.Generation(number)
	if !ok {
		return Result{}, fmt.Errorf("generation %d: %w", number, registry.ErrConflict)
	}
	result := describe(next)
	for _, g := range org.Generations {
		if g.State == orgca.Superseded && g.SupersededAt.Equal(next.CurrentAt) {
			result.Previous = &Previous{g.Number, g.Fingerprint(), g.State}
		}
	}
	return result, nil
}

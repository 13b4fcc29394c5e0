package standby

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
)

// errKept reports that the plan is not to be dropped: it can be carried out, or is not there any more.
var errKept = errors.New("the plan is not stale")

// date carries out the scheduled rotation with the first run at or after its date, however late that run is. It drops
// a stale plan at once, not only at its date, so that the operator learns of it early. The swap ends the plan in its
// own transaction. So a run that dies, or whose answer is lost, leaves a plan that waits or one that is done, and two
// runs at once carry out one. While no rotation is scheduled it costs one read.
func (j *Job) date(ctx context.Context, report *Report) error {
	org, err := j.Store.Org(ctx)
	if err != nil || !org.Plan.Pending() {
		return err
	}
	if j.stale(org) != "" {
		report.Dropped, err = j.drop(ctx, org)
		return err
	}
	if j.Now().Before(org.Plan.At) {
		return nil
	}
	req, err := rotateca.Planned(org.Plan)
	if err != nil {
		return err
	}
	req.By = audit.By{Actor: Actor}
	_, err = j.Rotator.Do(ctx, req)
	if errors.Is(err, orgca.ErrLeaseHeld) || errors.Is(err, rotateca.ErrStale) { // the next run sees what happened
		return nil
	}
	if err != nil {
		return fmt.Errorf("carry out the scheduled rotation: %w", err)
	}
	report.Scheduled = true
	return nil
}

// stale says why the plan can never be carried out; empty: it can.
func (j *Job) stale(org registry.Org) string {
	if _, err := rotateca.Planned(org.Plan); err != nil {
		return "this release cannot read what was asked for"
	}
	return org.Plan.Stale(org.Pointer, org.Generations, j.Now())
}

// drop ends a stale plan and records why, in one transaction.
func (j *Job) drop(ctx context.Context, org registry.Org) (bool, error) {
	var why string
	err := registry.Amend(ctx, j.Store, org, func(org registry.Org) (registry.Change, error) {
		if why = j.stale(org); !org.Plan.Pending() || why == "" {
			return registry.Change{}, errKept
		}
		plan, details := rotateca.Dropped(org.Plan, why)
		row, head, err := org.Head.Append(audit.Entry{
			Time:    j.Now(),
			Event:   audit.RotationDropped,
			Actor:   Actor,
			Subject: j.OrgID,
			Details: details,
		})
		return registry.Change{ID: j.NewID(), Plan: &plan, Head: &head, Rows: []audit.Row{row}}, err
	})
	if errors.Is(err, errKept) || errors.Is(err, registry.ErrConflict) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("drop the scheduled rotation: %w", err)
	}
	j.Log.WarnContext(ctx, "pki.rotate.plan_dropped", "why", why, "at", org.Plan.At.Format(time.RFC3339))
	return true, nil
}

// waits reports whether the schedule leaves the present Org CA to a scheduled rotation: an operator chose its date. An
// Org CA that is not valid now cannot wait.
func (j *Job) waits(org registry.Org) bool {
	return org.Plan.Pending() && org.Pointer != nil && org.Pointer.Validity().At(j.Now())
}

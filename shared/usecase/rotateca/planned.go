package rotateca

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/warnings"
)

// ScheduledRotation is a rotation with a date.
type ScheduledRotation struct {
	At             time.Time       `json:"at"` // the standby job commits with its first run at or after it
	Fingerprint    string          `json:"fingerprint"`
	By             string          `json:"by"` // who scheduled it, or moved it last
	OverlapSeconds int64           `json:"overlap_seconds"`
	Reason         string          `json:"reason"`
	Status         orgca.PlanState `json:"status"`        // scheduled, or dropped
	Why            string          `json:"why,omitempty"` // it was dropped
}

// HTTPStatus is the status of the answer: 202 for a rotation that waits for its date.
func (r Result) HTTPStatus() int {
	if r.Scheduled != nil && !r.DryRun {
		return http.StatusAccepted
	}
	return http.StatusOK
}

// scheduledIn is the plan that an operator has to know of: one that waits, or that was dropped; nil: none.
func scheduledIn(org registry.Org) *ScheduledRotation {
	if p := org.Plan; p.Pending() || p.State == orgca.PlanDropped {
		return scheduledOf(p)
	}
	return nil
}

func scheduledOf(p orgca.Plan) *ScheduledRotation {
	s := &ScheduledRotation{At: p.At, Fingerprint: p.Fingerprint, By: p.By, Status: p.State, Why: p.Why}
	if req, err := Planned(p); err == nil { // one that cannot be read is dropped
		s.OverlapSeconds, s.Reason = int64(req.Overlap/time.Second), req.Reason
	}
	return s
}

// unplanned is what a plan does not store of its request: who asks, when, and the answer's key. The plan says them
// itself, or they end with the request.
func (r Request) unplanned() Request {
	r.By, r.IdempotencyKey, r.At, r.Upload, r.DryRun, r.Plan = audit.By{}, "", time.Time{}, nil, false, 0
	return r
}

// planned reads the request of a plan. A member that this release does not know is an error: what it asks for would be
// left out.
func planned(p orgca.Plan) (req Request, err error) {
	d := json.NewDecoder(bytes.NewReader(p.Request))
	d.DisallowUnknownFields()
	if err := d.Decode(&req); err != nil {
		return Request{}, fmt.Errorf("read the request of a plan: %w", err)
	}
	return req, nil
}

// Planned is the request that carries out a plan. Error: this release cannot read the plan's request, and must not
// carry it out.
func Planned(p orgca.Plan) (Request, error) {
	req, err := planned(p)
	req.Mode, req.Fingerprint, req.Plan = Commit, p.Fingerprint, p.Version
	return req, err
}

// moves reports whether a request differs from the one of a plan in nothing but its date, and in what does not change
// the rotation: the comment, and the backup.
func (r Request) moves(p orgca.Plan) bool {
	present, err := planned(p)
	r, present = r.unplanned(), present.unplanned()
	r.Comment, present.Comment = "", ""
	return err == nil && r.fingerprint() == present.fingerprint()
}

// Dropped is the plan as a drop leaves it, and what its row says.
func Dropped(p orgca.Plan, why string) (orgca.Plan, map[string]any) {
	p.State, p.Why = orgca.PlanDropped, why
	details := planDetails(p)
	details["code"], details["why"] = string(warnings.PlanStale), why
	return p, details
}

// planDetails is what every row about a plan says of it.
func planDetails(p orgca.Plan) map[string]any {
	return map[string]any{
		"at":           p.At.Format(time.RFC3339),
		"fingerprint":  p.Fingerprint,
		"current":      p.Current,
		"scheduled_by": p.By,
	}
}

// keepsDate reports whether a request that carries out a plan may commit at now. The plan must be unchanged and
// waiting, its date must have come, and the Org CA must be in the state that its pre-flight showed.
func (w *run) keepsDate(org registry.Org, now time.Time) error {
	p := org.Plan
	if w.req.Plan == 0 || p.Pending() && p.Version == w.req.Plan && !now.Before(p.At) &&
		p.Stale(org.Pointer, org.Generations, now) == "" {
		return nil
	}
	return ErrStale
}

// planAfter is the plan as a swap leaves it; nil: unchanged. The swap that carries it out ends it, in the same
// transaction and under the version that was read, so a plan is carried out once. Any swap ends the warning about an
// earlier plan that was dropped. Another swap leaves a plan that waits: the standby job drops it, and says so. A swap
// back to the CA that a plan replaces would make its pre-flight true again before that job has looked. So it drops the
// plan itself: dropped is what its row says, nil for every other swap.
func (w *run) planAfter(p orgca.Plan, next int64) (after *orgca.Plan, dropped map[string]any) {
	switch {
	case w.req.Plan != 0:
		p.State = orgca.PlanDone
	case p.State == orgca.PlanDropped:
		p.State = orgca.PlanCancelled
	case p.Pending() && p.Current == next:
		p, dropped = Dropped(p, "the Org CA was rotated and rolled back after the pre-flight")
	default:
		return nil, nil
	}
	return &p, dropped
}

package model

import (
	"errors"
	"fmt"
	"time"

	"pgregory.net/rapid"

	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
	"github.com/mastio-aws/mastio/test/inmemory"
)

// schedule asks for a rotation with a date, or moves it. The standby job carries it out, in the operation of its own.
func (m *machine) schedule(t *rapid.T) {
	req := rotateca.Request{
		Mode:    rotateca.Mint,
		At:      m.Now().Add(time.Duration(rapid.IntRange(1, 30).Draw(t, "minutes")) * time.Minute),
		Overlap: rapid.SampledFrom([]time.Duration{0, 10 * time.Minute}).Draw(t, "overlap"),
		Reason:  rapid.SampledFrom(reasons).Draw(t, "reason"),
	}
	var waiting []string
	for _, g := range m.org(t).Generations {
		if g.State == orgca.Staged {
			waiting = append(waiting, g.Fingerprint())
		}
	}
	if len(waiting) > 0 && rapid.Bool().Draw(t, "by its fingerprint") {
		req.Mode, req.Fingerprint = rotateca.Commit, rapid.SampledFrom(waiting).Draw(t, "which")
	}
	result, err := m.dated(t, req)
	if err == nil && !m.intruded {
		p := m.org(t).Plan
		if !p.Pending() || !p.At.Equal(result.Scheduled.At) || p.Fingerprint != result.Scheduled.Fingerprint {
			t.Fatalf("scheduled %+v, and the plan is %+v", result.Scheduled, p)
		}
	}
	if err == nil && req.Reason == "keyCompromise" {
		t.Fatal("a compromise waits for a date")
	}
}

// cancel ends the plan. What was cancelled is never carried out: checkDates looks at that.
func (m *machine) cancel(t *rapid.T) {
	_, err := m.dated(t, rotateca.Request{Mode: rotateca.Cancel})
	if p := m.org(t).Plan; err == nil && !m.intruded && p.State != orgca.PlanCancelled {
		t.Fatalf("cancelled, and the plan is %+v", p)
	}
}

// dated carries a request out in trouble. An answer that nothing was changed is a promise: no row of this request may
// ever appear.
func (m *machine) dated(t *rapid.T, req rotateca.Request) (rotateca.Result, error) {
	m.dates++
	req.By = audit.By{Actor: "test", RequestID: fmt.Sprintf("date-%d", m.dates)}
	over := m.troubledBy(t, jumps)
	result, err := m.RotateCA.Do(m.ctx, req)
	died := m.alive == 0
	over()
	if err != nil && !died && !errors.Is(err, registry.ErrUnknown) {
		m.claims = append(m.claims, claim{fmt.Sprintf("%s of request %s failed: %v", req.Mode, req.RequestID, err),
			func(registry.Org) error {
				for _, r := range m.verified(t, inmemory.OrgID, m.org(t).Head) {
					if r.Details["request_id"] == req.RequestID && r.EventType != audit.OrgCAStaged {
						return fmt.Errorf("it has the row %s", r.EventType)
					}
				}
				return nil
			}})
	}
	return result, err
}

// checkDates reads the chain: a scheduled rotation follows the request that scheduled it, and between the two nothing
// moved, dropped, cancelled or carried out the plan, and no other swap came. By the clock of the job its date had come.
func (m *machine) checkDates(t *rapid.T) {
	var plan *audit.Row
	for _, r := range m.verified(t, inmemory.OrgID, m.org(t).Head) {
		switch r.EventType { //nolint:exhaustive // the rows of a plan, and the swaps
		case audit.RotationScheduled:
			plan = &r
		case audit.RotationDropped, audit.RotationCancelled, audit.OrgCARolledBack, audit.OrgCACreated:
			plan = nil
		case audit.OrgCARotated:
			m.checkDated(t, r, plan)
			plan = nil
		}
	}
}

func (m *machine) checkDated(t *rapid.T, r audit.Row, plan *audit.Row) {
	if r.Details["scheduled_by"] == nil {
		return
	}
	if plan == nil || plan.Details["fingerprint"] != r.Details["fingerprint"] ||
		plan.Details["at"] != r.Details["scheduled_at"] || plan.Details["current"] != r.Details["previous_generation"] ||
		plan.Actor != r.Details["scheduled_by"] {
		t.Fatalf("row %d carries out %+v", r.Seq, plan)
	}
	at, err := time.Parse(time.RFC3339, fmt.Sprint(r.Details["scheduled_at"]))
	committed, timeErr := r.Time()
	if err != nil || timeErr != nil || committed.Before(at) {
		t.Fatalf("row %d of %s is before its date %s: %v, %v", r.Seq, committed, at, err, timeErr)
	}
}

// noDate ends what waits for a date, or was dropped: an operator looks at it.
func (m *machine) noDate(t *rapid.T) {
	if p := m.org(t).Plan; !p.Pending() && p.State != orgca.PlanDropped {
		return
	}
	if _, err := m.RotateCA.Do(m.ctx, rotateca.Request{Mode: rotateca.Cancel, By: audit.By{Actor: "test"}}); err != nil {
		t.Fatalf("cancel after the trouble: %v", err)
	}
}

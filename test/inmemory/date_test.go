package inmemory_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
	"github.com/mastio-aws/mastio/shared/usecase/standby"
	"github.com/mastio-aws/mastio/shared/warnings"
	"github.com/mastio-aws/mastio/test/inmemory"
	"github.com/mastio-aws/mastio/test/pkitest"
)

// every is the default of the standby job's schedule.
const every = 2 * time.Minute

// planned is a Mastio with a rotation in an hour, and its pre-flight.
func planned(t *testing.T, m *inmemory.Mastio, req rotateca.Request) rotateca.Result {
	t.Helper()
	if req.Mode == "" {
		req.Mode = rotateca.Mint
	}
	if req.At.IsZero() {
		req.At = m.Now().Add(time.Hour)
	}
	result := m.Do(t, req)
	if result.Scheduled == nil || result.HTTPStatus() != 202 || result.Scheduled.Status != orgca.PlanScheduled {
		t.Fatalf("scheduled %+v", result.Scheduled)
	}
	return result
}

// timeline prints the organisation's rows about rotations.
func timeline(t *testing.T, m *inmemory.Mastio) []string {
	t.Helper()
	rows, err := m.Store.Rows(t.Context(), inmemory.OrgID, 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, r := range rows {
		if strings.HasPrefix(string(r.EventType), "org_ca.rotat") {
			lines = append(lines, fmt.Sprintf("%s %s by %s", r.Timestamp[11:19], r.EventType, r.Actor))
		}
	}
	return lines
}

// until runs the standby job on its schedule until an instant, and returns when it reported a commit or a drop.
func until(t *testing.T, m *inmemory.Mastio, end time.Time) (did []time.Time) {
	t.Helper()
	for m.Now().Before(end) {
		m.Advance(every)
		report, err := m.Standby.Run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if report.Scheduled || report.Dropped {
			did = append(did, m.Now())
		}
	}
	return did
}

func TestScheduledRotation(t *testing.T) {
	m := inmemory.Open(t, memstore.Config{})
	old := admit(t, m, "kyc").Certificate.CertPEM
	at := m.Now().Add(time.Hour + time.Second) // between two runs
	result := planned(t, m, rotateca.Request{At: at, Overlap: 24 * time.Hour, Reason: "superseded", Comment: "ticket 12"})
	if s := result.Scheduled; !s.At.Equal(at) || s.By != "test" || s.Fingerprint != result.Fingerprint ||
		result.Status != orgca.Staged {
		t.Errorf("answer: %+v", result)
	}
	admit(t, m, "comes-meanwhile")
	did := until(t, m, at.Add(10*time.Minute))
	if len(did) != 1 || did[0].Before(at) || did[0].Sub(at) >= every {
		t.Errorf("carried out at %v, want once, with the first run at or after %s", did, at)
	}
	org := m.Org(t)
	if org.Pointer.Fingerprint != result.Fingerprint || org.Plan.State != orgca.PlanDone ||
		!org.Pointer.Accepts(1, m.Now()) {
		t.Errorf("pointer %+v, plan %+v", org.Pointer, org.Plan)
	}
	counts(t, m, "in the overlap", old, true)
	row := lastRow(t, m, audit.OrgCARotated)
	if row.Actor != standby.Actor || row.Details["scheduled_by"] != "test" || row.Details["comment"] != "ticket 12" ||
		row.Details["reason"] != "superseded" || row.Details["scheduled_at"] != at.Format(time.RFC3339) {
		t.Errorf("row: %s %v", row.Actor, row.Details)
	}
	for _, line := range timeline(t, m) {
		t.Log(line)
	}
	if got := m.Do(t, rotateca.Request{Mode: rotateca.Mint}); got.Generation != 3 {
		t.Errorf("the next rotation: %+v", got)
	}
}

func lastRow(t *testing.T, m *inmemory.Mastio, event audit.Event) audit.Row {
	t.Helper()
	rows, err := m.Store.Rows(t.Context(), inmemory.OrgID, 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	slices.Reverse(rows)
	i := slices.IndexFunc(rows, func(r audit.Row) bool { return r.EventType == event })
	if i < 0 {
		t.Fatalf("no row %s", event)
	}
	return rows[i]
}

// The same call with another date moves the plan, any other is refused, and cancel ends it.
func TestPlanIsMovedAndCancelled(t *testing.T) {
	m := inmemory.Open(t, memstore.Config{})
	req := rotateca.Request{Mode: rotateca.Mint, At: m.Now().Add(time.Hour), Overlap: time.Hour}
	first := planned(t, m, req)
	rows := m.Org(t).Head.Seq
	if planned(t, m, req); m.Org(t).Head.Seq != rows {
		t.Error("the same request for the same date left a row")
	}
	req.At, req.Comment = m.Now().Add(2*time.Hour), "the change board wants it later"
	if moved := planned(t, m, req); moved.Scheduled.Fingerprint != first.Fingerprint ||
		!m.Org(t).Plan.At.Equal(req.At) || lastRow(t, m, audit.RotationScheduled).Details["moved_from"] == nil {
		t.Errorf("moved: %+v", moved.Scheduled)
	}
	for name, other := range map[string]rotateca.Request{
		"another overlap":    {Mode: rotateca.Mint, At: req.At, Overlap: 2 * time.Hour},
		"another mode":       {Mode: rotateca.Commit, At: req.At, Overlap: time.Hour, Fingerprint: first.Fingerprint},
		"another reason":     {Mode: rotateca.Mint, At: req.At, Overlap: time.Hour, Reason: "superseded"},
		"another, rehearsed": {Mode: rotateca.Mint, At: req.At, DryRun: true},
	} {
		other.Actor = "test"
		if _, err := m.RotateCA.Do(t.Context(), other); !errors.Is(err, rotateca.ErrScheduled) {
			t.Errorf("%s: %v, want %v", name, err, rotateca.ErrScheduled)
		}
	}
	_, err := m.RotateCA.Do(t.Context(), rotateca.Request{
		Mode:        rotateca.Cancel,
		Fingerprint: strings.Repeat("ab", 32),
		By:          audit.By{Actor: "test"},
	})
	if !errors.Is(err, rotateca.ErrMoved) {
		t.Errorf("cancel of another plan: %v", err)
	}
	m.Do(t, rotateca.Request{Mode: rotateca.Cancel})
	if did := until(t, m, req.At.Add(time.Hour)); len(did) > 0 || m.Org(t).Pointer.Current != 1 {
		t.Errorf("cancelled, and carried out at %v", did)
	}
	_, err = m.RotateCA.Do(t.Context(), rotateca.Request{Mode: rotateca.Cancel, By: audit.By{Actor: "test"}})
	if !errors.Is(err, rotateca.ErrNotScheduled) {
		t.Errorf("cancel of nothing: %v", err)
	}
}

// What makes the pre-flight untrue ends the plan with the next run, with a row and a warning; nothing is rotated then.
func TestPlanGoesStale(t *testing.T) {
	for name, tt := range map[string]struct {
		before, after func(t *testing.T, m *inmemory.Mastio)
		req           rotateca.Request
	}{
		"another rotation": {after: func(t *testing.T, m *inmemory.Mastio) {
			m.Do(t, rotateca.Request{Mode: rotateca.Mint})
		}},
		"a rollback": {
			before: func(t *testing.T, m *inmemory.Mastio) { m.Do(t, rotateca.Request{Mode: rotateca.Mint}) },
			after:  func(t *testing.T, m *inmemory.Mastio) { m.Do(t, rotateca.Request{Mode: rotateca.Rollback}) },
		},
		"an overlap that is finalised": {
			before: func(t *testing.T, m *inmemory.Mastio) {
				m.Do(t, rotateca.Request{Mode: rotateca.Mint, Overlap: 24 * time.Hour})
			},
			after: func(t *testing.T, m *inmemory.Mastio) { m.Do(t, rotateca.Request{Mode: rotateca.Finalise}) },
		},
		"a standby that was replaced": {after: func(t *testing.T, m *inmemory.Mastio) {
			g, _ := m.Org(t).Standby(m.Now())
			if err := m.Ceremony.Discard(t.Context(), g, "test"); err != nil {
				t.Fatal(err)
			}
		}},
		"a standby that is staged for a compromise": {after: func(t *testing.T, m *inmemory.Mastio) {
			m.Do(t, rotateca.Request{Mode: rotateca.Stage, Reason: "keyCompromise"})
		}},
	} {
		t.Run(name, func(t *testing.T) {
			m := inmemory.Open(t, memstore.Config{})
			if tt.before != nil {
				tt.before(t, m)
				until(t, m, m.Now().Add(every))
			}
			plan := planned(t, m, tt.req)
			tt.after(t, m)
			current := m.Org(t).Pointer.Current
			if _, err := m.RotateCA.Do(t.Context(), rotateca.Request{
				Mode: rotateca.Mint,
				At:   m.Now().Add(2 * time.Hour),
				By:   audit.By{Actor: "test"},
			}); !errors.Is(err, rotateca.ErrStale) {
				t.Errorf("moved a stale plan: %v", err)
			}
			if did := until(t, m, plan.Scheduled.At.Add(time.Hour)); len(did) != 1 {
				t.Errorf("the standby job spoke of it %d times", len(did))
			}
			org := m.Org(t)
			if org.Pointer.Current != current || org.Plan.State != orgca.PlanDropped || org.Plan.Why == "" {
				t.Errorf("generation %d, plan %+v", org.Pointer.Current, org.Plan)
			}
			if row := lastRow(t, m, audit.RotationDropped); row.Details["code"] != "plan_stale" || row.Details["why"] == "" {
				t.Errorf("row: %v", row.Details)
			}
			if w := warned(t, m); !slices.Contains(w, warnings.PlanStale) {
				t.Errorf("warnings = %v", w)
			}
			m.Do(t, rotateca.Request{Mode: rotateca.Cancel})
			if w := warned(t, m); slices.Contains(w, warnings.PlanStale) {
				t.Errorf("after an operator has looked: warnings = %v", w)
			}
		})
	}
}

// A rotation and its rollback, both between two runs of the standby job, leave the Org CA as the pre-flight showed it.
// The operator agreed to neither, so the plan is not carried out: the rollback drops it.
func TestRollbackRevivesNoPlan(t *testing.T) {
	for _, mode := range []rotateca.Mode{rotateca.Rollback, rotateca.Return} {
		m := inmemory.Open(t, memstore.Config{})
		plan := planned(t, m, rotateca.Request{})
		m.Do(t, rotateca.Request{Mode: rotateca.Mint})
		back := m.Do(t, rotateca.Request{Mode: mode})
		org := m.Org(t)
		if org.Pointer.Current != 1 || org.Plan.State != orgca.PlanDropped || org.Plan.Why == "" {
			t.Errorf("%s: generation %d, plan %+v", mode, org.Pointer.Current, org.Plan)
		}
		if back.Audit.Seq != org.Head.Seq || back.Audit.Hash != org.Head.Hash {
			t.Errorf("%s: the answer names row %d, the chain ends in %d", mode, back.Audit.Seq, org.Head.Seq)
		}
		row := lastRow(t, m, audit.RotationDropped)
		if row.Seq != org.Head.Seq-1 || row.Actor != "test" || row.Details["fingerprint"] != plan.Fingerprint ||
			row.Details["code"] != "plan_stale" || row.Details["why"] != org.Plan.Why {
			t.Errorf("%s: row %d: %+v", mode, row.Seq, row)
		}
		if did := until(t, m, plan.Scheduled.At.Add(time.Hour)); len(did) > 0 || m.Org(t).Pointer.Current != 1 {
			t.Errorf("%s: carried out or dropped once more at %v", mode, did)
		}
		if w := warned(t, m); !slices.Contains(w, warnings.PlanStale) {
			t.Errorf("%s: warnings = %v", mode, w)
		}
	}
}

// A staged upload waits for its date beyond its seven days, and no longer than its plan.
func TestPlannedUploadIsKept(t *testing.T) {
	for _, cancelled := range []bool{false, true} {
		m := inmemory.Open(t, memstore.Config{})
		ca := files(t, pkitest.Root(t, "operator", 1, m.Now()))
		staged := m.Do(t, rotateca.Request{Mode: rotateca.Stage, Upload: ca})
		at := m.Now().Add(30 * 24 * time.Hour)
		planned(t, m, rotateca.Request{Mode: rotateca.Commit, Fingerprint: staged.Fingerprint, At: at, SkipBackup: true})
		m.Advance(8 * 24 * time.Hour)
		if _, err := m.Standby.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if g, _ := m.Org(t).Generation(staged.Generation); g.State != orgca.Staged {
			t.Errorf("after eight days the upload is %s", g.State)
		}
		if cancelled {
			m.Do(t, rotateca.Request{Mode: rotateca.Cancel})
		}
		m.Advance(at.Sub(m.Now()))
		if _, err := m.Standby.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		want := map[bool]orgca.State{false: orgca.Current, true: orgca.Failed}[cancelled]
		if g, _ := m.Org(t).Generation(staged.Generation); g.State != want {
			t.Errorf("cancelled %t: at the date the upload is %s, want %s", cancelled, g.State, want)
		}
	}
}

// A standby that is fit now and not at the date is not pinned: another one is made, and it is still there at the date.
func TestPlanOfAStandbyThatWouldNotLast(t *testing.T) {
	m := inmemory.Open(t, memstore.Config{})
	old, _ := m.Org(t).Standby(m.Now())
	m.Advance(old.Validity().Until.Add(-orgca.LongestAgent - 10*24*time.Hour).Sub(m.Now()))
	if _, err := m.Standby.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if g, ok := m.Org(t).Standby(m.Now()); !ok || g.Number != old.Number {
		t.Fatalf("the standby is %d, want %d", g.Number, old.Number)
	}
	at := m.Now().Add(30 * 24 * time.Hour)
	plan := planned(t, m, rotateca.Request{At: at})
	for m.Now().Before(at) {
		m.Advance(6 * 24 * time.Hour)
		if _, err := m.Standby.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	org := m.Org(t)
	if org.Pointer.Fingerprint != plan.Scheduled.Fingerprint || org.Pointer.Fingerprint == old.Fingerprint() {
		t.Errorf("generation %d is current, plan %+v", org.Pointer.Current, org.Plan)
	}
}

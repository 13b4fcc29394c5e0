package orgca_test

import (
	"errors"
	"testing"
	"time"

	"github.com/mastio-aws/mastio/shared/orgca"
)

func TestAhead(t *testing.T) {
	now := time.Date(2026, 11, 24, 4, 0, 0, 0, time.UTC)
	for ahead, want := range map[time.Duration]error{
		-time.Hour:                         orgca.ErrAt,
		time.Minute - time.Millisecond:     orgca.ErrAt,
		time.Minute:                        nil,
		90 * 24 * time.Hour:                nil,
		90*24*time.Hour + time.Millisecond: orgca.ErrAt,
		100 * 365 * 24 * time.Hour:         orgca.ErrAt,
	} {
		if err := orgca.Ahead(now.Add(ahead), now); !errors.Is(err, want) || (err == nil) != (want == nil) {
			t.Errorf("%s ahead: %v, want %v", ahead, err, want)
		}
	}
}

// The plan goes stale with what the pre-flight showed, and with nothing else.
func TestStale(t *testing.T) {
	now := time.Date(2026, 11, 24, 4, 0, 0, 0, time.UTC)
	next := orgca.Generation{Number: 4, State: orgca.Staged, Root: []byte("four"), NotAfter: now.AddDate(15, 0, 0)}
	day := 24 * time.Hour
	type state struct {
		plan    orgca.Plan
		pointer *orgca.Pointer
		all     []orgca.Generation
		now     time.Time
	}
	overlaps := func(until ...time.Duration) (all []orgca.Overlap) {
		for i, u := range until {
			all = append(all, orgca.Overlap{Generation: int64(2 - i), Until: now.Add(u)})
		}
		return all
	}
	for name, tt := range map[string]struct {
		change func(*state)
		stale  bool
	}{
		"as it was shown": {func(*state) {}, false},
		"at its date":     {func(s *state) { s.now = s.plan.At }, false},
		"another standby was staged": {func(s *state) {
			s.all = append(s.all, orgca.Generation{Number: 5})
		}, false},
		"a row, a lease, the way back": {func(s *state) {
			s.pointer.Fence, s.pointer.Previous = 99, 0
		}, false},
		"an overlap ended at its shown end": {func(s *state) { s.now = now.Add(2 * day) }, false},
		"and is off the pointer": {func(s *state) {
			s.now, s.pointer.Accepted = now.Add(2*day), overlaps(3*day)
		}, false},
		"an overlap was ended early": {func(s *state) { s.pointer.Accepted = overlaps(3 * day) }, true},
		"every overlap was ended":    {func(s *state) { s.pointer.Accepted = nil }, true},
		"an overlap lasts longer": {func(s *state) {
			s.pointer.Accepted = overlaps(3*day, 4*day)
		}, true},
		"another generation is in an overlap": {func(s *state) { s.pointer.Accepted[0].Generation = 7 }, true},
		"another Org CA is current":           {func(s *state) { s.pointer.Current = 4 }, true},
		"a rollback":                          {func(s *state) { s.pointer.Current = 2 }, true},
		"no Org CA":                           {func(s *state) { s.pointer = nil }, true},
		"its CA was discarded":                {func(s *state) { s.all[0].State = orgca.Failed }, true},
		"its CA was committed":                {func(s *state) { s.all[0].State = orgca.Current }, true},
		"its CA is gone":                      {func(s *state) { s.all = nil }, true},
		"another CA has its number":           {func(s *state) { s.all[0].Root = []byte("other") }, true},
		"it was staged for a compromise":      {func(s *state) { s.all[0].Reason = "keyCompromise" }, true},
		"a privilege was withdrawn":           {func(s *state) { s.all[0].Reason = "privilegeWithdrawn" }, true},
		"its CA ends after its date":          {func(s *state) { s.all[0].NotAfter = now.Add(30 * day) }, false},
		"a clock that was far ahead gave it":  {func(s *state) { s.plan.At = now.Add(98 * day) }, true},
		"a clock that was a week ahead":       {func(s *state) { s.plan.At = now.Add(97 * day) }, false},
		"late, its CA has ended": {func(s *state) {
			s.all[0].NotAfter, s.now = now.Add(30*day), now.Add(31*day)
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := state{
				plan: orgca.Plan{
					State:       orgca.PlanScheduled,
					At:          now.Add(day),
					Current:     3,
					Fingerprint: next.Fingerprint(),
					Accepted:    overlaps(3*day, day+time.Hour),
				},
				pointer: &orgca.Pointer{Current: 3, Accepted: overlaps(3*day, day+time.Hour)},
				all:     []orgca.Generation{next},
				now:     now,
			}
			tt.change(&s)
			if why := s.plan.Stale(s.pointer, s.all, s.now); (why != "") != tt.stale {
				t.Errorf("stale because %q, want stale %t", why, tt.stale)
			}
		})
	}
}

// A state that this release does not know is no order to rotate.
func TestOnlyAScheduledPlanIsPending(t *testing.T) {
	for _, s := range []orgca.PlanState{"", "Scheduled", orgca.PlanDone, orgca.PlanDropped, orgca.PlanCancelled} {
		if (orgca.Plan{State: s}).Pending() {
			t.Errorf("a plan in the state %q waits for its date", s)
		}
	}
	if !(orgca.Plan{State: orgca.PlanScheduled}).Pending() {
		t.Error("a scheduled plan does not wait")
	}
}

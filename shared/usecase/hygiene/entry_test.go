package hygiene_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
	"github.com/mastio-aws/mastio/shared/usecase/agentcert"
	"github.com/mastio-aws/mastio/shared/usecase/enroll"
	"github.com/mastio-aws/mastio/shared/usecase/hygiene"
	"github.com/mastio-aws/mastio/test/inmemory"
)

// entered is where the due index has an agent.
func entered(t *testing.T, m *inmemory.Mastio, id agent.ID) time.Time {
	t.Helper()
	at, _ := stored(t, m, id).Entry()
	return at
}

func rotate(t *testing.T, m *inmemory.Mastio, id agent.ID) {
	t.Helper()
	if _, err := m.Rotate(t.Context(), id); err != nil {
		t.Fatal(err)
	}
}

// A rotation leaves the agent's entry in the due index. Hygiene moves it before a list of what is due within 90 days
// has the agent, without a row, and finds the agent when its certificate is due.
func TestEarlyEntryIsMovedInTime(t *testing.T) {
	m := fresh(t, memstore.Config{})
	id := admit(t, m, "a", agent.Notify).Agent.ID
	first := entered(t, m, id)
	m.Advance(100 * day)
	rotate(t, m, id)
	if at := entered(t, m, id); !at.Equal(first) {
		t.Fatalf("the rotation moved the entry from %v to %v", first, at)
	}
	due, _ := stored(t, m, id).Due()
	m.Advance(first.Sub(m.Now()) - agent.Foresight - agent.Correction - time.Minute)
	run(t, m, hygiene.Report{})
	if at := entered(t, m, id); !at.Equal(first) {
		t.Errorf("moved too early, from %v to %v", first, at)
	}
	for _, changes := range []int{1, 0} { // the next daily run moves it; another one has nothing to move
		m.Advance(day)
		before := m.Store.Calls()["Apply"]
		run(t, m, hygiene.Report{})
		if at := entered(t, m, id); !at.Equal(due) {
			t.Errorf("the entry is at %v, due %v", at, due)
		}
		if listed, err := m.Enroll.Due(t.Context(), agent.Foresight, 10, ""); err != nil || len(listed.Agents) > 0 {
			t.Errorf("listed as due within 90 days: %v, %v", listed.Agents, err)
		}
		if made := m.Store.Calls()["Apply"] - before; made != changes {
			t.Errorf("%d changes, want %d", made, changes)
		}
	}
	m.Advance(due.Sub(m.Now()))
	run(t, m, hygiene.Report{Due: 1, Notified: 1})
	if diff := cmp.Diff([]audit.Event{audit.AgentEnrolled, audit.AgentCertRotated, audit.AgentCertDue},
		events(t, m, id)); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

// No run while the entry comes near: the run that finds it due moves it. A run that fails there leaves it, so does one
// that dies after the move.
func TestEarlyEntryThatIsSeenLate(t *testing.T) {
	for name, fault := range map[string]memstore.Fault{"no fault": memstore.None, "refused": memstore.Refuse,
		"lost": memstore.Lose, "half": memstore.HalfAck} {
		var armed bool
		m := fresh(t, memstore.Config{Fault: func(op string) memstore.Fault {
			if armed && op == "Apply" {
				return fault
			}
			return memstore.None
		}})
		id := admit(t, m, "a", agent.SecretsManager).Agent.ID
		first := entered(t, m, id)
		m.Advance(100 * day)
		rotate(t, m, id)
		due, _ := stored(t, m, id).Due()
		m.Advance(first.Sub(m.Now()) + time.Hour)
		armed = true
		r, err := m.Hygiene.Run(t.Context())
		armed = false
		if at := entered(t, m, id); err != nil || at.After(due) || fault == memstore.None &&
			(!at.Equal(due) || r != hygiene.Report{}) {
			t.Errorf("%s: %+v, %v; the entry is at %v, due %v", name, r, err, at, due)
		}
		if fault != memstore.None && r.Failed != 1 {
			t.Errorf("%s: %+v, want a failure", name, r)
		}
		run(t, m, hygiene.Report{})
		if at := entered(t, m, id); !at.Equal(due) {
			t.Errorf("%s: after the next run the entry is at %v, due %v", name, at, due)
		}
		m.Advance(due.Sub(m.Now()))
		run(t, m, hygiene.Report{Due: 1, Rotated: 1})
	}
}

// An agent whose entry is early is deactivated, or gets a certificate that is due before it: the entry goes with the
// record.
func TestEarlyEntryFollowsTheRecord(t *testing.T) {
	m := fresh(t, memstore.Config{})
	id := admit(t, m, "a", agent.Notify).Agent.ID
	m.Advance(100 * day)
	rotate(t, m, id)
	m.Advance(day)
	if _, err := m.RotateCert.Rotate(t.Context(), agentcert.RotateRequest{
		Agent:    id,
		Material: agentcert.KeyRequest{ValidityDays: 30},
		By:       audit.By{Actor: "test"},
	}); err != nil {
		t.Fatal(err)
	}
	if due, _ := stored(t, m, id).Due(); !entered(t, m, id).Equal(due) || due.After(m.Now().Add(30*day)) {
		t.Errorf("due %v, entry %v", due, entered(t, m, id))
	}
	m.Advance(20 * day)
	run(t, m, hygiene.Report{Due: 1, Notified: 1})
	b := admit(t, m, "b", agent.Notify).Agent.ID
	m.Advance(day)
	rotate(t, m, b)
	if err := m.Enroll.Deactivate(t.Context(), enroll.Deactivation{Agent: b, By: audit.By{Actor: "test"}}); err != nil {
		t.Fatal(err)
	}
	if at := entered(t, m, b); !at.IsZero() {
		t.Errorf("a deactivated agent's entry is at %v", at)
	}
}

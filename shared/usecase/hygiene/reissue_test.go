package hygiene_test

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
	"github.com/mastio-aws/mastio/shared/usecase/enroll"
	"github.com/mastio-aws/mastio/shared/usecase/hygiene"
	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
	"github.com/mastio-aws/mastio/test/inmemory"
)

func swap(t *testing.T, m *inmemory.Mastio, overlap time.Duration) {
	t.Helper()
	if _, err := m.RotateCA.Do(t.Context(), rotateca.Request{
		Mode:    rotateca.Mint,
		Overlap: overlap,
		By:      audit.By{Actor: "test"},
	}); err != nil {
		t.Fatal(err)
	}
}

// reissues runs the job every minute until the re-issue is finished.
func reissues(t *testing.T, m *inmemory.Mastio) orgca.Reissue {
	t.Helper()
	for range 30 {
		if _, err := m.Hygiene.Reissue(t.Context()); err != nil {
			t.Errorf("re-issue: %v", err)
		}
		if r := reissue(t, m); r.State == orgca.Finished {
			return r
		}
		m.Advance(time.Minute)
	}
	t.Fatalf("not finished after half an hour: %+v", reissue(t, m))
	return orgca.Reissue{}
}

func reissue(t *testing.T, m *inmemory.Mastio) orgca.Reissue {
	t.Helper()
	org, err := m.Store.Org(t.Context())
	if err != nil || org.Reissue == nil {
		t.Fatalf("re-issue %v, %v", org.Reissue, err)
	}
	return *org.Reissue
}

// Whatever the overlap, a rotation ends with every agent moved that can be, and every other owner notified, each on
// record once.
func TestReissueMovesTheFleet(t *testing.T) {
	for _, overlap := range []time.Duration{0, time.Hour} {
		m := fresh(t, memstore.Config{})
		secret := admit(t, m, "secret", agent.SecretsManager)
		notified := admit(t, m, "notified", agent.Notify)
		swap(t, m, overlap)
		r := reissues(t, m)
		want := orgca.ReissueCounts{Delivered: 1, Notified: 1, Waiting: 1}
		if diff := cmp.Diff(want, r.ReissueCounts); diff != "" {
			t.Errorf("overlap %s: counts (-want +got):\n%s", overlap, diff)
		}
		if diff := cmp.Diff([]audit.Event{audit.AgentEnrolled, audit.AgentCertRotated},
			events(t, m, secret.Agent.ID)); diff != "" {
			t.Errorf("events of a delivery (-want +got):\n%s", diff)
		}
		notice := []audit.Event{audit.AgentEnrolled, audit.AgentCertDue}
		if diff := cmp.Diff(notice, events(t, m, notified.Agent.ID)); diff != "" {
			t.Errorf("events of a notice (-want +got):\n%s", diff)
		}
		counts(t, m, "the old certificate before the new one is used", string(secret.Certificate.CertPEM), overlap > 0)
		counts(t, m, "the new certificate", read(t, m, secret.Agent.ID).CertPEM, true)
		counts(t, m, "the old certificate", string(secret.Certificate.CertPEM), false)
		counts(t, m, "the certificate of the agent that did not move", string(notified.Certificate.CertPEM), overlap > 0)
		applied := m.Store.Calls()["Apply"]
		m.Advance(time.Hour)
		if got, err := m.Hygiene.Reissue(t.Context()); err != nil || got != (hygiene.ReissueReport{}) {
			t.Errorf("a run after the end: %+v, %v", got, err)
		}
		if n := m.Store.Calls()["Apply"] - applied; n != 0 {
			t.Errorf("%d writes after the end, want none", n)
		}
	}
}

// The notice says which Org CA, and until when the agent can move. The owner is notified once more about the next one.
func TestNoticeNamesTheDeadline(t *testing.T) {
	m := fresh(t, memstore.Config{})
	a := admit(t, m, "a", agent.Notify)
	swap(t, m, time.Hour)
	until := m.Now().Add(time.Hour)
	reissues(t, m)
	rows, err := m.Store.Rows(t.Context(), string(a.Agent.ID), 1, 10)
	if err != nil || len(rows) != 1 {
		t.Fatalf("rows %v, %v", rows, err)
	}
	d := rows[0].Details
	if d["deadline"] != audit.Stamp(until) || d["org_ca_generation"] != 2.0 || d["generation"] != 1.0 {
		t.Errorf("the notice says %v, want generation 1, Org CA 2 and %v", d, until)
	}
	if got, notified := stored(t, m, a.Agent.ID).Due(); notified || got.IsZero() {
		t.Errorf("due %v, notified of it %v: a notice about the Org CA is none about the certificate's age", got, notified)
	}
	if _, err := m.Standby.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	swap(t, m, 0)
	reissues(t, m)
	if diff := cmp.Diff([]audit.Event{audit.AgentEnrolled, audit.AgentCertDue, audit.AgentCertDue},
		events(t, m, a.Agent.ID)); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

// A rollback brings what has moved back under the Org CA before.
func TestReissueGoesBackwards(t *testing.T) {
	m := fresh(t, memstore.Config{})
	a := admit(t, m, "a", agent.SecretsManager)
	swap(t, m, time.Hour)
	reissues(t, m)
	counts(t, m, "the moved certificate", read(t, m, a.Agent.ID).CertPEM, true)
	if _, err := m.RotateCA.Do(t.Context(), rotateca.Request{
		Mode: rotateca.Rollback,
		By:   audit.By{Actor: "test"},
	}); err != nil {
		t.Fatal(err)
	}
	if r := reissue(t, m); r.Generation != 1 || r.From != 2 || r.State != orgca.Running {
		t.Fatalf("the rollback began %+v", r)
	}
	reissues(t, m)
	if got := stored(t, m, a.Agent.ID).Pin().Generation; got != 1 {
		t.Errorf("newest pin of generation %d, want 1", got)
	}
	counts(t, m, "what is in the secret after the rollback", read(t, m, a.Agent.ID).CertPEM, true)
}

// Only a running re-issue of the present pointer works, and no agent moves outside of its wave.
func TestReissueWaitsForItsState(t *testing.T) {
	for _, c := range []struct {
		name  string
		edit  func(*orgca.Reissue)
		moves bool
	}{
		{"running", func(*orgca.Reissue) {}, true},
		{"paused", func(r *orgca.Reissue) { r.State = orgca.Paused }, false},
		{"halted", func(r *orgca.Reissue) { r.State = orgca.Halted }, false},
		{"unknown", func(r *orgca.Reissue) { r.State = "going" }, false},
		{"put off", func(r *orgca.Reissue) { r.Next = inmemory.Start.Add(5 * time.Minute) }, false},
		{"put off by a run of the future", func(r *orgca.Reissue) { r.Next = inmemory.Start.Add(day) }, true},
		{"in a later wave", func(r *orgca.Reissue) { r.Bound = 0 }, false},
		{"at work", func(r *orgca.Reissue) { r.Under = inmemory.Start.Add(-time.Minute) }, false},
		{"left by a run that died", func(r *orgca.Reissue) { r.Under = inmemory.Start.Add(-2 * time.Minute) }, true},
		{"left by a run of the future", func(r *orgca.Reissue) { r.Under = inmemory.Start.Add(day) }, true},
	} {
		m := fresh(t, memstore.Config{})
		a := admit(t, m, "a", agent.SecretsManager)
		swap(t, m, time.Hour)
		r := reissue(t, m)
		c.edit(&r)
		if err := m.Store.Apply(t.Context(), registry.Change{ID: "edit", Reissue: &r}); err != nil {
			t.Fatal(err)
		}
		if _, err := m.Hygiene.Reissue(t.Context()); err != nil {
			t.Error(err)
		}
		if moved := stored(t, m, a.Agent.ID).Pin().Generation == 2; moved != c.moves {
			t.Errorf("%s: moved %v, want %v", c.name, moved, c.moves)
		}
	}
}

// What cannot wait for a wave: an agent whose certificate has stopped already.
func TestDeadAgentsWaitForNoWave(t *testing.T) {
	m := fresh(t, memstore.Config{})
	a := admit(t, m, "a", agent.SecretsManager)
	swap(t, m, 0)
	r := reissue(t, m)
	r.Bound = 0
	if err := m.Store.Apply(t.Context(), registry.Change{ID: "edit", Reissue: &r}); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Hygiene.Reissue(t.Context()); err != nil {
		t.Error(err)
	}
	counts(t, m, "the new certificate", read(t, m, a.Agent.ID).CertPEM, true)
}

// One agent whose delivery fails delays no other, and is tried again.
func TestFailedDeliveryIsTriedAgain(t *testing.T) {
	m := fresh(t, memstore.Config{})
	one, other := admit(t, m, "one", agent.SecretsManager), admit(t, m, "other", agent.SecretsManager)
	swap(t, m, time.Hour)
	var failed atomic.Bool
	m.Secrets.Fault = func(op string, after bool) error {
		if op == "Stage" && !after && failed.CompareAndSwap(false, true) {
			return errors.New("no such key")
		}
		return nil
	}
	if _, err := m.Hygiene.Reissue(t.Context()); err != nil {
		t.Error(err)
	}
	if r := reissue(t, m); r.Failed != 1 || r.Delivered != 1 || r.State != orgca.Running {
		t.Errorf("after one of two deliveries has failed: %+v", r)
	}
	if r := reissues(t, m); r.Failed != 0 || r.Delivered != 2 {
		t.Errorf("at the end: %+v", r)
	}
	for _, a := range []enroll.Result{one, other} {
		counts(t, m, "the new certificate", read(t, m, a.Agent.ID).CertPEM, true)
	}
}

// Every call of a run fails from some point on, before or after its effect, or takes effect late. The runs after it
// end with one row and one certificate for each agent.
func TestReissueCrashAtEveryCall(t *testing.T) {
	for _, overlap := range []time.Duration{0, 2 * time.Hour} {
		for _, write := range []memstore.Fault{memstore.Lose, memstore.HalfAck, memstore.Late} {
			for n := 1; ; n++ {
				if crashReissue(t, n, write, overlap) {
					if n < 10 {
						t.Fatalf("a re-issue is over after %d calls: the calls are not counted", n)
					}
					t.Logf("overlap %s, fault %d: %d calls", overlap, write, n-1)
					break
				}
			}
		}
	}
}

// crashReissue has call number n fail, and every one after it; done: there is no such call.
func crashReissue(t *testing.T, n int, write memstore.Fault, overlap time.Duration) (done bool) {
	t.Helper()
	armed, left := false, n
	var mu sync.Mutex // the run works on several agents at once
	m := fresh(t, memstore.Config{Fault: func(op string) memstore.Fault {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case !armed:
			return memstore.None
		case left == 0:
			return memstore.Refuse
		}
		if left--; left > 0 {
			return memstore.None
		}
		if op != "Apply" {
			return memstore.Refuse
		}
		return write
	}})
	crashed := errors.New("crash")
	after := write == memstore.HalfAck
	fault := func(_ string, isAfter bool) error {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case !armed:
		case left == 0:
			return crashed
		case isAfter == after:
			if left--; left == 0 {
				return crashed
			}
		}
		return nil
	}
	m.Secrets.Fault, m.Keys.Fault = fault, fault
	a, b := admit(t, m, "a", agent.SecretsManager), admit(t, m, "b", agent.Notify)
	old := string(a.Certificate.CertPEM)
	swap(t, m, overlap)
	armed = true
	if _, err := m.Hygiene.Reissue(t.Context()); err == nil {
		done = left > 0
	}
	armed = false
	what := fmt.Sprintf("overlap %s, fault %d, call %d", overlap, write, n)
	counts(t, m, what+": the old certificate after the crash", old, overlap > 0)
	keysAreSomewhere(t, m, a.Agent.ID)
	m.Store.Deliver()
	m.Advance(2 * time.Minute)
	r := reissues(t, m)
	m.Store.Deliver()
	keysAreSomewhere(t, m, a.Agent.ID)
	if r.Failed != 0 || r.Waiting != 1 || !r.Under.IsZero() {
		t.Errorf("%s: the end is %+v", what, r)
	}
	if diff := cmp.Diff([]audit.Event{audit.AgentEnrolled, audit.AgentCertRotated}, events(t, m, a.Agent.ID)); diff != "" {
		t.Errorf("%s: events of the delivery (-want +got):\n%s", what, diff)
	}
	if diff := cmp.Diff([]audit.Event{audit.AgentEnrolled, audit.AgentCertDue}, events(t, m, b.Agent.ID)); diff != "" {
		t.Errorf("%s: events of the notice (-want +got):\n%s", what, diff)
	}
	counts(t, m, what+": the old certificate before the new one's first use", old, overlap > 0)
	counts(t, m, what+": the new certificate", read(t, m, a.Agent.ID).CertPEM, true)
	return done
}

// An agent that renews its certificate itself is left to its slot; its owner is notified once the slot is over.
func TestAgentsThatRenewKeepTheirSlot(t *testing.T) {
	m := fresh(t, memstore.Config{})
	a := admit(t, m, "a", agent.Notify)
	renewed := stored(t, m, a.Agent.ID)
	renewed.Pins[0].Renewed = m.Now()
	if err := m.Store.Apply(t.Context(), registry.Change{ID: "renewed", Agent: &renewed}); err != nil {
		t.Fatal(err)
	}
	const overlap = 9 * time.Hour
	swap(t, m, overlap)
	m.Advance(2 * time.Minute)
	if _, err := m.Hygiene.Reissue(t.Context()); err != nil {
		t.Fatal(err)
	}
	if r := reissue(t, m); r.Renewing != 1 || r.Notified != 0 || r.State != orgca.Running {
		t.Errorf("in the slot: %+v", r)
	}
	m.Advance(overlap / 3 * 2)
	if r := reissues(t, m); r.Renewing != 0 || r.Notified != 1 {
		t.Errorf("after the slot: %+v", r)
	}
}

// Who switches delivery on after the re-issue gets what it would have delivered.
func TestDeliveryThatIsSwitchedOnLate(t *testing.T) {
	m := fresh(t, memstore.Config{})
	a := admit(t, m, "a", agent.Notify)
	swap(t, m, 0)
	reissues(t, m)
	if _, err := m.Enroll.SetHygiene(t.Context(), enroll.Policy{
		Agent:   a.Agent.ID,
		Deliver: agent.SecretsManager,
		By:      audit.By{Actor: "test"},
	}); err != nil {
		t.Fatal(err)
	}
	run(t, m, hygiene.Report{Due: 1, Rotated: 1})
	counts(t, m, "the new certificate", read(t, m, a.Agent.ID).CertPEM, true)
}

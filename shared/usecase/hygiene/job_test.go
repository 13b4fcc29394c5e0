package hygiene_test

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
	"github.com/mastio-aws/mastio/shared/usecase/enroll"
	"github.com/mastio-aws/mastio/shared/usecase/hygiene"
	"github.com/mastio-aws/mastio/test/inmemory"
)

func order(t *testing.T, m *inmemory.Mastio, f registry.Filter) registry.Job {
	t.Helper()
	o := enroll.Order{By: audit.By{Actor: "test"}, Filter: f, All: f == registry.Filter{}}
	job, err := m.Enroll.RotateMany(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return job
}

// ended fails unless the job is over, with these counts.
func ended(t *testing.T, m *inmemory.Mastio, id string, want registry.JobCounts) {
	t.Helper()
	job, err := m.Enroll.Job(t.Context(), id)
	if err != nil || job.Open() || job.JobCounts != want {
		t.Errorf("job %+v, %v; want it ended with %+v", job, err, want)
	}
}

func chain(t *testing.T, m *inmemory.Mastio, id agent.ID, want ...audit.Event) {
	t.Helper()
	if diff := cmp.Diff(append([]audit.Event{audit.AgentEnrolled}, want...), events(t, m, id)); diff != "" {
		t.Errorf("events of %s (-want +got):\n%s", id, diff)
	}
}

func TestJob(t *testing.T) {
	m := fresh(t, memstore.Config{})
	a, b := admit(t, m, "a", agent.SecretsManager), admit(t, m, "b", agent.Notify)
	c, gone := admit(t, m, "c", agent.SecretsManager), admit(t, m, "gone", agent.SecretsManager)
	by := audit.By{Actor: "test"}
	if err := m.Enroll.Deactivate(t.Context(), enroll.Deactivation{Agent: gone.Agent.ID, By: by}); err != nil {
		t.Fatal(err)
	}
	m.Advance(time.Hour)
	all := order(t, m, registry.Filter{})
	if _, err := m.Enroll.RotateMany(t.Context(), enroll.Order{All: true}); !errors.Is(err, enroll.ErrJobRunning) {
		t.Errorf("a second job at once: %v", err)
	}
	run(t, m, hygiene.Report{})
	ended(t, m, all.ID, registry.JobCounts{Reissued: 2, Notified: 1})
	run(t, m, hygiene.Report{})
	m.Advance(time.Hour)
	one := order(t, m, registry.Filter{Name: "A"})
	run(t, m, hygiene.Report{})
	ended(t, m, one.ID, registry.JobCounts{Reissued: 1})
	chain(t, m, a.Agent.ID, audit.AgentCertRotated, audit.AgentCertRotated)
	chain(t, m, b.Agent.ID, audit.AgentCertDue)
	chain(t, m, c.Agent.ID, audit.AgentCertRotated)
	chain(t, m, gone.Agent.ID, audit.AgentDeactivated)
	counts(t, m, "the delivered certificate", read(t, m, a.Agent.ID).CertPEM, true)
	rows, err := m.Store.Rows(t.Context(), string(b.Agent.ID), 1, 1)
	if err != nil || rows[0].Details["job_id"] != all.ID || rows[0].Details["ordered_by"] != "test" {
		t.Errorf("row %+v, %v", rows, err)
	}
	if _, told := stored(t, m, b.Agent.ID).Due(); told {
		t.Error("the schedule does not notify any more when the certificate is due")
	}
}

// Every call of a job's run from some point on fails, before or after its effect. The next runs complete the job: one
// row for each agent, each counted once, and the secret holds the certificate that counts.
func TestJobCrashAtEveryCall(t *testing.T) {
	for n := 1; ; n++ {
		done := false
		for _, after := range []bool{false, true} {
			done = crashOfAJob(t, n, after) || done
		}
		if done {
			if n < 12 {
				t.Fatalf("a job is over after %d calls: the calls are not counted", n)
			}
			t.Logf("crashed at each of %d calls", n-1)
			return
		}
	}
}

func crashOfAJob(t *testing.T, n int, after bool) (done bool) {
	t.Helper()
	var calls atomic.Int64
	var armed atomic.Bool
	last := int64(n)
	m := fresh(t, memstore.Config{Fault: func(op string) memstore.Fault {
		if !armed.Load() {
			return memstore.None
		}
		switch call := calls.Add(1); {
		case call < last:
			return memstore.None
		case call > last || op != "Apply":
			return memstore.Refuse
		case after:
			return memstore.HalfAck
		}
		return memstore.Lose
	}})
	crashed := errors.New("crash")
	m.Secrets.Fault = func(_ string, isAfter bool) error {
		if !armed.Load() || isAfter && (!after || calls.Load() != last) {
			return nil
		}
		if !isAfter && (calls.Add(1) < last || after && calls.Load() == last) {
			return nil
		}
		return crashed
	}
	ids := []agent.ID{admit(t, m, "a", agent.SecretsManager).Agent.ID, admit(t, m, "b", agent.SecretsManager).Agent.ID,
		admit(t, m, "c", agent.Notify).Agent.ID}
	m.Advance(time.Hour)
	job := order(t, m, registry.Filter{})

	armed.Store(true)
	_, _ = m.Hygiene.Run(t.Context()) // it may not even find out that it failed
	done = calls.Load() < last
	armed.Store(false)

	m.Advance(2 * time.Hour)
	for range 3 {
		if _, err := m.Hygiene.Run(t.Context()); err != nil {
			t.Errorf("call %d, after %t: next run: %v", n, after, err)
		}
	}
	ended(t, m, job.ID, registry.JobCounts{Reissued: 2, Notified: 1})
	for _, id := range ids[:2] {
		keysAreSomewhere(t, m, id)
		chain(t, m, id, audit.AgentCertRotated)
		if got := m.Secrets.All(hygiene.SecretName(id)); len(got) > 2 { // one that no pin names, of the run that died
			t.Errorf("call %d, after %t: %d versions of %s, want at most 2", n, after, len(got), id)
		}
		counts(t, m, "the delivered certificate", read(t, m, id).CertPEM, true)
	}
	chain(t, m, ids[2], audit.AgentCertDue)
	if t.Failed() {
		t.Fatalf("crash at call %d, after %t", n, after)
	}
	return done
}

// 250 agents take three pages. Each run dies after some calls more than the one before.
func TestJobIsKilledAndResumed(t *testing.T) {
	var calls, most atomic.Int64
	m := fresh(t, memstore.Config{Fault: func(string) memstore.Fault {
		if limit := most.Load(); limit > 0 && calls.Add(1) > limit {
			return memstore.Refuse
		}
		return memstore.None
	}})
	populate(t, m, 250, 0)
	job := order(t, m, registry.Filter{})
	runs := 0
	for open := true; open; runs++ {
		calls.Store(0)
		most.Store(int64(40 + 75*runs))
		_, err := m.Hygiene.Run(t.Context())
		most.Store(0)
		now, readErr := m.Enroll.Job(t.Context(), job.ID)
		if open = now.Open(); readErr != nil || runs > 50 {
			t.Fatalf("after %d runs: %+v, %v, %v", runs, now, err, readErr)
		}
	}
	if runs < 3 {
		t.Errorf("done after %d runs: none was killed", runs)
	}
	ended(t, m, job.ID, registry.JobCounts{Reissued: 125, Notified: 125})
	for n := range 250 {
		id := agent.ID(fmt.Sprintf("%s::agent-%05d", inmemory.OrgID, n))
		want := audit.AgentCertDue
		if n%2 == 1 {
			want = audit.AgentCertRotated
		}
		chain(t, m, id, want)
	}
}

// The page is written down only after an operator has rotated an agent that the job had dealt with.
func TestJobLeavesWhatAnOperatorRotated(t *testing.T) {
	var applied atomic.Int64
	applied.Store(-1 << 40)
	m := fresh(t, memstore.Config{Fault: func(op string) memstore.Fault {
		if op == "Apply" && applied.Add(1) > 1 { // pinned
			return memstore.Refuse
		}
		return memstore.None
	}})
	a := admit(t, m, "a", agent.SecretsManager)
	m.Advance(time.Hour)
	job := order(t, m, registry.Filter{})
	applied.Store(0)
	if _, err := m.Hygiene.Run(t.Context()); err == nil {
		t.Error("the job was written down")
	}
	applied.Store(-1 << 40)
	m.Advance(time.Hour)
	if _, err := m.Rotate(t.Context(), a.Agent.ID); err != nil {
		t.Fatal(err)
	}
	run(t, m, hygiene.Report{})
	ended(t, m, job.ID, registry.JobCounts{Reissued: 1})
	chain(t, m, a.Agent.ID, audit.AgentCertRotated, audit.AgentCertRotated)
}

func TestJobPutsOffAFailedDelivery(t *testing.T) {
	m := fresh(t, memstore.Config{})
	a := admit(t, m, "a", agent.SecretsManager)
	m.Advance(time.Hour)
	m.Secrets.Fault = func(string, bool) error { return errors.New("throttled") }
	job := order(t, m, registry.Filter{})
	run(t, m, hygiene.Report{})
	ended(t, m, job.ID, registry.JobCounts{Failed: 1})
	m.Secrets.Fault = nil
	run(t, m, hygiene.Report{})
	m.Advance(time.Hour)
	run(t, m, hygiene.Report{Due: 1, Rotated: 1})
	chain(t, m, a.Agent.ID, audit.AgentCertRotated)
}

// Where every delivery fails, the agents are not at fault: none is put off, and the page waits.
func TestJobWaitsThroughAnOutage(t *testing.T) {
	m := fresh(t, memstore.Config{})
	populate(t, m, 30, 0)
	job := order(t, m, registry.Filter{})
	m.Secrets.Fault = func(string, bool) error { return errors.New("throttled") }
	if _, err := m.Hygiene.Run(t.Context()); err == nil {
		t.Error("the run reports no outage")
	}
	none := registry.JobCounts{}
	if now, err := m.Enroll.Job(t.Context(), job.ID); err != nil || !now.Open() || now.JobCounts != none {
		t.Errorf("job %+v, %v", now, err)
	}
	m.Secrets.Fault = nil
	run(t, m, hygiene.Report{})
	ended(t, m, job.ID, registry.JobCounts{Reissued: 15, Notified: 15})
}

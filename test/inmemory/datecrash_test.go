package inmemory_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
	"github.com/mastio-aws/mastio/test/inmemory"
)

// death is a process that is killed at one of its remote calls: before the call is sent, or after it was carried out
// and before its answer came. Every later call fails.
type death struct {
	mu        sync.Mutex // a job works on several agents at once
	at, calls int        // at zero: it lives
	after     bool
	dying     string // it dies with the answer of this call, which runs
	last      string // the call at which it died
}

var errKilled = errors.New("killed")

// call counts a remote call. A dead one is not carried out; now says that the process dies with this one.
func (d *death) call(what string) (dead, now bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.at == 0 {
		return false, false
	}
	d.calls++
	if d.calls == d.at {
		d.last = what
	}
	return d.calls > d.at || d.calls == d.at && !d.after, d.calls == d.at
}

func (d *death) store(op string) memstore.Fault {
	switch dead, now := d.call("registry." + op); {
	case dead:
		return memstore.Refuse
	case now:
		return memstore.HalfAck
	}
	return memstore.None
}

// mortal is a Mastio whose processes die as d says.
func mortal(t *testing.T, d *death) *inmemory.Mastio {
	t.Helper()
	m := inmemory.Open(t, memstore.Config{Fault: d.store})
	d.reaches(m)
	return m
}

// reaches has the calls of all services die.
func (d *death) reaches(m *inmemory.Mastio) {
	m.Keys.Fault = func(op string, after bool) error { return d.service("keys."+op, after) }
	m.Secrets.Fault = func(op string, after bool) error { return d.service("secrets."+op, after) }
	m.Objects.Fault = func(after bool) error { return d.service("truststore", after) }
}

// service is asked before a call to a service and after it.
func (d *death) service(op string, after bool) error {
	if after {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.dying != op {
			return nil
		}
		d.dying = ""
		return errKilled
	}
	dead, now := d.call(op)
	if dead {
		return errKilled
	}
	if now {
		d.mu.Lock()
		d.dying = op
		d.mu.Unlock()
	}
	return nil
}

// swaps counts the rows of rotations.
func swaps(t *testing.T, m *inmemory.Mastio) (n int) {
	t.Helper()
	rows, err := m.Store.Rows(t.Context(), inmemory.OrgID, 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := audit.Verify(rows); err != nil {
		t.Errorf("the chain: %v", err)
	}
	for _, r := range rows {
		if r.EventType == audit.OrgCARotated {
			n++
		}
	}
	return n
}

// The standby job dies at each of its remote calls, on either side of the call. The next runs carry the rotation out
// once, whatever the dead run left.
func TestCrashOfTheScheduler(t *testing.T) {
	for _, after := range []bool{false, true} {
		for n := 1; ; n++ {
			d := &death{after: after}
			m := mortal(t, d)
			plan := planned(t, m, rotateca.Request{Overlap: time.Hour})
			m.Advance(time.Hour)
			d.at = n
			_, err := m.Standby.Run(t.Context())
			if d.last == "" {
				t.Logf("a run has %d remote calls", n-1)
				break
			}
			d.at = 0
			left := m.Org(t).Plan.State
			for range 2 { // a lease of the dead run may still be held
				m.Advance(every)
				if _, err := m.Standby.Run(t.Context()); err != nil {
					t.Errorf("call %d, %s: the next run: %v", n, d.last, err)
				}
			}
			org := m.Org(t)
			if got := swaps(t, m); got != 1 || org.Pointer.Fingerprint != plan.Scheduled.Fingerprint ||
				org.Plan.State != orgca.PlanDone || org.Pointer.Current != 2 {
				t.Errorf("call %d, %s (%v): %d rotations, generation %d, plan %s", n, d.last, err, got, org.Pointer.Current,
					org.Plan.State)
			}
			t.Logf("died %-6s call %2d, %-18s plan %-9s, then 1 rotation", side(after), n, d.last+":", left)
		}
	}
}

func side(after bool) string {
	return map[bool]string{false: "before", true: "after"}[after]
}

// The request that schedules dies at each of its remote calls. Repeated, it schedules, with one row.
func TestCrashOfTheRequestThatSchedules(t *testing.T) {
	for _, after := range []bool{false, true} {
		for n := 1; ; n++ {
			d := &death{after: after}
			m := mortal(t, d)
			m.Do(t, rotateca.Request{Mode: rotateca.Mint}) // takes the standby: one has to be made
			req := rotateca.Request{Mode: rotateca.Mint, At: m.Now().Add(time.Hour), By: audit.By{Actor: "test"}}
			d.at = n
			_, err := m.RotateCA.Do(t.Context(), req)
			if d.last == "" {
				t.Logf("the request has %d remote calls", n-1)
				break
			}
			d.at = 0
			left := m.Org(t).Plan.State
			m.Advance(orgca.LeaseTTL)
			planned(t, m, req)
			rows, _ := m.Store.Rows(t.Context(), inmemory.OrgID, 0, 1000)
			count := 0
			for _, r := range rows {
				if r.EventType == audit.RotationScheduled {
					count++
				}
			}
			if count != 1 || err == nil && left != orgca.PlanScheduled {
				t.Errorf("died %s call %d, %s (%v): %d rows", side(after), n, d.last, err, count)
			}
			until(t, m, req.At.Add(every))
			if got := swaps(t, m); got != 2 {
				t.Errorf("died %s call %d, %s: %d rotations", side(after), n, d.last, got)
			}
		}
	}
}

package e2e

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mastio-aws/mastio/shared/audit"
)

// recorded looks for an event among the organisation's last rows: on a deployment the schedule may have added rows
// after it.
func (m *target) recorded(t *testing.T, event audit.Event) bool {
	t.Helper()
	rows := m.chain(t, "orga")
	return slices.ContainsFunc(rows[max(0, len(rows)-6):], func(r audit.Row) bool { return r.EventType == event })
}

func (m *target) change(t *testing.T, query string) map[string]any {
	t.Helper()
	return m.operator().must(t, 200, "POST", "/pki/rotate-ca?"+query, m.admin(), nil).decode(t)
}

// An operator sees what will become current, commits exactly that, lets the fleet move in an overlap, and ends it.
func TestStageCommitOverlapFinalise(t *testing.T) {
	m := borrow(t)
	m.forget(t)
	agent := m.enrol(t, fresh("mover"))
	old := m.newClient(agent.certificate(t))
	seen := m.change(t, "mode=stage")
	if seen["status"] != "staged" || len(seen["chain"].([]any)) != 2 {
		t.Errorf("pre-flight = %v", seen)
	}
	old.must(t, 200, "POST", tokenPath, nil, nil)
	fingerprint := seen["fingerprint"].(string)

	rehearsed := m.change(t, "mode=commit&dry_run=true&fingerprint="+fingerprint)
	if rehearsed["dry_run"] != true || rehearsed["fingerprint"] != fingerprint {
		t.Errorf("dry run = %v", rehearsed)
	}
	a := m.operator().must(t, 404, "POST", "/pki/rotate-ca?mode=commit&fingerprint="+strings.Repeat("0", 64),
		m.admin(), nil)
	if a.code() != "staged_ca_not_found" {
		t.Errorf("another fingerprint: %s", a.body)
	}
	done := m.change(t, "mode=commit&overlap=3600&fingerprint="+fingerprint)
	if done["fingerprint"] != fingerprint || done["overlap_until"] == nil {
		t.Errorf("commit = %v", done)
	}
	old.must(t, 200, "POST", tokenPath, nil, nil)
	moved := m.rotate(t, agent.AgentID)
	old.must(t, 401, "POST", tokenPath, nil, nil)
	m.newClient(moved.certificate(t)).must(t, 200, "POST", tokenPath, nil, nil)

	late := m.enrol(t, fresh("late"))
	if ended := m.change(t, "mode=finalise"); ended["overlap_until"] != nil {
		t.Errorf("finalise = %v", ended)
	}
	m.newClient(late.certificate(t)).must(t, 200, "POST", tokenPath, nil, nil)
	a = m.operator().must(t, 409, "POST", "/pki/rotate-ca?mode=rollback", m.admin(), nil)
	if a.code() != "rollback_not_possible" {
		t.Errorf("rollback once finalised: %s", a.body)
	}
	if !m.recorded(t, audit.OverlapEnded) {
		t.Error("the end of the overlap is not on the record")
	}
}

// An agent that is in use stands in the way of a finalise that has to be safe, and of no other one.
func TestFinaliseWhenSafe(t *testing.T) {
	m := borrow(t)
	m.forget(t)
	busy := m.enrol(t, fresh("busy"))
	m.change(t, "mode=mint&overlap=3600")
	client := m.newClient(busy.certificate(t))
	waitFor(t, "the note of the agent's hour", func() bool {
		client.must(t, 200, "POST", tokenPath, nil, nil) // a note that fails is written with the next token
		of := m.operator().must(t, 200, "GET", "/v1/admin/agents/"+busy.AgentID, m.admin(), nil)
		return of.decode(t)["last_seen"] != nil
	})
	ends := m.change(t, "mode=finalise&dry_run=true")["cuts_off"].(map[string]any)
	if ends["agents"].(float64) < 1 || ends["seen"].(float64) < 1 {
		t.Errorf("a dry run cuts off %v", ends)
	}
	a := m.operator().must(t, 409, "POST", "/pki/rotate-ca?mode=finalise&if_safe=true", m.admin(), nil)
	if remain, ok := a.decode(t)["remain"].(map[string]any); a.code() != "agents_remain" || !ok ||
		len(remain["first"].([]any)) == 0 {
		t.Errorf("refusal: %s", a.body)
	}
	client.must(t, 200, "POST", tokenPath, nil, nil)
	if done := m.change(t, "mode=finalise"); done["cuts_off"] == nil {
		t.Errorf("finalise = %v", done)
	}
	client.must(t, 401, "POST", tokenPath, nil, nil)
}

func TestRollback(t *testing.T) {
	m := borrow(t)
	m.forget(t)
	m.standby(t)
	idle, moved := m.enrol(t, fresh("idle")), m.enrol(t, fresh("moved"))
	before := m.state(t).Pointer
	m.rotateCA(t)
	m.newClient(idle.certificate(t)).must(t, 401, "POST", tokenPath, nil, nil)
	newer := m.rotate(t, moved.AgentID)

	began := time.Now()
	result := m.change(t, "mode=rollback&reason=superseded")
	t.Logf("rolled back in %s", time.Since(began).Round(time.Millisecond))
	if result["fingerprint"] != before.Fingerprint {
		t.Errorf("rolled back to %v, want %s", result["fingerprint"], before.Fingerprint)
	}
	for _, i := range []credential{idle, moved} {
		m.newClient(i.certificate(t)).must(t, 200, "POST", tokenPath, nil, nil)
	}
	m.newClient(newer.certificate(t)).must(t, 401, "POST", tokenPath, nil, nil)
	m.rotateCA(t)
	m.standby(t)
	m.checkWhole(t)
}

// A rollback that dies at its commit has happened or has not, like the rotation that it undoes.
func TestRollbackKilledAtItsCommit(t *testing.T) {
	needsFaults(t)
	m := borrow(t)
	for _, after := range []bool{false, true} {
		m.forget(t)
		m.standby(t)
		agent := m.enrol(t, fresh("undone"))
		m.rotateCA(t)
		m.faults.set(&rule{
			call:   "dynamodb.TransactWriteItems",
			nth:    1,
			after:  after,
			strike: func() { m.Lambda.Kill("rotateca") },
		})
		m.operator().must(t, 502, "POST", "/pki/rotate-ca?mode=rollback", m.admin(), nil)
		m.faults.set(nil)
		want := map[bool]int{true: 200, false: 401}[after]
		m.newClient(agent.certificate(t)).must(t, want, "POST", tokenPath, nil, nil)
		m.checkWhole(t)
		m.recovers(t)
	}
}

// A fleet moves in an overlap while it works: no request of any agent is ever refused.
func TestFleetMovesWithoutAnOutage(t *testing.T) {
	m := borrow(t)
	m.forget(t)
	m.standby(t)
	agents := scaled(20, 5)
	fleet := make([]credential, agents)
	for i := range fleet {
		fleet[i] = m.enrol(t, fresh("steady"))
	}
	m.change(t, "mode=mint&overlap=600")
	for i, agent := range fleet {
		m.newClient(agent.certificate(t)).must(t, 200, "POST", tokenPath, nil, nil)
		fleet[i] = m.rotate(t, agent.AgentID)
		m.newClient(fleet[i].certificate(t)).must(t, 200, "POST", tokenPath, nil, nil)
	}
	m.change(t, "mode=finalise")
	for _, agent := range fleet {
		m.newClient(agent.certificate(t)).must(t, 200, "POST", tokenPath, nil, nil)
	}
}

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
func recorded(t *testing.T, event audit.Event) bool {
	t.Helper()
	rows := chain(t, "orga")
	return slices.ContainsFunc(rows[max(0, len(rows)-6):], func(r audit.Row) bool { return r.EventType == event })
}

func change(t *testing.T, query string) map[string]any {
	t.Helper()
	return operator().must(t, 200, "POST", "/pki/rotate-ca?"+query, admin(), nil).decode(t)
}

// An operator sees what will become current, commits exactly that, lets the fleet move in an overlap, and ends it.
func TestStageCommitOverlapFinalise(t *testing.T) {
	forget(t)
	agent := enrol(t, fresh("mover"))
	old := newClient(agent.certificate(t))
	seen := change(t, "mode=stage")
	if seen["status"] != "staged" || len(seen["chain"].([]any)) != 2 {
		t.Errorf("pre-flight = %v", seen)
	}
	old.must(t, 200, "POST", tokenPath, nil, nil)
	fingerprint := seen["fingerprint"].(string)

	rehearsed := change(t, "mode=commit&dry_run=true&fingerprint="+fingerprint)
	if rehearsed["dry_run"] != true || rehearsed["fingerprint"] != fingerprint {
		t.Errorf("dry run = %v", rehearsed)
	}
	a := operator().must(t, 404, "POST", "/pki/rotate-ca?mode=commit&fingerprint="+strings.Repeat("0", 64), admin(), nil)
	if a.code() != "staged_ca_not_found" {
		t.Errorf("another fingerprint: %s", a.body)
	}
	done := change(t, "mode=commit&overlap=3600&fingerprint="+fingerprint)
	if done["fingerprint"] != fingerprint || done["overlap_until"] == nil {
		t.Errorf("commit = %v", done)
	}
	old.must(t, 200, "POST", tokenPath, nil, nil)
	moved := rotate(t, agent.AgentID)
	old.must(t, 401, "POST", tokenPath, nil, nil)
	newClient(moved.certificate(t)).must(t, 200, "POST", tokenPath, nil, nil)

	late := enrol(t, fresh("late"))
	if ended := change(t, "mode=finalise"); ended["overlap_until"] != nil {
		t.Errorf("finalise = %v", ended)
	}
	newClient(late.certificate(t)).must(t, 200, "POST", tokenPath, nil, nil)
	a = operator().must(t, 409, "POST", "/pki/rotate-ca?mode=rollback", admin(), nil)
	if a.code() != "rollback_not_possible" {
		t.Errorf("rollback once finalised: %s", a.body)
	}
	if !recorded(t, audit.OverlapEnded) {
		t.Error("the end of the overlap is not on the record")
	}
}

// waitSeen waits for the note of the hour in which the agent got a token: the token does not.
func waitSeen(t *testing.T, id string) {
	t.Helper()
	waitFor(t, "the note of the agent's hour", func() bool {
		return operator().must(t, 200, "GET", "/v1/admin/agents/"+id, admin(), nil).decode(t)["last_seen"] != nil
	})
}

// An agent that is in use stands in the way of a finalise that has to be safe, and of no other one.
func TestFinaliseWhenSafe(t *testing.T) {
	forget(t)
	busy := enrol(t, fresh("busy"))
	change(t, "mode=mint&overlap=3600")
	client := newClient(busy.certificate(t))
	client.must(t, 200, "POST", tokenPath, nil, nil)
	waitSeen(t, busy.AgentID)
	ends := change(t, "mode=finalise&dry_run=true")["cuts_off"].(map[string]any)
	if ends["agents"].(float64) < 1 || ends["seen"].(float64) < 1 {
		t.Errorf("a dry run cuts off %v", ends)
	}
	a := operator().must(t, 409, "POST", "/pki/rotate-ca?mode=finalise&if_safe=true", admin(), nil)
	if remain, ok := a.decode(t)["remain"].(map[string]any); a.code() != "agents_remain" || !ok ||
		len(remain["first"].([]any)) == 0 {
		t.Errorf("refusal: %s", a.body)
	}
	client.must(t, 200, "POST", tokenPath, nil, nil)
	if done := change(t, "mode=finalise"); done["cuts_off"] == nil {
		t.Errorf("finalise = %v", done)
	}
	client.must(t, 401, "POST", tokenPath, nil, nil)
}

func TestRollback(t *testing.T) {
	forget(t)
	tick(t)
	idle, moved := enrol(t, fresh("idle")), enrol(t, fresh("moved"))
	before := state(t).Pointer
	rotateCA(t)
	newClient(idle.certificate(t)).must(t, 401, "POST", tokenPath, nil, nil)
	newer := rotate(t, moved.AgentID)

	began := time.Now()
	result := change(t, "mode=rollback&reason=superseded")
	t.Logf("rolled back in %s", time.Since(began).Round(time.Millisecond))
	if result["fingerprint"] != before.Fingerprint {
		t.Errorf("rolled back to %v, want %s", result["fingerprint"], before.Fingerprint)
	}
	for _, i := range []issued{idle, moved} {
		newClient(i.certificate(t)).must(t, 200, "POST", tokenPath, nil, nil)
	}
	newClient(newer.certificate(t)).must(t, 401, "POST", tokenPath, nil, nil)
	rotateCA(t)
	tick(t)
	checkWhole(t)
}

// A rollback that dies at its commit has happened or has not, like the rotation that it undoes.
func TestRollbackKilledAtItsCommit(t *testing.T) {
	needsFaults(t)
	for _, after := range []bool{false, true} {
		forget(t)
		tick(t)
		agent := enrol(t, fresh("undone"))
		rotateCA(t)
		faults.set(&rule{
			call:   "dynamodb.TransactWriteItems",
			nth:    1,
			after:  after,
			strike: func() { system.Lambda.Kill("rotateca") },
		})
		operator().must(t, 502, "POST", "/pki/rotate-ca?mode=rollback", admin(), nil)
		faults.set(nil)
		want := map[bool]int{true: 200, false: 401}[after]
		newClient(agent.certificate(t)).must(t, want, "POST", tokenPath, nil, nil)
		checkWhole(t)
		recovers(t)
	}
}

// A fleet moves in an overlap while it works: no request of any agent is ever refused.
func TestFleetMovesWithoutAnOutage(t *testing.T) {
	forget(t)
	tick(t)
	agents := scaled(20, 5)
	fleet := make([]issued, agents)
	for i := range fleet {
		fleet[i] = enrol(t, fresh("steady"))
	}
	change(t, "mode=mint&overlap=600")
	for i, agent := range fleet {
		newClient(agent.certificate(t)).must(t, 200, "POST", tokenPath, nil, nil)
		fleet[i] = rotate(t, agent.AgentID)
		newClient(fleet[i].certificate(t)).must(t, 200, "POST", tokenPath, nil, nil)
	}
	change(t, "mode=finalise")
	for _, agent := range fleet {
		newClient(agent.certificate(t)).must(t, 200, "POST", tokenPath, nil, nil)
	}
}

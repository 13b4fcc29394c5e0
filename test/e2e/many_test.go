package e2e

import (
	"encoding/json"
	"testing"

	"github.com/mastio-aws/mastio/shared/audit"
)

// An operator orders new certificates for many agents, and hygiene's next run has done it.
func TestRotateMany(t *testing.T) {
	onlyLocally(t, "hygiene runs on its schedule")
	m := ownSystem(t)
	jsonType := with(m.admin(), "Content-Type", "application/json")
	prefix := fresh("many")
	delivered, notified, other := m.enrol(t, prefix+"-a"), m.enrol(t, prefix+"-b"), m.enrol(t, fresh("other"))
	m.operator().must(t, 200, "PUT", "/v1/admin/agents/"+delivered.AgentID+"/hygiene", jsonType,
		[]byte(`{"deliver":"secretsmanager"}`))
	type job struct {
		ID       string `json:"job_id"`
		State    string `json:"state"`
		Reissued int    `json:"reissued"`
		Notified int    `json:"notified"`
		Reissue  int    `json:"reissue"`
		Notify   int    `json:"notify"`
	}
	send := func(status int, method, path, body string) (j job) {
		t.Helper()
		if err := json.Unmarshal(m.operator().must(t, status, method, path, jsonType, []byte(body)).body, &j); err != nil {
			t.Fatal(err)
		}
		return j
	}
	const path = "/v1/admin/agents:rotate"
	m.operator().must(t, 400, "POST", path, jsonType, []byte(`{}`))
	if d := send(200, "POST", path, `{"filter":{"q":"`+prefix+`"},"dry_run":true}`); d.Reissue != 1 || d.Notify != 1 {
		t.Errorf("dry run: %+v", d)
	}
	begun := send(202, "POST", path, `{"filter":{"q":"`+prefix+`"}}`)
	m.tick(t)
	waitFor(t, "end of the job", func() bool {
		j := send(200, "GET", "/v1/admin/jobs/"+begun.ID, "")
		return j.State == "finished" && j.Reissued == 1 && j.Notified == 1
	})
	for id, want := range map[string]audit.Event{delivered.AgentID: audit.AgentCertRotated,
		notified.AgentID: audit.AgentCertDue, other.AgentID: audit.AgentEnrolled} {
		if r := m.last(t, id); r.EventType != want {
			t.Errorf("last row of %s: %s, want %s", id, r.EventType, want)
		}
	}
}

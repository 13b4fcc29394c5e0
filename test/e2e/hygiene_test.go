package e2e

import (
	"crypto/rand"
	"encoding/json"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/edge/dynamo"
	"github.com/mastio-aws/mastio/shared/registry"
)

// grow makes an agent's certificate due, as time would.
func (m *target) grow(t *testing.T, id string) {
	t.Helper()
	s := dynamo.New(dynamo.Config{Client: m.Clients.DynamoDB, Prefix: m.TablePrefix()})
	view, err := s.View(t.Context(), agent.ID(id))
	if err != nil || view.Agent == nil {
		t.Fatalf("view of %s: %v", id, err)
	}
	a := *view.Agent
	a.Pins[0].Due = time.Now().Add(-time.Hour)
	if err := s.Apply(t.Context(), registry.Change{ID: rand.Text(), Agent: &a}); err != nil {
		t.Fatal(err)
	}
}

func (m *target) last(t *testing.T, id string) audit.Row {
	t.Helper()
	rows := m.chain(t, id)
	return rows[len(rows)-1]
}

// The function hygiene runs on its schedule. One agent finds its next certificate in its secret, and its old
// certificate stops with the first use of the new one. The operator of another agent is notified once, and /healthz
// warns.
func TestHygiene(t *testing.T) {
	onlyLocally(t, "its schedule runs once a day")
	m := ownSystem(t)
	set := func(id, deliver string) {
		m.operator().must(t, 200, "PUT", "/v1/admin/agents/"+id+"/hygiene",
			with(m.admin(), "Content-Type", "application/json"), []byte(`{"deliver":"`+deliver+`"}`))
	}
	delivered, notified := m.enrol(t, fresh("delivered")), m.enrol(t, fresh("notified"))
	set(delivered.AgentID, "secretsmanager")
	m.grow(t, delivered.AgentID)
	m.grow(t, notified.AgentID)
	m.tick(t)
	m.tick(t)

	var next credential
	out, err := m.Clients.SecretsManager.GetSecretValue(t.Context(), &secretsmanager.GetSecretValueInput{
		SecretId: aws.String("mastio/agents/" + agent.ID(delivered.AgentID).Org() + "/" + agent.ID(delivered.AgentID).Name()),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(aws.ToString(out.SecretString)), &next); err != nil {
		t.Fatal(err)
	}
	old, fresh := m.newClient(delivered.certificate(t)), m.newClient(next.certificate(t))
	old.must(t, 200, "POST", tokenPath, nil, nil)
	fresh.must(t, 200, "POST", tokenPath, nil, nil)
	old.must(t, 401, "POST", tokenPath, nil, nil)
	if r := m.last(t, notified.AgentID); r.EventType != audit.AgentCertDue || r.Seq != 2 {
		t.Errorf("last row of the one who is told: %s, the %dth", r.EventType, r.Seq)
	}
	waitFor(t, "warning", func() bool {
		for _, w := range m.warnings(t) {
			if w == "certs_expiring" {
				return true
			}
		}
		return false
	})
}

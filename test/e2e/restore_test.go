package e2e

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mastio-aws/mastio/infra/restore/tablecopy"
)

func (m *target) warnings(t *testing.T) []any {
	t.Helper()
	return m.operator().must(t, 200, "GET", "/healthz", m.admin(), nil).decode(t)["warnings"].([]any)
}

// The restore drill: back up, rotate the Org CA, restore. The superseded CA is current again, with every pin under it,
// and that is found out at once and by everybody: by /healthz, by the standby job, which then changes nothing, and in
// the log. Rotating once more is the remedy. What was rotated away a second time since the backup is found out as well.
// With -short that drill alone.
func TestRestoreDrill(t *testing.T) {
	onlyLocally(t, "its schedule cannot be stopped for the time of a restore")
	for name, rotations := range map[string]int{"one rotation since": 1, "two rotations since": 2} {
		if testing.Short() && rotations == 1 {
			continue
		}
		t.Run(name, func(t *testing.T) { ownSystem(t).drill(t, rotations) })
	}
}

func (m *target) drill(t *testing.T, rotations int) {
	m.tick(t)
	agent := m.enrol(t, fresh("drilled"))
	client := m.newClient(agent.certificate(t))
	client.must(t, 200, "POST", tokenPath, nil, nil)
	before := m.state(t).Pointer

	c := tablecopy.Config{
		Client:   m.Clients.DynamoDB,
		Prefix:   m.TablePrefix(),
		Dir:      filepath.Join(t.TempDir(), "backup"),
		Progress: func(s string) { t.Log("  " + s) },
	}
	t.Log("1. back up the tables")
	if err := tablecopy.Out(t.Context(), c); err != nil {
		t.Fatal(err)
	}

	t.Log("2. rotate the Org CA; the agent's certificate is dead")
	for range rotations {
		m.rotateCA(t)
		m.tick(t)
	}
	client.must(t, 401, "POST", tokenPath, nil, nil)
	if got := m.warnings(t); len(got) != 0 {
		t.Errorf("before the restore: warnings %v", got)
	}

	t.Log("3. restore the tables from before the rotation")
	if err := tablecopy.In(t.Context(), c, true); err != nil {
		t.Fatal(err)
	}
	if got := m.state(t).Pointer; got.Fingerprint != before.Fingerprint {
		t.Fatalf("restored to %s, want %s", got.Fingerprint, before.Fingerprint)
	}

	t.Log("4. the certificate that was rotated away is back, and /healthz warns")
	client.must(t, 200, "POST", tokenPath, nil, nil) // this is why /healthz must warn
	if got := m.warnings(t); !slices.Contains(got, any("registry_restored")) {
		t.Errorf("after the restore: warnings %v, want registry_restored", got)
	}
	from, restored := len(m.output.String()), m.state(t)
	// Its error has the cause: a deployment that fails by it has no log left.
	if err := m.Tick(t.Context()); err == nil || !strings.Contains(err.Error(), "registry was restored") {
		t.Errorf("the standby job on a restored registry: %v", err)
	}
	if log := m.output.String()[from:]; !strings.Contains(log, "pki.rotate.restored") {
		t.Errorf("the log does not tell:\n%s", log)
	}
	if got := m.state(t); len(got.Generations) != len(restored.Generations) ||
		got.Pointer.Current != restored.Pointer.Current {
		t.Errorf("the standby job changed a restored registry: %+v", got)
	}

	t.Log("5. rotate once more: the agent's certificate is dead for good")
	for range rotations { // a standby of the backup may have been superseded too
		m.rotateCA(t)
	}
	client.must(t, 401, "POST", tokenPath, nil, nil)
	m.tick(t)
	if got := m.warnings(t); len(got) != 0 {
		t.Errorf("at the end: warnings %v", got)
	}
	m.checkWhole(t)
	m.newClient(m.rotate(t, agent.AgentID).certificate(t)).must(t, 200, "POST", tokenPath, nil, nil)
}

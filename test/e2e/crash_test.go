package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/registry"
)

// Each case kills the real function at one remote call of a rotation of the Org CA, before the call is carried out or
// after it, and says how many generations a repetition is behind. With -short, that is one call in three and the
// commit: package model kills at every call, both ways, in memory.
func TestRotateCAKilledAtEveryStep(t *testing.T) {
	needsFaults(t)
	withStandby := []string{"dynamodb.UpdateItem/1", "dynamodb.CreateBackup/1", "dynamodb.CreateBackup/2",
		"dynamodb.Query/1", "dynamodb.TransactWriteItems/1"}
	withoutStandby := []string{
		// lease, backup, state, phase
		"dynamodb.UpdateItem/1", "dynamodb.CreateBackup/1", "dynamodb.Query/1", "dynamodb.UpdateItem/2",
		"dynamodb.TransactWriteItems/1", "kms.CreateKey/1", "kms.GetPublicKey/1", "kms.CreateKey/2", "kms.GetPublicKey/2",
		"dynamodb.TransactWriteItems/2", "kms.Sign/1", "kms.Sign/2", "kms.Sign/3", "kms.DisableKey/1",
		"dynamodb.TransactWriteItems/3", "dynamodb.UpdateItem/3", "s3.GetObject/1", "s3.PutObject/1",
		"apigateway.GetDomainName/1", "s3.GetObject/2", "apigateway.UpdateDomainName/1", "apigateway.GetDomainName/2",
		"dynamodb.TransactWriteItems/4", "dynamodb.TransactWriteItems/5", // what was seen of the domain, commit
	}
	for _, c := range []struct {
		name    string
		standby bool
		steps   []string
	}{{"with a standby", true, withStandby}, {"without a standby", false, withoutStandby}} {
		for i, step := range c.steps {
			for _, after := range []bool{false, true} {
				if isLeftOut(i, after) && !isCommit(c.standby, step) {
					continue
				}
				t.Run(fmt.Sprintf("%s, %s, carried out %v", c.name, step, after), func(t *testing.T) {
					borrow(t).killRotation(t, c.standby, step, after)
				})
			}
		}
	}
}

// isLeftOut reports whether make test leaves this call, in its place among the others, to make check. Of those that it
// takes, one in three, every other one dies after it was carried out.
func isLeftOut(place int, after bool) bool {
	return testing.Short() && (place%3 != 0 || after != (place%2 == 1))
}

func (m *target) killRotation(t *testing.T, standby bool, step string, after bool) {
	m.forget(t)
	if standby {
		m.standby(t)
	} else {
		m.useUpStandby(t)
	}
	agent := m.enrol(t, fresh("crash"))
	before := m.state(t)

	call, nth, _ := strings.Cut(step, "/")
	r := &rule{call: call, after: after, strike: func() { m.Lambda.Kill("rotateca") }}
	if _, err := fmt.Sscan(nth, &r.nth); err != nil {
		t.Fatal(err)
	}
	if call == "dynamodb.CreateBackup" { // an instance that knows that there are none does not ask again
		m.Lambda.Kill("rotateca")
	}
	m.faults.set(r)
	a, err := m.operator().do(t.Context(), "POST", "/pki/rotate-ca?mode=mint",
		with(m.admin(), "Idempotency-Key", t.Name()[:40]+step+fmt.Sprint(after)), nil)
	if err != nil {
		t.Fatal(err)
	}
	struck := m.faults.struck()
	m.faults.set(nil)
	if !struck {
		t.Fatalf("the rotation ended without the call %s: %d %s", step, a.status, a.body)
	}
	if a.status != 502 {
		t.Errorf("answer of a killed function = %d %s, want 502", a.status, a.body)
	}

	m.checkWhole(t)
	committed := m.state(t).Pointer.Current != before.Pointer.Current
	want := 200
	if committed {
		want = 401
	}
	m.newClient(agent.certificate(t)).must(t, want, "POST", tokenPath, nil, nil)
	if isCommit(standby, step) && after != committed {
		t.Errorf("the commit was carried out: %v, the generation moved: %v", after, committed)
	}
	m.recovers(t)
}

// isCommit reports whether the step is the swap itself.
func isCommit(standby bool, step string) bool {
	return standby && step == "dynamodb.TransactWriteItems/1" || !standby && step == "dynamodb.TransactWriteItems/5"
}

func (m *target) state(t *testing.T) registry.Org {
	t.Helper()
	org, err := m.store().Org(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return org
}

// useUpStandby rotates until no standby is left.
func (m *target) useUpStandby(t *testing.T) {
	t.Helper()
	for {
		if _, ok := m.state(t).Standby(time.Now()); !ok {
			return
		}
		m.rotateCA(t)
	}
}

// forget frees a lease that a killed function left, instead of waiting half a minute for its end.
func (m *target) forget(t *testing.T) {
	t.Helper()
	l := m.state(t).Lease
	if l.Holder == "" {
		return
	}
	if err := m.store().Release(t.Context(), l); err != nil {
		t.Fatal(err)
	}
}

// checkWhole checks what must hold at any moment.
func (m *target) checkWhole(t *testing.T) {
	t.Helper()
	org := m.state(t)
	swaps, reigned, current := 0, 0, 0
	for _, r := range m.chain(t, "orga") {
		if r.EventType == audit.OrgCARotated || r.EventType == audit.OrgCACreated {
			swaps++
		}
	}
	for _, g := range org.Generations {
		switch g.State {
		case orgca.Current:
			current++
			reigned++
		case orgca.Superseded, orgca.Retired:
			reigned++
		default:
		}
	}
	if current != 1 || swaps != reigned {
		t.Errorf("%d current generations, %d that ever were, %d rows of swaps", current, reigned, swaps)
	}
	if g, ok := org.Generation(org.Pointer.Current); !ok || g.State != orgca.Current {
		t.Errorf("pointer names generation %d, which is %q", org.Pointer.Current, g.State)
	}
}

// recovers: after the lease's end the next rotation and the next run of the standby job put everything right.
func (m *target) recovers(t *testing.T) {
	t.Helper()
	if l := m.state(t).Lease; l.Held(time.Now()) {
		a := m.operator().must(t, 409, "POST", "/pki/rotate-ca?mode=mint", m.admin(), nil)
		if a.code() != "rotation_in_progress" || time.Until(l.Expires) > orgca.LeaseTTL {
			t.Errorf("while the dead function's lease lasts: %s", a.body)
		}
	}
	m.forget(t)
	m.rotateCA(t)
	m.standby(t)
	m.checkWhole(t)
	if _, ok := m.state(t).Standby(time.Now()); !ok {
		t.Error("no standby after the next run")
	}
}

// What a killed preparation leaves in KMS is found by its tag and scheduled for deletion.
func TestOrphanedKeysAreReaped(t *testing.T) {
	needsFaults(t)
	m := borrow(t)
	m.forget(t)
	m.useUpStandby(t)
	m.faults.set(&rule{call: "kms.Sign", nth: 1, strike: func() { m.Lambda.Kill("rotateca") }})
	m.operator().must(t, 502, "POST", "/pki/rotate-ca?mode=mint", m.admin(), nil)
	m.faults.set(nil)
	m.forget(t)

	orphan := m.preparing(t)
	orphan.CreatedAt = orphan.CreatedAt.Add(-time.Hour) // as if it had died an hour ago
	if err := m.store().Apply(t.Context(), registry.Change{
		ID:          fresh("backdate"),
		Generations: []orgca.Generation{orphan},
	}); err != nil {
		t.Fatal(err)
	}
	m.standby(t)
	g, _ := m.state(t).Generation(orphan.Number)
	if g.State != orgca.Failed {
		t.Errorf("orphan is %s, want failed", g.State)
	}
	for _, id := range []string{g.RootKey, g.IssuingKey} {
		if got := m.keyState(t, id); got != kmstypes.KeyStatePendingDeletion {
			t.Errorf("orphan's key is %s, want PendingDeletion", got)
		}
	}
	m.checkWhole(t)
}

func (m *target) preparing(t *testing.T) orgca.Generation {
	t.Helper()
	for _, g := range m.state(t).Generations {
		if g.State == orgca.Preparing && g.RootKey != "" && g.CreatedAt.After(time.Now().Add(-time.Minute)) {
			return g
		}
	}
	t.Fatal("no generation is in preparation")
	return orgca.Generation{}
}

// A rotation of a certificate that dies before its commit has changed nothing; after it, the new pin stands and
// rotating again is the way on.
func TestRotateCertKilledAtEveryStep(t *testing.T) {
	needsFaults(t)
	m := borrow(t)
	for _, step := range []struct {
		call string
		nth  int
		last bool // it comes after the commit
	}{
		{"dynamodb.BatchGetItem", 1, false}, {"kms.Sign", 1, false},
		{"dynamodb.TransactWriteItems", 1, false}, {"dynamodb.GetItem", 1, true},
	} {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s %d, carried out %v", step.call, step.nth, after), func(t *testing.T) {
				agent := m.enrol(t, fresh("crash"))
				m.faults.set(&rule{call: step.call, nth: step.nth, after: after, strike: func() { m.Lambda.Kill("rotatecert") }})
				m.operator().must(t, 502, "POST", "/registry/agents/"+agent.AgentID+"/rotate-cert", m.admin(), nil)
				m.faults.set(nil)
				committed := step.last || step.call == "dynamodb.TransactWriteItems" && after
				want := map[bool]int{true: 401, false: 200}[committed]
				m.newClient(agent.certificate(t)).must(t, want, "POST", tokenPath, nil, nil)
				if rows := len(m.chain(t, agent.AgentID)); (rows == 2) != committed {
					t.Errorf("%d rows, committed %v", rows, committed)
				}
				m.newClient(m.rotate(t, agent.AgentID).certificate(t)).must(t, 200, "POST", tokenPath, nil, nil)
			})
		}
	}
}

// The standby job dies at each of its remote calls after a swap: while it notes the swap on the superseded key, makes
// the next standby, writes the truststore and retires what is spent. The next run goes on, and no generation that could
// still count has lost its keys. With -short it dies at one call in 21.
func TestStandbyKilledAtEveryStep(t *testing.T) {
	needsFaults(t)
	m := borrow(t)
	killed, stride := 0, 1
	if testing.Short() {
		stride = 21 // an odd number: every other call was carried out
	}
	for n := 1; ; n += stride {
		m.forget(t)
		m.rotateCA(t) // supersedes one; the one before it is spent
		r := &rule{nth: n, after: n%2 == 0, strike: func() { m.Lambda.Kill("standby") }}
		m.faults.set(r)
		_, err := m.Lambda.Invoke(t.Context(), "standby", []byte("{}"))
		struck := m.faults.struck()
		m.faults.set(nil)
		if err != nil {
			t.Fatal(err)
		}
		if !struck {
			break
		}
		killed++
		m.forget(t)
		m.standby(t)
		m.checkWhole(t)
		m.checkRetired(t)
	}
	if killed*stride < 10 {
		t.Errorf("the job was killed at %d calls: the test has missed it", killed)
	}
	t.Logf("killed at %d calls", killed)
	m.recovers(t)
}

// checkRetired: what is spent is retired, and its keys wait for their deletion; what is not has a key that signs.
func (m *target) checkRetired(t *testing.T) {
	t.Helper()
	org := m.state(t)
	for _, g := range org.Generations {
		if org.Pointer.Spent(g, time.Now()) {
			t.Errorf("generation %d is spent and %s", g.Number, g.State)
		}
		want := map[orgca.State]kmstypes.KeyState{
			orgca.Current: kmstypes.KeyStateEnabled, orgca.Superseded: kmstypes.KeyStateEnabled,
			orgca.Retired: kmstypes.KeyStatePendingDeletion,
		}[g.State]
		if g.Number < org.Pointer.Current-3 || want == "" {
			continue
		}
		if got := m.keyState(t, g.SigningKey()); got != want {
			t.Errorf("generation %d is %s, its key %s", g.Number, g.State, got)
		}
	}
}

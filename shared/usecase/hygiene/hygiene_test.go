package hygiene_test

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/reason"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
	"github.com/mastio-aws/mastio/shared/usecase/agentcert"
	"github.com/mastio-aws/mastio/shared/usecase/enroll"
	"github.com/mastio-aws/mastio/shared/usecase/hygiene"
	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
	"github.com/mastio-aws/mastio/test/inmemory"
)

const day = 24 * time.Hour

// fresh is a Mastio with its first Org CA.
func fresh(t *testing.T, cfg memstore.Config) *inmemory.Mastio {
	t.Helper()
	m := inmemory.New(cfg)
	if _, err := m.Standby.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	return m
}

func admit(t *testing.T, m *inmemory.Mastio, name string, deliver agent.Delivery) enroll.Result {
	t.Helper()
	out, err := m.Enroll.Enroll(t.Context(), enroll.Request{Name: name, Deliver: deliver, By: audit.By{Actor: "test"}})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func run(t *testing.T, m *inmemory.Mastio, want hygiene.Report) {
	t.Helper()
	got, err := m.Hygiene.Run(t.Context())
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("run: %v (-want +got):\n%s", err, diff)
	}
}

func stored(t *testing.T, m *inmemory.Mastio, id agent.ID) agent.Agent {
	t.Helper()
	v, err := m.Store.View(t.Context(), id)
	if err != nil || v.Agent == nil {
		t.Fatalf("view of %s: %v, %v", id, v.Agent, err)
	}
	return *v.Agent
}

func events(t *testing.T, m *inmemory.Mastio, id agent.ID) (list []audit.Event) {
	t.Helper()
	rows, err := m.Store.Rows(t.Context(), string(id), 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := audit.Verify(rows); err != nil {
		t.Error(err)
	}
	for _, r := range rows {
		list = append(list, r.EventType)
	}
	return list
}

func counts(t *testing.T, m *inmemory.Mastio, what, certPEM string, want bool) {
	t.Helper()
	if _, err := m.TokenFor(t.Context(), []byte(certPEM)); (err == nil) != want {
		t.Errorf("%s: token %v, want %t", what, err, want)
	}
}

// secretValue is what the agent reads.
type secretValue struct {
	CertPEM string          `json:"cert_pem"`
	KeyPEM  string          `json:"key_pem"`
	DPoPJWK json.RawMessage `json:"dpop_jwk"`
	Chain   string          `json:"ca_chain_pem"`
}

func read(t *testing.T, m *inmemory.Mastio, id agent.ID) secretValue {
	t.Helper()
	var d secretValue
	if err := json.Unmarshal(m.Secrets.Current(hygiene.SecretName(id)), &d); err != nil {
		t.Fatalf("secret of %s: %v", id, err)
	}
	return d
}

func TestOperatorsAreToldOnceForEachCertificate(t *testing.T) {
	m := fresh(t, memstore.Config{})
	a := admit(t, m, "a", agent.Notify)
	m.Advance(335*day - 5*time.Minute - time.Millisecond) // certificates begin five minutes back
	run(t, m, hygiene.Report{})
	m.Advance(time.Millisecond)
	run(t, m, hygiene.Report{Due: 1, Notified: 1})
	run(t, m, hygiene.Report{})
	m.Advance(60 * day)
	run(t, m, hygiene.Report{})
	if diff := cmp.Diff([]audit.Event{audit.AgentEnrolled, audit.AgentCertDue}, events(t, m, a.Agent.ID)); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if _, err := m.Rotate(t.Context(), a.Agent.ID); err != nil {
		t.Fatal(err)
	}
	run(t, m, hygiene.Report{})
	m.Advance(335 * day)
	run(t, m, hygiene.Report{Due: 1, Notified: 1})
}

func TestDelivery(t *testing.T) {
	m := fresh(t, memstore.Config{})
	a := admit(t, m, "a", agent.SecretsManager)
	old := string(a.Certificate.CertPEM)
	m.Advance(335 * day)
	run(t, m, hygiene.Report{Due: 1, Rotated: 1})
	run(t, m, hygiene.Report{})
	new := read(t, m, a.Agent.ID)
	if new.KeyPEM == "" || len(new.DPoPJWK) == 0 || new.Chain == "" || new.CertPEM == old {
		t.Errorf("the secret holds %+v", new)
	}
	counts(t, m, "the old certificate, before the new one is used", old, true)
	m.Advance(hygiene.Grace - time.Minute)
	counts(t, m, "the old certificate, a minute before the end of its grace", old, true)
	counts(t, m, "the new certificate", new.CertPEM, true)
	counts(t, m, "the old certificate, after the new one was used", old, false)
	if diff := cmp.Diff([]audit.Event{audit.AgentEnrolled, audit.AgentCertRotated, audit.AgentCertActivated},
		events(t, m, a.Agent.ID)); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	m.Advance(335 * day)
	run(t, m, hygiene.Report{Due: 1, Rotated: 1})
	counts(t, m, "what is current after the second delivery", read(t, m, a.Agent.ID).CertPEM, true)
}

func TestGraceEndsEvenIfTheNewCertificateIsNeverUsed(t *testing.T) {
	m := fresh(t, memstore.Config{})
	a := admit(t, m, "a", agent.SecretsManager)
	m.Advance(335 * day)
	run(t, m, hygiene.Report{Due: 1, Rotated: 1})
	m.Advance(hygiene.Grace)
	counts(t, m, "the old certificate", string(a.Certificate.CertPEM), false)
	counts(t, m, "the new certificate", read(t, m, a.Agent.ID).CertPEM, true)
}

// With each certificate goes its own DPoP key until the first use of the successor.
func TestDPoPKeysChangeWithTheCertificate(t *testing.T) {
	m := fresh(t, memstore.Config{})
	a := admit(t, m, "a", agent.SecretsManager)
	before := a.Agent.JKT
	m.Advance(335 * day)
	run(t, m, hygiene.Report{Due: 1, Rotated: 1})
	got := stored(t, m, a.Agent.ID)
	if got.JKT != before || got.Pins[0].JKT == "" || got.Pins[0].JKT == before {
		t.Errorf("agent's DPoP key %q, the successor's %q, at enrolment %q", got.JKT, got.Pins[0].JKT, before)
	}
	counts(t, m, "the new certificate", read(t, m, a.Agent.ID).CertPEM, true)
	if after := stored(t, m, a.Agent.ID); after.JKT != got.Pins[0].JKT {
		t.Errorf("agent's DPoP key %q after the first use, want %q", after.JKT, got.Pins[0].JKT)
	}
}

// An agent whose tokens are all bound to a DPoP key, and that has lost it, gets one with the next delivery.
func TestABoundAgentIsDeliveredAKey(t *testing.T) {
	m := fresh(t, memstore.Config{})
	a := admit(t, m, "a", agent.SecretsManager)
	lost := stored(t, m, a.Agent.ID)
	lost.ProofBound, lost.JKT = true, ""
	lost.Pins[0].JKT = ""
	if err := m.Store.Apply(t.Context(), registry.Change{ID: "lost", Agent: &lost}); err != nil {
		t.Fatal(err)
	}
	m.Advance(335 * day)
	run(t, m, hygiene.Report{Due: 1, Rotated: 1})
	if got := stored(t, m, a.Agent.ID); got.Pins[0].JKT == "" || !got.ProofBound {
		t.Errorf("the successor's DPoP key %q, bound %v", got.Pins[0].JKT, got.ProofBound)
	}
}

// Every call of a run from some point on fails, before or after its effect. The agent can still work, no pin lacks an
// available key, and the next run completes the work with one version and one row.
func TestCrashAtEveryCall(t *testing.T) {
	for n := 1; ; n++ {
		done := false
		for _, after := range []bool{false, true} {
			if crash(t, n, after) {
				done = true
			}
		}
		if done {
			if n < 8 {
				t.Fatalf("a delivery is over after %d calls: the calls are not counted", n)
			}
			return
		}
	}
}

func crash(t *testing.T, n int, after bool) (done bool) {
	t.Helper()
	armed, left := false, n
	// hit reports whether a call fails; it is called before and after each call.
	hit := func(isAfter bool) bool {
		if !armed || isAfter != after && left > 0 {
			return armed && left == 0
		}
		if left > 0 {
			left--
		}
		return left == 0
	}
	m := fresh(t, memstore.Config{Fault: func(op string) memstore.Fault {
		switch {
		case !armed:
			return memstore.None
		case left == 0:
			return memstore.Refuse
		}
		if left--; left > 0 {
			return memstore.None
		}
		switch {
		case op != "Apply":
			return memstore.Refuse
		case after:
			return memstore.HalfAck
		}
		return memstore.Lose
	}})
	crashed := errors.New("crash")
	fault := func(_ string, isAfter bool) error {
		if hit(isAfter) {
			return crashed
		}
		return nil
	}
	m.Secrets.Fault, m.Keys.Fault = fault, fault
	a := admit(t, m, "a", agent.SecretsManager)
	old := string(a.Certificate.CertPEM)
	m.Advance(335 * day)

	armed = true
	_, err := m.Hygiene.Run(t.Context())
	done = left > 0
	armed = false
	_ = err // the run may not even have found out that it failed

	counts(t, m, "the old certificate after the crash", old, true)
	keysAreSomewhere(t, m, a.Agent.ID)
	m.Advance(3 * day) // longer than the grace
	// A run that lost only the last answer has delivered, and the old certificate has had its grace.
	over := stored(t, m, a.Agent.ID).Concerning().Undelivered == "" &&
		m.Secrets.Current(hygiene.SecretName(a.Agent.ID)) != nil
	counts(t, m, "the old certificate three days later", old, !over)
	if _, err := m.Hygiene.Run(t.Context()); err != nil {
		t.Errorf("call %d, after %t: next run: %v", n, after, err)
	}
	keysAreSomewhere(t, m, a.Agent.ID)
	if got := m.Secrets.All(hygiene.SecretName(a.Agent.ID)); len(got) != 1 {
		t.Errorf("call %d, after %t: %d versions, want 1", n, after, len(got))
	}
	if diff := cmp.Diff([]audit.Event{audit.AgentEnrolled, audit.AgentCertRotated}, events(t, m, a.Agent.ID)); diff != "" {
		t.Errorf("call %d, after %t: events (-want +got):\n%s", n, after, diff)
	}
	m.Advance(hygiene.Grace - time.Minute)
	counts(t, m, "the old certificate within its grace", old, !over)
	counts(t, m, "the new certificate", read(t, m, a.Agent.ID).CertPEM, true)
	counts(t, m, "the old certificate after the new one's first use", old, false)
	run(t, m, hygiene.Report{})
	return done
}

// The record changes between two runs; the version that the first one staged is found all the same.
func TestLostAnswerOfAStage(t *testing.T) {
	m := fresh(t, memstore.Config{})
	a := admit(t, m, "a", agent.SecretsManager)
	m.Advance(335 * day)
	m.Secrets.Fault = func(op string, after bool) error {
		if op == "Stage" && after {
			return errors.New("timeout")
		}
		return nil
	}
	run(t, m, hygiene.Report{Due: 1, Failed: 1})
	m.Secrets.Fault = nil
	m.Advance(day)
	run(t, m, hygiene.Report{Due: 1, Rotated: 1})
	if got := m.Secrets.All(hygiene.SecretName(a.Agent.ID)); len(got) != 1 {
		t.Errorf("%d versions, want 1", len(got))
	}
}

// keysAreSomewhere fails if a pin counts whose certificate is neither the first one nor in the agent's secret.
func keysAreSomewhere(t *testing.T, m *inmemory.Mastio, id agent.ID) {
	t.Helper()
	known := map[string]bool{}
	for _, raw := range m.Secrets.All(hygiene.SecretName(id)) {
		var v struct {
			Thumbprint string `json:"cert_thumbprint"`
			KeyPEM     string `json:"key_pem"`
		}
		if err := json.Unmarshal(raw, &v); err == nil && v.KeyPEM != "" {
			known[v.Thumbprint] = true
		}
	}
	a := stored(t, m, id)
	for _, p := range a.Pins[:len(a.Pins)-1] { // the last one is that of the enrolment
		if !known[p.Thumbprint] {
			t.Errorf("nobody has the key of pin %s", p.Thumbprint)
		}
	}
}

// The Org CA moves while a new certificate is staged, or pinned: it is issued anew, and what becomes current counts.
func TestTheOrgCAMoves(t *testing.T) {
	for _, op := range []string{"Stage", "Promote"} {
		for _, overlap := range []time.Duration{0, time.Hour} {
			m := fresh(t, memstore.Config{})
			a := admit(t, m, "a", agent.SecretsManager)
			m.Advance(335 * day)
			moved := false
			m.Secrets.Fault = func(at string, after bool) error {
				if at != op || after != (op == "Stage") || moved {
					return nil
				}
				moved = true
				if _, err := m.RotateCA.Do(t.Context(), rotateca.Request{
					Mode:    rotateca.Mint,
					Overlap: overlap,
					By:      audit.By{Actor: "test"},
				}); err != nil {
					t.Error(err)
				}
				if op == "Promote" {
					return errors.New("crash")
				}
				return nil
			}
			if _, err := m.Hygiene.Run(t.Context()); err != nil || !moved {
				t.Fatalf("run: moved %t, %v", moved, err)
			}
			m.Advance(day)
			if _, err := m.Hygiene.Run(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := stored(t, m, a.Agent.ID).Pin().Generation; got != 2 {
				t.Errorf("moved at %s, overlap %s: newest pin of generation %d, want 2", op, overlap, got)
			}
			counts(t, m, "what is current, after the move at "+op, read(t, m, a.Agent.ID).CertPEM, true)
		}
	}
}

// An operator rotates while a delivery is under way: the operator's certificate stays the one that counts.
func TestAnOperatorsRotationEndsADelivery(t *testing.T) {
	m := fresh(t, memstore.Config{})
	a := admit(t, m, "a", agent.SecretsManager)
	m.Advance(335 * day)
	m.Secrets.Fault = func(op string, _ bool) error {
		if op == "Promote" {
			return errors.New("crash")
		}
		return nil
	}
	run(t, m, hygiene.Report{Due: 1, Failed: 1})
	m.Secrets.Fault = nil
	out, err := m.Rotate(t.Context(), a.Agent.ID)
	if err != nil {
		t.Fatal(err)
	}
	m.Advance(2 * day)
	run(t, m, hygiene.Report{})
	counts(t, m, "the operator's certificate", string(out.Certificate.CertPEM), true)
	if got := m.Secrets.Current(hygiene.SecretName(a.Agent.ID)); got != nil {
		t.Error("a certificate that does not count became current")
	}
}

func TestPolicyCanBeChanged(t *testing.T) {
	m := fresh(t, memstore.Config{})
	a := admit(t, m, "a", "")
	m.Advance(335 * day)
	run(t, m, hygiene.Report{Due: 1, Notified: 1})
	for range 2 {
		if _, err := m.Enroll.SetHygiene(t.Context(), enroll.Policy{
			Agent:   a.Agent.ID,
			Deliver: agent.SecretsManager,
			By:      audit.By{Actor: "test"},
		}); err != nil {
			t.Fatal(err)
		}
	}
	run(t, m, hygiene.Report{Due: 1, Rotated: 1})
	want := []audit.Event{audit.AgentEnrolled, audit.AgentCertDue, audit.AgentHygieneSet, audit.AgentCertRotated}
	if diff := cmp.Diff(want, events(t, m, a.Agent.ID)); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if err := m.Enroll.Deactivate(t.Context(), enroll.Deactivation{
		Agent: a.Agent.ID,
		By:    audit.By{Actor: "test"},
	}); err != nil {
		t.Fatal(err)
	}
	_, err := m.Enroll.SetHygiene(t.Context(), enroll.Policy{
		Agent:   a.Agent.ID,
		Deliver: agent.Notify,
		By:      audit.By{Actor: "test"},
	})
	if !errors.Is(err, agent.ErrDeactivated) {
		t.Errorf("set the hygiene of a deactivated agent: %v", err)
	}
	m.Advance(400 * day)
	run(t, m, hygiene.Report{})
}

// One agent that fails every time is put off, longer each time, and does not delay the others.
func TestPoisonedAgent(t *testing.T) {
	m := fresh(t, memstore.Config{})
	admit(t, m, "a", agent.Notify)
	bad := admit(t, m, "bad", agent.SecretsManager)
	admit(t, m, "z", agent.SecretsManager)
	m.Secrets.Fault = nil
	poison(t, m, bad.Agent.ID)
	m.Advance(335 * day)
	run(t, m, hygiene.Report{Due: 3, Rotated: 1, Notified: 1, Failed: 1})
	counts(t, m, "the poisoned agent's certificate", string(bad.Certificate.CertPEM), true)
	tried := 1
	for range 16 {
		m.Advance(day)
		r, err := m.Hygiene.Run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		tried += int(r.Failed)
	}
	if tried != 5 { // on the days 0, 1, 3, 7 and 15
		t.Errorf("tried %d times in 16 days, want 5", tried)
	}
}

// poison fills all the versions that the agent's delivery could take with what is not its certificate.
func poison(t *testing.T, m *inmemory.Mastio, id agent.ID) {
	t.Helper()
	m.Secrets.Fault = func(op string, after bool) error { return nil }
	name := hygiene.SecretName(id)
	for _, version := range hygiene.Versions(stored(t, m, id), 1) {
		if err := m.Secrets.Stage(t.Context(), name, version, []byte(`{"cert_pem":"x"}`)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAPanicIsOneAgentsFailure(t *testing.T) {
	m := fresh(t, memstore.Config{})
	admit(t, m, "a", agent.Notify)
	admit(t, m, "b", agent.SecretsManager)
	m.Advance(335 * day)
	m.Secrets.Fault = func(string, bool) error { panic("defect") }
	run(t, m, hygiene.Report{Due: 2, Notified: 1, Failed: 1})
}

func TestRegistryThatCannotBeReadIsAnError(t *testing.T) {
	broken := false
	m := fresh(t, memstore.Config{Fault: func(op string) memstore.Fault {
		if broken && op == "Due" {
			return memstore.Refuse
		}
		return memstore.None
	}})
	broken = true
	if _, err := m.Hygiene.Run(t.Context()); !errors.Is(err, registry.ErrUnavailable) {
		t.Errorf("run: %v, want ErrUnavailable", err)
	}
}

// A foreign version in the agent's secret, under the id that the next delivery takes, revives no replaced
// certificate.
func TestAReplacedCertificateIsNotDelivered(t *testing.T) {
	m := fresh(t, memstore.Config{})
	a := admit(t, m, "a", agent.SecretsManager)
	stolen := string(a.Certificate.CertPEM)
	m.Advance(day)
	if _, err := m.RotateCert.Rotate(t.Context(), agentcert.RotateRequest{
		Agent:  a.Agent.ID,
		Reason: reason.Statement{Code: reason.KeyCompromise},
		By:     audit.By{Actor: "test"},
	}); err != nil {
		t.Fatal(err)
	}
	value, err := json.Marshal(map[string]any{"agent_id": a.Agent.ID, "cert_pem": stolen,
		"key_pem": string(a.Material.KeyPEM), "dpop_jwk": a.Material.DPoPJWK, "ca_chain_pem": ""})
	if err != nil {
		t.Fatal(err)
	}
	version := hygiene.Versions(stored(t, m, a.Agent.ID), 1)[0]
	if err := m.Secrets.Stage(t.Context(), hygiene.SecretName(a.Agent.ID), version, value); err != nil {
		t.Fatal(err)
	}
	m.Advance(336 * day)
	run(t, m, hygiene.Report{Due: 1, Rotated: 1})
	counts(t, m, "the stolen certificate", stolen, false)
	if thumbprint := stored(t, m, a.Agent.ID).Pin().Thumbprint; thumbprint == a.Certificate.Pin.Thumbprint {
		t.Error("the stolen certificate is pinned again")
	}
}

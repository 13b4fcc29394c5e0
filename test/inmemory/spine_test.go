package inmemory_test

import (
	"context"
	"crypto/ecdsa"
	"errors"
	"maps"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/problem"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
	"github.com/mastio-aws/mastio/shared/usecase/agentcert"
	"github.com/mastio-aws/mastio/shared/usecase/enroll"
	"github.com/mastio-aws/mastio/shared/usecase/idempotency"
	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
	"github.com/mastio-aws/mastio/shared/verifier/accesstoken"
	"github.com/mastio-aws/mastio/test/inmemory"
)

func must[T any](t *testing.T) func(T, error) T {
	t.Helper()
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func events(t *testing.T, m *inmemory.Mastio, subject string) []audit.Event {
	t.Helper()
	rows, err := m.Store.Rows(t.Context(), subject, 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := audit.Verify(rows); err != nil {
		t.Errorf("chain of %s: %v", subject, err)
	}
	var found []audit.Event
	for _, r := range rows {
		found = append(found, r.EventType)
	}
	return found
}

func TestFirstRunMakesTheOrgCAAndItsStandby(t *testing.T) {
	m := inmemory.Open(t, memstore.Config{})
	status, err := m.RotateCA.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if status.Generation != 1 || status.Staged == nil || status.Staged.Generation != 2 || status.Rotation.InProgress {
		t.Errorf("status = %+v", status)
	}
	state, err := m.Health.Check(t.Context())
	if err != nil || len(state.Warnings) != 0 {
		t.Errorf("health = %+v, %v; want no warning", state, err)
	}
	want := []audit.Event{audit.OrgCAStaged, audit.OrgCACreated, audit.OrgCAStaged}
	if diff := cmp.Diff(want, events(t, m, inmemory.OrgID)); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	for _, k := range m.Keys.All() {
		if want := map[bool]string{true: "disabled", false: "enabled"}[k.Spec.Role == "root"]; string(k.State) != want {
			t.Errorf("%s key of generation %d is %s, want %s", k.Spec.Role, k.Spec.Generation, k.State, want)
		}
	}
}

func TestSecondRunChangesNothing(t *testing.T) {
	m := inmemory.Open(t, memstore.Config{})
	before := must[any](t)(state(m))
	if _, err := m.Standby.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, must[any](t)(state(m))); diff != "" {
		t.Errorf("second run changed (-before +after):\n%s", diff)
	}
}

func deactivation() enroll.Deactivation {
	return enroll.Deactivation{Agent: "orga::kyc", By: audit.By{Actor: "test"}}
}

func keyring(m *inmemory.Mastio) func(string) *ecdsa.PublicKey {
	return func(kid string) *ecdsa.PublicKey { return m.PublicKey(context.Background(), kid) }
}

func state(m *inmemory.Mastio) (any, error) {
	org, err := m.Store.Org(context.Background())
	return []any{org, m.Keys.All()}, err
}

func TestRotatedCertificateIsDeadAtOnce(t *testing.T) {
	m := inmemory.Open(t, memstore.Config{})
	enrolled, err := m.Admit(t.Context(), "kyc", "kyc:read")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.TokenFor(t.Context(), enrolled.Certificate.CertPEM); err != nil {
		t.Fatalf("token with the enrolled certificate: %v", err)
	}
	rotated, err := m.Rotate(t.Context(), enrolled.Agent.ID)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.TokenFor(t.Context(), enrolled.Certificate.CertPEM); !errors.Is(err, agent.ErrRevoked) {
		t.Errorf("token with the old certificate: err = %v, want ErrRevoked", err)
	}
	issued, err := m.TokenFor(t.Context(), rotated.Certificate.CertPEM)
	if err != nil {
		t.Fatalf("token with the new certificate: %v", err)
	}
	claims, err := accesstoken.Verify(issued.AccessToken, keyring(m), m.Now(), inmemory.Issuer, inmemory.Issuer)
	if err != nil {
		t.Fatal(err)
	}
	x5t, _ := accesstoken.X5TFromThumbprint(rotated.Certificate.Pin.Thumbprint)
	if claims.Subject != "orga::kyc" || claims.X5T != x5t || claims.Generation != 1 || issued.Scope != "kyc:read" {
		t.Errorf("claims = %+v", claims)
	}
	if diff := cmp.Diff([]audit.Event{audit.AgentEnrolled, audit.AgentCertRotated},
		events(t, m, "orga::kyc")); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func TestGraceEndsToTheMillisecond(t *testing.T) {
	m := inmemory.Open(t, memstore.Config{})
	enrolled, err := m.Admit(t.Context(), "kyc")
	if err != nil {
		t.Fatal(err)
	}
	result, err := m.RotateCert.Rotate(t.Context(), agentcert.RotateRequest{
		Agent: enrolled.Agent.ID,
		Grace: time.Hour,
		By:    audit.By{Actor: "test"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := m.Now().Add(time.Hour); !result.PreviousUntil.Equal(want) {
		t.Errorf("previous certificate counts until %s, want %s", result.PreviousUntil, want)
	}
	m.Advance(time.Hour - time.Millisecond)
	if _, err := m.TokenFor(t.Context(), enrolled.Certificate.CertPEM); err != nil {
		t.Errorf("a millisecond before the end: %v", err)
	}
	m.Advance(time.Millisecond)
	if _, err := m.TokenFor(t.Context(), enrolled.Certificate.CertPEM); !errors.Is(err, agent.ErrRevoked) {
		t.Errorf("at the end: err = %v, want ErrRevoked", err)
	}
}

func TestRotatedCAEndsEveryPin(t *testing.T) {
	m := inmemory.Open(t, memstore.Config{})
	enrolled, err := m.Admit(t.Context(), "kyc")
	if err != nil {
		t.Fatal(err)
	}
	result, err := m.Mint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if result.Generation != 2 || result.Previous == nil || result.Previous.Generation != 1 ||
		result.Previous.Status != orgca.Superseded || result.Audit == nil {
		t.Errorf("result = %+v", result)
	}
	if _, err := m.TokenFor(t.Context(), enrolled.Certificate.CertPEM); !errors.Is(err, agent.ErrRevoked) {
		t.Errorf("token under the superseded CA: err = %v, want ErrRevoked", err)
	}
	rotated, err := m.Rotate(t.Context(), enrolled.Agent.ID)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.TokenFor(t.Context(), rotated.Certificate.CertPEM); err != nil ||
		rotated.Certificate.Pin.Generation != 2 {
		t.Errorf("after re-enrolment under generation %d: %v", rotated.Certificate.Pin.Generation, err)
	}
	state, err := m.Health.Check(t.Context())
	if err != nil || len(state.Warnings) != 0 {
		t.Errorf("health right after the rotation = %+v, %v", state, err)
	}
}

// With a standby a rotation is lease, read, transaction; a token is one read; a rotation of a certificate is one read,
// one signature, one transaction and one more look.
func TestRemoteCallsArePaidOnce(t *testing.T) {
	m := inmemory.Open(t, memstore.Config{})
	enrolled, err := m.Admit(t.Context(), "kyc")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.TokenFor(t.Context(), enrolled.Certificate.CertPEM); err != nil { // opens the epoch's key
		t.Fatal(err)
	}
	for _, c := range []struct {
		name        string
		do          func() error
		store, keys map[string]int
	}{
		{"token", func() error { _, err := m.TokenFor(t.Context(), enrolled.Certificate.CertPEM); return err },
			map[string]int{"View": 1}, map[string]int{}},
		{"rotate-cert", func() error { _, err := m.Rotate(t.Context(), "orga::kyc"); return err },
			map[string]int{"View": 1, "Apply": 1, "Pointer": 1}, map[string]int{"Sign": 1}},
		{"rotate-ca", func() error { _, err := m.Mint(t.Context()); return err },
			map[string]int{"Acquire": 1, "Org": 1, "Apply": 1}, map[string]int{}},
	} {
		store, keys := m.Store.Calls(), m.Keys.Calls()
		if err := c.do(); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if diff := cmp.Diff(c.store, since(store, m.Store.Calls())); diff != "" {
			t.Errorf("%s: store calls (-want +got):\n%s", c.name, diff)
		}
		if diff := cmp.Diff(c.keys, since(keys, m.Keys.Calls())); diff != "" {
			t.Errorf("%s: key store calls (-want +got):\n%s", c.name, diff)
		}
	}
}

func since(before, after map[string]int) map[string]int {
	for name, n := range before {
		after[name] -= n
	}
	maps.DeleteFunc(after, func(_ string, n int) bool { return n == 0 })
	return after
}

func TestRotationWithoutStandbyMakesOne(t *testing.T) {
	m := inmemory.Open(t, memstore.Config{})
	for want := int64(2); want < 5; want++ {
		result, err := m.Mint(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if result.Generation != want || result.Truststore.Version == "" {
			t.Errorf("result = %+v, want generation %d in the truststore", result, want)
		}
	}
	if state, err := m.Health.Check(t.Context()); err != nil || len(state.Warnings) != 0 {
		t.Errorf("health = %+v, %v", state, err)
	}
	m.Advance(time.Hour)
	if state, _ := m.Health.Check(t.Context()); !cmp.Equal([]string{"standby_ca_missing"}, texts(state.Warnings)) {
		t.Errorf("warnings an hour later without a standby = %v", state.Warnings)
	}
}

func texts[T ~string](all []T) (written []string) {
	for _, w := range all {
		written = append(written, string(w))
	}
	return written
}

func TestHeldLeaseRefuses(t *testing.T) {
	m := inmemory.Open(t, memstore.Config{})
	held, err := m.Store.Acquire(t.Context(), orgca.Lease{
		Holder:    "other",
		Operation: "rotate-ca",
		Phase:     "swap",
		Expires:   m.Now().Add(orgca.LeaseTTL),
	}, m.Now())
	if err != nil {
		t.Fatal(err)
	}
	m.Advance(11 * time.Second)
	_, err = m.Mint(t.Context())
	if !errors.Is(err, orgca.ErrLeaseHeld) || problem.Of(err).RetryIn != 19*time.Second {
		t.Fatalf("err = %v, want ErrHeld for 19 s", err)
	}
	m.Advance(19 * time.Second)
	result, err := m.Mint(t.Context())
	if err != nil || result.Generation != 2 {
		t.Errorf("after the lease expired: %+v, %v", result, err)
	}
	if err := m.Store.Release(t.Context(), held); err == nil {
		t.Error("the former holder could release the lease")
	}
}

func TestIdempotencyKey(t *testing.T) {
	m := inmemory.Open(t, memstore.Config{})
	ask := func(key, reason string) (rotateca.Result, error) {
		return m.RotateCA.Do(t.Context(), rotateca.Request{
			Mode:           rotateca.Mint,
			By:             audit.By{Actor: "test"},
			IdempotencyKey: key,
			Reason:         reason,
		})
	}
	first, err := ask("k1", "")
	if err != nil {
		t.Fatal(err)
	}
	again, err := ask("k1", "unspecified")
	if !again.Replayed {
		t.Error("the repetition does not say that it is one")
	}
	again.Replayed = false
	if diff := cmp.Diff(first, again); err != nil || diff != "" {
		t.Errorf("the same key again: %v (-first +again):\n%s", err, diff)
	}
	if _, err := ask("k1", "keyCompromise"); !errors.Is(err, idempotency.ErrReused) {
		t.Errorf("the same key for another request: err = %v", err)
	}
	if other, err := ask("k2", ""); err != nil || other.Generation != 3 {
		t.Errorf("another key: %+v, %v", other, err)
	}
	m.Advance(25 * time.Hour)
	if late, err := ask("k2", ""); err != nil || late.Generation != 4 {
		t.Errorf("the key of yesterday: generation %d, %v; want a rotation of its own", late.Generation, err)
	}
}

func TestDeactivatedAgent(t *testing.T) {
	m := inmemory.Open(t, memstore.Config{})
	enrolled, err := m.Admit(t.Context(), "kyc", "a")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Admit(t.Context(), "kyc", "b"); !errors.Is(err, agent.ErrAlreadyEnrolled) {
		t.Errorf("enrolling twice: err = %v", err)
	}
	for range 2 {
		if err := m.Enroll.Deactivate(t.Context(), deactivation()); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := m.TokenFor(t.Context(), enrolled.Certificate.CertPEM); !errors.Is(err, agent.ErrRevoked) {
		t.Errorf("token for a deactivated agent: err = %v", err)
	}
	if _, err := m.Rotate(t.Context(), "orga::kyc"); !errors.Is(err, agent.ErrDeactivated) {
		t.Errorf("rotation of a deactivated agent: err = %v", err)
	}
	again, err := m.Admit(t.Context(), "kyc", "c")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.TokenFor(t.Context(), again.Certificate.CertPEM); err != nil {
		t.Errorf("token after reactivation: %v", err)
	}
	want := []audit.Event{audit.AgentEnrolled, audit.AgentDeactivated, audit.AgentEnrolled}
	if diff := cmp.Diff(want, events(t, m, "orga::kyc")); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

package inmemory_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
	"github.com/mastio-aws/mastio/shared/usecase/agentcert"
	"github.com/mastio-aws/mastio/shared/usecase/enroll"
	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
	"github.com/mastio-aws/mastio/test/inmemory"
)

// succeed pins a successor of an agent's certificate, as a renewal does, and returns it.
func succeed(t *testing.T, m *inmemory.Mastio, id agent.ID) []byte {
	t.Helper()
	view, err := m.Store.View(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	material, err := agentcert.Prepare(agentcert.KeyRequest{})
	if err != nil {
		t.Fatal(err)
	}
	issuer := agentcert.Issuer{
		Store:       m.Store,
		Keys:        m.Keys,
		OrgID:       inmemory.OrgID,
		TrustDomain: inmemory.TrustDomain,
		Now:         m.Now,
		NewID:       m.NewID,
	}
	_, certificate, err := issuer.Pin(t.Context(), agentcert.Pinning{
		Agent:    *view.Agent,
		Was:      view.Agent,
		Pointer:  *view.Pointer,
		Grace:    time.Hour,
		UntilUse: true,
		Entry: func(p agent.Pin) audit.Entry {
			return audit.Entry{
				Event:   audit.AgentCertRenewed,
				Actor:   "test",
				Details: map[string]any{"cert_thumbprint": p.Thumbprint},
			}
		},
	}, material)
	if err != nil {
		t.Fatal(err)
	}
	return certificate.CertPEM
}

// armed is a Mastio whose commits have a fate from when it is set.
func armed(t *testing.T) (m *inmemory.Mastio, fate func(memstore.Fault), applied func() int) {
	t.Helper()
	next := memstore.None
	m = inmemory.Open(t, memstore.Config{Fault: func(op string) memstore.Fault {
		if op == "Apply" {
			return next
		}
		return memstore.None
	}})
	return m, func(f memstore.Fault) { next = f }, func() int { return m.Store.Calls()["Apply"] }
}

// The first use of a successor ends the certificate before it, in one commit, and no later use commits anything.
func TestFirstUseEndsThePredecessorOnce(t *testing.T) {
	m, _, applied := armed(t)
	first := admit(t, m, "a")
	old := first.Certificate.CertPEM
	next := succeed(t, m, first.Agent.ID)
	counts(t, m, "old", old, true)
	before := applied()
	counts(t, m, "next", next, true)
	counts(t, m, "next", next, true)
	if n := applied() - before; n != 1 {
		t.Errorf("%d commits by two uses, want 1", n)
	}
	counts(t, m, "old", old, false)
	rows, err := m.Store.Rows(t.Context(), string(first.Agent.ID), 0, 10)
	if err != nil {
		t.Fatal(err)
	}
	if last := rows[len(rows)-1]; last.EventType != audit.AgentCertActivated ||
		!slices.Equal(last.Details["ended_thumbprints"].([]any), []any{first.Certificate.Pin.Thumbprint}) {
		t.Errorf("last row = %+v", last)
	}
}

// A first use that the store does not confirm is no reason to refuse a token; the next use commits.
func TestFirstUseWithoutConfirmation(t *testing.T) {
	for name, f := range map[string]memstore.Fault{"lost": memstore.Lose, "done but unanswered": memstore.HalfAck,
		"late": memstore.Late, "refused": memstore.Refuse} {
		t.Run(name, func(t *testing.T) {
			m, fate, applied := armed(t)
			first := admit(t, m, "a")
			next := succeed(t, m, first.Agent.ID)
			fate(f)
			counts(t, m, "next", next, true)
			fate(memstore.None)
			m.Store.Deliver()
			counts(t, m, "next", next, true)
			counts(t, m, "first.Certificate.CertPEM", first.Certificate.CertPEM, false)
			before := applied()
			counts(t, m, "next", next, true)
			if n := applied() - before; n != 0 {
				t.Errorf("%d commits in the steady state", n)
			}
		})
	}
}

// A rotation that commits between the read and the commit of a first use wins: its pin stays, and the token is refused.
func TestFirstUseLosesAgainstARotation(t *testing.T) {
	var m *inmemory.Mastio
	var rotated []byte
	meddle := false
	m = inmemory.Open(t, memstore.Config{Fault: func(op string) memstore.Fault {
		if op == "Apply" && meddle {
			meddle = false
			result, err := m.Rotate(context.Background(), "orga::a")
			if err != nil {
				t.Error(err)
			}
			rotated = result.Certificate.CertPEM
		}
		return memstore.None
	}})
	first := admit(t, m, "a")
	next := succeed(t, m, first.Agent.ID)
	meddle = true
	counts(t, m, "next", next, false)
	counts(t, m, "rotated", rotated, true)
	counts(t, m, "first.Certificate.CertPEM", first.Certificate.CertPEM, false)
}

// A certificate that a rollback restored, once used, is the agent's again: it is carried by the next overlap.
func TestRestoredCertificateIsCarriedByAnOverlap(t *testing.T) {
	m, _, _ := armed(t)
	first := admit(t, m, "a")
	m.Do(t, rotateca.Request{Mode: rotateca.Mint})
	if _, err := m.Rotate(t.Context(), first.Agent.ID); err != nil {
		t.Fatal(err)
	}
	m.Do(t, rotateca.Request{Mode: rotateca.Rollback})
	counts(t, m, "first.Certificate.CertPEM", first.Certificate.CertPEM, true)
	m.Do(t, rotateca.Request{Mode: rotateca.Mint, Overlap: time.Hour})
	counts(t, m, "first.Certificate.CertPEM", first.Certificate.CertPEM, true)
	m.Advance(time.Hour)
	counts(t, m, "first.Certificate.CertPEM", first.Certificate.CertPEM, false)
}

// undone is an agent whose certificate a rollback has restored, and that has not used it since. It had left it by its
// operator's rotation or, of its own, by a renewal whose certificate it has used.
func undone(t *testing.T, m *inmemory.Mastio, renewed bool) enroll.Result {
	t.Helper()
	first := admit(t, m, "a")
	m.Do(t, rotateca.Request{Mode: rotateca.Mint, Overlap: time.Hour})
	if renewed {
		counts(t, m, "the successor", succeed(t, m, first.Agent.ID), true)
	} else if _, err := m.Rotate(t.Context(), first.Agent.ID); err != nil {
		t.Fatal(err)
	}
	counts(t, m, "the certificate that was left", first.Certificate.CertPEM, false)
	m.Advance(time.Minute)
	m.Do(t, rotateca.Request{Mode: rotateca.Rollback})
	return first
}

// The grace of a rotation right after a rollback is one for the restored certificate, whether or not that was used in
// between, and whatever becomes of the Org CA meanwhile.
func TestGraceRightAfterARollback(t *testing.T) {
	for _, renewed := range []bool{false, true} {
		m, _, _ := armed(t)
		first := undone(t, m, renewed)
		result, err := m.RotateCert.Rotate(t.Context(), agentcert.RotateRequest{
			Agent: first.Agent.ID,
			Grace: time.Hour,
			By:    audit.By{Actor: "test"},
		})
		if err != nil {
			t.Fatal(err)
		}
		counts(t, m, "the new certificate", result.Certificate.CertPEM, true)
		m.Do(t, rotateca.Request{Mode: rotateca.Mint, Overlap: 2 * time.Hour})
		m.Advance(time.Hour - time.Millisecond)
		counts(t, m, "the restored one in its grace and in an overlap", first.Certificate.CertPEM, true)
		m.Advance(time.Millisecond)
		counts(t, m, "the restored one after its grace", first.Certificate.CertPEM, false)
		counts(t, m, "the new certificate in an overlap", result.Certificate.CertPEM, true)
	}
}

// A successor that is pinned right after a rollback may get lost as any other: until it is used, the restored
// certificate is the agent's.
func TestSuccessorRightAfterARollback(t *testing.T) {
	for _, renewed := range []bool{false, true} {
		m, _, _ := armed(t)
		first := undone(t, m, renewed)
		next := succeed(t, m, first.Agent.ID)
		counts(t, m, "the restored certificate, unless its successor is used", first.Certificate.CertPEM, true)
		counts(t, m, "the successor", next, true)
		counts(t, m, "the restored certificate, once its successor was used", first.Certificate.CertPEM, false)
	}
}

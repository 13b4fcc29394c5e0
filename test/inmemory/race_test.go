package inmemory_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
	"github.com/mastio-aws/mastio/shared/usecase/agentcert"
	"github.com/mastio-aws/mastio/shared/usecase/authn"
	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
	"github.com/mastio-aws/mastio/shared/usecase/token"
	"github.com/mastio-aws/mastio/test/inmemory"
)

// The Org CA moves between a rotation's read and its commit. The certificate that is handed out counts all the same: it
// was issued again.
func TestCAMovesUnderARotation(t *testing.T) {
	var m *inmemory.Mastio
	armed := false
	m = inmemory.Open(t, memstore.Config{Fault: func(op string) memstore.Fault {
		if op == "Apply" && armed {
			armed = false
			if _, err := m.Mint(t.Context()); err != nil {
				t.Error(err)
			}
		}
		return memstore.None
	}})
	enrolled := admit(t, m, "kyc")
	armed = true
	rotated, err := m.Rotate(t.Context(), enrolled.Agent.ID)
	if err != nil {
		t.Fatal(err)
	}
	if rotated.Certificate.Pin.Generation != 2 {
		t.Errorf("the certificate is of generation %d, the current one is 2", rotated.Certificate.Pin.Generation)
	}
	counts(t, m, "the certificate that was handed out", rotated.Certificate.CertPEM, true)

	armed = true
	late, err := m.Admit(t.Context(), "late")
	if err != nil {
		t.Fatal(err)
	}
	counts(t, m, "the certificate of an enrolment", late.Certificate.CertPEM, true)
	handedOut(t, m, enrolled.Certificate.Pin.Thumbprint, rotated.Certificate.Pin.Thumbprint,
		late.Certificate.Pin.Thumbprint)
}

// A rollback overtakes a rotation in an overlap, between its commit and its answer: it brings back what the rotation
// had replaced. The rotation ends it for good before it answers, also if the old certificate is used in between.
func TestARollbackUnderARotation(t *testing.T) {
	var old []byte
	m, times := meddled(t, "Pointer", func(m *inmemory.Mastio) {
		counts(t, m, "the old certificate, replaced", old, false)
		m.Do(t, rotateca.Request{Mode: rotateca.Rollback})
		counts(t, m, "the old certificate, restored", old, true)
	})
	old = admit(t, m, "kyc").Certificate.CertPEM
	m.Do(t, rotateca.Request{Mode: rotateca.Mint, Overlap: time.Hour})
	counts(t, m, "the old certificate in the overlap", old, true)
	*times = 1
	rotated := must[agentcert.RotateResult](t)(m.Rotate(t.Context(), "orga::kyc"))
	if *times != 0 || rotated.Certificate.Pin.Generation != 1 {
		t.Errorf("the certificate is of generation %d, the rollback left 1", rotated.Certificate.Pin.Generation)
	}
	counts(t, m, "the old certificate after the answer", old, false)
	counts(t, m, "the certificate that was handed out", rotated.Certificate.CertPEM, true)
}

// The Org CA moves on, with an overlap, while a token's request puts the use of a restored certificate on record.
// Until the record is there the certificate does not count, and then it does.
func TestTheOrgCAMovesUnderAFirstUse(t *testing.T) {
	var old []byte
	m, times := meddled(t, "Apply", func(m *inmemory.Mastio) {
		m.Do(t, rotateca.Request{Mode: rotateca.Mint, Overlap: time.Hour})
		view := must[registry.View](t)(m.Store.View(t.Context(), "orga::kyc"))
		if _, err := view.Agent.Authenticate(view.Agent.Pins[1].Thumbprint, view.Pointer, m.Now()); !errors.Is(err,
			agent.ErrRevoked) {
			t.Errorf("the restored certificate before its use is on record: %v", err)
		}
	})
	old = admit(t, m, "kyc").Certificate.CertPEM
	m.Do(t, rotateca.Request{Mode: rotateca.Mint})
	must[agentcert.RotateResult](t)(m.Rotate(t.Context(), "orga::kyc"))
	m.Do(t, rotateca.Request{Mode: rotateca.Rollback})
	*times = 1
	counts(t, m, "the restored certificate", old, true)
	if *times != 0 {
		t.Error("the Org CA did not move")
	}
	counts(t, m, "the restored certificate in the overlap", old, true)
}

// handedOut checks that of the certificates that have a row exactly these were handed out: each other one is named as
// superseded_unissued by the row behind its own.
func handedOut(t *testing.T, m *inmemory.Mastio, want ...string) {
	t.Helper()
	var got []string
	for _, subject := range []string{"orga::kyc", "orga::late"} {
		rows := must[[]audit.Row](t)(m.Store.Rows(t.Context(), subject, 0, 100))
		for i, row := range rows {
			thumbprint, _ := row.Details["cert_thumbprint"].(string)
			if thumbprint == "" {
				thumbprint, _ = row.Details["thumbprint"].(string)
			}
			unissued := false
			if i+1 < len(rows) {
				named, _ := rows[i+1].Details["superseded_unissued"].([]any)
				unissued = slices.Contains(named, any(thumbprint))
			}
			if thumbprint != "" && !unissued {
				got = append(got, thumbprint)
			}
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("certificates that the trail says were handed out (-want +got):\n%s", diff)
	}
}

// Two rotations of one agent run at once: the second reports a conflict, and the first one's certificate counts. A
// change of the record that leaves the certificate alone is no conflict.
func TestTwoRotationsOfOneAgentAtOnce(t *testing.T) {
	var first []byte
	m, times := meddled(t, "Apply", func(m *inmemory.Mastio) {
		result, err := m.Rotate(context.Background(), "orga::kyc")
		if err != nil {
			t.Error(err)
		}
		first = result.Certificate.CertPEM
	})
	admit(t, m, "kyc")
	*times = 1
	if _, err := m.Rotate(t.Context(), "orga::kyc"); !errors.Is(err, agentcert.ErrConcurrent) {
		t.Errorf("the second rotation: %v, want ErrConcurrent", err)
	}
	counts(t, m, "the first one's certificate", first, true)

	m, times = meddled(t, "Apply", func(m *inmemory.Mastio) {
		view, err := m.Store.View(context.Background(), "orga::kyc")
		if err != nil {
			t.Error(err)
		}
		view.Agent.DisplayName += "!"
		if err := m.Store.Apply(context.Background(), registry.Change{ID: m.NewID(), Agent: view.Agent}); err != nil {
			t.Error(err)
		}
	})
	admit(t, m, "kyc")
	*times = 2
	result, err := m.Rotate(t.Context(), "orga::kyc")
	if err != nil || result.Agent.DisplayName != "kyc!!" {
		t.Fatalf("beside changes of the name: %q, %v", result.Agent.DisplayName, err)
	}
	counts(t, m, "its certificate", result.Certificate.CertPEM, true)
}

func TestClientIDMustNotContradictTheCertificate(t *testing.T) {
	m := inmemory.Open(t, memstore.Config{})
	one, two := admit(t, m, "one"), admit(t, m, "two")
	ask := func(clientID string) error {
		_, err := m.Token.Issue(t.Context(), token.Request{
			CertificatePEM: string(one.Certificate.CertPEM),
			ClientID:       clientID,
		})
		return err
	}
	for clientID, want := range map[string]error{
		string(one.Agent.ID): nil, "": nil, string(two.Agent.ID): authn.ErrForeign, "orga::nobody": authn.ErrForeign,
		"one": authn.ErrClientID,
	} {
		if err := ask(clientID); !errors.Is(err, want) {
			t.Errorf("client_id %q: err = %v, want %v", clientID, err, want)
		}
	}
}

package inmemory_test

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
	"github.com/mastio-aws/mastio/shared/usecase/enroll"
	"github.com/mastio-aws/mastio/test/inmemory"
)

// A rotation comes between the reading and the writing of an amendment: both are there in the end. So is one whose
// write got no answer, once.
func TestAmendmentBesideARotation(t *testing.T) {
	var certificate []byte
	m, times := meddled(t, "Apply", func(m *inmemory.Mastio) {
		result, err := m.Rotate(context.Background(), "orga::kyc")
		if err != nil {
			t.Error(err)
		}
		certificate = result.Certificate.CertPEM
	})
	admit(t, m, "kyc")
	*times = 2
	amend(t, m, "Team A")
	counts(t, m, "the certificate of the last rotation", certificate, true)
	ownedBy(t, m, "Team A", audit.AgentEnrolled, audit.AgentCertRotated, audit.AgentCertRotated, audit.AgentUpdated)
}

func TestAmendmentWithoutAnAnswer(t *testing.T) {
	for name, fault := range map[string]memstore.Fault{"half": memstore.HalfAck, "lost": memstore.Lose} {
		t.Run(name, func(t *testing.T) {
			armed := false
			m := inmemory.Open(t, memstore.Config{Fault: func(op string) memstore.Fault {
				if op == "Apply" && armed {
					armed = false
					return fault
				}
				return memstore.None
			}})
			admit(t, m, "kyc")
			armed = true
			amend(t, m, "Team A")
			amend(t, m, "Team A")
			ownedBy(t, m, "Team A", audit.AgentEnrolled, audit.AgentUpdated)
		})
	}
}

func amend(t *testing.T, m *inmemory.Mastio, owner string) {
	t.Helper()
	var p agent.Patch
	if err := json.Unmarshal([]byte(`{"owner":"`+owner+`"}`), &p); err != nil {
		t.Fatal(err)
	}
	a, valid, err := m.Enroll.Amend(t.Context(), enroll.Amendment{
		By:    audit.By{Actor: "test"},
		Agent: "orga::kyc",
		Patch: p,
	})
	if err != nil || a.Owner != owner || !valid {
		t.Errorf("amended: owner %q, its certificate counts %v, %v", a.Owner, valid, err)
	}
}

// ownedBy checks the stored owner, and the events of the agent's chain.
func ownedBy(t *testing.T, m *inmemory.Mastio, owner string, want ...audit.Event) {
	t.Helper()
	view := must[registry.View](t)(m.Store.View(t.Context(), "orga::kyc"))
	if view.Agent.Owner != owner {
		t.Errorf("owner %q, want %q", view.Agent.Owner, owner)
	}
	rows := must[[]audit.Row](t)(m.Store.Rows(t.Context(), "orga::kyc", 0, 100))
	var got []audit.Event
	for _, row := range rows {
		got = append(got, row.EventType)
	}
	if len(got) != len(want) {
		t.Fatalf("events %v, want %v", got, want)
	}
	for n := range want {
		if got[n] != want[n] {
			t.Errorf("event %d is %s, want %s", n, got[n], want[n])
		}
	}
}

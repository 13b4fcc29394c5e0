package inmemory

import (
	"testing"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
)

// Open returns a Mastio that has an Org CA and its standby.
func Open(t testing.TB, cfg memstore.Config) *Mastio {
	t.Helper()
	m := New(cfg)
	if _, err := m.Standby.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	return m
}

// Do changes the Org CA, which must work.
func (m *Mastio) Do(t testing.TB, req rotateca.Request) rotateca.Result {
	t.Helper()
	req.Actor = "test"
	result, err := m.RotateCA.Do(t.Context(), req)
	if err != nil {
		t.Fatalf("%s: %v", req.Mode, err)
	}
	return result
}

// Org reads everything about the organisation's CA.
func (m *Mastio) Org(t testing.TB) registry.Org {
	t.Helper()
	org, err := m.Store.Org(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return org
}

// Seed stores a new agent with the row of its enrolment: an agent that an enrolment cannot make, or takes long to.
func (m *Mastio) Seed(t testing.TB, a agent.Agent) {
	t.Helper()
	row, head, err := a.Head.Append(audit.Entry{
		Time:    a.EnrolledAt,
		Event:   audit.AgentEnrolled,
		Actor:   "test",
		Subject: string(a.ID),
	})
	if err != nil {
		t.Fatal(err)
	}
	a.Head = head
	if err := m.Store.Apply(t.Context(), registry.Change{ID: m.NewID(), Agent: &a, Rows: []audit.Row{row}}); err != nil {
		t.Fatal(err)
	}
}

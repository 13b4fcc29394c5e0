package storetest

import (
	"testing"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/registry"
)

// suspects are found from the change that makes them suspect to the one that ends it.
func suspects(_ *testing.T, f fixture) {
	find := func(what string, limit int, want ...agent.ID) {
		f.t.Helper()
		got, err := f.Suspects(f.t.Context(), limit)
		f.fails(what, err, nil)
		f.same(what, got, want)
	}
	become := func(id agent.ID, s agent.Suspect) {
		f.t.Helper()
		was := *f.view(id).Agent
		next := was
		next.Suspect, next.UpdatedAt = s, next.UpdatedAt.Add(time.Second)
		c := registry.Change{ID: newID(), Agent: &next}.Ends(was, next.UpdatedAt)
		f.apply(c)
		f.apply(c) // an answer was lost
	}
	find("none", 10)
	for n := range 4 {
		f.apply(enrolment(agentID(n), 1))
	}
	mark := agent.Suspect{Evidence: agent.DeadCertificate, Thumbprint: "ab", At: noon}
	find("none of four", 10)
	become(agentID(2), mark)
	become(agentID(1), mark)
	become(agentID(3), agent.Suspect{})
	find("two", 10, agentID(1), agentID(2))
	find("the first", 1, agentID(1))
	f.same("the mark", f.view(agentID(2)).Agent.Suspect, mark)
	become(agentID(2), mark)
	become(agentID(0), agent.Suspect{})
	find("still two", 10, agentID(1), agentID(2))
	become(agentID(1), agent.Suspect{})
	find("one", 10, agentID(2))
	become(agentID(2), agent.Suspect{})
	find("none again", 10)
}

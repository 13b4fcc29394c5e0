package storetest

import (
	"testing"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/registry"
)

func fullKeys(id agent.ID) agent.Keys {
	return agent.Keys{
		Agent:       id,
		Compromised: []agent.KeyID{{1}, {2, 7: 2}},
		Earlier:     []agent.KeyID{{3}, {4}, {7: 5}},
		Staged:      []agent.StagedID{{6, 15: 6}},
		Renewed:     "aa",
		Renewals:    []time.Time{noon, ago(time.Second)},
	}
}

func (f fixture) keys(id agent.ID) agent.Keys {
	f.t.Helper()
	k, err := f.Keys(f.t.Context(), id)
	f.fails("keys", err, nil)
	both, err := f.ViewKeys(f.t.Context(), id)
	f.fails("view with keys", err, nil)
	want := f.view(id)
	want.Keys = &k
	f.same("view with keys", both, want)
	return k
}

func keys(t *testing.T, f fixture) {
	f.same("nothing", f.keys(agentID(1)), agent.Keys{Agent: agentID(1)})
	k := fullKeys(agentID(1))
	c := enrolment(agentID(1), 1)
	c.Keys = &k
	f.apply(c)
	k.Compromised[0], k.Earlier[0], k.Staged[0], k.Renewals[0] = agent.KeyID{9}, agent.KeyID{9}, agent.StagedID{9},
		noon.Add(time.Hour)
	want := fullKeys(agentID(1))
	want.Version = 1
	f.same("after what was written was spoilt", f.keys(agentID(1)), want)
	f.same("another agent's", f.keys(agentID(2)), agent.Keys{Agent: agentID(2)})

	before := f.view(agentID(1))
	stale := rotation(*before.Agent, 1)
	stale.Keys = &agent.Keys{Agent: agentID(1)}
	f.fails("keys that exist, as new", f.Apply(t.Context(), stale), registry.ErrConflict)
	f.same("the whole change happened not", f.view(agentID(1)), before)
	none := agent.Keys{Agent: agentID(1), Version: 1}
	f.apply(registry.Change{ID: newID(), Keys: &none})
	f.same("none", f.keys(agentID(1)), agent.Keys{Agent: agentID(1), Version: 2})
	f.same("the agent's own record", f.view(agentID(1)), before)
	f.fails("the version before", f.Apply(t.Context(), registry.Change{ID: newID(), Keys: &none}), registry.ErrConflict)
}

package storetest

import (
	"testing"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/registry"
)

// holders keep their keys, until they are former ones.
func holders(t *testing.T, f fixture) {
	one, two := agent.ProvedKey{1}, agent.ProvedKey{2, 15: 0xff}
	until := noon.Truncate(time.Second).UTC()
	read := func(what string, want map[agent.ProvedKey]registry.KeyHolder) {
		t.Helper()
		got, err := f.KeyHolders(t.Context(), one, two)
		f.fails(what, err, nil)
		f.same(what, got, want)
	}
	hold := func(what string, h registry.KeyHolder, former agent.ID, want error) registry.KeyHolder {
		t.Helper()
		f.fails(what, f.HoldKey(t.Context(), h, former), want)
		return h
	}
	read("no holders", map[agent.ProvedKey]registry.KeyHolder{})
	first := hold("a free key", registry.KeyHolder{Key: one, Agent: agentID(1), Until: until}, "", nil)
	other := hold("another", registry.KeyHolder{Key: two, Agent: agentID(2), Until: until}, agentID(9), nil)
	read("two", map[agent.ProvedKey]registry.KeyHolder{one: first, two: other})

	first = hold("longer", registry.KeyHolder{Key: one, Agent: agentID(1), Until: until.Add(time.Hour)}, "", nil)
	taken := registry.KeyHolder{Key: one, Agent: agentID(2), Until: until}
	hold("of another agent", taken, "", registry.ErrConflict)
	hold("of another agent than the former one", taken, agentID(3), registry.ErrConflict)
	read("as before", map[agent.ProvedKey]registry.KeyHolder{one: first, two: other})
	hold("of the former agent", taken, agentID(1), nil)
	hold("again", taken, agentID(1), nil)
	read("taken over", map[agent.ProvedKey]registry.KeyHolder{one: taken, two: other})
	hold("back", first, "", registry.ErrConflict)

	won := 0
	for _, err := range atOnce(func(n int) error {
		return f.HoldKey(t.Context(), registry.KeyHolder{Key: agent.ProvedKey{3}, Agent: agentID(n), Until: until}, "")
	}) {
		if err == nil {
			won++
		} else {
			f.fails("one of many", err, registry.ErrConflict)
		}
	}
	f.same("agents that hold one key", won, 1)
}

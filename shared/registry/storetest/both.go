package storetest

import (
	"testing"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/registry"
)

func viewBoth(t *testing.T, f fixture) {
	one, two, none := agentID(1), agentID(2), agentID(3)
	f.apply(enrolment(one, 1))
	f.apply(enrolment(two, 1))
	p := fullPointer()
	f.apply(registry.Change{ID: newID(), Pointer: &p})
	for what, c := range map[string]struct{ id, other agent.ID }{
		"two agents":                   {one, two},
		"the other way round":          {two, one},
		"an agent twice":               {one, one},
		"the other one does not exist": {one, none},
		"the first one does not exist": {none, two},
		"neither exists":               {none, agentID(4)},
		"another without an id":        {one, ""},
	} {
		got, err := f.ViewBoth(t.Context(), c.id, c.other)
		f.fails(what, err, nil)
		want := f.view(c.id)
		want.Other = f.view(c.other).Agent
		f.same(what, got, want)
	}
	got, err := f.ViewBoth(t.Context(), one, one)
	f.fails("an agent twice", err, nil)
	got.Other.Pins[0].Key = "changed"
	if got.Agent.Pins[0].Key == "changed" {
		t.Error("the two share memory")
	}
}

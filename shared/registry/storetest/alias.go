package storetest

import (
	"strings"
	"testing"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/registry"
)

func (f fixture) alias(names ...string) agent.ID {
	f.t.Helper()
	id, err := f.Alias(f.t.Context(), names...)
	if err != nil {
		f.t.Fatalf("alias: %v", err)
	}
	return id
}

func aliasing(t *testing.T, f fixture) {
	long := registry.SPIFFEAlias("spiffe://acme.test/" + strings.Repeat("x", 2000))
	mine := func(name string) registry.Alias {
		return registry.Alias{Name: name, Agent: agentID(1), Expires: noon.Add(time.Hour)}
	}
	c := enrolment(agentID(1), 1)
	c.Aliases = []registry.Alias{mine("one"), mine(long), {Name: "for ever", Agent: agentID(1)}}
	f.apply(c)
	f.same("nothing", f.alias("nowhere"), agent.ID(""))
	for _, name := range []string{"one", long, "for ever"} {
		f.same("alias", f.alias("nowhere", name), agentID(1))
	}

	other := enrolment(agentID(2), 1)
	other.Aliases = []registry.Alias{{Name: "two", Agent: agentID(2)}, {Name: "one", Agent: agentID(2)}}
	f.fails("another agent's alias", f.Apply(t.Context(), other), registry.ErrConflict)
	f.same("the whole change happened not", f.view(agentID(2)).Agent, (*agent.Agent)(nil))
	f.same("nor its other alias", f.alias("two"), agent.ID(""))
	other.ID, other.Aliases = newID(), nil
	other.Forget = []registry.Alias{{Name: "one", Agent: agentID(2)}}
	f.fails("forget another agent's alias", f.Apply(t.Context(), other), registry.ErrConflict)
	other.ID, other.Aliases, other.Forget = newID(), []registry.Alias{{Name: "two", Agent: agentID(2)}}, nil
	f.apply(other)
	f.same("the first of two", f.alias("two", "one"), agentID(2))
	f.same("the first of two", f.alias("one", "two"), agentID(1))

	f.apply(registry.Change{
		ID:      newID(),
		Aliases: []registry.Alias{mine("one")},
		Forget:  []registry.Alias{mine("never there"), mine(long)},
	})
	f.same("its own, again", f.alias("one"), agentID(1))
	f.same("forgotten", f.alias(long), agent.ID(""))
}

func edgeCAs(t *testing.T, f fixture) {
	one := registry.EdgeCA{DER: []byte{0x30, 1}, Expires: noon.Add(time.Hour).Truncate(time.Second)}
	two := registry.EdgeCA{DER: []byte{0x30, 2}}
	g := fullGeneration(1)
	f.apply(registry.Change{ID: newID(), EdgeCAs: []registry.EdgeCA{one, two}, Generations: []orgca.Generation{g}})
	f.apply(registry.Change{ID: newID(), EdgeCAs: []registry.EdgeCA{two}})
	want := []registry.EdgeCA{two, one} // SHA-256 of 3002 is 758e…, of 3001 f54f…
	read := func() []registry.EdgeCA {
		cas, err := f.EdgeCAs(t.Context())
		f.fails("CAs of the edge", err, nil)
		return cas
	}
	f.same("CAs of the edge", read(), want)
	f.same("generations", f.org().Generations, storedGenerations(g))
	one.DER[1], read()[0].DER[1] = 9, 9
	want[1].DER = []byte{0x30, 1}
	f.same("CAs of the edge after what was written and read was spoilt", read(), want)
}

func (f fixture) named(der []byte) bool {
	f.t.Helper()
	named, err := f.Named(f.t.Context(), der)
	f.fails("who names a CA", err, nil)
	return named
}

func named(t *testing.T, f fixture) {
	one, two := []byte{0x30, 1}, []byte{0x30, 2}
	f.same("no agent names it", f.named(one), false)
	names := func(n int, names, drops [][]byte) {
		f.apply(registry.Change{ID: newID(), Naming: &registry.Naming{Agent: agentID(n), Names: names, Drops: drops}})
	}
	names(1, [][]byte{one, two}, nil)
	names(2, [][]byte{one}, nil)
	f.same("two agents", f.named(one), true)
	names(1, [][]byte{one}, [][]byte{two})
	f.same("none any more", f.named(two), false)
	names(1, nil, [][]byte{one, two})
	f.same("one is left", f.named(one), true)
	names(2, nil, [][]byte{one})
	f.same("none is left", f.named(one), false)
}

func marks(t *testing.T, f fixture) {
	ca := registry.EdgeCA{DER: []byte{0x30, 1}, Expires: noon.Add(time.Hour).Truncate(time.Second), Counted: true}
	add := func() { f.apply(registry.Change{ID: newID(), EdgeCAs: []registry.EdgeCA{ca}}) }
	has := func(what string, want ...registry.EdgeCA) {
		t.Helper()
		got, err := f.EdgeCAs(t.Context())
		f.fails(what, err, nil)
		f.same(what, got, want)
	}
	mark := func(read registry.EdgeCA, since time.Time, forget bool, want error) {
		t.Helper()
		c := registry.Change{ID: newID(), Mark: &registry.EdgeMark{CA: read, Unnamed: since, Forget: forget}}
		f.fails("mark", f.Apply(t.Context(), c), want)
	}
	marked := ca
	marked.Unnamed = noon
	mark(ca, noon, false, registry.ErrConflict) // there is none
	add()
	mark(marked, noon, true, registry.ErrConflict) // it has no mark
	mark(ca, noon, false, nil)
	has("marked", marked)
	mark(ca, noon.Add(time.Minute), false, registry.ErrConflict) // it was read without its mark
	later := marked
	later.Unnamed = noon.Add(time.Minute)
	mark(later, noon, true, registry.ErrConflict) // it was read with another
	mark(marked, time.Time{}, false, nil)
	has("unmarked", ca)
	mark(ca, noon, false, nil)
	add() // by an enrolment
	has("added anew", ca)
	mark(marked, time.Time{}, true, registry.ErrConflict)
	mark(ca, noon, false, nil)
	mark(marked, time.Time{}, true, nil)
	has("forgotten")
	mark(marked, time.Time{}, true, registry.ErrConflict)
}

package storetest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/registry"
)

// refusals are noted once for each certificate of an agent, and share nothing with what else is known of it.
func refusals(t *testing.T, f fixture) {
	one, two := agentID(1), agentID(2)
	read := func(what string, want map[agent.ID]registry.Refusal, ids ...agent.ID) {
		t.Helper()
		got, err := f.Refusals(t.Context(), ids)
		f.fails(what, err, nil)
		f.same(what, got, want)
	}
	note := func(id agent.ID, certificate string, generation int64, at time.Time) registry.Refusal {
		t.Helper()
		r := registry.Refusal{
			Agent:      id,
			Thumbprint: strings.Repeat(certificate, 64),
			Generation: generation,
			Code:       "certificate_expired",
			At:         at,
		}
		f.fails("refused with "+certificate, f.Refuse(t.Context(), r), nil)
		return r
	}
	read("none", map[agent.ID]registry.Refusal{}, one, two)
	read("no agents", map[agent.ID]registry.Refusal{})
	first := note(one, "a", 2, noon)
	note(one, "a", 2, noon.Add(time.Minute))
	read("the first counts", map[agent.ID]registry.Refusal{one: first}, one, two)
	next := note(one, "b", 3, noon.Add(time.Hour))
	back := note(two, "c", 1, noon)
	read("another certificate", map[agent.ID]registry.Refusal{one: next, two: back}, two, one)

	f.fails("seen", f.Seen(t.Context(), registry.SightingOf(one, 3, noon)), nil)
	f.seenAt("a refusal is no sighting", sightings{one: registry.SightingOf(one, 3, noon)}, one, two)
	var all []agent.ID
	want := map[agent.ID]registry.Refusal{}
	for n := range 1000 {
		all = append(all, agentID(1000+n))
		if n%333 == 0 {
			want[all[n]] = note(all[n], fmt.Sprint(n%10), 1, noon)
		}
	}
	read("four of a thousand", want, all...)
}

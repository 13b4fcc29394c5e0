package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/registry"
)

type sightings = map[agent.ID]registry.Sighting

func (f fixture) seenAt(what string, want sightings, ids ...agent.ID) {
	f.t.Helper()
	got, err := f.SeenAt(f.t.Context(), ids)
	f.fails(what, err, nil)
	f.same(what, got, want)
	for _, id := range ids[:min(len(ids), 5)] {
		both, err := f.ViewSeen(f.t.Context(), id)
		f.fails(what+": view of "+string(id), err, nil)
		view, one := f.view(id), want[id]
		view.Seen = &one
		f.same(what+": view of "+string(id), both, view)
	}
}

func seen(t *testing.T, f fixture) {
	one, two := agentID(1), agentID(2)
	f.apply(enrolment(one, 1)) // the other one has no record
	f.seenAt("seen by none", sightings{}, one, two)
	f.seenAt("no agents", sightings{})
	note := func(id agent.ID, generation int64, at time.Time) registry.Sighting {
		t.Helper()
		s := registry.SightingOf(id, generation, at)
		s.Interval = 10 * generation
		f.fails(fmt.Sprint("seen at ", at), f.Seen(t.Context(), s), nil)
		return s
	}
	first := note(one, 1, noon)
	f.seenAt("first sighting", sightings{one: first}, two, one)
	note(one, 2, noon.Add(time.Minute))
	note(one, 2, noon.Add(-time.Hour))
	f.seenAt("sighting in the same hour, and one that came late", sightings{one: first}, one)
	next := note(one, 0, noon.Add(time.Hour))
	other := note(two, 7, noon.AddDate(14, 0, 0))
	f.seenAt("next hour", sightings{one: next, two: other}, one, two)
	note(two, 7, noon.AddDate(13, 0, 0))
	note(two, 7, noon)
	f.seenAt("by those that have not read that hour", sightings{two: other}, two)
	right := registry.SightingOf(two, 7, noon).Behind(other)
	f.fails("correction", f.Seen(t.Context(), right), nil)
	late := right
	right.Corrects = time.Time{}
	f.seenAt("after a clock that was ahead", sightings{two: right}, two)
	right = note(two, 7, noon.Add(5*time.Hour))
	f.fails("the correction, late", f.Seen(t.Context(), late), nil)
	f.seenAt("after the correction came late", sightings{two: right}, two)

	var all []agent.ID
	for n := range 1000 {
		all = append(all, agentID(1000+n))
	}
	want := sightings{}
	for _, id := range []agent.ID{all[0], all[99], all[100], all[999]} {
		want[id] = note(id, 1, noon)
	}
	f.seenAt("four of a thousand", want, all...)
}

// Neither makes the other fail, whatever comes first.
func seenMeanwhile(t *testing.T, f fixture) {
	id := agentID(1)
	f.apply(enrolment(id, 1))
	for round := range 5 {
		change := rotation(*f.view(id).Agent, 1)
		for n, err := range atOnce(func(n int) error {
			if n == many/2 {
				return f.Apply(t.Context(), change)
			}
			return f.Seen(t.Context(), registry.SightingOf(id, 1, noon.Add(time.Duration(round*many+n)*time.Hour)))
		}) {
			f.fails(fmt.Sprintf("round %d, writer %d", round, n), err, nil)
		}
	}
	if got := len(f.rows(string(id))); got != 6 {
		t.Errorf("%d rows after an enrolment and five rotations, want 6", got)
	}
}

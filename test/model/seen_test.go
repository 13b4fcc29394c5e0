package model

import (
	"context"
	"errors"
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
	"github.com/mastio-aws/mastio/shared/usecase/token"
)

// visit is a token: the hour that was on record before, and the hour of the clock by which it was issued.
type visit struct{ before, own time.Time }

// sightings is what the model remembers of tokens and of the notes about them.
type sightings struct {
	visits map[agent.ID][]visit
	last   map[agent.ID]time.Time // the hour that was on record at the last check
}

func newSightings() sightings {
	return sightings{visits: map[agent.ID][]visit{}, last: map[agent.ID]time.Time{}}
}

// aside reads without the troubles of the operation that runs.
func (m *machine) aside(read func()) {
	fate, alive := m.fate, m.alive
	m.fate, m.alive = nil, -1
	read()
	m.fate, m.alive = fate, alive
}

func (m *machine) seenAt(ids ...agent.ID) (found map[agent.ID]registry.Sighting, err error) {
	m.aside(func() { found, err = m.Store.SeenAt(m.ctx, ids) })
	return found, err
}

var everyone = []agent.ID{"orga::a", "orga::b", "orga::c"}

// TokenFor asks for a token, and remembers what may be noted of it.
func (m *machine) TokenFor(ctx context.Context, certPEM []byte) (token.Token, error) {
	before, err := m.seenAt(everyone...)
	if err != nil {
		return token.Token{}, err
	}
	own := m.Process.Parts.Now().UTC().Truncate(time.Hour)
	t, err := m.Mastio.TokenFor(ctx, certPEM)
	if err == nil {
		m.visits[t.Agent] = append(m.visits[t.Agent], visit{before[t.Agent].Hour, own})
	}
	return t, err
}

// checkSightings: an hour on record is one in which the agent got a token. It goes back only from an hour that the
// process of a token has read and taken for a wrong clock's, whatever comes late.
func (m *machine) checkSightings(t *rapid.T) {
	found, err := m.seenAt(everyone...)
	if err != nil {
		t.Fatal(err)
	}
	for id, s := range found {
		if !slices.ContainsFunc(m.visits[id], func(v visit) bool { return v.own.Equal(s.Hour) }) {
			t.Fatalf("%s was seen at %s, and got no token in that hour", id, s.Hour)
		}
		last := m.last[id]
		m.last[id] = s.Hour
		if !s.Hour.Before(last) {
			continue
		}
		if !slices.ContainsFunc(m.visits[id], func(v visit) bool {
			return v.before.Equal(last) && v.own.Equal(s.Hour) && last.After(registry.LatestSighting(v.own))
		}) {
			t.Fatalf("%s was seen at %s, and now at %s", id, last, s.Hour)
		}
	}
}

// finalise ends overlaps in its three ways. A dry run and a refusal change nothing. One that has to be safe leaves
// every agent that is in use a certificate that it is known to hold.
func (m *machine) finalise(t *rapid.T) {
	req := rotateca.Request{
		Mode:   rotateca.Finalise,
		DryRun: rapid.Bool().Draw(t, "dry run"),
		IfSafe: rapid.Bool().Draw(t, "if safe"),
		By:     audit.By{Actor: "test"},
	}
	before, agents := m.org(t), m.agents(t)
	seen, err := m.seenAt(everyone...)
	if err != nil {
		t.Fatal(err)
	}
	over := m.troubledBy(t, jumps)
	_, err = m.RotateCA.Do(m.ctx, req)
	over()
	after := m.org(t)
	if m.intruded || before.Pointer == nil {
		return
	}
	if (err == nil && req.DryRun || errors.Is(err, rotateca.ErrRemain)) &&
		after.Pointer.Version != before.Pointer.Version {
		t.Fatalf("finalise %+v answered %v, and the pointer went from %+v to %+v", req, err, before.Pointer, after.Pointer)
	}
	if err != nil || req.DryRun || !req.IfSafe {
		return
	}
	now := m.Now().Add(m.skew) // of the process that has looked
	for id, a := range agents {
		if a.Method != agent.SPIFFE && seen[id].Recent(now) && holds(a, before, now, false) && !holds(a, after, now, true) {
			t.Fatalf("%s was in use at %s, and a safe finalise has cut it off: %+v", id, seen[id].Hour, a.Pins)
		}
	}
}

func (m *machine) agents(t *rapid.T) map[agent.ID]agent.Agent {
	all := map[agent.ID]agent.Agent{}
	for _, id := range everyone {
		view, err := m.Store.View(m.ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		if view.Agent != nil && view.Agent.Status == agent.Active {
			all[id] = *view.Agent
		}
	}
	return all
}

// holds reports whether an agent has a certificate that counts; used: one that is no successor without a first use.
func holds(a agent.Agent, org registry.Org, now time.Time, used bool) bool {
	return slices.ContainsFunc(a.Pins, func(p agent.Pin) bool {
		_, err := a.Authenticate(p.Thumbprint, org.Pointer, now)
		return err == nil && now.Before(p.NotAfter) && (!used || !p.Unused)
	})
}

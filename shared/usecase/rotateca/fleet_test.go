package rotateca_test

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
	"github.com/mastio-aws/mastio/test/inmemory"
)

// see notes that an agent got a token.
func see(t *testing.T, m *inmemory.Mastio, id agent.ID, generation int64, at time.Time) {
	t.Helper()
	if err := m.Store.Seen(t.Context(), registry.SightingOf(id, generation, at)); err != nil {
		t.Fatal(err)
	}
}

func getsToken(t *testing.T, m *inmemory.Mastio, certPEM []byte) {
	t.Helper()
	if _, err := m.TokenFor(t.Context(), certPEM); err != nil {
		t.Fatal(err)
	}
}

// pinned is an agent whose newest certificate is of one generation.
func pinned(m *inmemory.Mastio, name string, generation int64) agent.Agent {
	return agent.Agent{
		ID:     agent.ID("orga::" + name),
		Method: agent.Minted,
		Status: agent.Active,
		Pins: []agent.Pin{{
			Thumbprint: "t-" + name,
			Generation: generation,
			NotBefore:  m.Now(),
			NotAfter:   m.Now().AddDate(1, 0, 0),
		}},
	}
}

// renewed is an agent with a successor under generation 2, and the certificate of generation 1 that yields to it.
func renewed(m *inmemory.Mastio, name string) agent.Agent {
	a := pinned(m, name, 2)
	old := a.Pins[0]
	a.Pins[0].Unused, a.Pins[0].Renewed = true, m.Now()
	old.Thumbprint, old.Generation, old.Yields, old.Dormant = "o-"+name, 1, true, true
	old.Until = m.Now().Add(48 * time.Hour)
	a.Pins = append(a.Pins, old)
	return a
}

// Used is who has shown a new certificate, silent who remains and got no token for a day.
func TestProgressShowsWhoIsUsedAndWhoIsSilent(t *testing.T) {
	m := inmemory.Open(t, memstore.Config{})
	all := admit(t, m, "moved", "rotated", "busy", "silent")
	for _, a := range all {
		getsToken(t, m, a.Certificate.CertPEM)
	}
	m.Do(t, rotateca.Request{Mode: rotateca.Mint, Overlap: 7 * 24 * time.Hour})
	put(t, m, renewed(m, "unused"))
	used := renewed(m, "used")
	used.Pins = used.Pins[:1]
	used.Pins[0].Unused = false
	put(t, m, used)
	m.Advance(25 * time.Hour)
	getsToken(t, m, all[2].Certificate.CertPEM)
	for n, a := range all[:2] {
		rotated, err := m.Rotate(t.Context(), a.Agent.ID)
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			getsToken(t, m, rotated.Certificate.CertPEM)
		}
	}
	want := moved(6, 4, 2, 2, 1)
	shows(t, m, "a day after the rotation", rotateca.Progress{
		AgentCounts: want,
		PerMethod:   map[agent.Method]rotateca.AgentCounts{agent.Minted: want, agent.BYOCA: {}, agent.SPIFFE: {}},
	})
}

// Last tokens count by the hour, and by the certificate that got them; silent are those that get none any more.
func TestLastTokensByHour(t *testing.T) {
	m := inmemory.Open(t, memstore.Config{})
	m.Do(t, rotateca.Request{Mode: rotateca.Mint, Overlap: 7 * 24 * time.Hour})
	for name, seen := range map[string]struct {
		generation, under int64
		ago               time.Duration
	}{
		"now": {2, 2, 0}, "now-old": {1, 1, 0}, "moved-not-used": {2, 1, 3 * time.Hour}, "old": {1, 1, 40 * time.Hour},
		"never": {1, 0, 0},
	} {
		put(t, m, pinned(m, name, seen.generation))
		if seen.under > 0 {
			see(t, m, agent.ID("orga::"+name), seen.under, m.Now().Add(-seen.ago))
		}
	}
	org, o := m.Org(t), rotateca.Observer{Store: m.Store, Now: m.Now, Log: slog.New(slog.DiscardHandler)}
	status, err := o.Look(t.Context(), org)
	if err != nil {
		t.Fatal(err)
	}
	want := rotateca.LastTokens{Older: rotateca.HourTally{Earlier: 1}, Never: 1}
	want.Hours[0], want.Hours[3] = rotateca.HourTally{Earlier: 1, Current: 1}, rotateca.HourTally{Earlier: 1}
	if diff := cmp.Diff(want, status.Progress.LastTokens); diff != "" {
		t.Errorf("last tokens (-want +got):\n%s", diff)
	}
	for most, want := range map[int][2]int64{100: {2, 3}, 1: {1, 1}} { // old and never; now-old gets tokens
		silent, looked, err := o.Silent(t.Context(), org, most)
		if err != nil || looked != want[1] || silent > want[0] || most == 100 && silent != want[0] {
			t.Errorf("of %d: %d of %d are silent, %v", most, silent, looked, err)
		}
	}
	m.Do(t, rotateca.Request{Mode: rotateca.Finalise})
	if silent, looked, err := o.Silent(t.Context(), m.Org(t), 100); silent != 0 || looked != 0 || err != nil {
		t.Errorf("without an overlap: %d of %d are silent, %v", silent, looked, err)
	}
}

// A fleet beyond the bound is counted as a whole and looked up in part, and the answer says so.
func TestProgressLooksUpSoMany(t *testing.T) {
	m := inmemory.Open(t, memstore.Config{})
	m.Do(t, rotateca.Request{Mode: rotateca.Mint, Overlap: time.Hour})
	for n := range 1001 {
		moved, left := fmt.Sprintf("moved-%04d", n), fmt.Sprintf("left-%04d", n)
		put(t, m, pinned(m, moved, 2))
		put(t, m, pinned(m, left, 1))
		see(t, m, agent.ID("orga::"+moved), 2, m.Now())
	}
	before := m.Store.Calls()
	want := moved(2002, 1001, 1000, 1001, 1000)
	shows(t, m, "a thousand and one of each", rotateca.Progress{
		AgentCounts: want,
		AtLeast:     true,
		PerMethod:   map[agent.Method]rotateca.AgentCounts{agent.Minted: want, agent.BYOCA: {}, agent.SPIFFE: {}},
	})
	after := m.Store.Calls()
	if pages, notes := after["Agents"]-before["Agents"], after["SeenAt"]-before["SeenAt"]; pages != 2 || notes != 2 {
		t.Errorf("%d pages of agents and %d of notes, want 2 and 2", pages, notes)
	}
}

// A look-up that fails leaves the count.
func TestProgressThatCannotBeLookedUp(t *testing.T) {
	for _, op := range []string{"Agents", "SeenAt"} {
		m := inmemory.Open(t, memstore.Config{Fault: func(called string) memstore.Fault {
			if called == op {
				return memstore.Refuse
			}
			return memstore.None
		}})
		admit(t, m, "one")
		status, err := m.RotateCA.Status(t.Context())
		if err != nil || status.Progress == nil || status.Progress.Agents != 1 || !status.Progress.AtLeast {
			t.Errorf("without %s: %+v, %v; want one agent, and at least", op, status.Progress, err)
		}
	}
}

// Of the agents that remain, those are shown that were seen last, each with what is known of it.
func TestLaggardsAreThoseSeenLast(t *testing.T) {
	m := inmemory.Open(t, memstore.Config{})
	m.Do(t, rotateca.Request{Mode: rotateca.Mint, Overlap: 7 * 24 * time.Hour})
	m.Advance(100 * time.Hour)
	for n := range 30 {
		name := fmt.Sprintf("left-%02d", n)
		put(t, m, pinned(m, name, 1))
		see(t, m, agent.ID("orga::"+name), 1, m.Now().Add(time.Duration(n-40)*time.Hour))
	}
	put(t, m, pinned(m, "moved", 2))
	status, err := m.RotateCA.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []rotateca.Laggard
	for n, l := range status.Progress.Laggards {
		if want := agent.ID(fmt.Sprintf("orga::left-%02d", 29-n)); l.Agent != want || l.Generation != 1 {
			t.Errorf("laggard %d is %+v, want %s", n, l, want)
		}
		if silent := 29-n < 16; l.Silent != silent {
			t.Errorf("%s: silent %v, want %v", l.Agent, l.Silent, silent)
		}
		got = append(got, l)
	}
	if len(got) != 20 {
		t.Errorf("%d laggards, want 20", len(got))
	}
}

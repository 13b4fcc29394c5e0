package rotateca_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/problem"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
	"github.com/mastio-aws/mastio/test/inmemory"
)

// finalise asks for the end of the overlaps.
func finalise(t *testing.T, m *inmemory.Mastio, req rotateca.Request) (rotateca.Result, error) {
	t.Helper()
	req.Mode, req.By = rotateca.Finalise, audit.By{Actor: "test"}
	return m.RotateCA.Do(t.Context(), req)
}

// refusedFor checks that a finalise was refused because of so many agents, and returns the first ones.
func refusedFor(t *testing.T, err error, count int64) []problem.Agent {
	t.Helper()
	p := problem.Of(err)
	if !errors.Is(err, rotateca.ErrRemain) || p.Status != 409 || p.Code != "agents_remain" || p.Remain.Count != count {
		t.Fatalf("got %v, %+v; want %v for %d agents", err, p.Remain, rotateca.ErrRemain, count)
	}
	return p.Remain.First
}

// inOverlap is a Mastio whose Org CA was rotated with an overlap.
func inOverlap(t *testing.T, cfg memstore.Config) *inmemory.Mastio {
	t.Helper()
	m := inmemory.Open(t, cfg)
	m.Do(t, rotateca.Request{Mode: rotateca.Mint, Overlap: 7 * 24 * time.Hour})
	return m
}

// A finalise, and its dry run, name who is left without a certificate: who remains under what ends, who may never have
// got the new certificate, and whose SVID is under what ends. No other agent is named.
func TestFinaliseSaysWhomItCutsOff(t *testing.T) {
	m := inOverlap(t, memstore.Config{})
	own := pinned(m, "own", 1)
	own.Method = agent.BYOCA
	expired := pinned(m, "expired", 1)
	expired.Pins[0].NotAfter = m.Now()
	gone := pinned(m, "gone", 1)
	gone.Status = agent.Deactivated
	for _, a := range []agent.Agent{
		own, expired, gone, pinned(m, "silent", 1), pinned(m, "moved", 2), renewed(m, "lost"),
		{ID: "orga::svid", Method: agent.SPIFFE, Status: agent.Active, SPIFFEID: "spiffe://x/svid"},
		{ID: "orga::svid-2", Method: agent.SPIFFE, Status: agent.Active, SPIFFEID: "spiffe://x/svid-2"},
		{ID: "orga::bundle", Method: agent.SPIFFE, Status: agent.Active, SPIFFEID: "spiffe://x/b", Bundle: [][]byte{{1}}},
	} {
		put(t, m, a)
	}
	day, hour := m.Now().Add(-30*time.Hour).Truncate(time.Hour), m.Now().Truncate(time.Hour)
	see(t, m, "orga::silent", 1, day)
	see(t, m, "orga::lost", 1, hour.Add(-time.Hour))
	see(t, m, "orga::svid", 1, hour)
	see(t, m, "orga::svid-2", 2, hour)
	see(t, m, "orga::bundle", 0, hour)
	named := func(id, method string, at time.Time) problem.Agent {
		a := problem.Agent{ID: id, Method: method}
		if !at.IsZero() {
			a.LastSeen = &at
		}
		return a
	}
	want := rotateca.CutOff{
		Agents:    4,
		PerMethod: map[agent.Method]int64{agent.Minted: 2, agent.BYOCA: 1, agent.SPIFFE: 1},
		Seen:      2,
		First: []problem.Agent{
			named("orga::svid", "spiffe", hour), named("orga::lost", "minted", hour.Add(-time.Hour)),
			named("orga::silent", "minted", day), named("orga::own", "byoca", time.Time{}),
		},
	}
	before := m.Store.Calls()
	dry, err := finalise(t, m, rotateca.Request{DryRun: true})
	if err != nil || !dry.DryRun || dry.Generation != 2 {
		t.Fatalf("dry run: %+v, %v", dry, err)
	}
	if after := m.Store.Calls(); after["Apply"] != before["Apply"] || after["Acquire"] != before["Acquire"] {
		t.Error("the dry run changed something")
	}
	ignored := cmpopts.IgnoreUnexported(rotateca.CutOff{})
	if diff := cmp.Diff(&want, dry.CutsOff, ignored); diff != "" {
		t.Errorf("dry run (-want +got):\n%s", diff)
	}
	_, err = finalise(t, m, rotateca.Request{IfSafe: true})
	if diff := cmp.Diff(want.First[:2], refusedFor(t, err, 2)); diff != "" {
		t.Errorf("refusal (-want +got):\n%s", diff)
	}
	if org, err := m.Store.Org(t.Context()); err != nil || len(org.Pointer.Accepted) != 1 || org.Lease.Held(m.Now()) {
		t.Errorf("after the refusal: %+v, %v", org.Pointer, err)
	}
	done, err := finalise(t, m, rotateca.Request{})
	if err != nil || done.DryRun {
		t.Fatalf("plain finalise: %+v, %v", done, err)
	}
	if diff := cmp.Diff(&want, done.CutsOff, ignored); diff != "" {
		t.Errorf("answer (-want +got):\n%s", diff)
	}
}

// A safe finalise waits until the agents that remain are silent, or have moved.
func TestSafeFinalise(t *testing.T) {
	m := inmemory.Open(t, memstore.Config{})
	all := admit(t, m, "moves", "falls-silent")
	m.Do(t, rotateca.Request{Mode: rotateca.Mint, Overlap: 7 * 24 * time.Hour})
	for _, a := range all {
		getsToken(t, m, a.Certificate.CertPEM)
	}
	_, err := finalise(t, m, rotateca.Request{IfSafe: true, IdempotencyKey: "k"})
	refusedFor(t, err, 2)
	rotated, err := m.Rotate(t.Context(), all[0].Agent.ID)
	if err != nil {
		t.Fatal(err)
	}
	getsToken(t, m, rotated.Certificate.CertPEM)
	_, err = finalise(t, m, rotateca.Request{IfSafe: true, IdempotencyKey: "k"})
	if first := refusedFor(t, err, 1); first[0].ID != "orga::falls-silent" {
		t.Errorf("named %+v", first)
	}
	m.Advance(25 * time.Hour)
	done, err := finalise(t, m, rotateca.Request{IfSafe: true, IdempotencyKey: "k"})
	if err != nil || done.CutsOff == nil || done.CutsOff.Agents != 1 || done.CutsOff.Seen != 0 {
		t.Errorf("once it is silent: %+v, %v", done.CutsOff, err)
	}
	getsToken(t, m, rotated.Certificate.CertPEM)
	if again, err := finalise(t, m, rotateca.Request{IfSafe: true, IdempotencyKey: "k"}); err != nil || !again.Replayed {
		t.Errorf("repetition: %+v, %v", again, err)
	}
}

// Nothing stands in the way of a plain finalise; a safe one is refused where nothing is known.
func TestFinaliseThatCannotLook(t *testing.T) {
	for _, op := range []string{"Agents", "SeenAt"} {
		broken := false
		m := inOverlap(t, memstore.Config{Fault: func(called string) memstore.Fault {
			if broken && called == op {
				return memstore.Refuse
			}
			return memstore.None
		}})
		put(t, m, pinned(m, "one", 1))
		broken = true
		for _, req := range []rotateca.Request{{IfSafe: true}, {DryRun: true}} {
			if _, err := finalise(t, m, req); !errors.Is(err, registry.ErrUnavailable) {
				t.Errorf("without %s: %+v: %v, want %v", op, req, err, registry.ErrUnavailable)
			}
		}
		done, err := finalise(t, m, rotateca.Request{})
		if err != nil || done.CutsOff != nil {
			t.Errorf("plain, without %s: %+v, %v", op, done.CutsOff, err)
		}
	}
}

// A rotation between the look and the commit makes the look void.
func TestSafeFinaliseOfAnotherPointer(t *testing.T) {
	var m *inmemory.Mastio
	meddle := false
	m = inOverlap(t, memstore.Config{Fault: func(called string) memstore.Fault {
		if meddle && called == "Acquire" {
			meddle = false
			m.Do(t, rotateca.Request{Mode: rotateca.Mint, Overlap: time.Hour})
		}
		return memstore.None
	}})
	meddle = true
	if _, err := finalise(t, m, rotateca.Request{IfSafe: true}); !errors.Is(err, rotateca.ErrMoved) || meddle {
		t.Errorf("got %v, want %v", err, rotateca.ErrMoved)
	}
}

// A fleet that is larger than what is looked at is not known to be safe.
func TestSafeFinaliseOfALargeFleet(t *testing.T) {
	if testing.Short() {
		t.Skip("puts 20,000 agents: make check does")
	}
	m := inOverlap(t, memstore.Config{})
	for n := range 20_001 {
		put(t, m, pinned(m, fmt.Sprintf("moved-%05d", n), 2))
	}
	_, err := finalise(t, m, rotateca.Request{IfSafe: true})
	refusedFor(t, err, 0)
	if p := problem.Of(err); !p.Remain.AtLeast {
		t.Errorf("remain: %+v, want at least", p.Remain)
	}
	if _, err := finalise(t, m, rotateca.Request{}); err != nil { // with or without a look that took its moment
		t.Errorf("plain: %v", err)
	}
}

func TestSafeIsForFinaliseAlone(t *testing.T) {
	m := inOverlap(t, memstore.Config{})
	for _, mode := range []rotateca.Mode{rotateca.Mint, rotateca.Rollback} {
		_, err := m.RotateCA.Do(t.Context(), rotateca.Request{Mode: mode, IfSafe: true, By: audit.By{Actor: "test"}})
		if !errors.Is(err, rotateca.ErrSafe) {
			t.Errorf("%s: %v, want %v", mode, err, rotateca.ErrSafe)
		}
	}
}

package memstore_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
)

var noon = time.Date(2026, time.January, 2, 12, 0, 0, 0, time.UTC)

// script plays the faults in turn, and none after the last.
func script(faults ...memstore.Fault) func(string) memstore.Fault {
	return func(string) memstore.Fault {
		if len(faults) == 0 {
			return memstore.None
		}
		next := faults[0]
		faults = faults[1:]
		return next
	}
}

func enrolment() registry.Change {
	return registry.Change{ID: "enrol", Agent: &agent.Agent{ID: "acme::a", Status: agent.Active}}
}

func version(t *testing.T, s *memstore.Store) int64 {
	t.Helper()
	v, err := s.View(t.Context(), "acme::a")
	if err != nil {
		t.Fatal(err)
	}
	if v.Agent == nil {
		return 0
	}
	return v.Agent.Version
}

func TestFaultsOfAWrite(t *testing.T) {
	for _, c := range []struct {
		name      string
		fault     memstore.Fault
		want      error
		now       int64 // version at once
		delivered int64 // version after Deliver
	}{
		{"none", memstore.None, nil, 1, 1},
		{"lost", memstore.Lose, registry.ErrUnknown, 0, 0},
		{"half acknowledged", memstore.HalfAck, registry.ErrUnknown, 1, 1},
		{"refused", memstore.Refuse, registry.ErrUnavailable, 0, 0},
		{"late", memstore.Late, registry.ErrUnknown, 0, 1},
	} {
		s := memstore.New(memstore.Config{Fault: script(c.fault)})
		if err := s.Apply(t.Context(), enrolment()); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, err, c.want)
		}
		if got := version(t, s); got != c.now {
			t.Errorf("%s: got version %d, want %d", c.name, got, c.now)
		}
		s.Deliver()
		if got := version(t, s); got != c.delivered {
			t.Errorf("%s, delivered: got version %d, want %d", c.name, got, c.delivered)
		}
	}
}

func TestFaultsOfARead(t *testing.T) {
	for _, fault := range []memstore.Fault{memstore.Lose, memstore.HalfAck, memstore.Refuse, memstore.Late} {
		s := memstore.New(memstore.Config{Fault: script(memstore.None, fault)})
		if err := s.Apply(t.Context(), enrolment()); err != nil {
			t.Fatal(err)
		}
		got, err := s.View(t.Context(), "acme::a")
		if !errors.Is(err, registry.ErrUnavailable) || got.Agent != nil {
			t.Errorf("fault %d: got %+v, %v, want nothing and %v", fault, got, err, registry.ErrUnavailable)
		}
	}
}

// Every kind of write can be late; those that come too late change nothing.
func TestLateWrites(t *testing.T) {
	ctx := t.Context()
	late := false
	s := memstore.New(memstore.Config{Fault: func(string) memstore.Fault {
		if late {
			return memstore.Late
		}
		return memstore.None
	}})
	held, err := s.Acquire(ctx, orgca.Lease{Holder: "a", Expires: noon.Add(orgca.LeaseTTL)}, noon)
	if err != nil {
		t.Fatal(err)
	}
	late = true
	for name, err := range map[string]error{
		"Apply":       s.Apply(ctx, registry.Change{ID: "late", Release: &held, Agent: &agent.Agent{ID: "acme::a"}}),
		"UseProof":    s.UseProof(ctx, "jkt", "jti", noon.Add(time.Minute), noon),
		"PutTokenKey": s.PutTokenKey(ctx, registry.TokenKey{Epoch: 1, ID: "late"}),
		"Extend":      s.Extend(ctx, orgca.Lease{Holder: "a", Fence: 1, Phase: "late", Expires: noon.Add(time.Hour)}),
		"Release":     s.Release(ctx, orgca.Lease{Holder: "b", Fence: 1}),
	} {
		if !errors.Is(err, registry.ErrUnknown) {
			t.Errorf("%s: got %v, want %v", name, err, registry.ErrUnknown)
		}
	}
	late = false
	taken, err := s.Acquire(ctx, orgca.Lease{Holder: "b", Expires: noon.Add(2 * orgca.LeaseTTL)}, held.Expires)
	if err != nil {
		t.Fatal(err)
	}
	if n := s.Deliver(); n != 5 {
		t.Errorf("got %d late writes, want 5", n)
	}
	org, err := s.Org(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(registry.Org{Lease: taken}, org); diff != "" || version(t, s) != 0 {
		t.Errorf("organisation (-want +got):\n%s; agent of version %d, want none", diff, version(t, s))
	}
	if err := s.UseProof(ctx, "jkt", "jti", noon.Add(time.Minute), noon); !errors.Is(err, registry.ErrReplayed) {
		t.Errorf("proof after its late use: got %v, want %v", err, registry.ErrReplayed)
	}
	if k, err := s.TokenKey(ctx, 1); err != nil || k == nil || k.ID != "late" {
		t.Errorf("token key: got %+v, %v, want the late one", k, err)
	}
	if n := s.Deliver(); n != 0 {
		t.Errorf("delivered twice: got %d late writes, want none", n)
	}
}

func TestLateWriteOfAChangeThatWasRepeated(t *testing.T) {
	s := memstore.New(memstore.Config{Fault: script(memstore.Late)})
	if err := registry.Settle(t.Context(), s.Apply, enrolment()); err != nil {
		t.Fatal(err)
	}
	s.Deliver()
	if got := version(t, s); got != 1 {
		t.Errorf("got version %d, want 1", got)
	}
}

// The refusal of a repetition says nothing about the first attempt, which is still on its way.
func TestSettleKeepsTheDoubt(t *testing.T) {
	s := memstore.New(memstore.Config{Fault: script(memstore.Late, memstore.Refuse, memstore.Refuse)})
	if err := registry.Settle(t.Context(), s.Apply, enrolment()); !errors.Is(err, registry.ErrUnknown) {
		t.Errorf("got %v, want %v", err, registry.ErrUnknown)
	}
	s.Deliver()
	if got := version(t, s); got != 1 {
		t.Errorf("got version %d, want 1", got)
	}
}

func TestCallsAndTheirNames(t *testing.T) {
	var names []string
	s := memstore.New(memstore.Config{Fault: func(op string) memstore.Fault {
		names = append(names, op)
		return memstore.Refuse
	}})
	ctx := t.Context()
	s.View(ctx, "acme::a")
	s.View(ctx, "acme::a")
	s.Org(ctx)
	s.Apply(ctx, enrolment())
	if diff := cmp.Diff(map[string]int{"View": 2, "Org": 1, "Apply": 1}, s.Calls()); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"View", "View", "Org", "Apply"}, names); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
}

func TestLatency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memstore.New(memstore.Config{Latency: func(op string) time.Duration {
			return map[string]time.Duration{"View": 5 * time.Millisecond, "Apply": 10 * time.Millisecond}[op]
		}})
		start := time.Now()
		if err := s.Apply(t.Context(), enrolment()); err != nil {
			t.Fatal(err)
		}
		version(t, s)
		if got := time.Since(start); got != 15*time.Millisecond {
			t.Errorf("got %v, want 15ms", got)
		}

		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		second := registry.Change{ID: "second", Agent: &agent.Agent{ID: "acme::b"}}
		if err := s.Apply(ctx, second); !errors.Is(err, registry.ErrUnknown) {
			t.Errorf("write cut off by its context: got %v, want %v", err, registry.ErrUnknown)
		}
		if _, err := s.View(ctx, "acme::b"); !errors.Is(err, registry.ErrUnavailable) {
			t.Errorf("read cut off by its context: got %v, want %v", err, registry.ErrUnavailable)
		}
	})
}

func TestMisusePanics(t *testing.T) {
	row := func(seq int64, previous, hash string) audit.Row {
		return audit.Row{Subject: "acme::a", Seq: seq, PrevHash: previous, Hash: hash}
	}
	var large registry.Change
	for number := range int64(101) {
		large.Generations = append(large.Generations, orgca.Generation{Number: number})
	}
	a := agent.Agent{ID: "acme::a", Head: audit.Head{Seq: 1, Hash: "h"}}
	for name, c := range map[string]registry.Change{
		"nothing to do":            {},
		"too much to do":           large,
		"generation twice":         {Generations: []orgca.Generation{{Number: 1}, {Number: 1}}},
		"row twice":                {Rows: []audit.Row{row(1, audit.Genesis, "h"), row(1, audit.Genesis, "h")}},
		"gap in a chain":           {Rows: []audit.Row{row(2, "h", "i")}},
		"rows in the wrong order":  {Rows: []audit.Row{row(2, "h", "i"), row(1, audit.Genesis, "h")}},
		"row that does not follow": {Rows: []audit.Row{row(1, "something", "h")}},
		"agent's head elsewhere":   {Agent: &a, Rows: []audit.Row{row(1, audit.Genesis, "other")}},
		"answer too large":         {Answer: &registry.Answer{Key: "k", Result: make([]byte, registry.MaxAnswer+1)}},
		"head elsewhere":           {Head: &audit.Head{}, Rows: []audit.Row{row(1, audit.Genesis, "h")}},
	} {
		c.ID = "misuse"
		panics(t, name, func(s *memstore.Store) { s.Apply(t.Context(), c) })
	}
	panics(t, "no id", func(s *memstore.Store) { s.Apply(t.Context(), registry.Change{Agent: &a}) })
	panics(t, "lease of nobody", func(s *memstore.Store) {
		s.Acquire(t.Context(), orgca.Lease{Expires: noon.Add(1)},
			noon)
	})
	panics(t, "lease of no time", func(s *memstore.Store) {
		s.Acquire(t.Context(), orgca.Lease{
			Holder:  "a",
			Expires: noon,
		}, noon)
	})
	panics(t, "page without a limit", func(s *memstore.Store) { s.Agents(t.Context(), registry.Query{}) })
	s := memstore.New(memstore.Config{Fault: script(99)})
	panics(t, "unknown fault", func(*memstore.Store) { s.Apply(t.Context(), enrolment()) })
}

func panics(t *testing.T, name string, do func(*memstore.Store)) {
	t.Helper()
	defer func() {
		if recover() == nil {
			t.Errorf("%s: no panic", name)
		}
	}()
	do(memstore.New(memstore.Config{}))
}

package standby_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
	"github.com/mastio-aws/mastio/shared/usecase/standby"
	"github.com/mastio-aws/mastio/test/inmemory"
)

func run(t *testing.T, m *inmemory.Mastio) standby.Report {
	t.Helper()
	report, err := m.Standby.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func states(o registry.Org) map[int64]orgca.State {
	all := map[int64]orgca.State{}
	for _, g := range o.Generations {
		all[g.Number] = g.State
	}
	return all
}

func TestRunReportsWhatItFoundAndDid(t *testing.T) {
	m := inmemory.New(memstore.Config{})
	for i, c := range []struct {
		before func()
		want   standby.Report
	}{
		{func() {}, standby.Report{Generation: 1, Standby: 2}},
		{func() {}, standby.Report{Generation: 1, Standby: 2}},
		{func() {
			if _, err := m.Mint(t.Context()); err != nil {
				t.Fatal(err)
			}
		}, standby.Report{Generation: 2, Standby: 3}},
	} {
		c.before()
		if diff := cmp.Diff(c.want, run(t, m)); diff != "" {
			t.Errorf("run %d (-want +got):\n%s", i, diff)
		}
	}
}

// A ceremony that a crash cut off, at every call to the key store: its row and its keys are removed once no rotation
// can still work on it, and a standby is made in its stead.
func TestCrashedCeremonyIsClearedAway(t *testing.T) {
	for _, at := range []struct {
		op    string
		after bool
		n     int
	}{{"Create", false, 1}, {"Create", true, 1}, {"Create", true, 2}, {"Sign", false, 1}, {"Sign", true, 3},
		{"Disable", false, 1}, {"Disable", true, 1}} {
		t.Run(at.op, func(t *testing.T) {
			m := inmemory.New(memstore.Config{})
			run(t, m)
			if _, err := m.Mint(t.Context()); err != nil { // takes the standby
				t.Fatal(err)
			}
			left := at.n
			m.Keys.Fault = func(op string, after bool) error {
				if op == at.op && after == at.after {
					if left--; left == 0 {
						return errors.New("crash")
					}
				}
				return nil
			}
			if _, err := m.Standby.Run(t.Context()); err == nil {
				t.Fatal("the crash went unnoticed")
			}
			m.Keys.Fault = nil

			m.Advance(standby.OrphanAge) // it could still be at work
			if got := run(t, m); got.Discarded != 0 || states(m.Org(t))[3] != orgca.Preparing {
				t.Errorf("at the age of %s: %+v, %v", standby.OrphanAge, got, states(m.Org(t)))
			}
			m.Advance(time.Millisecond)
			if diff := cmp.Diff(standby.Report{Generation: 2, Standby: 4, Discarded: 1}, run(t, m)); diff != "" {
				t.Errorf("report (-want +got):\n%s", diff)
			}
			want := map[int64]orgca.State{1: orgca.Superseded, 2: orgca.Current, 3: orgca.Failed, 4: orgca.Staged}
			if diff := cmp.Diff(want, states(m.Org(t))); diff != "" {
				t.Errorf("states (-want +got):\n%s", diff)
			}
			for _, k := range m.Keys.All() {
				if (k.State == inmemory.PendingDeletion) != (k.Spec.Generation == 3) {
					t.Errorf("key of generation %d is %s", k.Spec.Generation, k.State)
				}
			}
		})
	}
}

func TestStandbysThatWaitForTheirTurnAreKept(t *testing.T) {
	m := inmemory.New(memstore.Config{})
	run(t, m) // 1 current, 2 staged
	for range 2 {
		if _, err := m.Ceremony.Prepare(t.Context(), rotateca.GenerationSpec{
			RotationID: m.NewID(),
			By:         audit.By{Actor: "test"},
		}); err != nil {
			t.Fatal(err)
		}
	}
	if got := run(t, m); got.Discarded != 0 || got.Standby != 2 {
		t.Errorf("report = %+v, want the oldest standby next", got)
	}
	for want := int64(2); want <= 4; want++ {
		if result, err := m.Mint(t.Context()); err != nil || result.Generation != want {
			t.Fatalf("generation %d, %v; want %d", result.Generation, err, want)
		}
	}
	if got := run(t, m); got.Discarded != 0 || got.Standby != 5 {
		t.Errorf("report = %+v, want nothing to discard", got)
	}
}

// A ceremony so slow that a rotation made a newer generation and swapped to it meanwhile: what it staged is never
// taken.
func TestOvertakenStandbyIsDiscarded(t *testing.T) {
	m := inmemory.New(memstore.Config{})
	run(t, m)
	if _, err := m.Mint(t.Context()); err != nil { // 2 current, no standby
		t.Fatal(err)
	}
	begun := false
	m.Keys.Fault = func(op string, _ bool) error {
		if op != "Create" || begun {
			return nil
		}
		begun = true
		_, err := m.Mint(t.Context())
		return err
	}
	if g, err := m.Ceremony.Prepare(t.Context(), rotateca.GenerationSpec{
		RotationID: m.NewID(),
		By:         audit.By{Actor: "test"},
	}); err != nil || g.Number != 3 {
		t.Fatalf("slow ceremony: generation %d, %v", g.Number, err)
	}
	if diff := cmp.Diff(standby.Report{Generation: 4, Standby: 5, Discarded: 1, Retired: 1}, run(t, m)); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
	want := map[int64]orgca.State{1: orgca.Retired, 2: orgca.Superseded, 3: orgca.Failed, 4: orgca.Current,
		5: orgca.Staged}
	if diff := cmp.Diff(want, states(m.Org(t))); diff != "" {
		t.Errorf("states (-want +got):\n%s", diff)
	}
}

// A generation that is staged while the truststore is written is not noted as being in it: the next rotation would
// hand out certificates that the edge does not know.
func TestLateStandbyIsNotNotedAsTrusted(t *testing.T) {
	m := inmemory.New(memstore.Config{})
	run(t, m)
	var late orgca.Generation
	trust := m.Standby.Trust
	m.Standby.Trust = func(ctx context.Context) (string, error) {
		version, err := trust(ctx)
		if err != nil || late.Number != 0 {
			return version, err
		}
		late, err = m.Ceremony.Prepare(ctx, rotateca.GenerationSpec{
			RotationID: m.NewID(),
			By:         audit.By{Actor: "another run"},
		})
		return version, err
	}
	run(t, m)
	if g, _ := m.Org(t).Generation(late.Number); late.Number == 0 || g.Truststore != "" {
		t.Errorf("generation %d is noted as in version %q of the truststore", g.Number, g.Truststore)
	}
	if state, err := m.Health.Check(t.Context()); err != nil || len(state.Warnings) != 0 {
		t.Errorf("health = %+v, %v", state, err)
	}
	run(t, m)
	if g, _ := m.Org(t).Generation(late.Number); g.Truststore == "" {
		t.Errorf("generation %d is still not in the truststore", late.Number)
	}
}

func TestAnotherFunctionMakesTheFirstCA(t *testing.T) {
	m := inmemory.New(memstore.Config{})
	held, err := m.Store.Acquire(t.Context(), orgca.Lease{
		Holder:    "other",
		Operation: "rotate-ca",
		Phase:     "prepare",
		Expires:   m.Now().Add(orgca.LeaseTTL),
	}, m.Now())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(standby.Report{}, run(t, m)); diff != "" {
		t.Errorf("report while another one is at it (-want +got):\n%s", diff)
	}
	if len(m.Keys.All()) != 0 {
		t.Errorf("keys = %v, want none", m.Keys.All())
	}
	if err := m.Store.Release(t.Context(), held); err != nil {
		t.Fatal(err)
	}
	if got := run(t, m); got.Generation != 1 {
		t.Errorf("report = %+v", got)
	}
}

// A step that fails does not keep the others from being done.
func TestStepsDoNotWaitForEachOther(t *testing.T) {
	down := errors.New("down")
	for _, c := range []struct {
		name  string
		spoil func(*inmemory.Mastio)
		works func(o registry.Org, calls map[string]int) bool
	}{
		{"no truststore", func(m *inmemory.Mastio) {
			m.Standby.Trust = func(context.Context) (string, error) { return "", down }
		}, func(o registry.Org, calls map[string]int) bool {
			g, ok := o.Generation(3)
			return ok && g.State == orgca.Staged && g.Truststore == "" && calls["PutTokenKey"] > 0
		}},
		{"no ceremony", func(m *inmemory.Mastio) {
			m.Keys.Fault = func(op string, _ bool) error {
				if op == "Create" {
					return down
				}
				return nil
			}
		}, func(_ registry.Org, calls map[string]int) bool { return calls["PutTokenKey"] > 0 }},
		{"no token keys", func(m *inmemory.Mastio) {
			m.Standby.Keys = func(context.Context, time.Time) error { return down }
		}, func(o registry.Org, _ map[string]int) bool {
			g, ok := o.Generation(3)
			return ok && g.State == orgca.Staged && g.Truststore != ""
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := inmemory.New(memstore.Config{})
			run(t, m)
			if _, err := m.Mint(t.Context()); err != nil {
				t.Fatal(err)
			}
			m.Advance(48 * time.Hour) // token keys are due again
			before := m.Store.Calls()
			c.spoil(m)
			if _, err := m.Standby.Run(t.Context()); !errors.Is(err, down) {
				t.Errorf("err = %v, want the cause", err)
			}
			calls := m.Store.Calls()
			for op, n := range before {
				calls[op] -= n
			}
			if !c.works(m.Org(t), calls) {
				t.Errorf("the other steps were not done: %v, %v", states(m.Org(t)), calls)
			}
		})
	}
}

// Whatever write is lost or unseen, the next runs come to the same end, with an audit chain that holds.
func TestRunOverAnUnreliableStore(t *testing.T) {
	for _, fault := range []memstore.Fault{memstore.Lose, memstore.HalfAck, memstore.Refuse, memstore.Late} {
		for n := range 12 {
			count := 0
			armed := true
			m := inmemory.New(memstore.Config{Fault: func(op string) memstore.Fault {
				if op != "Apply" && op != "Acquire" && op != "Extend" || !armed {
					return memstore.None
				}
				if count++; count == n+1 {
					return fault
				}
				return memstore.None
			}})
			_, first := m.Standby.Run(t.Context())
			armed = false
			m.Store.Deliver()
			m.Advance(standby.OrphanAge + orgca.LeaseTTL)
			run(t, m)
			report := run(t, m)
			o := m.Org(t)
			if next, ok := o.Standby(m.Now()); report.Generation == 0 || !ok || next.Truststore == "" ||
				report.Standby != next.Number {
				t.Fatalf("fault %d at write %d (first run: %v): report %+v, states %v", fault, n+1, first, report, states(o))
			}
			rows, err := m.Store.Rows(t.Context(), inmemory.OrgID, 0, 1000)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := audit.Verify(rows); err != nil {
				t.Errorf("fault %d at write %d: %v", fault, n+1, err)
			}
			if current := slices.Collect(maps.Values(states(o))); len(slices.DeleteFunc(current,
				func(s orgca.State) bool { return s != orgca.Current })) != 1 {
				t.Errorf("fault %d at write %d: states %v", fault, n+1, states(o))
			}
		}
	}
}

package standby_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
	"github.com/mastio-aws/mastio/shared/usecase/standby"
	"github.com/mastio-aws/mastio/test/inmemory"
)

func keyStates(m *inmemory.Mastio, generation int64) map[string]inmemory.KeyState {
	all := map[string]inmemory.KeyState{}
	for _, k := range m.Keys.All() {
		if k.Spec.Generation == generation {
			all[string(k.Spec.Role)] = k.State
		}
	}
	return all
}

// A generation is retired when its overlap is over and nothing can bring it back, and not a moment before.
func TestSpentGenerationsAreRetired(t *testing.T) {
	m := inmemory.New(memstore.Config{})
	run(t, m)
	m.Do(t, rotateca.Request{Mode: rotateca.Mint, Overlap: time.Hour}) // 2; 1 is accepted, and a rollback's
	run(t, m)
	m.Do(t, rotateca.Request{Mode: rotateca.Mint, Overlap: time.Minute}) // 3; 1 is accepted still, 2 a rollback's
	m.Advance(time.Hour - time.Millisecond)
	if got := run(t, m); got.Retired != 0 {
		t.Errorf("a millisecond before the end of the overlap: %+v", got)
	}
	m.Advance(time.Millisecond)
	if got := run(t, m); got.Retired != 1 {
		t.Errorf("at the end of the overlap: %+v", got)
	}
	want := map[int64]orgca.State{1: orgca.Retired, 2: orgca.Superseded, 3: orgca.Current, 4: orgca.Staged}
	if diff := cmp.Diff(want, states(m.Org(t))); diff != "" {
		t.Errorf("states (-want +got):\n%s", diff)
	}
	for generation, state := range map[int64]inmemory.KeyState{1: inmemory.PendingDeletion, 2: inmemory.Enabled,
		3: inmemory.Enabled} {
		if got := keyStates(m, generation)["issuing"]; got != state {
			t.Errorf("issuing key of generation %d is %s, want %s", generation, got, state)
		}
	}
	if got := keyStates(m, 1)["root"]; got != inmemory.PendingDeletion {
		t.Errorf("root key of generation 1 is %s", got)
	}
	m.Do(t, rotateca.Request{Mode: rotateca.Finalise})
	if got := run(t, m); got.Retired != 1 || states(m.Org(t))[2] != orgca.Retired {
		t.Errorf("after finalise: %+v, %v", got, states(m.Org(t)))
	}
	if last := lastRow(t, m); last.EventType != audit.OrgCARetired || last.Details["generation"] != float64(2) &&
		last.Details["generation"] != int64(2) {
		t.Errorf("last row = %+v", last)
	}
}

func lastRow(t *testing.T, m *inmemory.Mastio) audit.Row {
	t.Helper()
	rows, err := m.Store.Rows(t.Context(), inmemory.OrgID, 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	return rows[len(rows)-1]
}

// A crash in the middle of a retirement is finished by the next run.
func TestInterruptedRetirementIsFinished(t *testing.T) {
	for n := 1; n <= 2; n++ {
		for _, after := range []bool{false, true} {
			m := inmemory.New(memstore.Config{})
			run(t, m)
			m.Do(t, rotateca.Request{Mode: rotateca.Mint, Reason: "keyCompromise"}) // no way back: 1 is spent at once
			left := n
			m.Keys.Fault = func(op string, a bool) error {
				if op == "ScheduleDeletion" && a == after {
					if left--; left == 0 {
						return errors.New("crash")
					}
				}
				return nil
			}
			if _, err := m.Standby.Run(t.Context()); err == nil {
				t.Fatal("the crash went unnoticed")
			}
			if got := states(m.Org(t))[1]; got != orgca.Superseded {
				t.Errorf("after the crash: %s", got)
			}
			if got := run(t, m); got.Retired != 1 || states(m.Org(t))[1] != orgca.Retired {
				t.Errorf("next run: %+v, %v", got, states(m.Org(t)))
			}
		}
	}
}

// Restoring a table from before a rotation must not revive the old Org CA in silence, nor clear away what the rows of
// the past do not know. Rotating again puts everything right.
func TestRestoredRegistryIsNoticedAndLeftAlone(t *testing.T) {
	m := inmemory.New(memstore.Config{})
	run(t, m)
	restore := m.Store.Backup()
	m.Do(t, rotateca.Request{Mode: rotateca.Mint})
	run(t, m) // notes on the key of generation 1 that it is superseded
	m.Do(t, rotateca.Request{Mode: rotateca.Mint})
	run(t, m)
	keys := m.Keys.All()

	restore()
	m.Advance(time.Hour)
	report, err := m.Standby.Run(t.Context())
	if !errors.Is(err, standby.ErrRestored) || !report.Restored || report.Generation != 1 {
		t.Errorf("run after the restore: %+v, %v", report, err)
	}
	if diff := cmp.Diff(keys, m.Keys.All()); diff != "" {
		t.Errorf("keys were touched (-before +after):\n%s", diff)
	}
	if state, err := m.Health.Check(t.Context()); err != nil || !hasWarning(state.Warnings, "registry_restored") {
		t.Errorf("health after the restore: %+v, %v", state, err)
	}

	for range 3 { // 2 and 3 were current, and superseded or not, in the time that the registry has forgotten
		m.Do(t, rotateca.Request{Mode: rotateca.Mint})
		if _, err := m.Standby.Run(t.Context()); err == nil {
			break
		}
	}
	run(t, m)
	if state, err := m.Health.Check(t.Context()); err != nil || len(state.Warnings) > 0 {
		t.Errorf("health after rotating again: %+v, %v", state, err)
	}
}

func hasWarning[W ~string](warnings []W, want W) bool {
	for _, w := range warnings {
		if w == want {
			return true
		}
	}
	return false
}

// After a rollback the generation is current by right, and its key says so.
func TestNoteIsTakenBackAfterARollback(t *testing.T) {
	m := inmemory.New(memstore.Config{})
	run(t, m)
	m.Do(t, rotateca.Request{Mode: rotateca.Mint})
	run(t, m)
	m.Do(t, rotateca.Request{Mode: rotateca.Rollback})
	for range 2 {
		if got := run(t, m); got.Generation != 1 || got.Restored {
			t.Errorf("after the rollback: %+v", got)
		}
	}
	notes := map[int64]int64{}
	for _, k := range m.Keys.All() {
		if k.Spec.Role == "issuing" {
			notes[k.Spec.Generation] = k.Note
		}
	}
	if diff := cmp.Diff(map[int64]int64{1: 0, 2: 3, 3: 0}, notes); diff != "" {
		t.Errorf("notes by generation (-want +got):\n%s", diff)
	}
}

func TestAdoptionWaitsForItsOperator(t *testing.T) {
	m := inmemory.New(memstore.Config{})
	m.Standby.Adopt = true
	if got := run(t, m); got != (standby.Report{}) || len(m.Keys.All()) != 0 {
		t.Errorf("report %+v, keys %v", got, m.Keys.All())
	}
}

package inmemory_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
	"github.com/mastio-aws/mastio/shared/usecase/auditlog"
	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
	"github.com/mastio-aws/mastio/shared/usecase/standby"
	"github.com/mastio-aws/mastio/shared/warnings"
	"github.com/mastio-aws/mastio/test/inmemory"
)

// A registry that was emptied, or restored from before the first Org CA, is not an organisation that has none yet.
func TestEmptiedRegistryGetsNoFirstOrgCA(t *testing.T) {
	m := inmemory.New(memstore.Config{})
	// what an earlier state of the registry knew of
	for _, role := range []rotateca.Role{rotateca.Root, rotateca.Issuing} {
		if _, _, err := m.Keys.Create(t.Context(), rotateca.KeySpec{
			Generation: 3,
			RotationID: "of the past",
			Role:       role,
		}); err != nil {
			t.Fatal(err)
		}
	}
	keys := len(m.Keys.All())
	for range 2 {
		report, err := m.Standby.Run(t.Context())
		if !errors.Is(err, rotateca.ErrLost) || !report.Restored {
			t.Errorf("standby job: %+v, %v", report, err)
		}
	}
	if org := m.Org(t); org.Pointer != nil || len(org.Generations) > 0 || len(m.Keys.All()) != keys {
		t.Errorf("something was made: %+v", org)
	}
	if w := warned(t, m); !slices.Contains(w, warnings.RegistryRestored) {
		t.Errorf("warnings = %v", w)
	}
	for _, k := range m.Keys.All() { // the way to begin anew for good
		if err := m.Keys.ScheduleDeletion(t.Context(), k.ID); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := m.Standby.Run(t.Context()); err != nil || m.Org(t).Pointer == nil {
		t.Errorf("after the keys were given up: %v", err)
	}
}

// The archive reveals a registry that was emptied together with its keys, whether or not the next checkpoint has been
// made.
func TestArchiveOfAnEmptiedRegistry(t *testing.T) {
	before := inmemory.Open(t, memstore.Config{})
	before.Admit(t.Context(), "kyc")
	must[auditlog.Report](t)(before.Checkpoint.Run(t.Context(), audit.By{Actor: auditlog.Actor}))
	for _, sealed := range []bool{false, true} {
		m := inmemory.New(memstore.Config{})
		m.Archive = before.Archive
		m.Process = m.Spawn(m.Now)
		if sealed {
			must[auditlog.Report](t)(m.Checkpoint.Run(t.Context(), audit.By{Actor: auditlog.Actor}))
		}
		report, err := m.Standby.Run(t.Context())
		if !errors.Is(err, rotateca.ErrLost) || !report.Restored || m.Org(t).Pointer != nil {
			t.Errorf("sealed %t: standby job: %+v, %v", sealed, report, err)
		}
		if w := warned(t, m); !slices.Contains(w, warnings.RegistryRestored) ||
			slices.Contains(w, warnings.AuditSetBack) != sealed {
			t.Errorf("sealed %t: warnings = %v", sealed, w)
		}
		m.Do(t, rotateca.Request{Mode: rotateca.Mint, SkipBackup: true}) // an operator's own decision
		if _, err := m.Standby.Run(t.Context()); err != nil {
			t.Errorf("sealed %t: after an operator's mint: %v", sealed, err)
		}
	}
}

// Checkpoints that were made before the first Org CA, of refusals say, are no sign of a lost registry.
func TestCheckpointsBeforeTheFirstOrgCA(t *testing.T) {
	m := inmemory.New(memstore.Config{})
	row, _, err := audit.Head{}.Append(audit.Entry{
		Time:    m.Now(),
		Event:   audit.AdminLoginRefused,
		Actor:   "api",
		Subject: "orga/refused",
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Store.Apply(t.Context(), registry.Change{ID: m.NewID(), Rows: []audit.Row{row}}); err != nil {
		t.Fatal(err)
	}
	if r := must[auditlog.Report](t)(m.Checkpoint.Run(t.Context(), audit.By{Actor: auditlog.Actor})); r.Made == 0 {
		t.Fatal("no checkpoint was made")
	}
	if _, err := m.Standby.Run(t.Context()); err != nil || m.Org(t).Pointer == nil {
		t.Errorf("standby job: %v", err)
	}
}

// A crash at whatever call of the first ceremony leaves an organisation that the next runs bootstrap.
func TestCrashOfTheFirstCeremonyLocksNobodyOut(t *testing.T) {
	for _, fault := range []memstore.Fault{memstore.Refuse, memstore.Lose, memstore.HalfAck, memstore.Late} {
		for n := 1; ; n++ {
			calls := 0
			dead := func() bool { calls++; return n > 0 && calls >= n }
			m := inmemory.New(memstore.Config{Fault: func(string) memstore.Fault {
				if !dead() {
					return memstore.None
				}
				if calls == n {
					return fault // the last call before the death
				}
				return memstore.Refuse
			}})
			m.Keys.Fault = func(string, bool) error {
				if dead() {
					return errors.New("died")
				}
				return nil
			}
			_, err := m.Standby.Run(t.Context())
			survived := calls < n
			n, calls = -n, 0 // from now on all is well
			m.Store.Deliver()
			m.Advance(standby.OrphanAge + 1)
			if _, err := m.Standby.Run(t.Context()); err != nil {
				t.Fatalf("fault %d, killed at call %d: the next run: %v", fault, -n, err)
			}
			if m.Org(t).Pointer == nil {
				t.Fatalf("fault %d, killed at call %d: no Org CA", fault, -n)
			}
			n = -n
			if survived && err == nil {
				break
			}
		}
	}
}

package inmemory_test

import (
	"testing"
	"time"

	"github.com/mastio-aws/mastio/shared/edge/memstore"
	"github.com/mastio-aws/mastio/shared/usecase/health"
	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
	"github.com/mastio-aws/mastio/test/inmemory"
)

// A process dies in a rotation while the clock is ahead; with the clock put right nothing is locked, and GET and healthz say so.
func TestLeaseOfAClockThatWasAheadLocksNothing(t *testing.T) {
	for _, ahead := range []time.Duration{time.Minute, 48 * time.Hour, 14 * 365 * 24 * time.Hour} {
		t.Run(ahead.String(), func(t *testing.T) {
			dead := false
			m := inmemory.Open(t, memstore.Config{Fault: func(op string) memstore.Fault {
				if dead && op != "Acquire" {
					return memstore.Refuse
				}
				return memstore.None
			}})
			m.Advance(ahead)
			dead = true
			if _, err := m.Mint(t.Context()); err == nil {
				t.Fatal("a rotation without a store succeeded")
			}
			dead = false
			if l := m.Org(t).Lease; !l.Held(m.Now()) {
				t.Fatalf("nothing was left: %+v", l)
			}
			m.Advance(-ahead)
			status := must[rotateca.Status](t)(m.RotateCA.Status(t.Context()))
			if status.Rotation.InProgress {
				t.Errorf("GET shows %+v", status.Rotation)
			}
			if state := must[health.State](t)(m.Health.Check(t.Context())); len(state.Warnings) != 1 || state.Warnings[0] != health.RotationLockStuck {
				t.Errorf("warnings = %v", state.Warnings)
			}
			if _, err := m.Mint(t.Context()); err != nil {
				t.Errorf("rotation with the clock put right: %v", err)
			}
			if state := must[health.State](t)(m.Health.Check(t.Context())); len(state.Warnings) > 0 && state.Warnings[0] == health.RotationLockStuck {
				t.Errorf("warnings after a rotation = %v", state.Warnings)
			}
		})
	}
}

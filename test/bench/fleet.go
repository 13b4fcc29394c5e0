package main

import (
	"context"
	"fmt"
	"sync/atomic"
)

// The fleet of the throughput figures.
const (
	fleetSize    = 1000
	fleetWorkers = 8
	fleetBudget  = 800 // rotations a second
)

// fleet measures how many agents a second get a new certificate when nothing remote holds anyone up. Every worker has
// agents of its own: two rotations of one agent at once are an accident, and answered 409 by design. Any conflict that
// is counted here is one between different agents, and there must be none.
func (b *bench) fleet(ctx context.Context) error {
	b.say("fleet: enrolling %d agents", fleetSize)
	s, err := newSpine(ctx, fleetSize)
	if err != nil {
		return err
	}
	for _, kind := range []struct {
		name string
		csr  bool
	}{{"rotate-cert/s, CSR", true}, {"rotate-cert/s, minted keys", false}} {
		b.say("fleet: %s", kind.name)
		var conflicts atomic.Int64
		began := ownCPU()
		done, err := closedLoop(ctx, fleetWorkers, b.length(), func(ctx context.Context, worker, n int) error {
			out, err := s.functions["rotatecert"](ctx, s.rotation(worker+n%(fleetSize/fleetWorkers)*fleetWorkers, kind.csr))
			switch {
			case err != nil:
				return err
			case out.StatusCode == 409:
				conflicts.Add(1)
			case out.StatusCode != 200:
				return fmt.Errorf("rotate-cert answered %d: %s", out.StatusCode, out.Body)
			}
			return nil
		})
		if err != nil {
			return err
		}
		cpu := us(ownCPU()-began) / float64(len(done.each))
		b.report.add("fleet of 1,000 agents, 8 goroutines, in-memory store",
			figure{Name: kind.name, Value: done.rate(), Unit: perSec}.within(fleetBudget).remark("%.0f µs CPU each", cpu),
			figure{Name: "  conflicts", Value: float64(conflicts.Load()), Unit: conflict}.within(0))
	}
	return nil
}

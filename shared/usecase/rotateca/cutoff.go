package rotateca

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/problem"
	"github.com/mastio-aws/mastio/shared/registry"
)

// ErrRemain reports agents that a finalise would cut off although they got tokens within registry.Day.
var ErrRemain = problem.New(409, "agents_remain", "agents that are in use would lose their certificates").
	Says("Agents that got a token in the last day have only certificates that this would end. Nothing was changed. " +
		"remain names the first ten. Move them, or finalise without if_safe.")

const (
	// cutLooked bounds the agents that the look before a finalise reads. Beyond it a safe finalise is refused.
	cutLooked = 20_000
	// A finalise with if_safe waits for the look, any other one only a moment: in an emergency nothing stands in its way.
	cutTimeout, cutMoment = 20 * time.Second, 2 * time.Second
	cutNamed              = 10
)

// CutOff is what a finalise ends: agents that are left without a certificate that they are known to hold.
type CutOff struct {
	Agents    int64                  `json:"agents"`
	PerMethod map[agent.Method]int64 `json:"per_method"`
	Seen      int64                  `json:"seen"`     // of those: got a token within registry.Day
	AtLeast   bool                   `json:"at_least"` // there are more agents than were looked at
	First     []problem.Agent        `json:"first"`    // at most ten, those first that were seen last

	pointer int64 // version of the pointer that it is about
}

// Safe reports whether every agent was looked at, and none that is in use is cut off.
func (c CutOff) Safe() bool { return c.Seen == 0 && !c.AtLeast }

// cutOff looks at the agents whose certificates the end of all overlaps may end: those of the generations that end,
// those that have moved but may never have got their new certificate, and those with SVIDs under the Org CA.
func (o *Observer) cutOff(ctx context.Context, org registry.Org) (CutOff, error) {
	now, before := o.Now(), *org.Pointer
	c := CutOff{PerMethod: map[agent.Method]int64{}, First: []problem.Agent{}, pointer: before.Version}
	after, err := before.Finalise(before.Fence + 1)
	if err != nil {
		return c, err
	}
	queries := []registry.Query{}
	for _, a := range before.Accepted {
		if before.Accepts(a.Generation, now) {
			queries = append(queries, registry.Query{Generation: a.Generation})
		}
	}
	if len(queries) == 0 { // only the way back ends
		return c, nil
	}
	queries = append(queries, registry.Query{Generation: before.Current}, registry.Query{Method: agent.SPIFFE})
	type cut struct {
		agent.Agent
		hour time.Time
	}
	var cuts []cut
	left := cutLooked
	for _, q := range queries {
		all, err := o.each(ctx, q, &left, func(a agent.Agent) bool {
			return a.Method == agent.SPIFFE && len(a.Bundle) == 0 || endsFor(a, before, after, now)
		}, func(a agent.Agent, seen registry.Sighting) {
			if a.Method == agent.SPIFFE && !endsUnder(seen.Generation, before, after, now) {
				return
			}
			c.Agents++
			c.PerMethod[a.Method]++
			c.Seen += one(seen.Recent(now))
			cuts = append(cuts, cut{a, seen.Believed(now)})
		})
		if err != nil {
			return c, err
		}
		c.AtLeast = c.AtLeast || !all
	}
	slices.SortFunc(cuts, func(a, b cut) int { return cmp.Or(b.hour.Compare(a.hour), cmp.Compare(a.ID, b.ID)) })
	for _, a := range cuts[:min(len(cuts), cutNamed)] {
		c.First = append(c.First, problem.Agent{ID: string(a.ID), Method: string(a.Method), LastSeen: optional(a.hour)})
	}
	return c, nil
}

// refusal names the agents that are in use; the first ones were seen last.
func (c CutOff) refusal() error {
	first := c.First[:min(len(c.First), int(c.Seen))]
	return ErrRemain.Because(problem.Remain{Count: c.Seen, AtLeast: c.AtLeast, First: first})
}

// endsUnder reports whether a generation counts before, and not after.
func endsUnder(generation int64, before, after orgca.Pointer, now time.Time) bool {
	return before.Accepts(generation, now) && !after.Accepts(generation, now)
}

// endsFor reports whether an agent has a certificate that counts before and not after, and holds no other one that
// counts after. A successor that was never used may not have arrived.
func endsFor(a agent.Agent, before, after orgca.Pointer, now time.Time) bool {
	ends := false
	for _, p := range a.Pins {
		if !now.Before(p.NotAfter) {
			continue
		}
		_, was := a.Authenticate(p.Thumbprint, before, now)
		_, is := a.Authenticate(p.Thumbprint, after, now)
		if is == nil && !p.Unused {
			return false
		}
		ends = ends || was == nil && is != nil
	}
	return ends
}

// examine looks at what a finalise cuts off, before its lease: that may take longer than a lease lasts. A finalise that
// has to be safe is refused where it is not, or where that cannot be known.
func (w *run) examine(ctx context.Context) error {
	wait := cutMoment
	if w.req.IfSafe || w.req.DryRun {
		wait = cutTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	org, err := w.Store.Org(ctx)
	if err == nil && org.Pointer == nil {
		return orgca.ErrMissing
	}
	if err == nil {
		var c CutOff
		if c, err = w.observer.cutOff(ctx, org); err == nil {
			w.cut = &c
		}
	}
	switch {
	case err == nil && w.req.IfSafe && !w.req.DryRun && !w.cut.Safe():
		return w.cut.refusal()
	case err == nil:
		return nil
	case w.req.IfSafe || w.req.DryRun:
		return fmt.Errorf("look at what a finalise cuts off: %w", err)
	}
	w.Log.WarnContext(ctx, "pki.rotate.cut_off_unknown", "cause", err.Error())
	return nil
}

// examined returns the look, if it is about this pointer. A safe finalise of another one is refused.
func (w *run) examined(p orgca.Pointer) (*CutOff, error) {
	if w.cut != nil && w.cut.pointer == p.Version {
		return w.cut, nil
	}
	if w.req.IfSafe {
		return nil, ErrMoved
	}
	return nil, nil
}

// rehearseFinalise answers what a finalise would do. It reads and changes nothing.
func (w *run) rehearseFinalise(ctx context.Context) (Result, error) {
	if err := w.examine(ctx); err != nil {
		return Result{}, err
	}
	org, err := w.Store.Org(ctx)
	if err != nil {
		return Result{}, err
	}
	w.held.Fence = org.Pointer.Fence + 1
	p, err := w.planFinalise(org)
	if err != nil {
		return Result{}, err
	}
	p.result.DryRun, p.result.Audit = true, nil
	return p.result, nil
}

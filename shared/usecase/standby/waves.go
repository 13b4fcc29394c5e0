package standby

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
)

// errElsewhere reports that the re-issue is not as it was when the gate looked: another writer was faster, and the next
// run looks again.
var errElsewhere = errors.New("the re-issue has changed since the gate looked")

// homeAfter is how long the generation that a rollback has left is accepted after its last agent is back. No pin
// yields for longer, so an agent whose answer was lost has used its new certificate, or asked again.
const homeAfter = agent.MaxGrace + 24*time.Hour

// gate takes the step of the re-issue that is due: the next wave, a halt, the rollback after a halt, and what its
// progress has to say. Each step is one transaction with its row, so a run that dies between two steps leaves the
// rest to the next run.
func (j *Job) gate(ctx context.Context, report *Report) error {
	org, err := j.Store.Org(ctx)
	if err != nil || org.Pointer == nil || org.Reissue == nil || org.Reissue.Generation != org.Pointer.Current {
		return err
	}
	var gateErr error
	if org.Reissue.Works(org.Pointer) && len(org.Reissue.Waves) > 1 {
		report.Wave, gateErr = j.judge(ctx, org)
		if gateErr == nil {
			if org, err = j.Store.Org(ctx); err != nil {
				return err
			}
		}
	}
	return errors.Join(gateErr, j.undo(ctx, org), j.announce(ctx), j.home(ctx, org))
}

// judge looks at the present wave and commits what the gate decides, or what it saw.
func (j *Job) judge(ctx context.Context, org registry.Org) (wave int, err error) {
	look, err := j.look(ctx, *org.Reissue)
	if err != nil {
		return 0, fmt.Errorf("look at the wave: %w", err)
	}
	seen := *org.Reissue
	err = j.amend(ctx, org, func(r orgca.Reissue, now time.Time) (orgca.Reissue, audit.Event) {
		if r.Fence != seen.Fence || r.Wave != seen.Wave || r.State != seen.State {
			return r, ""
		}
		return look.decide(r, now)
	})
	return seen.Wave + 1, err
}

// decide returns the next state of the record and the event for its row; an empty event: no row.
func (l look) decide(r orgca.Reissue, now time.Time) (orgca.Reissue, audit.Event) {
	r.WaveCounts = l.wave.Counts()
	if l.wave.Size() == 0 && l.first != "" && !r.LastWave() { // a wave has at least one agent
		r.Bound, r.Next = orgca.Share(l.first)+1, time.Time{}
		return r, ""
	}
	switch verdict, why := r.Gate(l.wave, now); verdict {
	case orgca.Advance:
		return r.NextWave(now), audit.RotationWave
	case orgca.Halt:
		r.State, r.Why, r.Agents = orgca.Halted, why, l.wave.Named()
		return r, audit.RotationHalted
	case orgca.Wait:
	}
	return r, ""
}

// undo rolls the Org CA back after a halt, if the rotation asked for that. Where no way leads back any more, the halt
// stands as if it had asked for hold.
func (j *Job) undo(ctx context.Context, org registry.Org) error {
	r := org.Reissue
	if !r.Goes(org.Pointer) || r.State != orgca.Halted || r.OnHalt != orgca.RollBackOnHalt {
		return nil
	}
	previous, _ := org.Generation(org.Pointer.Previous)
	_, err := j.Rotator.Do(ctx, rotateca.Request{
		Mode:        rotateca.Return,
		Fingerprint: previous.Fingerprint(), // a rollback about another state changes nothing
		SkipBackup:  true,                   // a table takes its time for that, and agents are being refused
		Comment:     "the gate halted: " + r.Why,
		By:          audit.By{Actor: Actor},
	})
	switch {
	case errors.Is(err, orgca.ErrLeaseHeld): // the next run sees what that rotation left
		return nil
	case errors.Is(err, orgca.ErrNoRollback), errors.Is(err, rotateca.ErrStrict), errors.Is(err, orgca.ErrUnfit),
		errors.Is(err, orgca.ErrOverlaps):
		j.Log.ErrorContext(ctx, "pki.reissue.no_rollback", "generation", r.Generation, "cause", err.Error())
		return j.amend(ctx, org, func(r orgca.Reissue, _ time.Time) (orgca.Reissue, audit.Event) {
			if r.State == orgca.Halted {
				r.OnHalt = orgca.HoldOnHalt
			}
			return r, ""
		})
	case err != nil:
		return fmt.Errorf("roll back after a halt: %w", err)
	}
	return nil
}

// announce writes the rows of what follows without a decision: that the waves no longer fit, that the re-issue is
// finished.
func (j *Job) announce(ctx context.Context) error {
	org, err := j.Store.Org(ctx)
	if err != nil || org.Reissue == nil || org.Pointer == nil {
		return err
	}
	return j.amend(ctx, org, func(r orgca.Reissue, now time.Time) (orgca.Reissue, audit.Event) {
		switch {
		case !r.Warned && r.Late(org.Pointer, now):
			r.Warned = true
			return r, audit.RotationLate
		case !r.Announced && r.State == orgca.Finished:
			r.Announced = true
			return r, audit.RotationFinished
		}
		return r, ""
	})
}

// amend commits what change makes of the re-issue, with the slots of agents that renew themselves, and with a row if
// there is an event. A record that is not about the present generation, or that change leaves as it is, is not
// written.
func (j *Job) amend(
	ctx context.Context, org registry.Org, change func(orgca.Reissue, time.Time) (orgca.Reissue, audit.Event),
) error {
	var event audit.Event
	var next orgca.Reissue
	err := registry.Amend(ctx, j.Store, org, func(org registry.Org) (registry.Change, error) {
		if org.Reissue == nil || org.Pointer == nil || org.Reissue.Generation != org.Pointer.Current {
			return registry.Change{}, errElsewhere
		}
		before, now := *org.Reissue, j.Now()
		if next, event = change(before, now); event == "" && next.Same(before) {
			return registry.Change{}, errElsewhere
		}
		c := registry.Change{ID: j.NewID(), Reissue: &next}
		if next.Wave != before.Wave || next.State != before.State || next.Bound != before.Bound {
			pointer := next.Steer(*org.Pointer)
			c.Pointer = &pointer
		}
		if event == "" {
			return c, nil
		}
		row, head, err := org.Head.Append(audit.Entry{
			Time:    now,
			Event:   event,
			Actor:   Actor,
			Subject: j.OrgID,
			Details: details(next, event),
		})
		c.Head, c.Rows = &head, []audit.Row{row}
		return c, err
	})
	if errors.Is(err, errElsewhere) || errors.Is(err, registry.ErrConflict) { // the next run looks again
		return nil
	}
	if err != nil {
		return fmt.Errorf("note the progress of the re-issue: %w", err)
	}
	if event != "" {
		j.Log.InfoContext(ctx, "pki.reissue", "event", string(event), "generation", next.Generation, "wave", next.Wave+1,
			"why", next.Why)
	}
	return nil
}

// details are what a row about a re-issue says.
func details(r orgca.Reissue, event audit.Event) map[string]any {
	d := rotateca.WaveDetails(r)
	if event == audit.RotationHalted {
		agents := make([]any, len(r.Agents))
		for i, id := range r.Agents {
			agents[i] = id
		}
		d["why"], d["agents"], d["on_halt"] = r.Why, agents, string(r.OnHalt)
	}
	return d
}

// home ends the overlap that a rollback has opened, once no agent's newest certificate is under what the rollback left.
func (j *Job) home(ctx context.Context, org registry.Org) error {
	if org.Pointer == nil {
		return nil
	}
	until := j.Now().Add(homeAfter)
	if _, changes := org.Pointer.Returned(until); !changes {
		return nil
	}
	for _, g := range org.Pointer.Undoing(j.Now()) {
		for page, err := range registry.Pages(ctx, j.Store, registry.Query{Generation: g, Limit: lookSize}) {
			if err != nil || len(page) > 0 {
				return err
			}
		}
	}
	err := registry.Amend(ctx, j.Store, org, func(org registry.Org) (registry.Change, error) {
		pointer, changes := org.Pointer.Returned(until)
		if !changes {
			return registry.Change{}, errElsewhere
		}
		return registry.Change{ID: j.NewID(), Pointer: &pointer}, nil
	})
	if errors.Is(err, errElsewhere) || errors.Is(err, registry.ErrConflict) {
		return nil
	}
	return err
}

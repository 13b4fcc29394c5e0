package hygiene

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/registry"
)

// tries is how often an agent's record is read anew: a delivery takes three rounds, and each may meet a concurrent
// change.
const tries = 8

// errPanic reports a defect that one agent's record brought to light: no reason to let the others wait.
var errPanic = errors.New("panic")

// deal brings one agent to where nothing is due, and logs if that fails.
func (j *Job) deal(ctx context.Context, id agent.ID) outcome {
	done, err := guarded(func() (outcome, error) { return j.proceed(ctx, id) })
	if err == nil {
		return done
	}
	j.Log.ErrorContext(ctx, "hygiene.failed", "agent_id", string(id), "cause", err.Error())
	if ctx.Err() == nil {
		j.postpone(ctx, id)
	}
	return failed
}

// guarded does work on one agent, and returns errPanic if it panics.
func guarded(work func() (outcome, error)) (done outcome, err error) {
	defer func() {
		if p := recover(); p != nil {
			done, err = failed, fmt.Errorf("%w: %v", errPanic, p)
		}
	}()
	return work()
}

// proceed reads the agent and takes the next step, until there is none. The index only said where to look: what is due
// is decided on the record.
func (j *Job) proceed(ctx context.Context, id agent.ID) (done outcome, err error) {
	for range tries {
		view, err := j.Store.View(ctx, id)
		if err != nil {
			return failed, err
		}
		if view.Agent == nil {
			return done, nil
		}
		if !due(*view.Agent, j.Now()) {
			err := j.place(ctx, *view.Agent)
			if errors.Is(err, registry.ErrConflict) {
				continue
			}
			return done, err
		}
		if view.Pointer == nil {
			return failed, orgca.ErrMissing
		}
		var o outcome
		// A delivery that was begun is completed, whatever was decided since.
		if view.Agent.Delivers() || view.Agent.Concerning().Undelivered != "" {
			o, err = j.deliver(ctx, view)
		} else {
			o, err = j.notify(ctx, view)
		}
		if err != nil && !errors.Is(err, registry.ErrConflict) {
			return failed, err
		}
		if err == nil {
			done = max(done, o)
		}
	}
	return failed, registry.ErrConflict
}

func due(a agent.Agent, now time.Time) bool {
	at, notified := a.Due()
	return !at.IsZero() && !notified && !now.Before(at)
}

// place moves an entry that is early to where the agent is due. No row: nothing about the agent changes.
func (j *Job) place(ctx context.Context, a agent.Agent) error {
	if !a.Misplaced(j.Now()) {
		return nil
	}
	next := a.Placed()
	err := registry.Settle(ctx, j.Store.Apply, registry.Change{ID: j.NewID(), Agent: &next}.Ends(a, j.Now()))
	if err != nil {
		return fmt.Errorf("move the entry in the due index: %w", err)
	}
	return nil
}

// notify tells the operator that a certificate is due, once for each certificate.
func (j *Job) notify(ctx context.Context, view registry.View) (outcome, error) {
	h := view.Agent.Concerning()
	h.Told, h.Failed, h.Later = true, 0, time.Time{}
	return notified, j.report(ctx, *view.Agent, h, map[string]any{}, j.Now())
}

// report commits the row from which the event agent.cert_due is made, with the agent's certificate in its details, and
// what hygiene knows of the agent from then on. An agent that is known by its SPIFFE ID has no pin.
func (j *Job) report(
	ctx context.Context, was agent.Agent, h agent.Hygiene, details map[string]any, now time.Time,
) error {
	if p := was.Pin(); p.Thumbprint != "" {
		details["cert_thumbprint"], details["generation"] = p.Thumbprint, p.Generation
		details["not_before"], details["not_after"] = audit.Stamp(p.NotBefore), audit.Stamp(p.NotAfter)
	}
	a := was
	row, head, err := a.Head.Append(audit.Entry{
		Time:    now,
		Event:   audit.AgentCertDue,
		Actor:   Actor,
		Subject: string(a.ID),
		Details: details,
	})
	if err != nil {
		return err
	}
	a.Hygiene, a.Head, a.UpdatedAt = h, head, now
	return registry.Settle(ctx, j.Store.Apply, registry.Change{
		ID:    j.NewID(),
		Agent: &a,
		Was:   &was,
		Rows:  []audit.Row{row},
	}.Ends(was, now))
}

// addressed adds the agent's method and its owner, if it has one: the owner is to act.
func addressed(details map[string]any, a agent.Agent) map[string]any {
	details["method"] = string(a.Method)
	if a.Owner != "" {
		details["owner"] = a.Owner
	}
	return details
}

// A failure is tried again by the next daily run, then after two, four and eight days; the slack lets a run that is a
// little early still see it.
const (
	firstPause  = 24 * time.Hour
	mostDoubled = 3
	pauseSlack  = 4 * time.Hour
)

// postpone puts an agent off. If that fails too, its place in the index stays, and the next run comes by again.
func (j *Job) postpone(ctx context.Context, id agent.ID) {
	view, err := j.Store.View(ctx, id)
	if err != nil || view.Agent == nil || !due(*view.Agent, j.Now()) {
		return
	}
	a := view.Agent.Placed()
	a.Hygiene = a.Concerning()
	pause := firstPause<<min(a.Hygiene.Failed, mostDoubled) - pauseSlack
	a.Hygiene.Failed++
	a.Hygiene.Later = j.Now().Add(pause)
	if err := j.Store.Apply(ctx, registry.Change{ID: j.NewID(), Agent: &a}.Ends(*view.Agent, j.Now())); err != nil {
		j.Log.WarnContext(ctx, "hygiene.postpone", "agent_id", string(id), "cause", err.Error())
	}
}

package enroll

import (
	"context"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/registry"
)

// Amendment asks for a change of an agent's profile.
type Amendment struct {
	audit.By
	Agent agent.ID
	agent.Patch
}

// Amend changes an agent's profile, with a row that has what was before and after. It changes no certificate and no
// pin. A concurrent writer of the record, a rotation say, does not end it: the record is read and decided on again, so
// neither change is lost. An amendment that changes nothing writes nothing. counts is as of Agent. Tokens take
// capabilities from the record, so one that is taken away is in no token that is issued after the commit.
//
// Errors: agent.ErrNotFound, agent.ErrDeactivated, agent.ErrProfile, registry.ErrConflict if other writers kept coming
// first, registry.ErrUnknown.
func (e *Enroller) Amend(ctx context.Context, m Amendment) (a agent.Agent, counts bool, err error) {
	err = registry.Outlast(ctx, func() error {
		a, counts, err = e.Agent(ctx, m.Agent)
		switch {
		case err != nil:
			return err
		case a.Status != agent.Active:
			return agent.ErrDeactivated
		}
		a, err = e.amend(ctx, a, m)
		return err
	})
	return a, counts, err
}

func (e *Enroller) amend(ctx context.Context, a agent.Agent, m Amendment) (agent.Agent, error) {
	next, err := m.Apply(a.Profile, a.ID.Name())
	if err != nil {
		return a, err
	}
	before, after := a.Diff(next)
	if len(before) == 0 {
		return a, nil
	}
	now := e.Now()
	row, head, err := a.Head.Append(audit.Entry{
		Time:    now,
		Event:   audit.AgentUpdated,
		Actor:   m.Actor,
		Subject: string(a.ID),
		Details: m.Note(map[string]any{"before": before, "after": after}),
	})
	if err != nil {
		return a, err
	}
	was := a
	a.Profile, a.Head, a.UpdatedAt = next, head, now
	if err := registry.Settle(ctx, e.Store.Apply, registry.Change{
		ID:    e.NewID(),
		Agent: &a,
		Rows:  []audit.Row{row},
	}.Ends(was, now)); err != nil {
		return a, err
	}
	a.Version++
	return a, nil
}

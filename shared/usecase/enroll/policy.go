package enroll

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/registry"
)

// Policy asks for another way of hygiene.
type Policy struct {
	audit.By
	Agent   agent.ID
	Deliver agent.Delivery
}

const policyTries = 5

// SetHygiene changes what is done when an agent's certificate is due, and nothing else: no certificate, no pin. An
// agent whose operator was already notified becomes due again when delivery is switched on. Setting the same value is
// a no-op.
//
// Errors: agent.ErrNotFound, agent.ErrDeactivated; agent.ErrRotateAtYourCA for agents whose certificates are issued
// elsewhere.
func (e *Enroller) SetHygiene(ctx context.Context, p Policy) (agent.Agent, error) {
	for range policyTries {
		view, err := e.Store.View(ctx, p.Agent)
		switch {
		case err != nil:
			return agent.Agent{}, err
		case view.Agent == nil:
			return agent.Agent{}, agent.ErrNotFound
		case view.Agent.Status != agent.Active:
			return agent.Agent{}, agent.ErrDeactivated
		case view.Agent.Method != agent.Minted:
			return agent.Agent{}, agent.ErrRotateAtYourCA
		}
		before := cmp.Or(view.Agent.Hygiene.Deliver, agent.Notify)
		if before == p.Deliver {
			return *view.Agent, nil
		}
		a, err := e.setHygiene(ctx, view, before, p)
		if !errors.Is(err, registry.ErrConflict) {
			return a, err
		}
	}
	return agent.Agent{}, fmt.Errorf("set the hygiene of %s: %w", p.Agent, registry.ErrConflict)
}

func (e *Enroller) setHygiene(
	ctx context.Context, view registry.View, before agent.Delivery, p Policy,
) (agent.Agent, error) {
	a, now := *view.Agent, e.Now()
	row, head, err := a.Head.Append(audit.Entry{
		Time:    now,
		Event:   audit.AgentHygieneSet,
		Actor:   p.Actor,
		Subject: string(a.ID),
		Details: p.Note(map[string]any{"deliver": string(p.Deliver), "previous_deliver": string(before)}),
	})
	if err != nil {
		return agent.Agent{}, err
	}
	a.Hygiene = a.Concerning()
	a.Hygiene.Deliver, a.Hygiene.Told = p.Deliver, a.Hygiene.Told && p.Deliver == agent.Notify
	superseded := view.Pointer != nil && a.Pin().Generation != view.Pointer.Current
	if superseded && p.Deliver == agent.SecretsManager {
		a.Hygiene.Later = now // the re-issue of the Org CA's last swap may have passed the agent
	}
	a.Head, a.UpdatedAt = head, now
	err = registry.Settle(ctx, e.Store.Apply,
		registry.Change{ID: e.NewID(), Agent: &a, Rows: []audit.Row{row}}.Ends(*view.Agent, now))
	a.Version++
	return a, err
}

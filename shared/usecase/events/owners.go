package events

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/registry"
)

// RotationStarted is the event that the fleet begins to move to another Org CA. It has no row of its own: it goes out
// with the row of the swap.
const RotationStarted audit.Event = "org_ca.rotation_started"

// addressed are the events that name the owners' agents, so that a rule on the bus can notify every owner. The event
// behind the row goes out once for each owner, or more often if the owner has many agents.
var addressed = map[audit.Event]audit.Event{
	audit.RotationScheduled: audit.RotationScheduled,
	audit.RotationDropped:   audit.RotationDropped,
	audit.RotationCancelled: audit.RotationCancelled,
	audit.OrgCARotated:      RotationStarted,
	audit.RotationWave:      audit.RotationWave,
	audit.RotationHalted:    audit.RotationHalted,
	audit.RotationLate:      audit.RotationLate,
	audit.RotationFinished:  audit.RotationFinished,
}

// maxIDs is how many octets of agents' ids, as JSON, one event names. EventBridge takes 256 KB in one call, of up to
// Batch events.
const maxIDs = 20_000

// page is how many agents are read at once.
const page = 1000

// of returns the events of a row, in the order in which they go out.
func (r *Relay) of(ctx context.Context, row audit.Row) ([]Event, error) {
	e, ok, err := Of(row)
	if err != nil || !ok {
		return nil, err
	}
	as, ok := addressed[e.Type]
	if !ok {
		return []Event{e}, nil
	}
	owned, err := r.owners(ctx)
	if err != nil {
		return nil, err
	}
	var all []Event
	if as != e.Type {
		all = append(all, e)
	}
	e.Type = as
	for _, owner := range slices.Sorted(maps.Keys(owned)) {
		parts := chunks(owned[owner])
		for n, ids := range parts {
			all = append(all, e.to(owner, ids, n+1, len(parts)))
		}
	}
	return all, nil
}

// to is an event with a part of the agents of an owner. The agents that a row names are gate_agents then.
func (e Event) to(owner string, ids []string, part, parts int) Event {
	e.Detail = maps.Clone(e.Detail)
	if named, ok := e.Detail["agents"]; ok {
		e.Detail["gate_agents"] = named
	}
	e.Detail["owner"], e.Detail["agents"], e.Detail["part"], e.Detail["parts"] = owner, ids, part, parts
	return e
}

// owners reads the ids of the active agents of each owner. Agents without an owner belong to the empty owner, which
// always exists: an event goes out even while there is no agent.
func (r *Relay) owners(ctx context.Context) (map[string][]string, error) {
	owned := map[string][]string{"": nil}
	for agents, err := range registry.Pages(ctx, r.Fleet, registry.Query{Limit: page}) {
		if err != nil {
			return nil, fmt.Errorf("list the owners' agents: %w", err)
		}
		for _, a := range agents {
			if a.Status == agent.Active {
				owned[a.Owner] = append(owned[a.Owner], string(a.ID))
			}
		}
	}
	for owner, ids := range owned { // an agent that moves during the listing can appear twice
		slices.Sort(ids)
		owned[owner] = slices.Compact(ids)
	}
	return owned, nil
}

// chunks cuts a list of ids into parts that fit into events; of an empty list it is one empty part.
func chunks(ids []string) [][]string {
	parts, size := [][]string{{}}, 0
	for _, id := range ids {
		last := len(parts) - 1
		octets := len(id) + len(`"",`)
		if size += octets; size > maxIDs {
			parts, size = append(parts, nil), octets
			last++
		}
		parts[last] = append(parts[last], id)
	}
	return parts
}

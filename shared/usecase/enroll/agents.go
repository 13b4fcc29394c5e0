package enroll

import (
	"context"
	"strings"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/reason"
	"github.com/mastio-aws/mastio/shared/registry"
)

// Agent reads one agent, and whether its pin counts at present. Error: agent.ErrNotFound.
func (e *Enroller) Agent(ctx context.Context, id agent.ID) (a agent.Agent, counts bool, err error) {
	view, err := e.Store.View(ctx, id)
	if err != nil {
		return agent.Agent{}, false, err
	}
	if view.Agent == nil {
		return agent.Agent{}, false, agent.ErrNotFound
	}
	if view.Agent.Method == agent.SPIFFE { // which SVID it shows is for the token function to judge
		return *view.Agent, view.Agent.Status == agent.Active, nil
	}
	if view.Pointer != nil {
		_, err := view.Agent.Authenticate(view.Agent.Pin().Thumbprint, view.Pointer, e.Now())
		counts = err == nil
	}
	return *view.Agent, counts, nil
}

// List reads a page of agents. Errors: ErrLimit, registry.ErrCursor.
func (e *Enroller) List(ctx context.Context, q registry.Query) (registry.Page, error) {
	if q.Limit < 1 || q.Limit > MaxLimit {
		return registry.Page{}, ErrLimit
	}
	return e.Store.Agents(ctx, q)
}

// LastSeen reads in which hours these agents, at most MaxLimit, last got tokens: the hours' beginnings. Agents that
// were never seen are left out.
func (e *Enroller) LastSeen(ctx context.Context, agents ...agent.Agent) (map[agent.ID]time.Time, error) {
	ids := make([]agent.ID, len(agents))
	for n, a := range agents {
		ids[n] = a.ID
	}
	found, err := e.Store.SeenAt(ctx, ids)
	hours := map[agent.ID]time.Time{}
	for id, s := range found {
		if hour := s.Believed(e.Now()); !hour.IsZero() {
			hours[id] = hour
		}
	}
	return hours, err
}

// Find reads a page of agents, in the order of their ids, whose names begin with a text; a whole id is taken too. A
// text that no name can begin with finds nothing. Errors: ErrLimit, registry.ErrCursor.
func (e *Enroller) Find(ctx context.Context, name string, limit int, cursor string) (registry.Page, error) {
	if limit < 1 || limit > MaxFound {
		return registry.Page{}, ErrLimit
	}
	name = strings.TrimPrefix(name, e.OrgID+"::")
	if name != "" {
		if _, err := agent.NewID(e.OrgID, name+"x"); err != nil { // the x lets names begin with dots
			return registry.Page{}, nil //nolint:nilerr // it finds nothing
		}
	}
	return e.Store.Find(ctx, registry.Search{Prefix: e.OrgID + "::" + name, Limit: limit, Cursor: cursor})
}

// Due reads a page of the agents whose certificates are due within a time from now. Agents whose operators were
// notified come first. It is about certificates that the Mastio issues. Errors: ErrLimit, registry.ErrCursor.
func (e *Enroller) Due(ctx context.Context, within time.Duration, limit int, cursor string) (registry.Page, error) {
	if limit < 1 || limit > MaxFound {
		return registry.Page{}, ErrLimit
	}
	due, err := e.Store.Due(ctx, registry.DueQuery{At: e.Now().Add(within), Told: true, Limit: limit, Cursor: cursor})
	if err != nil || len(due.Agents) == 0 {
		return registry.Page{}, err
	}
	agents, err := e.Store.Records(ctx, due.Agents)
	return registry.Page{Agents: agents, Next: due.Next}, err
}

// CountDue counts them, and no further than it takes to say that there are most or more: its cost has a bound.
func (e *Enroller) CountDue(ctx context.Context, within time.Duration, most int) (int64, error) {
	n, err := e.Store.CountDue(ctx, registry.DueQuery{At: e.Now().Add(within), Told: true, Limit: most})
	return min(n, int64(most)), err
}

// Total counts the agents, deactivated ones too: the keys of an index are read for that.
func (e *Enroller) Total(ctx context.Context) (int64, error) {
	return e.Store.Count(ctx, registry.Selection{})
}

// DueIn reads a page of the agents whose certificates are due after an instant and before another, of those whose
// operators were not notified. Errors: ErrLimit, registry.ErrCursor.
func (e *Enroller) DueIn(
	ctx context.Context, after, before time.Time, limit int, cursor string,
) (registry.Page, error) {
	if limit < 1 || limit > MaxFound {
		return registry.Page{}, ErrLimit
	}
	due, err := e.Store.Due(ctx, registry.DueQuery{
		At:     before.Add(-time.Millisecond),
		After:  after.Add(-time.Millisecond),
		Limit:  limit,
		Cursor: cursor,
	})
	if err != nil || len(due.Agents) == 0 {
		return registry.Page{}, err
	}
	agents, err := e.Store.Records(ctx, due.Agents)
	return registry.Page{Agents: agents, Next: due.Next}, err
}

// DueTimes reads, in order, when certificates are due after an instant and before another. It has every instant up to
// through, and reads at most 16 times limit entries of the index: its cost has a bound.
func (e *Enroller) DueTimes(
	ctx context.Context, after, before time.Time, limit int,
) (at []time.Time, through time.Time, err error) {
	return e.Store.DueTimes(ctx, registry.DueQuery{At: before.Add(-time.Millisecond), After: after, Limit: limit})
}

// CountUnder counts the active agents of a method whose newest certificate is of a generation of the Org CA; without a
// method, those of all methods.
func (e *Enroller) CountUnder(ctx context.Context, generation int64, method agent.Method) (int64, error) {
	return e.Store.Count(ctx, registry.Selection{Filter: registry.Filter{Generation: generation, Method: method}})
}

// Deactivation asks for the end of an agent.
type Deactivation struct {
	audit.By
	Agent  agent.ID
	Reason reason.Statement
}

// Deactivate removes every pin of an agent; its record and audit chain stay. Concurrent renewals and uses do not
// delay it. With a compromise as the reason, the agent's keys are refused for good, also if the agent is already
// deactivated. A repetition changes nothing and is no error, so that a caller can repeat the request after a lost
// answer. Errors: agent.ErrNotFound, those of reason.Read.
func (e *Enroller) Deactivate(ctx context.Context, d Deactivation) error {
	given, err := d.Reason.Check()
	if err != nil {
		return err
	}
	d.Reason = given
	return registry.Outlast(ctx, func() error {
		view, err := e.Store.View(ctx, d.Agent)
		switch {
		case err != nil:
			return err
		case view.Agent == nil:
			return agent.ErrNotFound
		case view.Agent.Status == agent.Deactivated && !d.Reason.Code.Compromise():
			return nil
		}
		return e.deactivate(ctx, *view.Agent, d)
	})
}

func (e *Enroller) deactivate(ctx context.Context, a agent.Agent, d Deactivation) error {
	keys, err := e.Store.Keys(ctx, a.ID)
	if err != nil {
		return err
	}
	next, known := a.Deactivate(e.Now()), keys.Remember(a)
	next.Past.Stored = keys.Version + 1
	if d.Reason.Code.Compromise() {
		gone := a
		gone.Status = agent.Deactivated // every known key is lost with it
		gone, known = agent.Compromise(gone, keys)
		next.Past.Lost, next.JKT = gone.Past.Lost, gone.JKT
	}
	if a.Status == agent.Deactivated && len(known.Compromised) == len(keys.Compromised) {
		return nil // it was declared already
	}
	known.Staged = nil
	row, head, err := a.Head.Append(audit.Entry{
		Time:    next.UpdatedAt,
		Event:   audit.AgentDeactivated,
		Actor:   d.Actor,
		Subject: string(a.ID),
		Details: d.Reason.Note(d.Note(map[string]any{"previous_thumbprint": a.Pin().Thumbprint})),
	})
	if err != nil {
		return err
	}
	next.Head = head
	return registry.Settle(ctx, e.Store.Apply, registry.Change{
		ID:     e.NewID(),
		Agent:  &next,
		Keys:   &known,
		Rows:   []audit.Row{row},
		Forget: aliases(a),
		Naming: registry.NamingOf(&a, next),
	}.Ends(a, next.UpdatedAt))
}

// aliases returns the aliases that lead to the agent now. Aliases of its past certificates are not among them: they
// expire with their certificates.
func aliases(a agent.Agent) []registry.Alias {
	if a.Status != agent.Active { // they were forgotten, and may be another agent's by now
		return nil
	}
	switch a.Method {
	case agent.SPIFFE:
		return []registry.Alias{{Name: registry.SPIFFEAlias(a.SPIFFEID), Agent: a.ID}}
	case agent.BYOCA:
		var list []registry.Alias
		for _, p := range a.Pins {
			list = append(list, registry.Alias{Name: registry.PinAlias(p.Thumbprint), Agent: a.ID})
		}
		return list
	case agent.Minted:
	}
	return nil
}

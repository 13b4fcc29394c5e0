package enroll

import (
	"context"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/registry"
)

// What a page of silent agents looks at: no index knows who is silent.
const (
	silentBatch = 100 // agents looked at together
	silentReads = 3   // batches of a page
)

// SilentPage is a page of silent agents.
type SilentPage struct {
	registry.Page
	Looked int // agents that were looked at
}

// Silent reads a page of the active agents that got no token for a while (registry.Sighting.Silent), in the order of
// their names. A page looks at 300 agents at most, so it may have few agents, or none, and a cursor. Errors: ErrLimit,
// registry.ErrCursor.
func (e *Enroller) Silent(ctx context.Context, f registry.Filter, limit int, cursor string) (p SilentPage, err error) {
	if limit < 1 || limit > MaxLimit {
		return p, ErrLimit
	}
	f.Status = agent.Active
	batch := min(limit, silentBatch) // where most are silent, the first batch is enough
	for range silentReads {
		found, _, err := e.Select(ctx, Selection{
			Filter: f,
			Sort:   registry.ByName,
			Limit:  batch,
			Cursor: cursor,
			Untold: true,
		})
		if err != nil {
			return SilentPage{}, err
		}
		cursor, batch = found.Next, silentBatch
		full, err := e.keepSilent(ctx, &p, found.Agents, limit)
		if err != nil || full || cursor == "" {
			return p, err
		}
		if p.Next = cursor; len(p.Agents) == limit {
			return p, nil
		}
	}
	return p, nil
}

// keepSilent adds those that are silent to the page. full: the page is, and its cursor is set.
func (e *Enroller) keepSilent(
	ctx context.Context, p *SilentPage, agents []agent.Agent, limit int,
) (full bool, err error) {
	ids := make([]agent.ID, len(agents))
	for n, a := range agents {
		ids[n] = a.ID
	}
	seen, err := e.Store.SeenAt(ctx, ids)
	if err != nil {
		return false, err
	}
	p.Next = ""
	for _, a := range agents {
		if len(p.Agents) == limit {
			p.Next = registry.BehindName(p.Agents[limit-1].ID)
			return true, nil
		}
		if p.Looked++; seen[a.ID].Silent(e.Now()) {
			p.Agents = append(p.Agents, a)
		}
	}
	return false, nil
}

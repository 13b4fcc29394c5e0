package hygiene

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/registry"
)

// lineTime is how much of its time a pass spends on finding out who goes first: a fleet of a hundred thousand fits.
const lineTime = 15 * time.Second

// line is a queue of agents whose certificates do not count any more, each with the last hour in which it got a token;
// the zero time: none is known.
type line []place

type place struct {
	id   agent.ID
	hour time.Time
}

// order returns the agents that wait, the most recently seen first: these agents ask for tokens now, and get none.
// Agents of the same hour keep the order of the listing.
func (l line) order() []agent.ID {
	slices.SortStableFunc(l, func(a, b place) int { return b.hour.Compare(a.hour) })
	ids := make([]agent.ID, len(l))
	for i, a := range l {
		ids[i] = a.id
	}
	return ids
}

// lineUp returns agents with their last hours, for one read unit an agent that is left. An hour that cannot be read
// only changes the order: lineUp logs the error and goes on.
func (p *pass) lineUp(ctx context.Context, ids []agent.ID) line {
	if len(ids) == 0 {
		return nil
	}
	seen, err := p.Store.SeenAt(ctx, ids)
	if err != nil {
		p.Log.WarnContext(ctx, "reissue.order", "cause", err.Error())
	}
	now, l := p.Now(), make(line, len(ids))
	for i, id := range ids {
		l[i] = place{id, seen[id].Believed(now)}
	}
	return l
}

// bring passes the agents that have not moved to hand: first those that get no tokens, then those in overlaps. hand
// reports whether the time ran out before it had processed all of them; bring returns that as over.
func (p *pass) bring(ctx context.Context, org registry.Org, hand func(...agent.ID) bool) (over bool, err error) {
	waiting, over, err := p.waiting(ctx, org, hand)
	if over || err != nil {
		return over, err
	}
	if hand(waiting.order()...) {
		return true, nil
	}
	generations := p.left(org, true)
	if !p.re.Federated && p.re.Bound >= orgca.Everyone {
		generations = append(generations, 0)
	}
	for _, g := range generations {
		over, err = p.walk(ctx, g, func(page []agent.Agent) bool { return hand(p.concerned(page)...) })
		if over || err != nil {
			return over, err
		}
	}
	return false, nil
}

// waiting lines up the agents whose certificates do not count any more. After lineTime it hands them over as they come.
func (p *pass) waiting(
	ctx context.Context, org registry.Org, hand func(...agent.ID) bool,
) (l line, over bool, err error) {
	for _, g := range p.left(org, false) {
		over, err = p.walk(ctx, g, func(page []agent.Agent) bool {
			ids := p.concerned(page)
			if p.Now().Sub(p.began) < lineTime {
				l = append(l, p.lineUp(ctx, ids)...)
				return false
			}
			first := l.order()
			l = nil
			return hand(first...) || hand(ids...)
		})
		if over || err != nil {
			return nil, over, err
		}
	}
	return l, false, nil
}

// left are the generations that agents are to leave, those whose certificates count or the others.
func (p *pass) left(org registry.Org, counts bool) (numbers []int64) {
	for _, g := range org.Generations {
		if g.Number == p.ca.Current || g.State != orgca.Superseded && g.State != orgca.Retired {
			continue // no pin was ever made under it
		}
		if p.ca.Accepts(g.Number, p.began) == counts {
			numbers = append(numbers, g.Number)
		}
	}
	return numbers
}

// concerned counts the agents that are left as they are, and returns those for which there is something to do.
func (p *pass) concerned(page []agent.Agent) (ids []agent.ID) {
	for _, a := range page {
		if p.looked(a) {
			ids = append(ids, a.ID)
		}
	}
	return ids
}

// walk goes through the agents whose newest pin is of one generation, page by page, until do says that the time is
// over; zero: those that have no pin.
func (p *pass) walk(ctx context.Context, generation int64, do func([]agent.Agent) bool) (over bool, err error) {
	q := registry.Query{Limit: reissuePage, Generation: generation}
	for {
		if p.over(ctx) {
			return true, nil
		}
		page, err := p.Store.Agents(ctx, q)
		if err != nil {
			return false, fmt.Errorf("find who has not moved: %w", err)
		}
		agents := page.Agents
		// A listing of all begins with those that have no pin.
		end := slices.IndexFunc(agents, func(a agent.Agent) bool { return a.Pin().Generation > generation })
		if end >= 0 {
			agents = agents[:end]
		}
		if do(agents) {
			return true, nil
		}
		if q.Cursor = page.Next; q.Cursor == "" || end >= 0 {
			return false, nil
		}
	}
}

package hygiene

import (
	"context"
	"sync"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/registry"
)

// reissuePage is how many agents are looked up at once.
const reissuePage = 1000

// over reports whether the pass begins nothing new.
func (p *pass) over(ctx context.Context) bool {
	return p.Over(ctx) || p.Now().Sub(p.began) >= reissueTime
}

// work brings along the agents that have not moved, several at a time; over: it did not come to their end.
func (p *pass) work(ctx context.Context, org registry.Org) (over bool, err error) {
	queue := make(chan agent.ID)
	var workers sync.WaitGroup
	for range Concurrency {
		workers.Go(func() {
			for id := range queue {
				p.deal(ctx, id)
			}
		})
	}
	defer workers.Wait()
	defer close(queue)
	if !p.re.Under.IsZero() {
		if over, err = p.walk(ctx, p.ca.Current, func(page []agent.Agent) bool {
			return p.settleAll(ctx, page)
		}); over || err != nil {
			return over, err
		}
	}
	return p.bring(ctx, org, func(ids ...agent.ID) (over bool) {
		for _, id := range ids {
			if p.over(ctx) {
				return true
			}
			queue <- id
		}
		return false
	})
}

// looked counts an agent that is left as it is, and reports whether there is something to do for it. A listed agent has
// no bundle: its record decides.
func (p *pass) looked(a agent.Agent) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch p.fateOf(a, p.Now()) {
	case toDeliver, toName:
		return true
	case wasNamed:
		p.seen.Waiting++
	case renews:
		p.seen.Renewing++
	case inLaterWave:
		p.seen.Later++
	case settledFate:
	}
	return false
}

// settleAll promotes what a run that died has pinned and not promoted; over: the time was over before the last agent.
func (p *pass) settleAll(ctx context.Context, page []agent.Agent) (over bool) {
	for _, a := range page {
		if p.over(ctx) {
			return true
		}
		p.settle(ctx, a)
	}
	return false
}

// settle promotes for one agent. The agent has not used what was pinned, or it has arrived.
func (p *pass) settle(ctx context.Context, a agent.Agent) {
	version := unpromoted(a)
	if version == "" {
		return
	}
	if err := p.Secrets.Promote(ctx, SecretName(a.ID), version); err != nil {
		p.fail(ctx, a.ID, err)
		p.unsettle()
	}
}

// unpromoted is the version of an agent's secret that a run which died may have pinned and not promoted; empty: none.
// With Later the agent is in the due index, which leads to it.
func unpromoted(a agent.Agent) string {
	if h := a.Concerning(); a.Pin().Unused && h.Later.IsZero() {
		return h.Undelivered
	}
	return ""
}

func (p *pass) unsettle() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.unsettled = true
}

func (p *pass) fail(ctx context.Context, id agent.ID, err error) {
	p.Log.ErrorContext(ctx, "reissue.failed", "agent_id", string(id), "cause", err.Error())
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen.Failed++
}

// deal brings one agent along, and logs if that fails.
func (p *pass) deal(ctx context.Context, id agent.ID) {
	done, err := guarded(func() (outcome, error) { return p.proceed(ctx, id) })
	if err != nil {
		p.fail(ctx, id, err)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch done {
	case rotated:
		p.seen.Delivered++
	case notified:
		p.seen.Notified++
		p.seen.Waiting++
	case nothing, failed:
	}
}

// deadline returns when the last overlap of a generation ends, of generation 0 the last of any; zero: it does not count
// at now.
func (p *pass) deadline(generation int64, now time.Time) (until time.Time) {
	for _, a := range p.ca.Accepted {
		if p.ca.Accepts(a.Generation, now) && (a.Generation == generation || generation == 0) && a.Until.After(until) {
			until = a.Until
		}
	}
	return until
}

package hygiene

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/registry"
)

// After a swap of the Org CA an agent is due because its certificate is of another generation than the current one. The
// swap leaves a record, orgca.Reissue. A run finds these agents in the index by generation, so the swap itself touches
// none of them, and a finished agent is not found again.
//
// A crash after each step leaves:
//
//	note that a run is at work       a note; the next run believes it for reissueBusy, then looks for what was left
//	stage a version of a secret      a version that no agent reads and no pin names; the next run stages another one
//	pin its certificate, and a row   a certificate that counts; the one in use goes on. The next run finds the pin by the
//	                                 note, among the agents that have moved, and promotes the version
//	promote the version              nothing
//	name the owner, and a row        nothing: row and record are one transaction
//	write the counts                 nothing, or counts that leave out this run
const (
	// reissueTime is how long one run works on a re-issue: less than the minute until the next run.
	reissueTime = 50 * time.Second
	// reissueBusy is how long a run is believed to be at work: longer than reissueTime and one agent.
	reissueBusy = 90 * time.Second
	// reissueRest is the longest pause between two passes.
	reissueRest = 10 * time.Minute
	// reissueRetry is the pause after a pass in which deliveries failed and none succeeded.
	reissueRetry = 2 * time.Minute
	// swapSeen is how long after a swap a request may still commit what it decided before: a function behind API Gateway
	// runs for less.
	swapSeen = time.Minute
)

// ReissueReport says what one run did for a re-issue; zero: there was nothing to do, or it was not yet time.
type ReissueReport struct {
	Delivered int64              `json:"delivered"`
	Notified  int64              `json:"notified"`
	Failed    int64              `json:"failed"`
	State     orgca.ReissueState `json:"state,omitempty"`
	Over      bool               `json:"over"` // the time was over before every agent was looked at
}

// pass is what one run does for a re-issue.
type pass struct {
	*Job
	ca    orgca.Pointer
	re    orgca.Reissue
	began time.Time

	mu        sync.Mutex
	seen      orgca.ReissueCounts
	unsettled bool // a pin may be without the promotion that follows it
}

// Reissue goes on with the re-issue that the last swap of the Org CA began, for at most reissueTime: it delivers new
// certificates, and notifies the owners of agents that cannot be helped without a human. Running it again is harmless;
// a second run at the same time does nothing. One agent's failure is logged and counted.
//
// Errors: those of the registry, where the agents to look at, or the state of the re-issue, could not be read or
// written.
func (j *Job) Reissue(ctx context.Context) (ReissueReport, error) {
	org, err := j.Store.Org(ctx)
	if err != nil {
		return ReissueReport{}, err
	}
	now := j.Now()
	if !org.Reissue.Works(org.Pointer) || rests(*org.Reissue, now) || busy(*org.Reissue, now) {
		return ReissueReport{}, nil
	}
	p := &pass{Job: j, ca: *org.Pointer, re: *org.Reissue, began: now}
	if err := p.begin(ctx, org); errors.Is(err, errSuperseded) {
		return ReissueReport{}, nil
	} else if err != nil {
		return ReissueReport{}, fmt.Errorf("begin a pass of the re-issue: %w", err)
	}
	over, err := p.work(ctx, org)
	r, endErr := p.end(ctx, over || err != nil)
	j.Log.InfoContext(ctx, "reissue", "generation", p.re.Generation, "delivered", r.Delivered, "notified", r.Notified,
		"failed", r.Failed, "renewing", p.seen.Renewing, "waiting", p.seen.Waiting, "later", p.seen.Later,
		"state", string(r.State), "over", r.Over)
	return r, errors.Join(err, endErr)
}

// rests reports whether it is not yet time for a pass. A time that is further away than the longest pause comes from a
// wrong clock.
func rests(r orgca.Reissue, now time.Time) bool {
	return now.Before(r.Next) && r.Next.Sub(now) <= reissueRest
}

// busy reports whether another run is at work. A time that lies far from now is not believed.
func busy(r orgca.Reissue, now time.Time) bool {
	return !r.Under.IsZero() && now.Sub(r.Under).Abs() < reissueBusy
}

// errSuperseded reports that another re-issue has begun, or that this one was stopped.
var errSuperseded = errors.New("the re-issue does not go on")

// begin notes that this run is at work. Of two runs at the same moment one gets through.
func (p *pass) begin(ctx context.Context, org registry.Org) error {
	return registry.Amend(ctx, p.Store, org, func(o registry.Org) (registry.Change, error) {
		if !o.Reissue.Works(o.Pointer) || o.Reissue.Fence != p.re.Fence || busy(*o.Reissue, p.began) {
			return registry.Change{}, errSuperseded
		}
		p.re = *o.Reissue
		next := p.re
		next.Under = p.began
		return registry.Change{ID: p.NewID(), Reissue: &next}, nil
	})
}

// end writes what the pass saw. What an operator or the gate decided meanwhile stays.
func (p *pass) end(ctx context.Context, over bool) (ReissueReport, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	r := ReissueReport{Delivered: p.seen.Delivered, Notified: p.seen.Notified, Failed: p.seen.Failed, Over: over}
	// The first try knows the record as it was before begin, so it reads.
	org, err := p.Store.Org(ctx)
	if err != nil {
		return r, err
	}
	err = registry.Amend(ctx, p.Store, org, func(o registry.Org) (registry.Change, error) {
		if o.Reissue == nil || o.Reissue.Fence != p.re.Fence {
			return registry.Change{}, errSuperseded
		}
		next := p.after(*o.Reissue, over)
		r.State = next.State
		return registry.Change{ID: p.NewID(), Reissue: &next}, nil
	})
	if errors.Is(err, errSuperseded) {
		return r, nil
	}
	return r, err
}

// after is the record of the re-issue after the pass.
func (p *pass) after(r orgca.Reissue, over bool) orgca.Reissue {
	seen, now := p.seen, p.Now()
	if !p.unsettled {
		r.Under = time.Time{}
	}
	r.Delivered, r.Notified = r.Delivered+seen.Delivered, r.Notified+seen.Notified
	if over {
		return r
	}
	r.Failed, r.Renewing, r.Waiting, r.Later = seen.Failed, seen.Renewing, seen.Waiting, seen.Later
	if r.Bound != p.re.Bound { // a wave began meanwhile
		return r
	}
	r.Federated = r.Federated || r.Bound >= orgca.Everyone
	switch {
	case seen.Delivered+seen.Notified > 0: // the index lags behind: look once more
	case seen.Failed > 0 || p.unsettled:
		r.Next = now.Add(reissueRetry)
	case seen.Renewing+seen.Later > 0 || r.Bound < orgca.Everyone || now.Before(r.Began.Add(swapSeen)):
		r.Next = now.Add(reissueRest)
		if settled := r.Began.Add(swapSeen); now.Before(settled) {
			r.Next = settled
		}
	case r.State == orgca.Running:
		r.State = orgca.Finished
	}
	return r
}

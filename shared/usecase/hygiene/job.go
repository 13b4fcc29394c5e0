package hygiene

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/registry"
)

// jobPage is how many agents a job goes through between two writes of its own.
const jobPage = 100

// outage is how many failed deliveries, without one that succeeds, are no fault of the agents'.
const outage = 10

// errOutage ends a job's work in this run: the page is worked on again by the next.
var errOutage = errors.New("no delivery of this page succeeds")

// Orders brings an operator's job on, for at most reissueTime: a re-issue does not wait for it. A page's agents are
// dealt with first, then one write of the job has their counts and the cursor behind them. What a crash leaves:
//
//	before an agent's row      at most a version of its secret that no agent reads and no pin names
//	behind it                  a certificate that counts, and the agent's mark; the next run promotes its version
//	after some agents          the page is worked on again. An agent with the mark gets no second row, and is counted
//	after the job was written  the next page
//
// So each agent has one row for a job, and is counted once. Without a job it costs one read. Errors: those of the
// registry, and an outage of what makes or keeps certificates.
func (j *Job) Orders(ctx context.Context) error {
	for began := j.Now(); !j.Over(ctx) && j.Now().Sub(began) < reissueTime; {
		jobs, err := j.Store.Jobs(ctx)
		if err != nil {
			return fmt.Errorf("find a job: %w", err)
		}
		open := registry.OpenJob(jobs)
		if open == nil {
			return nil
		}
		if done, err := j.page(ctx, *open); err != nil || !done {
			return err
		}
	}
	return nil
}

// page deals with the next page of a job; done: it was, and the job knows.
func (j *Job) page(ctx context.Context, job registry.Job) (done bool, err error) {
	page, err := j.Store.List(ctx, job.Selection(jobPage))
	if err != nil {
		return false, fmt.Errorf("read a page of job %s: %w", job.ID, err)
	}
	counts, err := j.dealAll(ctx, job, page.Agents)
	if err != nil {
		return false, fmt.Errorf("job %s: %w", job.ID, err)
	}
	job.JobCounts, job.Cursor = job.Add(counts), page.Next
	if job.Cursor == "" {
		job.Ended = j.Now()
	}
	err = registry.Settle(ctx, j.Store.Apply, registry.Change{ID: j.NewID(), Job: &job})
	if errors.Is(err, registry.ErrConflict) { // another run has brought it on
		return false, nil
	}
	if err == nil {
		j.Log.InfoContext(ctx, "hygiene.job", "job_id", job.ID, "reissued", job.Reissued, "notified", job.Notified,
			"failed", job.Failed, "ended", !job.Open())
	}
	return err == nil, err
}

// dealAll deals with agents side by side. An error: not with all of them.
func (j *Job) dealAll(
	ctx context.Context, job registry.Job, agents []agent.Agent,
) (counts registry.JobCounts, err error) {
	var mu sync.Mutex
	var broken []agent.ID
	queue := make(chan agent.ID)
	var workers sync.WaitGroup
	for range Concurrency {
		workers.Go(func() {
			for id := range queue {
				o, e := j.obeyed(ctx, job, id)
				mu.Lock()
				switch {
				case e != nil:
					err = errors.Join(err, e)
				case o == failed:
					broken = append(broken, id)
				default:
					counts = counts.Add(countOf(o))
				}
				mu.Unlock()
			}
		})
	}
	for _, a := range agents {
		if job.Wants(a) || job.Dealt(a) {
			queue <- a.ID
		}
	}
	close(queue)
	workers.Wait()
	if err == nil && len(broken) >= outage && counts.Reissued == 0 {
		err = errOutage
	}
	if err != nil {
		return counts, err
	}
	for _, id := range broken {
		if err := j.putOff(ctx, job, id); err != nil {
			return counts, err
		}
		counts.Failed++
	}
	return counts, nil
}

func countOf(o outcome) (c registry.JobCounts) {
	switch o {
	case rotated:
		c.Reissued = 1
	case notified:
		c.Notified = 1
	case failed:
		c.Failed = 1
	case nothing:
	}
	return c
}

// obeyed deals with one agent. The outcome failed is the agent's own, and is logged; an error is not.
func (j *Job) obeyed(ctx context.Context, job registry.Job, id agent.ID) (outcome, error) {
	o, err := guarded(func() (outcome, error) { return j.obey(ctx, job, id) })
	switch {
	case err == nil:
		return o, nil
	case ctx.Err() != nil, errors.Is(err, registry.ErrUnavailable), errors.Is(err, registry.ErrUnknown),
		errors.Is(err, registry.ErrConflict), errors.Is(err, orgca.ErrMissing):
		return failed, fmt.Errorf("agent %s: %w", id, err)
	}
	j.Log.ErrorContext(ctx, "hygiene.failed", "agent_id", string(id), "job_id", job.ID, "cause", err.Error())
	return failed, nil
}

// obey brings one agent to where the job has nothing to do with it.
func (j *Job) obey(ctx context.Context, job registry.Job, id agent.ID) (outcome, error) {
	for range tries {
		view, err := j.Store.View(ctx, id)
		switch {
		case err != nil:
			return failed, err
		case view.Agent == nil:
			return nothing, nil
		case job.Dealt(*view.Agent):
			return j.made(ctx, *view.Agent)
		case !job.Wants(*view.Agent):
			return nothing, nil
		case view.Pointer == nil:
			return failed, orgca.ErrMissing
		}
		if view.Agent.Delivers() {
			h := view.Agent.Hygiene
			h = agent.Hygiene{Deliver: h.Deliver, Named: h.Named, Job: job.Began}
			_, err = j.replace(ctx, view, h, ordered(job, view.Agent.Pin(), j.Now()))
		} else {
			err = j.announce(ctx, *view.Agent, job)
		}
		if err != nil && !errors.Is(err, registry.ErrConflict) {
			return failed, err
		}
		if err == nil && view.Agent.Delivers() {
			return rotated, nil
		}
		if err == nil {
			return notified, nil
		}
	}
	return failed, registry.ErrConflict
}

// made promotes what a run of the job that died may have pinned and not promoted.
func (j *Job) made(ctx context.Context, a agent.Agent) (outcome, error) {
	if version := unpromoted(a); version != "" {
		if err := j.Secrets.Promote(ctx, SecretName(a.ID), version); err != nil {
			return failed, fmt.Errorf("promote the new version of the secret: %w", err)
		}
	}
	return dealt(a), nil
}

// dealt is what the job did with an agent that has its mark.
func dealt(a agent.Agent) outcome {
	switch {
	case !a.Delivers():
		return notified
	case a.Concerning().Failed > 0:
		return failed
	}
	return rotated
}

// ordered is why a job replaces a certificate. The one in use goes on until the new one is used, or to its own end.
func ordered(job registry.Job, old agent.Pin, now time.Time) cause {
	return cause{"ordered for many agents", map[string]any{"job_id": job.ID, "ordered_by": job.Actor,
		"grace_seconds": int64(max(0, old.NotAfter.Sub(now)) / time.Second)}}
}

// announce reports the agent to its owner, with the agent's mark of the job. The schedule still notifies when the
// certificate is due.
func (j *Job) announce(ctx context.Context, was agent.Agent, job registry.Job) error {
	h := was.Concerning()
	h.Job = job.Began
	details := addressed(map[string]any{"job_id": job.ID, "ordered_by": job.Actor}, was)
	return j.report(ctx, was, h, details, j.Now())
}

// putOff marks an agent whose delivery failed: the job goes on, and the schedule tries the agent again.
func (j *Job) putOff(ctx context.Context, job registry.Job, id agent.ID) error {
	return registry.Outlast(ctx, func() error {
		view, err := j.Store.View(ctx, id)
		if err != nil || view.Agent == nil || !job.Dealt(*view.Agent) && !job.Wants(*view.Agent) {
			return err
		}
		a := view.Agent.Placed()
		a.Hygiene = a.Concerning()
		a.Hygiene.Job = job.Began
		if a.Hygiene.Failed++; a.Delivers() {
			a.Hygiene.Later = j.Now().Add(jobPause)
		}
		return registry.Settle(ctx, j.Store.Apply, registry.Change{ID: j.NewID(), Agent: &a}.Ends(*view.Agent, j.Now()))
	})
}

// jobPause is when a delivery that failed is tried again for the first time.
const jobPause = time.Hour

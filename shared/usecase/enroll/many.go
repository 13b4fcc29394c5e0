package enroll

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/problem"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/usecase/idempotency"
)

// What can be wrong with an order for many agents.
var (
	ErrEveryAgent = problem.New(400, "filter_empty", "an empty filter needs all").
			Says("The filter is empty, so the order is for every agent. Send \"all\": true with it if you mean that.")
	ErrJobRunning = problem.New(409, "job_running", "another job is running, and only one runs at a time")
	ErrNoJob      = problem.New(404, "job_not_found", "no such job").
			Says("There is no such job, or it ended more than 90 days ago.")
)

// Order asks for new certificates of many agents.
type Order struct {
	audit.By
	Filter     registry.Filter
	NotCurrent bool // only those with a pin whose newest is of another generation than the current one
	All        bool // an empty filter is meant
	Once       idempotency.Request[registry.Job]
}

// RotateMany starts a job for the active agents that match a filter. Hygiene delivers new certificates to the agents
// that have a delivery, and notifies the owners of the others. Only one job runs at a time. The filter's due date and
// its current generation are resolved now.
//
// Errors: ErrEveryAgent, ErrJobRunning, orgca.ErrMissing for NotCurrent without an Org CA, registry.ErrUnknown, those
// of idempotency.Do.
func (e *Enroller) RotateMany(ctx context.Context, o Order) (registry.Job, error) {
	return idempotency.Do(ctx, e.Store, o.Once, e.Now, func() (registry.Job, error) { return e.begin(ctx, o) })
}

func (e *Enroller) begin(ctx context.Context, o Order) (job registry.Job, err error) {
	if o.Filter, err = e.resolved(ctx, o); err != nil {
		return job, err
	}
	jobs, err := e.Store.Jobs(ctx)
	if err != nil {
		return job, err
	}
	if open := registry.OpenJob(jobs); open != nil {
		return job, fmt.Errorf("%w: GET /v1/admin/jobs/%s shows its progress", ErrJobRunning, open.ID)
	}
	found, err := e.forecast(ctx, o.Filter)
	if err != nil {
		return job, err
	}
	job = registry.Job{
		ID:     e.NewID(),
		Filter: o.Filter,
		Actor:  o.Actor,
		Began:  e.Now().Truncate(time.Millisecond),
		Total:  found.total(),
	}
	for slices.ContainsFunc(jobs, func(other registry.Job) bool { return other.Began.Equal(job.Began) }) {
		job.Began = job.Began.Add(time.Millisecond)
	}
	answer, err := o.Once.Keep(job, e.Now())
	if err != nil {
		return job, err
	}
	err = registry.Settle(ctx, e.Store.Apply, registry.Change{ID: e.NewID(), Job: &job, Answer: answer})
	return job, err
}

// resolved is an order's filter, for active agents. Errors: ErrEveryAgent, orgca.ErrMissing.
func (e *Enroller) resolved(ctx context.Context, o Order) (f registry.Filter, err error) {
	f = o.Filter
	f.Status = "" // every agent of a job is active
	if f == (registry.Filter{}) && !o.NotCurrent && !o.All {
		return f, ErrEveryAgent
	}
	if o.NotCurrent {
		f.Not, err = e.current(ctx)
	}
	f.Status = agent.Active
	return f, err
}

// Forecast says what a job would be for.
type Forecast struct {
	Methods  map[agent.Method]int64
	Reissue  int64 // would get a new certificate in their secret
	Notify   int64 // would be named to their owners
	Complete bool  // every agent was looked at
}

// total is how many agents the job would be for; registry.Uncountable: not every one was looked at.
func (f Forecast) total() int64 {
	if !f.Complete {
		return registry.Uncountable
	}
	return f.Reissue + f.Notify
}

// maxForecast is how many pages of MaxLimit agents a forecast looks at: an answer must be there within 29 seconds.
const maxForecast = 50

// Forecast counts the agents that an order is for, at most maxForecast pages of them, and changes nothing. Errors:
// those of RotateMany, without ErrJobRunning.
func (e *Enroller) Forecast(ctx context.Context, o Order) (Forecast, error) {
	filter, err := e.resolved(ctx, o)
	if err != nil {
		return Forecast{}, err
	}
	return e.forecast(ctx, filter)
}

func (e *Enroller) forecast(ctx context.Context, filter registry.Filter) (Forecast, error) {
	found := Forecast{Methods: map[agent.Method]int64{}}
	for _, m := range agent.Methods() {
		found.Methods[m] = 0
	}
	complete, err := e.each(ctx, filter, maxForecast, func(page []agent.Agent) error {
		for _, a := range page {
			found.Methods[a.Method]++
			if a.Delivers() {
				found.Reissue++
			} else {
				found.Notify++
			}
		}
		return nil
	})
	if err != nil {
		return Forecast{}, err
	}
	found.Complete = complete
	return found, nil
}

// Running returns the job that is running; nil: none is.
func (e *Enroller) Running(ctx context.Context) (*registry.Job, error) {
	jobs, err := e.Store.Jobs(ctx)
	return registry.OpenJob(jobs), err
}

// Job reads a job. Error: ErrNoJob.
func (e *Enroller) Job(ctx context.Context, id string) (registry.Job, error) {
	job, err := e.Store.Job(ctx, id)
	if err == nil && job == nil {
		err = ErrNoJob
	}
	if err != nil {
		return registry.Job{}, err
	}
	return *job, nil
}

// Package hygiene replaces agents' certificates before they expire, or notifies their operators, on a schedule. After a
// swap of the Org CA it brings the fleet to the new generation.
//
// It finds the due agents in an index, so a run's cost depends on the due agents and not on the size of the fleet. A
// finished agent leaves the index, so the next run resumes an interrupted one.
package hygiene

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/usecase/agentcert"
)

// Actor is who the audit rows of this job name.
const Actor = "schedule:hygiene"

// Grace is how long the certificate before a delivered one may be used, unless the new one is used first.
const Grace = agent.MaxGrace

// Concurrency is how many agents are worked on at once. One takes tens of milliseconds and one signature, so these make
// some 200 signatures a second, of the 1,000 that KMS gives a region.
const Concurrency = 8

// pageSize is how many are looked up at once.
const pageSize = 200

// Store is what the job needs of the registry.
type Store interface {
	View(ctx context.Context, id agent.ID) (registry.View, error)
	Keys(ctx context.Context, id agent.ID) (agent.Keys, error)
	Apply(ctx context.Context, c registry.Change) error
	Due(ctx context.Context, q registry.DueQuery) (registry.DuePage, error)
	CountDue(ctx context.Context, q registry.DueQuery) (int64, error)
	Org(ctx context.Context) (registry.Org, error)
	Agents(ctx context.Context, q registry.Query) (registry.Page, error)
	SeenAt(ctx context.Context, ids []agent.ID) (map[agent.ID]registry.Sighting, error)
	Jobs(ctx context.Context) ([]registry.Job, error)
	List(ctx context.Context, l registry.Selection) (registry.Page, error)
}

// Config is what a Job is made of; all fields are required.
type Config struct {
	Store   Store
	Issuer  agentcert.Issuer
	Secrets Secrets
	// Over reports that the function's time is nearly over: nothing new is begun.
	Over func(ctx context.Context) bool
	// Pace returns when a re-issue may begin one more delivery, or with the context's error.
	Pace  func(ctx context.Context) error
	Now   func() time.Time
	NewID func() string // unique, at most 36 characters
	Log   *slog.Logger
}

// Job is one run's work. Running it again, or twice at once, is harmless.
type Job struct{ Config }

// New returns a Job.
func New(cfg Config) *Job { return &Job{cfg} }

// Report says what a run found and did.
type Report struct {
	Due       int64 `json:"due"`      // were found due
	Rotated   int64 `json:"rotated"`  // have a new certificate in their secret
	Notified  int64 `json:"notified"` // their operators were notified
	Failed    int64 `json:"failed"`
	Remaining int64 `json:"remaining"` // due, and left to the next run because the time was over; the index may lag behind
}

// outcome is what became of one agent.
type outcome int

const (
	nothing outcome = iota // it was not due any more
	rotated
	notified
	failed
)

// Run handles every due agent, moves the entries that are early in the index (agent.Agent.Entry), and then brings an
// operator's job on. It logs and counts a failure of one agent and goes on with the others; a later run retries. An
// error means that the list of due agents could not be read, or that a job did not get on.
func (j *Job) Run(ctx context.Context) (Report, error) {
	t := &tally{}
	now := j.Now()
	over, err := j.work(ctx, registry.DueQuery{At: now}, t)
	if err == nil && !over { // what remains of these, a later run looks at: at the latest when an entry says due
		seen := now.Add(agent.Foresight)
		_, err = j.work(ctx, registry.DueQuery{After: seen, At: seen.Add(agent.Correction)}, t)
	}
	if err == nil && !over {
		err = j.Orders(ctx)
	}
	r := t.report
	if err == nil && over {
		r.Remaining, err = j.Store.CountDue(ctx, registry.DueQuery{At: j.Now()})
	}
	j.Log.InfoContext(ctx, "hygiene", "due", r.Due, "rotated", r.Rotated, "notified", r.Notified, "failed", r.Failed,
		"remaining", r.Remaining)
	return r, err
}

// work goes through a range of the index, several agents at a time; over: it did not come to its end.
func (j *Job) work(ctx context.Context, q registry.DueQuery, t *tally) (over bool, err error) {
	queue := make(chan agent.ID)
	var workers sync.WaitGroup
	for range Concurrency {
		workers.Go(func() {
			for id := range queue {
				t.add(j.deal(ctx, id))
			}
		})
	}
	defer workers.Wait()
	defer close(queue)
	q.Limit = pageSize
	for {
		if j.Over(ctx) {
			return true, nil
		}
		page, err := j.Store.Due(ctx, q)
		if err != nil {
			return false, fmt.Errorf("find who is due: %w", err)
		}
		for _, id := range page.Agents {
			if j.Over(ctx) {
				return true, nil
			}
			queue <- id
		}
		if q.Cursor = page.Next; q.Cursor == "" {
			return false, nil
		}
	}
}

type tally struct {
	mu     sync.Mutex
	report Report
}

func (t *tally) add(o outcome) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch o {
	case nothing:
		return
	case rotated:
		t.report.Rotated++
	case notified:
		t.report.Notified++
	case failed:
		t.report.Failed++
	}
	t.report.Due++
}

package boot

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/mastio-aws/mastio/shared/usecase/hygiene"
)

// reserve is the rest of a function's time in which it begins no new work, so that running work can end. It is a
// quarter of the time if that is less.
const reserve = 30 * time.Second

// nearly reports, from then on, whether the time that ctx has is nearly over.
func nearly(ctx context.Context, now func() time.Time) func(context.Context) bool {
	end, bounded := ctx.Deadline()
	last := end.Add(-min(reserve, end.Sub(now())/4))
	return func(ctx context.Context) bool { return ctx.Err() != nil || bounded && !now().Before(last) }
}

// Deliveries of a re-issue in a second. One delivery takes a signature of the 1,000 that KMS gives a region. It takes
// at most three of the 50 writes that Secrets Manager gives an account, a quota that no support case raises: the first
// version of a secret is refused before the secret exists.
const (
	usualPace = 15
	mostPace  = 1000
)

// pacer lets deliveries begin one after the other, at equal distances. It is safe for concurrent use.
type pacer struct {
	every time.Duration
	now   func() time.Time

	mu   sync.Mutex
	next time.Time
}

// paced returns a wait that lets perSecond deliveries begin in a second; zero: no wait.
func paced(perSecond int, now func() time.Time) func(context.Context) error {
	if perSecond == 0 {
		return context.Cause
	}
	return (&pacer{every: time.Second / time.Duration(perSecond), now: now}).wait
}

// wait returns when a delivery may begin, or with the context's error.
func (p *pacer) wait(ctx context.Context) error {
	p.mu.Lock()
	now := p.now()
	if p.next.Before(now) {
		p.next = now
	}
	turn := time.NewTimer(p.next.Sub(now))
	p.next = p.next.Add(p.every)
	p.mu.Unlock()
	defer turn.Stop()
	select {
	case <-turn.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

var errHygiene = errors.New("hygiene failed: see the log")

// hygieneEvent is what a schedule sends to the function hygiene. EventBridge's own event is the zero one.
type hygieneEvent struct {
	Reissue bool `json:"reissue"` // goes on with a re-issue or an operator's job, if there is one, and does nothing else
}

// hygieneReport is what the function answers.
type hygieneReport struct {
	hygiene.Report
	Reissue hygiene.ReissueReport `json:"reissue"`
}

// Hygiene is the function hygiene.
func Hygiene(p *Parts) (any, error) {
	if p.AgentSecretsKey == "" {
		return nil, fmt.Errorf("%w: MASTIO_AGENT_SECRETS_KEY is not set", ErrConfig)
	}
	return func(ctx context.Context, e hygieneEvent) (out hygieneReport, err error) {
		job := p.HygieneJob(nearly(ctx, p.Now))
		if out.Reissue, err = job.Reissue(ctx); err != nil {
			err = p.hygieneFailed(ctx, err)
		}
		if e.Reissue && out.Reissue == (hygiene.ReissueReport{}) {
			if orderErr := job.Orders(ctx); orderErr != nil {
				err = p.hygieneFailed(ctx, orderErr)
			}
			return out, err
		}
		var runErr error
		if out.Report, runErr = job.Run(ctx); runErr != nil {
			err = p.hygieneFailed(ctx, runErr)
		}
		return out, errors.Join(err, p.measureHygiene(out))
	}, nil
}

// hygieneFailed logs a cause, which may name tables, and returns what the function answers.
func (p *Parts) hygieneFailed(ctx context.Context, cause error) error {
	p.Log.ErrorContext(ctx, "hygiene", "cause", cause.Error())
	return errHygiene
}

func (p *Parts) measureHygiene(r hygieneReport) error {
	count := func(name string, n int64) Gauge {
		return Gauge{Name: name, Unit: Count, Value: float64(n)}
	}
	return WriteMetrics(p.Metrics, p.OrgID, p.Now(), count("hygiene_due", r.Due),
		count("hygiene_rotated", r.Rotated), count("hygiene_notified", r.Notified),
		count("hygiene_failed", r.Failed+r.Reissue.Failed), count("hygiene_remaining", r.Remaining))
}

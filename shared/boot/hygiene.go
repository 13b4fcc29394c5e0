package boot

import (
	"context"
	"errors"
	"fmt"
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

var errHygiene = errors.New("hygiene failed: see the log")

// Hygiene is the function hygiene.
func Hygiene(p *Parts) (any, error) {
	if p.AgentSecretsKey == "" {
		return nil, fmt.Errorf("%w: MASTIO_AGENT_SECRETS_KEY is not set", ErrConfig)
	}
	return func(ctx context.Context) (hygiene.Report, error) {
		r, err := p.HygieneJob(nearly(ctx, p.Now)).Run(ctx)
		if err != nil {
			p.Log.ErrorContext(ctx, "hygiene", "cause", err.Error())
			err = errHygiene // the cause may name tables; it is in the log
		}
		count := func(name string, n int64) Gauge {
			return Gauge{Name: name, Unit: Count, Value: float64(n)}
		}
		return r, errors.Join(err, WriteMetrics(p.Metrics, p.OrgID, p.Now(), count("hygiene_due", r.Due),
			count("hygiene_rotated", r.Rotated),
			count("hygiene_notified", r.Notified), count("hygiene_failed", r.Failed), count("hygiene_remaining", r.Remaining)))
	}, nil
}

package boot

import (
	"context"
	"slices"
	"time"

	"github.com/mastio-aws/mastio/shared/session"
	"github.com/mastio-aws/mastio/shared/usecase/health"
	"github.com/mastio-aws/mastio/shared/warnings"
)

func gauge(name string, on bool) Gauge {
	g := Gauge{Name: name, Unit: Count}
	if on {
		g.Value = 1
	}
	return g
}

// gauges returns the metrics of a deployment's alarms: how many warnings hold, each warning that holds as 1 under its
// own name, and the remaining days of the root. The function standby writes them, except the gauge of the admin secret,
// which it may not read: sealGauges has that gauge. A metric costs $0.30 for a month in which it is written, so a
// warning that does not hold is not: the number of them shows that the job still looks.
func gauges(s health.State, now time.Time) []Gauge {
	all := []Gauge{{Name: "warnings", Unit: Count}}
	for _, r := range warnings.All() {
		if r.Gauge == warnings.ByStandby && slices.Contains(s.Warnings, r.Warning) {
			all = append(all, gauge(string(r.Warning), true))
			all[0].Value++
		}
	}
	if !s.CANotAfter.IsZero() {
		all = append(all, Gauge{
			Name:  "org_ca_days_left",
			Unit:  Count,
			Value: float64(s.CANotAfter.Sub(now) / (24 * time.Hour)),
		})
	}
	return all
}

// sealGauges are the gauges of the function checkpoint. The schedule runs it, and it reads the admin secret as every
// route of the operators does. An unreadable secret has no length: no gauge is better than a wrong one.
func sealGauges(ctx context.Context, shortest func(context.Context) (int, error)) ([]Gauge, error) {
	length, err := shortest(ctx)
	if err != nil {
		return nil, err
	}
	return []Gauge{gauge(string(warnings.AdminSecretShort), length < session.MinSecret)}, nil
}

package boot

import (
	"slices"
	"time"

	"github.com/mastio-aws/mastio/shared/edge/metrics"
	"github.com/mastio-aws/mastio/shared/usecase/health"
)

// gauges are what the alarms of a deployment look at: every warning of healthz as 0 or 1 under its own name, the legacy
// one also under the name that the operator's guide gives it, and the days that the root has left.
func gauges(s health.State, now time.Time) []metrics.Gauge {
	gauge := func(name string, on bool) metrics.Gauge {
		g := metrics.Gauge{Name: name, Unit: metrics.Count}
		if on {
			g.Value = 1
		}
		return g
	}
	all := []metrics.Gauge{gauge("cullis_proxy_legacy_ca_pathlen_zero", s.Legacy), gauge("standby_ca", s.Standby)}
	for _, w := range health.Warnings() {
		all = append(all, gauge(string(w), slices.Contains(s.Warnings, w)))
	}
	if !s.CANotAfter.IsZero() {
		all = append(all, metrics.Gauge{Name: "org_ca_days_left", Unit: metrics.Count, Value: float64(s.CANotAfter.Sub(now) / (24 * time.Hour))})
	}
	return all
}

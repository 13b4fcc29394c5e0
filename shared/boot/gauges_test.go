package boot

import (
	"context"
	"testing"
	"time"

	"github.com/mastio-aws/mastio/shared/session"
	"github.com/mastio-aws/mastio/shared/usecase/health"
	"github.com/mastio-aws/mastio/shared/warnings"
)

// Every warning is a gauge, so that a new one can be alarmed of without another line here.
func TestGauges(t *testing.T) {
	now := time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC)
	values := func(s health.State) map[string]float64 {
		all := map[string]float64{}
		for _, g := range gauges(s, now) {
			if _, twice := all[g.Name]; twice {
				t.Errorf("%s is there twice", g.Name)
			}
			all[g.Name] = g.Value
		}
		return all
	}
	clean := values(health.State{CANotAfter: now.Add(100*24*time.Hour + time.Hour)})
	var all []warnings.Warning
	for _, r := range warnings.All() {
		all = append(all, r.Warning)
	}
	bad := values(health.State{Legacy: true, Warnings: all})
	held := 0.0
	for _, w := range all {
		if w == warnings.AdminSecretShort { // the function checkpoint writes it
			continue
		}
		held++
		if v, ok := clean[string(w)]; ok {
			t.Errorf("%s = %g without a warning: a metric more to pay for", w, v)
		}
		if bad[string(w)] != 1 {
			t.Errorf("%s = %g with the warning", w, bad[string(w)])
		}
	}
	if n, ok := clean["warnings"]; !ok || n != 0 || bad["warnings"] != held {
		t.Errorf("warnings: %g of none, there: %t; %g of %g", n, ok, bad["warnings"], held)
	}
	if _, ok := bad["org_ca_days_left"]; clean["org_ca_days_left"] != 100 || ok {
		t.Errorf("days left = %g, and without a root: %t", clean["org_ca_days_left"], ok)
	}
}

func TestGaugeOfTheAdminSecret(t *testing.T) {
	for length, want := range map[int]float64{0: 1, session.MinSecret - 1: 1, session.MinSecret: 0} {
		g, err := sealGauges(t.Context(), func(context.Context) (int, error) { return length, nil })
		if err != nil || len(g) != 1 || g[0].Name != string(warnings.AdminSecretShort) || g[0].Value != want {
			t.Errorf("%d characters: %+v, %v; want %g", length, g, err, want)
		}
	}
	if g, err := sealGauges(t.Context(), func(context.Context) (int, error) { return 0, errJob }); err == nil ||
		len(g) > 0 {
		t.Errorf("a secret that cannot be read: %+v, %v", g, err)
	}
}

package dashboard

import (
	"strings"
	"testing"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/usecase/health"
	"github.com/mastio-aws/mastio/shared/warnings"
)

// Every warning is explained, with something to do; every event and every method has words.
func TestEverythingHasWords(t *testing.T) {
	var all health.State
	for _, r := range warnings.All() {
		all.Warnings = append(all.Warnings, r.Warning)
	}
	for _, w := range explained(all) {
		if w.Title == string(w.Warning) || w.Text == "" || w.Page == "" || w.Action == "" {
			t.Errorf("%s is not explained: %+v", w.Warning, w)
		}
	}
	if w := explained(health.State{Warnings: []warnings.Warning{"new"}})[0]; w.Title != "new" {
		t.Errorf("a warning that is not known here: %+v", w)
	}
	if r, _ := warnings.CertsExpiring.Row(); r.Page != dueURL(0) {
		t.Errorf("what is due is shown by %s, the warning leads to %s", dueURL(0), r.Page)
	}
	if len(titles) != len(knownEvents) {
		t.Errorf("%d events have words, %d can be chosen", len(titles), len(knownEvents))
	}
	for _, e := range knownEvents {
		if !e.Known() || eventTitle(e) == string(e) {
			t.Errorf("event %s: known %t, words %q", e, e.Known(), eventTitle(e))
		}
	}
	for _, m := range agent.Methods() {
		if how(m) == string(m) || remedy(m) == "" || fleetRemedy(m) == "" {
			t.Errorf("method %s has no words", m)
		}
	}
}

// An actor's name is shortened to its distinctive part, if its kind is known.
func TestActorsAreShort(t *testing.T) {
	for actor, want := range map[string]string{
		"admin:e8cb2347-5ff4-4870-a611-e2342fa346f4": "admin:e8cb2347…", "admin:test": "admin:test",
		"schedule:standby":                                        "schedule standby",
		"dashboard:AWSCURRENT/bd7b47f2":                           "dashboard bd7b47f2",
		"dashboard:e8cb2347-5ff4-4870-a611-e2342fa346f4/bd7b47f2": "dashboard bd7b47f2", "dashboard": "dashboard",
		"agent:orga::kyc": "agent kyc", "agent:kyc": "agent:kyc", "api": "api",
		"else:e8cb2347-5ff4-4870": "else:e8cb2347-5ff4-4870", "": "",
	} {
		if got := shortActor(actor); got != want {
			t.Errorf("%q: %q, want %q", actor, got, want)
		}
	}
	e := describe(audit.Row{Actor: "dashboard:v/bd7b47f2", Timestamp: "2026-11-24T03:00:00.000Z"})
	if got, want := e.WhoURL(),
		"/proxy/audit?actor=dashboard%3Av%2Fbd7b47f2&end=2026-11-24&start=2026-11-24"; got != want {
		t.Errorf("the whole name is at %s, want %s", got, want)
	}
}

func TestTimesInWords(t *testing.T) {
	now := time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC)
	const day = 24 * time.Hour
	for d, want := range map[time.Duration]string{
		0: "now", 4 * time.Second: "now", 30 * time.Second: "in 30 seconds", -90 * time.Second: "90 seconds ago",
		5 * time.Minute: "in 5 minutes",
		-3 * time.Hour:  "3 hours ago", 7*day - time.Second: "in 7 days", 89 * day: "in 89 days", 365 * day: "in 12 months",
		15 * 365 * day: "in 15 years",
	} {
		if got := relative(now.Add(d), now); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
	for d, want := range map[time.Duration]string{7 * day: "7 days", day: "1 day", 36 * time.Hour: "36 hours",
		15 * time.Minute: "15 minutes", 61 * time.Second: "61 seconds"} {
		if got := lasting(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567"} {
		if got := count(n); got != want {
			t.Errorf("%d: %q", n, got)
		}
	}
}

// Only pages of the dashboard are led to after a sign-in, whatever a browser makes of an address.
func FuzzLocal(f *testing.F) {
	for _, s := range []string{"/proxy/pki", "//evil", "/proxy/../x", "/proxy\\evil", "https://evil/proxy",
		"/proxy?next=//evil", "javascript:alert(1)", "/proxy/%0d%0aSet-Cookie:x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, next string) {
		if local(next) && (!strings.HasPrefix(next, "/proxy") || strings.ContainsAny(next, "\\\r\n\t ")) {
			t.Errorf("%q is taken for a page", next)
		}
	})
}

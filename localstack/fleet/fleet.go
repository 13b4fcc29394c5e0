// Package fleet fills a running Mastio with data through its own API: agents under three generations of the Org CA,
// some of them late, some about to expire, and an overlap in progress.
package fleet

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"sync"
)

// Config says what to fill. All fields are required but TrustDomain and Progress.
type Config struct {
	URL    string // of the Mastio
	CAPEM  []byte // which its certificate chains to
	Secret string // the admin secret
	Agents int    // how many, about
	// TrustDomain is the trust domain of the Mastio and of its SPIRE server; empty: the organisation's id with .local.
	TrustDomain string
	Progress    func(string)
}

// How the fleet is spread. Of a hundred agents, so many are left behind at each rotation of the Org CA.
const (
	lateForSecond = 4  // stay under the first generation, which counts no more
	movedToThird  = 46 // are under the third
	expiring      = 9  // of those, have a certificate of days
	deactivated   = 3
	atOnce        = 4
)

// Fill enrols and rotates as operators would. The first Org CA must be there; it is for an empty Mastio, once. The
// second Org CA is one that the operator brings, under which some agents' certificates are issued at home; some more
// come from a SPIRE server.
func Fill(ctx context.Context, cfg Config) error {
	if cfg.Progress == nil {
		cfg.Progress = func(string) {}
	}
	c, err := newClient(cfg)
	if err != nil {
		return err
	}
	agents, own, workloads := names(cfg.Agents), others("batch", cfg.Agents/12), others("mesh", cfg.Agents/15)
	org, err := newAuthority("Example Org CA")
	if err != nil {
		return err
	}
	spire, err := newAuthority("Example SPIRE CA")
	if err != nil {
		return err
	}
	for _, step := range []struct {
		name string
		do   func() error
	}{
		{fmt.Sprintf("enrolling %d agents", len(agents)),
			func() error { return each(agents, func(a member) error { return c.enrol(ctx, a) }) }},
		{"offering an Org CA that is refused", func() error { return c.refused(ctx) }},
		{"rotating to the second Org CA, the operator's own, without an overlap", func() error { return c.bring(ctx, org) }},
		{"enrolling agents with certificates of the operator's and of SPIRE's", func() error {
			return errors.Join(each(own, func(a member) error { return c.enrolBYOCA(ctx, a, org) }),
				each(workloads, func(a member) error { return c.enrolSPIFFE(ctx, a, spire) }))
		}},
		{"rotating most certificates", func() error {
			return each(some(agents, lateForSecond, 100), func(a member) error { return c.rotate(ctx, a, nil) })
		}},
		{"rotating to the third Org CA, with an overlap of seven days",
			func() error { return c.rotateCA(ctx, url.Values{"overlap": {"604800"}}) }},
		{"rotating some certificates", func() error { return each(some(agents, 100-movedToThird, 100), c.rotateLate(ctx)) }},
		{"deactivating a few agents", func() error {
			return each(some(agents, 30, 30+deactivated), func(a member) error { return c.deactivate(ctx, a) })
		}},
	} {
		cfg.Progress(step.name)
		if err := step.do(); err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
	}
	return nil
}

// rotateLate rotates the way it is done with care: now and then with grace, and some for a short time only.
func (c *client) rotateLate(ctx context.Context) func(member) error {
	return func(a member) error {
		switch {
		case a.number%100 >= 100-expiring:
			return c.rotate(ctx, a, map[string]any{"validity_days": 2 + a.number%26, "comment": "short-lived on purpose"})
		case a.number%17 == 0:
			return c.rotate(ctx, a, map[string]any{"grace_seconds": 172800, "reason": "superseded",
				"comment": "moving to another host"})
		}
		return c.rotate(ctx, a, nil)
	}
}

// member is one agent of the fleet.
type member struct {
	number       int
	name, shown  string
	capabilities []string
}

// some returns the agents whose number within their hundred is within the bounds.
func some(all []member, from, below int) []member {
	var chosen []member
	for _, m := range all {
		if n := m.number % 100; n >= from && n < below {
			chosen = append(chosen, m)
		}
	}
	return chosen
}

// each does the same for several at once, and stops at the first error.
func each(all []member, do func(member) error) error {
	work, errs := make(chan member), make(chan error, atOnce)
	var wg sync.WaitGroup
	for range atOnce {
		wg.Go(func() {
			for m := range work {
				if err := do(m); err != nil {
					errs <- fmt.Errorf("%s: %w", m.name, err)
					return
				}
			}
		})
	}
	for _, m := range all {
		select {
		case work <- m:
			continue
		case err := <-errs:
			close(work)
			wg.Wait()
			return err
		}
	}
	close(work)
	wg.Wait()
	select {
	case err := <-errs:
		return err
	default:
		return nil
	}
}

// The agents' jobs, and where they run.
var (
	teams = []struct{ name, shown, capability string }{
		{"kyc", "Customer checks", "kyc"}, {"payments", "Payments", "payments"}, {"fraud", "Fraud desk", "transactions"},
		{"treasury", "Treasury", "ledger"},
		{"support", "Support", "tickets"}, {"claims", "Claims", "claims"}, {"onboarding", "Onboarding", "customers"},
		{"pricing", "Pricing", "quotes"},
	}
	roles = []struct{ name, shown, verb string }{{"screener", "screener", "read"}, {"reconciler", "reconciler", "write"},
		{"summariser", "summariser", "read"}, {"router", "router", "route"}, {"watcher", "watcher", "read"}}
	regions = []string{"eu", "us", "apac"}
)

// others are agents whose certificates are not issued here.
func others(kind string, count int) []member {
	all := make([]member, count)
	for n := range all {
		region := regions[n%len(regions)]
		all[n] = member{
			number:       n,
			name:         kind + "-worker-" + region + "-" + strconv.Itoa(n/len(regions)+1),
			shown:        "Worker of the " + kind,
			capabilities: []string{"jobs:run"},
		}
	}
	return all
}

// names makes up a fleet. The step is coprime to every count, so that neighbours in the list differ in what happens to
// them.
func names(count int) []member {
	all := make([]member, count)
	for n := range all {
		team, role, region := teams[n%len(teams)], roles[n/len(teams)%len(roles)],
			regions[n/len(teams)/len(roles)%len(regions)]
		name := team.name + "-" + role.name + "-" + region
		if round := n / (len(teams) * len(roles) * len(regions)); round > 0 {
			name += "-" + strconv.Itoa(round+1)
		}
		all[n] = member{
			number:       n * 37,
			name:         name,
			shown:        team.shown + " " + role.shown,
			capabilities: []string{team.capability + ":" + role.verb, "audit:emit"},
		}
	}
	return all
}

package hygiene

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/usecase/agentcert"
)

// proceed reads an agent and does for it what its record says. The index only said where to look.
func (p *pass) proceed(ctx context.Context, id agent.ID) (outcome, error) {
	for range tries {
		view, err := p.Store.View(ctx, id)
		if err != nil {
			return failed, err
		}
		if view.Agent == nil || view.Pointer == nil || view.Pointer.Current != p.re.Generation {
			return nothing, nil
		}
		var done outcome
		switch p.fateOf(*view.Agent, p.Now()) {
		case toDeliver:
			done, err = p.move(ctx, view)
		case toName:
			done, err = p.name(ctx, *view.Agent)
		case settledFate, wasNamed, renews, inLaterWave:
			return nothing, nil
		}
		if !errors.Is(err, registry.ErrConflict) {
			return done, err
		}
	}
	return failed, registry.ErrConflict
}

// move re-issues an agent's certificate under the current generation.
func (p *pass) move(ctx context.Context, view registry.View) (outcome, error) {
	h, old, now := view.Agent.Hygiene, view.Agent.Pin(), p.Now()
	pinned, err := p.replace(ctx, view, agent.Hygiene{Deliver: h.Deliver, Named: h.Named, Job: h.Job}, cause{
		comment: "re-issue under a new Org CA",
		details: map[string]any{
			"grace_seconds": int64(max(0, p.deadline(old.Generation, now).Sub(now)) / time.Second),
		},
	})
	if err != nil {
		if pinned {
			p.unsettle()
		}
		return failed, err
	}
	p.Log.InfoContext(ctx, "pki.rotate.reissued", "agent_id", string(view.Agent.ID), "generation", view.Pointer.Current)
	return rotated, nil
}

// replace delivers a certificate under the current generation: stage, pin, promote. pinned: the pin is in the
// registry, or may be, so that a failed promotion must be repeated.
//
// A delivery by age notes in the registry what it stages, keeps the agent in the due index until the promotion, and
// writes the agent once more afterwards. replace avoids these three writes, because it is for many agents. No run uses
// what another run has staged. The record of the re-issue, or the page of the job, leads to pins of another run. The
// certificate in use ends with its overlap, its own end, or the new one's first use.
func (j *Job) replace(
	ctx context.Context, view registry.View, h agent.Hygiene, why cause,
) (pinned bool, err error) {
	if err := j.Pace(ctx); err != nil {
		return false, err
	}
	a := *view.Agent
	c, value, err := j.make(ctx, a, *view.Pointer)
	if err != nil {
		return false, err
	}
	version, name := c.Pin.Thumbprint, SecretName(a.ID)
	if err := j.Secrets.Stage(ctx, name, version, value); err != nil {
		return false, fmt.Errorf("stage a version of the agent's secret: %w", err)
	}
	old := a.Pin()
	h.About, h.Undelivered = c.Pin.Thumbprint, version
	a.Hygiene = h
	_, err = j.Issuer.Record(ctx, agentcert.Pinning{
		Agent:    a,
		Was:      view.Agent,
		Pointer:  *view.Pointer,
		Grace:    agentcert.MaxDays * 24 * time.Hour,
		UntilUse: true,
		Entry:    func(next agent.Pin) audit.Entry { return entry(old, next, version, why) },
	}, c)
	if err != nil {
		return errors.Is(err, registry.ErrUnknown), err
	}
	if err := j.Secrets.Promote(ctx, name, version); err != nil {
		return true, fmt.Errorf("promote the new version of the secret: %w", err)
	}
	return true, nil
}

// name reports the agent to its owner, once for each re-issue.
func (p *pass) name(ctx context.Context, was agent.Agent) (outcome, error) {
	h, now := was.Concerning(), p.Now()
	h.Named = p.re.Fence
	details := addressed(map[string]any{"org_ca_generation": p.re.Generation}, was)
	if until := p.deadline(was.Pin().Generation, now); !until.IsZero() {
		details["deadline"] = audit.Stamp(until)
	}
	return notified, p.report(ctx, was, h, details, now)
}

package hygiene

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/reason"
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

// move delivers a certificate under the current generation: stage, pin, promote. A delivery by age notes in the
// registry what it stages, keeps the agent in the due index until the promotion, and writes the agent once more behind
// it. A re-issue does without these three writes, because it moves the whole fleet: no run believes what another one
// has staged, the note in orgca.Reissue leads to what another one has pinned, and the certificate in use ends with its
// overlap or the new one's first use.
func (p *pass) move(ctx context.Context, view registry.View) (outcome, error) {
	if err := p.Pace(ctx); err != nil {
		return failed, err
	}
	a := *view.Agent
	c, value, err := p.make(ctx, a, *view.Pointer)
	if err != nil {
		return failed, err
	}
	version, name := c.Pin.Thumbprint, SecretName(a.ID)
	if err := p.Secrets.Stage(ctx, name, version, value); err != nil {
		return failed, fmt.Errorf("stage a version of the agent's secret: %w", err)
	}
	old, now := a.Pin(), p.Now()
	a.Hygiene = agent.Hygiene{
		Deliver:     a.Hygiene.Deliver,
		Named:       a.Hygiene.Named,
		About:       c.Pin.Thumbprint,
		Undelivered: version,
	}
	_, err = p.Issuer.Record(ctx, agentcert.Pinning{
		Agent:    a,
		Was:      view.Agent,
		Pointer:  *view.Pointer,
		Grace:    agentcert.MaxDays * 24 * time.Hour,
		UntilUse: true,
		Entry: func(next agent.Pin) audit.Entry {
			e := entry(old, next, version)
			e.Details = reason.Statement{Code: reason.Superseded, Comment: "re-issue under a new Org CA"}.Note(e.Details)
			e.Details["grace_seconds"] = int64(max(0, p.deadline(old.Generation, now).Sub(now)) / time.Second)
			return e
		},
	}, c)
	if errors.Is(err, registry.ErrUnknown) {
		p.unsettle()
	}
	if err != nil {
		return failed, err
	}
	if err := p.Secrets.Promote(ctx, name, version); err != nil {
		p.unsettle()
		return failed, fmt.Errorf("promote the new version of the secret: %w", err)
	}
	p.Log.InfoContext(ctx, "pki.rotate.reissued", "agent_id", string(a.ID), "generation", c.Pin.Generation, "thumbprint",
		c.Pin.Thumbprint)
	return rotated, nil
}

// name commits the row from which the event to the agent's owner is made, once for each re-issue.
func (p *pass) name(ctx context.Context, was agent.Agent) (outcome, error) {
	a, pin, now := was, was.Pin(), p.Now()
	a.Hygiene = a.Concerning()
	a.Hygiene.Named = p.re.Fence
	details := map[string]any{"org_ca_generation": p.re.Generation, "method": string(a.Method)}
	if pin.Thumbprint != "" {
		details["cert_thumbprint"], details["generation"] = pin.Thumbprint, pin.Generation
		details["not_before"], details["not_after"] = audit.Stamp(pin.NotBefore), audit.Stamp(pin.NotAfter)
	}
	if a.Owner != "" {
		details["owner"] = a.Owner
	}
	if until := p.deadline(pin.Generation, now); !until.IsZero() {
		details["deadline"] = audit.Stamp(until)
	}
	row, head, err := a.Head.Append(audit.Entry{
		Time:    now,
		Event:   audit.AgentCertDue,
		Actor:   Actor,
		Subject: string(a.ID),
		Details: details,
	})
	if err != nil {
		return failed, err
	}
	a.Head, a.UpdatedAt = head, now
	return notified, registry.Settle(ctx, p.Store.Apply, registry.Change{
		ID:    p.NewID(),
		Agent: &a,
		Was:   &was,
		Rows:  []audit.Row{row},
	})
}

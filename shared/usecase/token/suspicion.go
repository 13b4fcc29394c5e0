package token

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/problem"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/usecase/authn"
)

// ErrContained reports an agent whose credential is suspect and whose policy is agent.SuspicionContain.
var ErrContained = problem.New(401, "agent_contained", "the agent's credential is suspect").
	Says("A dead certificate of this agent was used, so the agent gets no token until the operator has rotated its " +
		"certificate").
	AtToken("invalid_client")

// suspectTimeout is for a read and a write that no answer waits for.
const suspectTimeout = 2 * time.Second

// Suspicions notes that a dead certificate of an agent was shown: a mark in the agent's record and a row, in one
// transaction. A good token costs nothing; a refusal costs one read more, and only where the record
// lets a theft be possible. All fields are required. It is safe for concurrent use.
type Suspicions struct {
	Store interface {
		ViewKeys(ctx context.Context, id agent.ID) (registry.View, error)
		Apply(ctx context.Context, c registry.Change) error
	}
	Background func(func()) // runs what no answer waits for
	NewID      func() string
	Log        *slog.Logger

	looked once
}

// note looks whether the refusal of a certificate is evidence, and writes it down. The connection has proved the
// certificate's key; view is what was read of the agent that it names.
func (s *Suspicions) note(
	ctx context.Context, view registry.View, shown authn.Credential, by audit.By, cause error, life time.Duration,
	now time.Time,
) {
	if s == nil || view.Agent == nil || !errors.Is(cause, agent.ErrRevoked) ||
		!view.Agent.MayBeSuspected(shown.Thumbprint(), life, now) || !s.looked.first(shown.Thumbprint()) {
		return
	}
	ctx = context.WithoutCancel(ctx)
	s.Background(func() {
		ctx, cancel := context.WithTimeout(ctx, suspectTimeout)
		defer cancel()
		if err := s.write(ctx, view.Agent.ID, authn.PinOf(shown.Leaf), by, life, now); err != nil {
			s.looked.forget(shown.Thumbprint())
			s.Log.WarnContext(ctx, "token.suspicion_unknown", "agent", string(view.Agent.ID), "cause", err.Error())
		}
	})
}

func (s *Suspicions) write(
	ctx context.Context, id agent.ID, shown agent.Pin, by audit.By, life time.Duration, now time.Time,
) error {
	view, err := s.Store.ViewKeys(ctx, id)
	if err != nil || view.Agent == nil {
		return err
	}
	a := *view.Agent
	suspect, changed := a.Suspected(shown, *view.Keys, life, now)
	if !changed {
		return nil
	}
	row, head, err := a.Head.Append(audit.Entry{
		Time:    now,
		Event:   audit.AgentCredentialSuspect,
		Actor:   "agent:" + string(a.ID),
		Subject: string(a.ID),
		Details: by.Note(map[string]any{
			"cert_thumbprint":      shown.Thumbprint,
			"successor_thumbprint": a.Pin().Thumbprint,
			"activated_at":         a.Past.Activated.UTC().Format(time.RFC3339),
			"evidence":             string(suspect.Suspect.Evidence),
			"contained":            suspect.Contained(),
		}),
	})
	if err != nil {
		return err
	}
	suspect.Head = head
	err = registry.Settle(ctx, s.Store.Apply, registry.Change{
		ID:    s.NewID(),
		Agent: &suspect,
		Was:   &a,
		Rows:  []audit.Row{row},
	}.Ends(a, now))
	if err == nil {
		s.Log.WarnContext(ctx, "token.credential_suspect", "agent", string(a.ID), "thumbprint", shown.Thumbprint,
			"contained", suspect.Contained())
	}
	return err
}

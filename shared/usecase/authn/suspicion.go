package authn

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/registry"
)

// Suspects marks agents whose credential is in two hands: a mark in the agent's record, and a row, in one transaction.
// It also finds out whether a key is another agent's. All fields are required. It is safe for concurrent use.
type Suspects struct {
	Store interface {
		ViewKeys(ctx context.Context, id agent.ID) (registry.View, error)
		KeyHolders(ctx context.Context, keys ...agent.ProvedKey) (map[agent.ProvedKey]registry.KeyHolder, error)
		Apply(ctx context.Context, c registry.Change) error
	}
	NewID func() string
	Log   *slog.Logger
}

// Elsewhere finds an agent other than id that has proved one of the keys: an active one, or one whose key was declared
// compromised. Any other agent that was deactivated leaves its keys to who has them: a host may have a new name. Both
// results are zero if there is no such agent. A key costs half a read unit.
func (s *Suspects) Elsewhere(ctx context.Context, id agent.ID, keys ...agent.ProvedKey) (other agent.ID, err error) {
	held, err := s.Store.KeyHolders(ctx, keys...)
	if err != nil {
		return "", err
	}
	for _, key := range keys {
		if h, ok := held[key]; ok && h.Agent != id {
			if counts, err := s.Counts(ctx, h); err != nil || counts {
				return h.Agent, err
			}
		}
	}
	return "", nil
}

// Counts reports whether a use of the key by another agent than its holder is evidence: see Elsewhere. It costs a read.
func (s *Suspects) Counts(ctx context.Context, h registry.KeyHolder) (bool, error) {
	view, err := s.Store.ViewKeys(ctx, h.Agent)
	if err != nil || view.Agent == nil {
		return false, err
	}
	return view.Agent.Status == agent.Active || slices.Contains(view.Keys.Compromised, h.Key.ID()), nil
}

// Share is one key that two agents have proved.
type Share struct {
	Evidence agent.Evidence
	Shown    string         // thumbprint of the certificate that Agent authenticated with
	Agent    agent.ID       // that has proved the key now
	Other    agent.ID       // that had proved it before
	By       audit.By       // of the request
	Details  map[string]any // of both rows
	At       time.Time
}

// Shared marks both agents: the key of one is in the hands of the other.
func (s *Suspects) Shared(ctx context.Context, sh Share) error {
	of := func(id, other agent.ID, thumbprint string) verdict {
		m := verdict{agent: id, actor: sh.Agent, by: sh.By, details: maps.Clone(sh.Details), at: sh.At}
		m.judge = func(a agent.Agent, _ agent.Keys) (agent.Agent, bool) {
			return a.Shares(agent.Suspect{Evidence: sh.Evidence, Thumbprint: thumbprint, Other: other, At: sh.At})
		}
		m.details["other_agent"], m.details["cert_thumbprint"] = string(other), thumbprint
		return m
	}
	return errors.Join(
		s.mark(ctx, of(sh.Agent, sh.Other, sh.Shown)),
		s.mark(ctx, of(sh.Other, sh.Agent, "")))
}

// Dead marks the agent if the certificate that was shown is evidence (agent.Agent.Suspected); life is that of a token.
func (s *Suspects) Dead(
	ctx context.Context, id agent.ID, shown agent.Pin, by audit.By, life time.Duration, now time.Time,
) error {
	m := verdict{agent: id, actor: id, by: by, details: map[string]any{"cert_thumbprint": shown.Thumbprint}, at: now}
	m.judge = func(a agent.Agent, k agent.Keys) (agent.Agent, bool) {
		m.details["successor_thumbprint"] = a.Pin().Thumbprint
		m.details["activated_at"] = a.Past.Activated.UTC().Format(time.RFC3339)
		return a.Suspected(shown, k, life, now)
	}
	return s.mark(ctx, m)
}

// verdict is one agent to mark, and the request that shows it.
type verdict struct {
	agent, actor agent.ID
	by           audit.By
	details      map[string]any
	judge        func(agent.Agent, agent.Keys) (suspect agent.Agent, changed bool)
	at           time.Time
}

const markTries = 3

// mark reads the agent and commits what judge makes of it, with its row. An agent that is suspect already stays as it
// is, so a repeated mark changes nothing. After a conflict the evidence is judged anew: a rotation that came first ends
// a suspicion, because the operator has decided.
func (s *Suspects) mark(ctx context.Context, m verdict) (err error) {
	for range markTries {
		if err = s.markOnce(ctx, m); !errors.Is(err, registry.ErrConflict) {
			return err
		}
	}
	return err
}

func (s *Suspects) markOnce(ctx context.Context, m verdict) error {
	view, err := s.Store.ViewKeys(ctx, m.agent)
	if err != nil || view.Agent == nil {
		return err
	}
	suspect, changed := m.judge(*view.Agent, *view.Keys)
	if !changed {
		return nil
	}
	m.details["evidence"], m.details["contained"] = string(suspect.Suspect.Evidence), suspect.Contained()
	row, head, err := view.Agent.Head.Append(audit.Entry{
		Time:    m.at,
		Event:   audit.AgentCredentialSuspect,
		Actor:   "agent:" + string(m.actor),
		Subject: string(m.agent),
		Details: m.by.Note(m.details),
	})
	if err != nil {
		return err
	}
	suspect.Head = head
	err = registry.Settle(ctx, s.Store.Apply, registry.Change{
		ID:    s.NewID(),
		Agent: &suspect,
		Was:   view.Agent,
		Rows:  []audit.Row{row},
	}.Ends(*view.Agent, m.at))
	if err == nil {
		s.Log.WarnContext(ctx, "token.credential_suspect", "agent", string(m.agent), "evidence",
			string(suspect.Suspect.Evidence), "contained", suspect.Contained())
	}
	return err
}

package token

import (
	"context"
	"crypto/x509"
	"errors"
	"log/slog"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/pki"
	"github.com/mastio-aws/mastio/shared/problem"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/usecase/authn"
)

// ErrContained reports an agent whose credential is suspect and whose policy is agent.SuspicionContain.
var ErrContained = problem.New(401, "agent_contained", "the agent's credential is suspect").
	Says("A key of this agent is in two hands, so the agent gets no token until the operator has rotated its " +
		"certificate").
	AtToken("invalid_client")

// suspectTimeout is for a few reads and writes that no answer waits for.
const suspectTimeout = 2 * time.Second

// Suspicions notes what shows that a credential is in two hands: a dead certificate, or a DPoP key of another agent.
// It also notes which agent has which key, once for each key, so that the second agent is found. A good token costs
// nothing, except the first one of a key in an instance: a read of half a unit for each key, after the answer, and a
// write if the key is new. A refusal costs one read more, and only where the record lets a theft be possible. All
// fields are required. It is safe for concurrent use.
type Suspicions struct {
	Store interface {
		KeyHolders(ctx context.Context, keys ...agent.ProvedKey) (map[agent.ProvedKey]registry.KeyHolder, error)
		HoldKey(ctx context.Context, h registry.KeyHolder, former agent.ID) error
	}
	Suspects   *authn.Suspects
	Background func(func()) // runs what no answer waits for
	Log        *slog.Logger

	looked       once // certificates that were refused
	certificates once // and whose keys are noted
	proofKeys    once // by agent
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
		if err := s.Suspects.Dead(ctx, view.Agent.ID, authn.PinOf(shown.Leaf), by, life, now); err != nil {
			s.looked.forget(shown.Thumbprint())
			s.unknown(ctx, view.Agent.ID, err)
		}
	})
}

func (s *Suspicions) unknown(ctx context.Context, id agent.ID, err error) {
	s.Log.WarnContext(ctx, "token.suspicion_unknown", "agent", string(id), "cause", err.Error())
}

// possession is what one token request has proved.
type possession struct {
	agent      agent.Agent
	thumbprint string // of the certificate
	leaf       *x509.Certificate
	jkt        string // of the DPoP proof; empty: there was none
	passes     bool   // the DPoP key is made for one login, so it is not noted
	by         audit.By
	at         time.Time
}

// look returns what notes the keys of a request, and looks whether another agent has them; nil where this instance has
// done it. It is for after the answer.
func (s *Suspicions) look(p possession) func(context.Context) {
	if s == nil {
		return nil
	}
	var certified, proofs []agent.ProvedKey
	proofKey := p.jkt + " " + string(p.agent.ID)
	// the key of an SVID is not worth a note: it lives for an hour
	if p.agent.Method != agent.SPIFFE && s.certificates.first(p.thumbprint) {
		certified = agent.ProvedKeys(pki.Thumbprint(p.leaf.RawSubjectPublicKeyInfo), "")
	}
	if p.jkt != "" && s.proofKeys.first(proofKey) {
		proofs = agent.ProvedKeys("", p.jkt)
	}
	if len(certified)+len(proofs) == 0 {
		return nil
	}
	return func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), suspectTimeout)
		defer cancel()
		if err := s.judge(ctx, p, certified, proofs); err != nil {
			s.certificates.forget(p.thumbprint)
			s.proofKeys.forget(proofKey)
			s.unknown(ctx, p.agent.ID, err)
		}
	}
}

// judge notes the keys of one agent, or that another agent has its DPoP key. A certificate's key with two agents is no
// evidence: hosts of BYOCA agents share one.
func (s *Suspicions) judge(ctx context.Context, p possession, certified, proofs []agent.ProvedKey) error {
	held, err := s.Store.KeyHolders(ctx, append(certified, proofs...)...)
	if err != nil {
		return err
	}
	for _, key := range certified {
		if _, err := s.hold(ctx, p, held[key], key, false); err != nil {
			return err
		}
	}
	for _, key := range proofs {
		foreign, err := s.hold(ctx, p, held[key], key, p.passes)
		if err != nil {
			return err
		}
		if !foreign {
			continue
		}
		return s.Suspects.Shared(ctx, authn.Share{
			Evidence: agent.ForeignProofKey,
			Shown:    p.thumbprint,
			Agent:    p.agent.ID,
			Other:    held[key].Agent,
			By:       p.by,
			Details:  map[string]any{"dpop_jkt": p.jkt},
			At:       p.at,
		})
	}
	return nil
}

// hold notes that the agent has a key, unless a note says so that lasts, or the key passes. foreign reports that
// another agent has the key: the note stays as it is. If the two come at one moment, the second write is ErrConflict,
// and the next use of the key finds the first one.
func (s *Suspicions) hold(
	ctx context.Context, p possession, h registry.KeyHolder, key agent.ProvedKey, passes bool,
) (foreign bool, err error) {
	own := h.Agent == p.agent.ID
	if h.Agent != "" && !own {
		if foreign, err = s.Suspects.Counts(ctx, h); err != nil || foreign {
			return foreign, err
		}
	}
	if passes || own && h.Lasts(p.at) {
		return false, nil
	}
	return false, s.Store.HoldKey(ctx, registry.HolderOf(key, p.agent.ID, p.at), h.Agent)
}

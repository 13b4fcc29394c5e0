package hygiene

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/problem"
	"github.com/mastio-aws/mastio/shared/reason"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/usecase/agentcert"
)

// Errors of a version of a secret.
var (
	// ErrVersionTaken: the version exists already, with another value.
	ErrVersionTaken = problem.Internal("this version of the secret has another value")
	errUnusable     = errors.New("what is staged in the agent's secret cannot be used")
)

// Secrets holds each agent's secret. A version's value never changes.
type Secrets interface {
	// Version reads a version; nil if there is none.
	Version(ctx context.Context, name, version string) ([]byte, error)
	// Stage adds a version that is not current yet, and the secret if there is none. It may be repeated;
	// ErrVersionTaken.
	Stage(ctx context.Context, name, version string, value []byte) error
	// Promote makes a version the one that is read. It may be repeated.
	Promote(ctx context.Context, name, version string) error
}

// SecretName is the name of an agent's secret.
func SecretName(id agent.ID) string { return "mastio/agents/" + id.Org() + "/" + id.Name() }

// deliver takes the next of three steps. In this order a crash never locks an agent out and never leaves a pin
// without an available key:
//
//	0 note the certificate in the registry               a note of nothing
//	1 stage the certificate and its key as a version     an unread version, whose certificate does not count;
//	                                                     the next run takes it, for the version's id is what it replaces
//	2 pin it as a successor, with a note of the version  the key is in the secret; the certificate in use goes on without
//	                                                     a deadline; the note keeps the agent in the due index
//	3 promote the version, take the note back            (between the two: promoting again changes nothing)
//
// Only step 3 gives the certificate in use its deadline. If the Org CA moves between 2 and 3, it starts over with 1.
func (j *Job) deliver(ctx context.Context, view registry.View) (outcome, error) {
	a, p := *view.Agent, *view.Pointer
	if h := a.Concerning(); h.Undelivered != "" && a.Pin().Generation == p.Current {
		return j.promote(ctx, a, h.Undelivered)
	}
	version, certificate, err := j.staged(ctx, a, p)
	if err != nil {
		return failed, err
	}
	old := a.Pin()
	a.Hygiene = agent.Hygiene{
		Deliver:     a.Hygiene.Deliver,
		About:       certificate.Pin.Thumbprint,
		Undelivered: version,
		Later:       j.Now(),
		Job:         a.Hygiene.Job,
	}
	_, err = j.Issuer.Record(ctx, agentcert.Pinning{
		Agent:    a,
		Was:      view.Agent,
		Pointer:  p,
		Grace:    agentcert.MaxDays * 24 * time.Hour,
		UntilUse: true,
		Entry:    func(next agent.Pin) audit.Entry { return entry(old, next, version, scheduled) },
	}, certificate)
	return nothing, err // pinned, not delivered
}

func (j *Job) promote(ctx context.Context, a agent.Agent, version string) (outcome, error) {
	if err := j.Secrets.Promote(ctx, SecretName(a.ID), version); err != nil {
		return failed, fmt.Errorf("promote the new version of the secret: %w", err)
	}
	now := j.Now()
	next := a.Delivered(Grace, now)
	err := registry.Settle(ctx, j.Store.Apply, registry.Change{ID: j.NewID(), Agent: &next}.Ends(a, now))
	if err == nil {
		p := next.Pin()
		j.Log.InfoContext(ctx, "pki.rotate.hygiene", "agent_id", string(a.ID), "generation", p.Generation, "thumbprint",
			p.Thumbprint, "secret_version", version)
	}
	return rotated, err
}

// cause is why a certificate is replaced: the comment of the row, and what else the row says of it.
type cause struct {
	comment string
	details map[string]any
}

// scheduled: the certificate was due.
var scheduled = cause{comment: "scheduled hygiene"}

func entry(old, next agent.Pin, version string, why cause) audit.Entry {
	details := map[string]any{
		"cert_thumbprint": next.Thumbprint, "generation": next.Generation, "previous_thumbprint": old.Thumbprint,
		"grace_seconds": int64(Grace / time.Second), "csr": false,
		"deliver": string(agent.SecretsManager), "secret_version": version,
	}
	maps.Copy(details, why.details)
	return audit.Entry{
		Event:   audit.AgentCertRotated,
		Actor:   Actor,
		Details: reason.Statement{Code: reason.Superseded, Comment: why.comment}.Note(details),
	}
}

// spares is how many versions may hold unusable content before an operator has to look.
const spares = 3

// staged returns a certificate for the agent under the present generation whose key is in the agent's secret: one
// that an earlier run left there, or a new one.
func (j *Job) staged(
	ctx context.Context, a agent.Agent, p orgca.Pointer,
) (version string, c agentcert.Certificate, err error) {
	name := SecretName(a.ID)
	for spare := range spares {
		version = versionOf(a, p.Current, spare)
		value, err := j.Secrets.Version(ctx, name, version)
		if err != nil {
			return "", c, fmt.Errorf("read the agent's secret: %w", err)
		}
		if value == nil {
			c, err = j.stage(ctx, a, p, version)
			if !errors.Is(err, ErrVersionTaken) {
				return version, c, err
			}
			if value, err = j.Secrets.Version(ctx, name, version); err != nil { // another run was faster
				return "", c, fmt.Errorf("read the agent's secret: %w", err)
			}
		}
		known, err := j.Store.Keys(ctx, a.ID)
		if err != nil {
			return "", c, err
		}
		if c, err = j.read(value, a, known, p); err == nil {
			return version, c, nil
		}
		j.Log.WarnContext(ctx, "hygiene.unusable", "agent_id", string(a.ID), "secret_version", version, "cause", err.Error())
	}
	return "", c, errUnusable
}

func (j *Job) stage(
	ctx context.Context, a agent.Agent, p orgca.Pointer, version string,
) (agentcert.Certificate, error) {
	c, value, err := j.make(ctx, a, p)
	if err != nil {
		return c, err
	}
	if err := j.note(ctx, a, c); err != nil {
		return c, err
	}
	if err := j.Secrets.Stage(ctx, SecretName(a.ID), version, value); err != nil {
		return c, fmt.Errorf("stage a version of the agent's secret: %w", err)
	}
	return c, nil
}

// make issues a certificate for an agent, and returns with it what the agent's secret is to hold.
func (j *Job) make(
	ctx context.Context, a agent.Agent, p orgca.Pointer,
) (c agentcert.Certificate, value []byte, err error) {
	m, err := agentcert.Prepare(agentcert.KeyRequest{})
	if err != nil {
		return c, nil, err
	}
	if a.JKT == "" && !a.ProofBound { // none is registered, so the agent may use any key, this one too
		m.JKT = ""
	}
	if c, err = j.Issuer.Certify(ctx, p, a.ID, m); err != nil {
		return c, nil, err
	}
	value, err = encode(a.ID, m, c)
	return c, value, err
}

// note writes into the registry what is going to be staged: what the secret holds is believed on the strength of that
// alone.
func (j *Job) note(ctx context.Context, a agent.Agent, c agentcert.Certificate) error {
	return registry.Outlast(ctx, func() error {
		known, err := j.Store.Keys(ctx, a.ID)
		if err != nil {
			return err
		}
		known = known.Stage(a.Pin(), c.Pin.Thumbprint)
		return registry.Settle(ctx, j.Store.Apply, registry.Change{ID: j.NewID(), Keys: &known})
	})
}

// versionOf is the same for every run that replaces the same pin under the same generation.
func versionOf(a agent.Agent, generation int64, spare int) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "mastio-hygiene:v1|%s|%s|%d|%d", a.ID, a.Pin().Thumbprint, generation, spare))
	return hex.EncodeToString(sum[:])
}

package boot

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"sync"

	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/edge/httpapi"
	"github.com/mastio-aws/mastio/shared/usecase/auditlog"
)

// Audit is the function audit.
func Audit(p *Parts) (any, error) {
	return p.http(httpapi.Audit(p.Trail(0)), p.secret().Check)
}

// Trail exports the audit trail, in bundles of at most that many octets; zero: as many as fit into an answer of the
// API.
func (p *Parts) Trail(most int64) *auditlog.Trail {
	return auditlog.NewTrail(auditlog.TrailConfig{
		Store:     p.store(),
		Archive:   p.archive(),
		Key:       p.auditKey(),
		OrgID:     p.OrgID,
		Now:       p.Now,
		MaxBundle: most,
	})
}

// Authority returns what asks the time-stamping authority at a URL for a token over a SHA-256 digest.
type Authority func(url string) func(ctx context.Context, digest []byte) ([]byte, error)

// Sealer makes checkpoints of the audit trail. It asks tsa for time stamps where the settings name an authority.
func (p *Parts) Sealer(tsa Authority) *auditlog.Sealer {
	cfg := auditlog.SealerConfig{
		Store:   p.store(),
		Archive: p.archive(),
		Key:     p.auditSigner(),
		OrgID:   p.OrgID,
		Now:     p.Now,
		NewID:   p.NewID,
		Log:     p.Log,
	}
	if p.TSA != "" {
		cfg.Stamp = tsa(p.TSA)
	}
	return auditlog.NewSealer(cfg)
}

// Checkpoint is the function checkpoint: a schedule runs it, and so does an operator. The client of time-stamping
// authorities comes from its main: boot is part of all functions, and no other one links what decodes their tokens.
func Checkpoint(tsa Authority) Function {
	return func(p *Parts) (any, error) { return p.checkpoint(p.Sealer(tsa)) }
}

func (p *Parts) checkpoint(sealer *auditlog.Sealer) (any, error) {
	mux, err := p.handler(httpapi.Checkpoint(sealer), p.secret().Check, p.strict())
	if err != nil {
		return nil, err
	}
	return httpapi.LambdaOr(mux, func(ctx context.Context, _ json.RawMessage) (any, error) {
		report, err := sealer.Run(ctx, audit.By{Actor: auditlog.Actor})
		if err != nil {
			p.Log.ErrorContext(ctx, "audit.checkpoint", "cause", err.Error())
			return report, errCheckpoint // the cause may name keys; it is in the log
		}
		return report, p.reportSecret(ctx)
	}), nil
}

// reportSecret writes whether the admin secret could be guessed.
func (p *Parts) reportSecret(ctx context.Context) error {
	g, err := sealGauges(ctx, p.secret().Shortest)
	if err == nil {
		err = WriteMetrics(p.Metrics, p.OrgID, p.Now(), g...)
	}
	if err != nil {
		p.Log.ErrorContext(ctx, "audit.checkpoint: the length of the admin secret", "cause", err.Error())
	}
	return err
}

var errCheckpoint = errors.New("no checkpoint was made: see the log")

// Discovery is the function discovery. The encoder of EST's certificates comes from its main.
func Discovery(encode httpapi.CertsOnly) Function {
	return func(p *Parts) (any, error) {
		h := httpapi.Discovery(p.Directory(p.Ring()), encode)
		maps.Copy(h, httpapi.AuditKey(p.auditKey()))
		return p.http(h, nil)
	}
}

// forgotten says whether the archive has checkpoints that the registry does not know.
func (p *Parts) forgotten() func(context.Context) (bool, error) {
	archive, store := p.archive(), p.store()
	return func(ctx context.Context) (bool, error) { return auditlog.Forgotten(ctx, store.Checkpoint, archive) }
}

// auditKey reads the public half of the key that signs checkpoints, once in the life of an instance: it never changes.
func (p *Parts) auditKey() func(context.Context) (audit.Key, error) {
	keys := p.keys()
	var mu sync.Mutex
	var known audit.Key
	return func(ctx context.Context) (audit.Key, error) {
		mu.Lock()
		defer mu.Unlock()
		if known.Public != nil {
			return known, nil
		}
		pub, err := keys.Public(ctx, p.AuditKey)
		if err != nil {
			return audit.Key{}, err
		}
		key, err := audit.NewKey(pub)
		if err == nil {
			known = key
		}
		return key, err
	}
}

func (p *Parts) auditSigner() func(context.Context) (auditlog.Key, error) {
	keys, public := p.keys(), p.auditKey()
	return func(ctx context.Context) (auditlog.Key, error) {
		key, err := public(ctx)
		if err != nil {
			return auditlog.Key{}, err
		}
		return auditlog.Key{Key: key, Signer: keys.Signer(ctx, p.AuditKey, key.Public)}, nil
	}
}

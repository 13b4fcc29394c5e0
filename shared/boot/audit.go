package boot

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"sync"

	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/edge/httpapi"
	"github.com/mastio-aws/mastio/shared/edge/metrics"
	"github.com/mastio-aws/mastio/shared/edge/s3"
	"github.com/mastio-aws/mastio/shared/edge/tsa"
	"github.com/mastio-aws/mastio/shared/usecase/checkpoint"
	"github.com/mastio-aws/mastio/shared/usecase/discovery"
	"github.com/mastio-aws/mastio/shared/usecase/trail"
)

// Audit is the function audit.
func Audit(p *parts) (any, error) {
	t := trail.New(trail.Config{Store: p.db, Archive: p.archive(), Key: p.auditKey(), OrgID: p.OrgID, Now: p.now})
	return p.http(httpapi.Audit(t), p.admin())
}

// Checkpoint is the function checkpoint: a schedule runs it, and so does an operator.
func Checkpoint(p *parts) (any, error) {
	cfg := checkpoint.Config{Store: p.db, Archive: p.archive(), Key: p.auditSigner(), OrgID: p.OrgID, Now: p.now, NewID: p.newID, Log: p.log}
	if p.TSA != "" {
		cfg.Stamp = (&tsa.Client{URL: p.TSA}).Stamp
	}
	job := checkpoint.New(cfg)
	mux, err := p.handler(httpapi.Checkpoint(job), p.admin(), p.gate())
	if err != nil {
		return nil, err
	}
	return httpapi.LambdaOr(mux, func(ctx context.Context, _ json.RawMessage) (any, error) {
		report, err := job.Run(ctx, audit.By{Actor: checkpoint.Actor})
		if err != nil {
			p.log.ErrorContext(ctx, "audit.checkpoint", "cause", err.Error())
			return report, errCheckpoint // the cause may name keys; it is in the log
		}
		return report, p.reportSecret(ctx)
	}), nil
}

// reportSecret writes whether the admin secret could be guessed.
func (p *parts) reportSecret(ctx context.Context) error {
	g, err := sealGauges(ctx, p.secret().Shortest)
	if err == nil {
		err = metrics.Write(os.Stdout, p.OrgID, p.now(), g...)
	}
	if err != nil {
		p.log.ErrorContext(ctx, "audit.checkpoint: the length of the admin secret", "cause", err.Error())
	}
	return err
}

var errCheckpoint = errors.New("no checkpoint was made: see the log")

// Discovery is the function discovery.
func Discovery(p *parts) (any, error) {
	d := &discovery.Directory{Store: p.db, Keys: p.ring(), Issuer: p.Issuer, Endpoint: p.endpoint(), Now: p.now}
	h := httpapi.Discovery(d)
	maps.Copy(h, httpapi.AuditKey(p.auditKey()))
	return p.http(h, nil)
}

func (p *parts) archive() *s3.Archive {
	return &s3.Archive{API: awss3.NewFromConfig(p.aws), Bucket: p.AuditBucket}
}

// forgotten says whether the archive has checkpoints that the registry does not know.
func (p *parts) forgotten() func(context.Context) (bool, error) {
	archive := p.archive()
	return func(ctx context.Context) (bool, error) { return checkpoint.Forgotten(ctx, p.db.Checkpoint, archive) }
}

// auditKey reads the public half of the key that signs checkpoints, once in the life of an instance: it never changes.
func (p *parts) auditKey() func(context.Context) (audit.Key, error) {
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

func (p *parts) auditSigner() func(context.Context) (checkpoint.Key, error) {
	keys, public := p.keys(), p.auditKey()
	return func(ctx context.Context) (checkpoint.Key, error) {
		key, err := public(ctx)
		if err != nil {
			return checkpoint.Key{}, err
		}
		return checkpoint.Key{Key: key, Signer: keys.Signer(ctx, p.AuditKey, key.Public)}, nil
	}
}

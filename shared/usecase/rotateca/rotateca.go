// Package rotateca replaces the Org CA in one swap under one lease. The swap is one transaction, whatever the size of
// the fleet. Its ceremony makes a generation ready for use: the keys, the certificates, and the proof that they work.
package rotateca

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/usecase/idempotency"
)

// Store is what a rotation needs of the registry.
type Store interface {
	ObserverStore
	Acquire(ctx context.Context, want orgca.Lease, now time.Time) (orgca.Lease, error)
	Extend(ctx context.Context, l orgca.Lease) error
	Release(ctx context.Context, l orgca.Lease) error
	Apply(ctx context.Context, c registry.Change) error
	idempotency.Store
}

// Config is what a Rotator is made of; all fields but Strict and Backups are required.
type Config struct {
	Store    Store
	Ceremony *Ceremony // makes a generation when there is no standby to take
	Backups  Backups   // nil: the store has none
	// Trust brings the truststore up to date and returns its version.
	Trust  func(ctx context.Context) (version string, err error)
	OrgID  string
	Strict bool // no legacy Org CA becomes current, neither by adoption nor by a rollback
	Awaits bool // the first Org CA is the operator's, by Upload: none is made
	Now    func() time.Time
	NewID  func() string // unique, at most 36 characters
	Log    *slog.Logger
}

// Rotator rotates the Org CA. It is safe for concurrent use, across processes too: the lease lets one of them work.
type Rotator struct {
	Config
	observer Observer
}

// New returns a Rotator.
func New(cfg Config) *Rotator {
	return &Rotator{Config: cfg, observer: Observer{Store: cfg.Store, Now: cfg.Now, Log: cfg.Log}}
}

// Status reads the present state, as Observer does.
func (r *Rotator) Status(ctx context.Context) (Status, error) { return r.observer.Status(ctx) }

// Do carries out a request. On an empty organisation Mint makes the first Org CA.
//
// Errors: upload.ErrRefused for an uploaded CA that is not fit, orgca.ErrLeaseHeld while another rotation runs,
// orgca.ErrLeaseLost when this one took so long that another began, ErrMode, ErrUpload, ErrFingerprint, ErrNotStaged,
// ErrMoved, ErrDryRun, ErrStrict, ErrAwaited, reason.ErrCode, reason.ErrComment, orgca.ErrOverlap, orgca.ErrOverlaps,
// orgca.ErrCompromised, orgca.ErrUnfit, orgca.ErrNoRollback, orgca.ErrAt, orgca.ErrNotLater, orgca.ErrUnfitThen,
// ErrScheduled, ErrNotScheduled, ErrStale, ErrRemain, ErrSafe, ErrBackup, those of idempotency.Do but
// *idempotency.Replay, registry.ErrUnavailable; registry.ErrUnknown if the store stayed silent at the commit: Status
// then shows the outcome.
func (r *Rotator) Do(ctx context.Context, req Request) (Result, error) {
	defer req.Upload.Wipe()
	req, err := req.check()
	if err != nil {
		return Result{}, err
	}
	if work[req.Mode] == nil {
		return Result{}, ErrMode
	}
	w := &run{Rotator: r, req: req}
	switch {
	case req.DryRun && req.Mode == Finalise:
		return w.rehearseFinalise(ctx)
	case req.DryRun:
		return w.rehearse(ctx)
	}
	w.once = req.named()
	return recalled(idempotency.Do(ctx, r.Store, w.once, r.Now, func() (Result, error) { return w.do(ctx) }))
}

// named is the request in the form that its idempotency key stands for. The answer to a swap is kept whole, because
// the dashboard needs the whole result too.
func (r Request) named() idempotency.Request[Result] {
	return idempotency.Request[Result]{
		Key:   r.IdempotencyKey,
		Asked: r.fingerprint(),
		Body: func(result Result) (idempotency.KeptAnswer, error) {
			body, err := json.Marshal(result)
			return idempotency.KeptAnswer{Status: result.HTTPStatus(), Body: body}, err
		},
	}
}

// recalled makes a result from a kept answer.
func recalled(result Result, err error) (Result, error) {
	replay, ok := errors.AsType[*idempotency.Replay](err)
	if !ok {
		return result, err
	}
	if err := json.Unmarshal(replay.Body, &result); err != nil {
		return Result{}, fmt.Errorf("read the stored answer: %w", err)
	}
	result.Replayed = true
	return result, nil
}

// Package rotateca replaces the Org CA in one swap under one lease. The swap is one transaction, whatever the size of
// the fleet.
package rotateca

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/mastio-aws/mastio/shared/anchor"
	"github.com/mastio-aws/mastio/shared/lease"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/usecase/ceremony"
	"github.com/mastio-aws/mastio/shared/usecase/idempotency"
)

// Store is what a rotation needs of the registry.
type Store interface {
	Observed
	Acquire(ctx context.Context, want lease.Lease, now time.Time) (lease.Lease, error)
	Extend(ctx context.Context, l lease.Lease) error
	Release(ctx context.Context, l lease.Lease) error
	Apply(ctx context.Context, c registry.Change) error
	idempotency.Store
}

// Preparer makes a generation when there is no standby to take.
type Preparer interface {
	Prepare(ctx context.Context, o ceremony.Order) (orgca.Generation, error)
}

// Config is what a Rotator is made of; all fields but Strict and Backups are required.
type Config struct {
	Store    Store
	Preparer Preparer
	Backups  Backups // nil: the store has none
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
// Errors: anchor.ErrRefused for an uploaded CA that is not fit, lease.ErrHeld while another rotation runs, lease.ErrLost
// when this one took so long that another began, ErrMode, ErrUpload, ErrFingerprint, ErrNotStaged, ErrMoved, ErrDryRun, ErrStrict,
// ErrAwaited, reason.ErrCode, reason.ErrComment, orgca.ErrOverlap, orgca.ErrOverlaps, orgca.ErrCompromised, orgca.ErrUnfit,
// orgca.ErrNoRollback, ErrBackup, those of idempotency.Do but *idempotency.Replay, registry.ErrUnavailable;
// registry.ErrUnknown if the store stayed silent at the commit: Status then shows the outcome.
func (r *Rotator) Do(ctx context.Context, req Request) (Result, error) {
	defer req.Upload.Wipe()
	req, err := req.check()
	if err != nil {
		return Result{}, err
	}
	work, ok := map[Mode]worker{
		Mint: r.mint, Upload: r.upload, Stage: r.stage, Commit: r.commitStaged, Rollback: r.rollback, Finalise: r.finalise,
	}[req.Mode]
	if !ok {
		return Result{}, ErrMode
	}
	if req.DryRun {
		return r.rehearse(ctx, req)
	}
	req.once = req.named()
	result, err := idempotency.Do(ctx, r.Store, req.once, r.Now, func() (Result, error) { return r.do(ctx, req, work) })
	return recalled(result, err)
}

type worker func(ctx context.Context, req Request, held *lease.Lease) (Result, error)

// do works under the lease. An idempotency key is looked up again there: the same request may just have been carried out.
func (r *Rotator) do(ctx context.Context, req Request, work worker) (Result, error) {
	held, err := r.acquire(ctx, req.Mode)
	if err != nil {
		return Result{}, err
	}
	if err := req.once.Known(ctx, r.Store, r.Now()); err != nil {
		return Result{}, r.abandon(ctx, held, err)
	}
	if req.Mode != Upload { // that one has to be judged first: a refusal leaves nothing behind
		req.saving = r.save(ctx, req, held)
		defer req.saving.close()
	}
	result, err := work(ctx, req, &held)
	if err != nil {
		return Result{}, r.abandon(ctx, held, err)
	}
	r.Log.InfoContext(ctx, "pki.rotate.committed", "mode", string(req.Mode), "generation", result.Generation, "fingerprint", result.Fingerprint, "fence", held.Fence)
	return result, nil
}

// named is the request in the form that its idempotency key stands for. The answer to a swap is kept whole, because
// the dashboard needs the whole result too.
func (r Request) named() idempotency.Request[Result] {
	return idempotency.Request[Result]{Key: r.IdempotencyKey, Asked: r.fingerprint(), Body: func(result Result) (idempotency.Kept, error) {
		body, err := json.Marshal(result)
		return idempotency.Kept{Status: 200, Body: body}, err
	}}
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

func (r *Rotator) acquire(ctx context.Context, mode Mode) (lease.Lease, error) {
	now := r.Now()
	want := lease.Lease{Holder: r.NewID(), Operation: "rotate-ca " + string(mode), Phase: "swap", Expires: now.Add(lease.TTL)}
	held, err := r.Store.Acquire(ctx, want, now)
	if errors.Is(err, registry.ErrUnknown) { // a repetition shows the outcome: the same holder gets the lease again
		held, err = r.Store.Acquire(ctx, want, now)
	}
	return held, err
}

// abandon releases the lease after a failure. It also settles an unknown outcome: after the release, a commit in
// flight can no longer land; if the commit released the lease first, the rotation has happened.
func (r *Rotator) abandon(ctx context.Context, held lease.Lease, cause error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	err := r.Store.Release(ctx, held)
	r.Log.Log(ctx, level(cause), "pki.rotate.abandoned", "cause", cause.Error(), "fence", held.Fence, "released", err == nil)
	if errors.Is(cause, registry.ErrUnknown) && err == nil {
		return fmt.Errorf("%w: nothing was changed: %s", registry.ErrUnavailable, cause.Error())
	}
	return cause
}

// level is the log level of a rotation that was given up: a request that the rules refuse is not the Mastio's
// failure.
func level(cause error) slog.Level {
	for _, theirs := range []error{
		anchor.ErrRefused, ErrNotStaged, ErrMoved, ErrStrict, orgca.ErrOverlaps, orgca.ErrCompromised, orgca.ErrUnfit,
		orgca.ErrNoRollback, idempotency.ErrReused,
	} {
		if errors.Is(cause, theirs) {
			return slog.LevelWarn
		}
	}
	if _, replay := errors.AsType[*idempotency.Replay](cause); replay {
		return slog.LevelInfo
	}
	return slog.LevelError
}

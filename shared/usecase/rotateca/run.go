package rotateca

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/upload"
	"github.com/mastio-aws/mastio/shared/usecase/idempotency"
)

// run is the work for one request. The request says what was asked; everything that arises from the work is here. A dry
// run has the request alone.
type run struct {
	*Rotator
	req      Request
	once     idempotency.Request[Result] // from the request's idempotency key
	held     orgca.Lease                 // under which the work goes on; phase extends it
	saving   *backupRun                  // the backup; nil where there is none to wait for
	material *upload.Material            // the upload, once it is judged; nil: there is none
	cut      *CutOff                     // what a finalise cuts off; nil: not known
}

// work is what each mode does under the lease.
var work = map[Mode]func(*run, context.Context) (Result, error){
	Mint:     (*run).mint,
	Upload:   (*run).upload,
	Stage:    (*run).stage,
	Commit:   (*run).commitStaged,
	Rollback: (*run).rollback,
	Finalise: (*run).finalise,
	Cancel:   (*run).cancel,
	Pause:    (*run).pause,
	Resume:   (*run).goOn,
	SkipWave: (*run).skipWave,
	Return:   (*run).goBack,
}

// do works under the lease. An idempotency key is looked up again there: the same request may just have been carried
// out.
func (w *run) do(ctx context.Context) (Result, error) {
	var err error
	step := work[w.req.Mode]
	if !w.req.At.IsZero() {
		step, err = (*run).schedule, orgca.Ahead(w.req.At, w.Now())
	}
	if w.req.Mode == Finalise {
		err = w.examine(ctx)
	}
	if err != nil {
		return Result{}, err
	}
	if w.held, err = w.acquire(ctx); err != nil {
		return Result{}, err
	}
	if err := w.once.Known(ctx, w.Store, w.Now()); err != nil {
		return Result{}, w.abandon(ctx, err)
	}
	if w.req.Mode != Upload { // an upload is judged first: a refusal leaves nothing behind
		w.save(ctx)
	}
	defer func() { w.saving.close() }()
	defer w.wipe()
	result, err := step(w, ctx)
	if err != nil {
		return Result{}, w.abandon(ctx, err)
	}
	if result.Scheduled != nil {
		w.Log.InfoContext(ctx, "pki.rotate.scheduled", "at", result.Scheduled.At, "fingerprint", result.Fingerprint)
		return result, nil
	}
	w.Log.InfoContext(ctx, "pki.rotate.committed", "mode", string(w.req.Mode), "generation", result.Generation,
		"fingerprint", result.Fingerprint, "fence", w.held.Fence)
	return result, nil
}

func (w *run) acquire(ctx context.Context) (orgca.Lease, error) {
	now := w.Now()
	want := orgca.Lease{
		Holder:    w.NewID(),
		Operation: "rotate-ca " + string(w.req.Mode),
		Phase:     "swap",
		Expires:   now.Add(orgca.LeaseTTL),
	}
	held, err := w.Store.Acquire(ctx, want, now)
	if errors.Is(err, registry.ErrUnknown) { // a repetition shows the outcome: the same holder gets the lease again
		held, err = w.Store.Acquire(ctx, want, now)
	}
	return held, err
}

// phase extends the lease for a step that may take seconds.
func (w *run) phase(ctx context.Context, phase string) error {
	w.held.Phase, w.held.Expires = phase, w.Now().Add(orgca.LeaseTTL)
	return w.Store.Extend(ctx, w.held)
}

// wipe overwrites the key of a judged upload.
func (w *run) wipe() {
	if w.material != nil {
		w.material.Zero()
	}
}

// abandon releases the lease after a failure. It also settles an unknown outcome: after the release, a commit in
// flight can no longer land; if the commit released the lease first, the rotation has happened.
func (w *run) abandon(ctx context.Context, cause error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	err := w.Store.Release(ctx, w.held)
	w.Log.Log(ctx, level(cause), "pki.rotate.abandoned", "cause", cause.Error(), "fence", w.held.Fence, "released",
		err == nil)
	if errors.Is(cause, registry.ErrUnknown) && err == nil {
		return fmt.Errorf("%w: nothing was changed: %s", registry.ErrUnavailable, cause.Error())
	}
	return cause
}

// level is the log level of a rotation that was given up: a request that the rules refuse is not the Mastio's
// failure.
func level(cause error) slog.Level {
	for _, theirs := range []error{
		upload.ErrRefused, ErrNotStaged, ErrMoved, ErrStrict, orgca.ErrOverlaps, orgca.ErrCompromised, orgca.ErrUnfit,
		orgca.ErrNoRollback, orgca.ErrNotLater, orgca.ErrUnfitThen, ErrScheduled, ErrNotScheduled, ErrStale, ErrNoReissue,
		ErrLastWave, idempotency.ErrReused,
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

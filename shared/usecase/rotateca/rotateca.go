// Package rotateca replaces the Org CA: one lease, one swap, one transaction, whatever the size of the fleet.
package rotateca

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/mastio-aws/mastio/shared/lease"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/usecase/ceremony"
)

// What can be wrong with a request.
var (
	ErrMode              = errors.New("unknown mode")
	ErrIdempotencyKey    = errors.New("idempotency key is malformed")
	ErrIdempotencyReused = errors.New("idempotency key was used for another request")
)

// Store is what a rotation needs of the registry.
type Store interface {
	Org(ctx context.Context) (registry.Org, error)
	Acquire(ctx context.Context, want lease.Lease, now time.Time) (lease.Lease, error)
	Extend(ctx context.Context, l lease.Lease) error
	Release(ctx context.Context, l lease.Lease) error
	Apply(ctx context.Context, c registry.Change) error
	Answer(ctx context.Context, key string, now time.Time) (*registry.Answer, error)
}

// Preparer makes a generation when there is no standby to take.
type Preparer interface {
	Prepare(ctx context.Context, o ceremony.Order) (orgca.Generation, error)
}

// Config is what a Rotator is made of; all fields are required.
type Config struct {
	Store    Store
	Preparer Preparer
	// Trust brings the truststore up to date and returns its version.
	Trust func(ctx context.Context) (version string, err error)
	OrgID string
	Now   func() time.Time
	NewID func() string // unique, at most 36 characters
	Log   *slog.Logger
}

// Rotator rotates the Org CA. It is safe for concurrent use, across processes too: the lease lets one of them work.
type Rotator struct{ Config }

// New returns a Rotator.
func New(cfg Config) *Rotator { return &Rotator{cfg} }

// Request asks for a rotation.
type Request struct {
	Reason         string // see orgca.Reasons
	Actor          string
	RequestID      string
	SourceIP       string
	IdempotencyKey string // optional: the same key is answered with the first one's result for registry.AnswerTTL
}

// fingerprint is what an idempotency key stands for.
func (r Request) fingerprint() string { return "mint reason=" + r.Reason }

// Mint makes the standby generation current, or one made now if there is none. On an empty organisation it makes
// the first Org CA.
//
// Errors: lease.ErrHeld while another rotation runs, lease.ErrLost when this one took so long that another began,
// orgca.ErrReason, ErrIdempotencyKey, ErrIdempotencyReused, registry.ErrUnavailable; registry.ErrUnknown if the store stayed
// silent at the commit: Status then tells.
func (r *Rotator) Mint(ctx context.Context, req Request) (Result, error) {
	reason, err := orgca.CheckReason(req.Reason)
	if err != nil {
		return Result{}, err
	}
	req.Reason = reason
	if result, known, err := r.answered(ctx, req); known || err != nil {
		return result, err
	}
	held, err := r.acquire(ctx)
	if err != nil {
		return Result{}, err
	}
	result, err := r.rotate(ctx, req, held)
	if err != nil {
		return Result{}, r.abandon(ctx, held, err)
	}
	r.Log.InfoContext(ctx, "pki.rotate.committed", "generation", result.Generation, "fingerprint", result.Fingerprint, "fence", held.Fence)
	return result, nil
}

const maxIdempotencyKey = 255 // octets

// answered looks up the result of an earlier request with the same idempotency key.
func (r *Rotator) answered(ctx context.Context, req Request) (result Result, known bool, err error) {
	if req.IdempotencyKey == "" {
		return Result{}, false, nil
	}
	if len(req.IdempotencyKey) > maxIdempotencyKey {
		return Result{}, false, ErrIdempotencyKey
	}
	answer, err := r.Store.Answer(ctx, req.IdempotencyKey, r.Now())
	if err != nil || answer == nil {
		return Result{}, false, err
	}
	if answer.Request != req.fingerprint() {
		return Result{}, false, ErrIdempotencyReused
	}
	if err := json.Unmarshal(answer.Result, &result); err != nil {
		return Result{}, false, fmt.Errorf("read the stored answer: %w", err)
	}
	return result, true, nil
}

func (r *Rotator) acquire(ctx context.Context) (lease.Lease, error) {
	now := r.Now()
	want := lease.Lease{Holder: r.NewID(), Operation: "rotate-ca", Phase: "swap", Expires: now.Add(lease.TTL)}
	held, err := r.Store.Acquire(ctx, want, now)
	if errors.Is(err, registry.ErrUnknown) { // asking again tells: the same holder is let in
		held, err = r.Store.Acquire(ctx, want, now)
	}
	return held, err
}

// rotate does the work under the lease; its commit also releases it. With a standby that is trusted already, that is
// one read and one transaction.
func (r *Rotator) rotate(ctx context.Context, req Request, held lease.Lease) (Result, error) {
	org, err := r.Store.Org(ctx)
	if err != nil {
		return Result{}, err
	}
	next, ok := org.Standby()
	if ok && next.Truststore != "" {
		return r.swap(ctx, req, held, next, org)
	}
	if !ok {
		if next, err = r.prepare(ctx, req, &held); err != nil {
			return Result{}, err
		}
	}
	if next.Truststore, err = r.trust(ctx, &held); err != nil {
		return Result{}, err
	}
	if org, err = r.Store.Org(ctx); err != nil {
		return Result{}, err
	}
	return r.swap(ctx, req, held, next, org)
}

// prepare makes the generation here and now. KMS may take seconds, so the lease is extended around it.
func (r *Rotator) prepare(ctx context.Context, req Request, held *lease.Lease) (orgca.Generation, error) {
	if err := r.phase(ctx, held, "prepare"); err != nil {
		return orgca.Generation{}, err
	}
	return r.Preparer.Prepare(ctx, ceremony.Order{RotationID: held.Holder, Reason: req.Reason, Actor: req.Actor, RequestID: req.RequestID})
}

func (r *Rotator) trust(ctx context.Context, held *lease.Lease) (string, error) {
	if err := r.phase(ctx, held, "truststore"); err != nil {
		return "", err
	}
	version, err := r.Trust(ctx)
	if err != nil {
		return "", fmt.Errorf("bring the truststore up to date: %w", err)
	}
	return version, nil
}

func (r *Rotator) phase(ctx context.Context, held *lease.Lease, phase string) error {
	held.Phase, held.Expires = phase, r.Now().Add(lease.TTL)
	return r.Store.Extend(ctx, *held)
}

// abandon gives the lease back after a failure. It also settles what a silent store left open: once the release is in,
// a commit that is still on its way can no longer land; if the commit released it first, the rotation has happened.
func (r *Rotator) abandon(ctx context.Context, held lease.Lease, cause error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	err := r.Store.Release(ctx, held)
	r.Log.ErrorContext(ctx, "pki.rotate.abandoned", "cause", cause.Error(), "fence", held.Fence, "released", err == nil)
	if errors.Is(cause, registry.ErrUnknown) && err == nil {
		return fmt.Errorf("%w: nothing was changed: %s", registry.ErrUnavailable, cause.Error())
	}
	return cause
}

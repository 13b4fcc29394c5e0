// Package rotateca replaces the Org CA: one lease, one swap, one transaction, whatever the size of the fleet.
package rotateca

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"time"

	"github.com/mastio-aws/mastio/shared/anchor"
	"github.com/mastio-aws/mastio/shared/lease"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/usecase/ceremony"
)

// What can be wrong with a request.
var (
	ErrMode              = errors.New("unknown mode")
	ErrFingerprint       = errors.New("fingerprint is malformed")
	ErrNotStaged         = errors.New("no staged Org CA has this fingerprint")
	ErrDryRun            = errors.New("this mode has no dry run")
	ErrIdempotencyKey    = errors.New("idempotency key is malformed")
	ErrIdempotencyReused = errors.New("idempotency key was used for another request")
	ErrUpload            = errors.New("upload is incomplete")
	ErrStrict            = errors.New("a legacy Org CA may not become current")
)

// Mode is what a request wants of the Org CA.
type Mode string

// The modes.
const (
	Mint     Mode = "mint"     // the standby, or a CA made now, becomes current
	Upload   Mode = "upload"   // the operator's CA becomes current; on an empty organisation: is adopted
	Stage    Mode = "stage"    // as mint, up to but without the swap: the pre-flight
	Commit   Mode = "commit"   // the staged CA with the given fingerprint becomes current
	Rollback Mode = "rollback" // the previous CA becomes current again, and with it its pins
	Finalise Mode = "finalise" // ends an overlap now, and with it the way back
)

// Store is what a rotation needs of the registry.
type Store interface {
	Observed
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

// Config is what a Rotator is made of; all fields but Strict and Backups are required.
type Config struct {
	Store    Store
	Preparer Preparer
	Backups  Backups // nil: the store has none
	// Trust brings the truststore up to date and returns its version.
	Trust  func(ctx context.Context) (version string, err error)
	OrgID  string
	Strict bool // no legacy Org CA becomes current, neither by adoption nor by a rollback
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

// Request asks for a change of the Org CA.
type Request struct {
	Mode           Mode
	Upload         *Files        // the operator's CA, with Upload; with Stage: optional
	Fingerprint    string        // of the CA to commit: lower-case hex SHA-256 of its certificate
	Overlap        time.Duration // how long the superseded generation's pins still count; zero: they stop with the commit
	DryRun         bool          // say what would happen, and change nothing; with Mint, Upload and Commit
	SkipBackup     bool          // rotate without a backup before it
	Reason         string        // see orgca.Reasons
	Migration      bool          // away from a legacy root, by itself: orgca.ReasonLegacy is the reason
	Actor          string
	RequestID      string
	SourceIP       string
	IdempotencyKey string // optional: the same key is answered with the first one's result for registry.AnswerTTL

	saving *saving // once the work has begun
}

// fingerprint is what an idempotency key stands for. Of an upload it is the certificates: they name the key. SkipBackup is
// not part of it: it changes nothing of the Org CA, and whoever repeats a request without a backup must not be told that
// it was another one.
func (r Request) fingerprint() string {
	return fmt.Sprintf("%s fingerprint=%s overlap=%s reason=%s upload=%s", r.Mode, r.Fingerprint, r.Overlap, r.Reason, r.Upload.digest())
}

func (r Request) check() (Request, error) {
	reason, err := orgca.CheckReason(r.Reason)
	if err != nil {
		return r, err
	}
	r.Reason = reason
	if r.Migration {
		r.Reason = orgca.ReasonLegacy
	}
	if r.Overlap < 0 || r.Overlap > orgca.MaxOverlap || r.Overlap > 0 && !r.Mode.swaps() {
		return r, orgca.ErrOverlap
	}
	if r.DryRun && !r.Mode.swaps() {
		return r, ErrDryRun
	}
	if r.Mode == Upload && r.Upload == nil || r.Mode != Upload && r.Mode != Stage && r.Upload != nil {
		return r, ErrUpload
	}
	if (r.Mode == Commit) != fingerprintPattern.MatchString(r.Fingerprint) {
		return r, ErrFingerprint
	}
	return r, nil
}

// swaps reports whether a mode makes another generation current than there has been.
func (m Mode) swaps() bool { return m == Mint || m == Upload || m == Commit }

var fingerprintPattern = regexp.MustCompile(`^[0-9a-f]{64}$`)

// Do carries out a request. On an empty organisation Mint makes the first Org CA.
//
// Errors: an *anchor.Refusal for an uploaded CA that is not fit, lease.ErrHeld while another rotation runs, lease.ErrLost
// when this one took so long that another began, ErrMode, ErrUpload, ErrFingerprint, ErrNotStaged, ErrDryRun, ErrStrict,
// orgca.ErrReason, orgca.ErrOverlap, orgca.ErrOverlaps, orgca.ErrNoRollback, ErrIdempotencyKey, ErrIdempotencyReused,
// ErrBackup, registry.ErrUnavailable; registry.ErrUnknown if the store stayed silent at
// the commit: Status then tells.
func (r *Rotator) Do(ctx context.Context, req Request) (Result, error) {
	defer req.Upload.wipe()
	req, err := req.check()
	if err != nil {
		return Result{}, err
	}
	work, ok := map[Mode]func(context.Context, Request, *lease.Lease) (Result, error){
		Mint: r.mint, Upload: r.upload, Stage: r.stage, Commit: r.commitStaged, Rollback: r.rollback, Finalise: r.finalise,
	}[req.Mode]
	if !ok {
		return Result{}, ErrMode
	}
	if req.DryRun {
		return r.rehearse(ctx, req)
	}
	if result, known, err := r.answered(ctx, req); known || err != nil {
		return result, err
	}
	held, err := r.acquire(ctx, req.Mode)
	if err != nil {
		return Result{}, err
	}
	if result, known, err := r.answered(ctx, req); err != nil {
		return Result{}, r.abandon(ctx, held, err)
	} else if known { // by the one who was let in just before
		return result, r.Store.Release(ctx, held)
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

func (r *Rotator) acquire(ctx context.Context, mode Mode) (lease.Lease, error) {
	now := r.Now()
	want := lease.Lease{Holder: r.NewID(), Operation: "rotate-ca " + string(mode), Phase: "swap", Expires: now.Add(lease.TTL)}
	held, err := r.Store.Acquire(ctx, want, now)
	if errors.Is(err, registry.ErrUnknown) { // asking again tells: the same holder is let in
		held, err = r.Store.Acquire(ctx, want, now)
	}
	return held, err
}

// mint takes the standby. If that is trusted already, it is one read and one transaction.
func (r *Rotator) mint(ctx context.Context, req Request, held *lease.Lease) (Result, error) {
	org, err := r.Store.Org(ctx)
	if err != nil {
		return Result{}, err
	}
	next, ok := org.Standby()
	return r.makeCurrent(ctx, req, held, org, next, ok, nil)
}

// commitStaged takes the staged generation that the operator has seen.
func (r *Rotator) commitStaged(ctx context.Context, req Request, held *lease.Lease) (Result, error) {
	org, err := r.Store.Org(ctx)
	if err != nil {
		return Result{}, err
	}
	next, ok := staged(org, req.Fingerprint)
	if !ok {
		return Result{}, ErrNotStaged
	}
	return r.makeCurrent(ctx, req, held, org, next, true, nil)
}

func staged(org registry.Org, fingerprint string) (orgca.Generation, bool) {
	for _, g := range org.Generations {
		if g.State == orgca.Staged && g.Fingerprint() == fingerprint {
			return g, true
		}
	}
	return orgca.Generation{}, false
}

// makeCurrent brings the next generation, which is made now if there is none, into the truststore and swaps to it.
func (r *Rotator) makeCurrent(ctx context.Context, req Request, held *lease.Lease, org registry.Org, next orgca.Generation, ready bool, material *anchor.Material) (Result, error) {
	if !ready || next.Truststore == "" {
		var err error
		if next, err = r.ready(ctx, req, held, next, ready, material); err != nil {
			return Result{}, err
		}
		if org, err = r.Store.Org(ctx); err != nil {
			return Result{}, err
		}
	}
	return r.commit(ctx, *held, org, func(org registry.Org) (plan, error) { return r.planSwap(org, req, *held, next) })
}

func (r *Rotator) ready(ctx context.Context, req Request, held *lease.Lease, next orgca.Generation, ready bool, material *anchor.Material) (orgca.Generation, error) {
	if _, err := req.saving.wait(); err != nil { // before anything is made
		return next, err
	}
	var err error
	if !ready {
		if next, err = r.prepare(ctx, req, held, material); err != nil {
			return next, err
		}
	}
	if next.Truststore == "" {
		next.Truststore, err = r.trust(ctx, held)
	}
	return next, err
}

// stage makes sure that there is a standby, or stages an upload, and answers what a commit of it would make current.
func (r *Rotator) stage(ctx context.Context, req Request, held *lease.Lease) (Result, error) {
	org, err := r.Store.Org(ctx)
	if err != nil {
		return Result{}, err
	}
	next, ok := org.Standby()
	var material *anchor.Material
	if req.Upload != nil {
		ok = false
		if material, err = r.judge(ctx, req, org); err != nil {
			return Result{}, err
		}
		defer material.Zero()
	}
	if next, err = r.ready(ctx, req, held, next, ok, material); err != nil {
		return Result{}, err
	}
	if org, err = r.Store.Org(ctx); err != nil { // the truststore may have moved
		return Result{}, err
	}
	if err := r.Store.Release(ctx, *held); err != nil {
		return Result{}, err
	}
	return preflight(org, next, r.Now()), nil
}

// rehearse answers what a request would do. It reads and changes nothing.
func (r *Rotator) rehearse(ctx context.Context, req Request) (Result, error) {
	org, err := r.Store.Org(ctx)
	if err != nil {
		return Result{}, err
	}
	next, ok := org.Standby()
	if req.Mode == Upload {
		return r.rehearseUpload(req, org)
	}
	if req.Mode == Commit {
		if next, ok = staged(org, req.Fingerprint); !ok {
			return Result{}, ErrNotStaged
		}
	}
	if !ok { // one would be made; nothing is known of it but its number
		next = orgca.Generation{Number: org.NextNumber(), State: orgca.Preparing, Source: orgca.Mint}
	}
	result := preflight(org, next, r.Now())
	result.DryRun = true
	return result, nil
}

func (r *Rotator) rollback(ctx context.Context, req Request, held *lease.Lease) (Result, error) {
	org, err := r.Store.Org(ctx)
	if err != nil {
		return Result{}, err
	}
	return r.commit(ctx, *held, org, func(org registry.Org) (plan, error) { return r.planRollback(org, req, *held) })
}

func (r *Rotator) finalise(ctx context.Context, req Request, held *lease.Lease) (Result, error) {
	org, err := r.Store.Org(ctx)
	if err != nil {
		return Result{}, err
	}
	return r.commit(ctx, *held, org, func(org registry.Org) (plan, error) { return r.planFinalise(org, req, *held) })
}

// prepare makes the generation here and now. KMS may take seconds, so the lease is extended around it.
func (r *Rotator) prepare(ctx context.Context, req Request, held *lease.Lease, material *anchor.Material) (orgca.Generation, error) {
	if err := r.phase(ctx, held, "prepare"); err != nil {
		return orgca.Generation{}, err
	}
	return r.Preparer.Prepare(ctx, ceremony.Order{RotationID: held.Holder, Reason: req.Reason, Actor: req.Actor, RequestID: req.RequestID, Upload: material})
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
	r.Log.Log(ctx, level(cause), "pki.rotate.abandoned", "cause", cause.Error(), "fence", held.Fence, "released", err == nil)
	if errors.Is(cause, registry.ErrUnknown) && err == nil {
		return fmt.Errorf("%w: nothing was changed: %s", registry.ErrUnavailable, cause.Error())
	}
	return cause
}

// level is how loudly the log tells of a rotation that was given up: what the operator asked for and cannot have is not
// the Mastio's failure.
func level(cause error) slog.Level {
	if _, refused := errors.AsType[*anchor.Refusal](cause); refused {
		return slog.LevelWarn
	}
	for _, theirs := range []error{ErrNotStaged, ErrStrict, orgca.ErrOverlaps, orgca.ErrNoRollback} {
		if errors.Is(cause, theirs) {
			return slog.LevelWarn
		}
	}
	return slog.LevelError
}

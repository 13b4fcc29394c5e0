// Package standby keeps the next Org CA ready, so that a rotation is only the swap, and clears away what a crash left.
package standby

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/mastio-aws/mastio/shared/lease"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/usecase/ceremony"
	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
)

// Actor is who the audit rows of this job name.
const Actor = "schedule:standby"

// OrphanAge is how long a generation may be in preparation before it counts as left behind by a crash: far longer than
// a function lives.
const OrphanAge = 15 * time.Minute

// Store is what the job needs of the registry.
type Store interface {
	Org(ctx context.Context) (registry.Org, error)
	Apply(ctx context.Context, c registry.Change) error
}

// Ceremony makes and discards generations.
type Ceremony interface {
	Prepare(ctx context.Context, o ceremony.Order) (orgca.Generation, error)
	Discard(ctx context.Context, g orgca.Generation, actor string) error
}

// Rotator makes the first Org CA of an empty organisation.
type Rotator interface {
	Do(ctx context.Context, req rotateca.Request) (rotateca.Result, error)
}

// Config is what a Job is made of; all fields are required.
type Config struct {
	Store    Store
	Ceremony Ceremony
	Rotator  Rotator
	// Trust brings the truststore up to date and returns its version.
	Trust func(ctx context.Context) (version string, err error)
	// Keys makes the token keys of this epoch and the next.
	Keys  func(ctx context.Context, now time.Time) error
	Now   func() time.Time
	NewID func() string // unique, at most 36 characters
	Log   *slog.Logger
}

// Job is one run's work. Running it again, or twice at once, is harmless: two at once can make two standbys, of which
// the later one waits for its turn.
type Job struct{ Config }

// New returns a Job.
func New(cfg Config) *Job { return &Job{cfg} }

// Report says what a run found and did.
type Report struct {
	Generation int64 `json:"generation"` // current
	Standby    int64 `json:"standby"`    // staged and trusted
	Discarded  int   `json:"discarded"`
	Legacy     bool  `json:"legacy"`
}

// Run does whatever is to do. A step that fails does not keep the others from being done; the errors are joined.
func (j *Job) Run(ctx context.Context) (Report, error) {
	if err := j.first(ctx); err != nil {
		return Report{}, fmt.Errorf("make the first Org CA: %w", err)
	}
	discarded, discardErr := j.discard(ctx)
	errs := []error{discardErr, j.prepare(ctx), j.trust(ctx), j.Keys(ctx, j.Now())}
	org, err := j.Store.Org(ctx)
	report := Report{Discarded: discarded}
	if org.Pointer != nil {
		report.Generation, report.Legacy = org.Pointer.Current, org.Pointer.Legacy
	}
	if g, ok := org.Standby(); ok && g.Truststore != "" {
		report.Standby = g.Number
	}
	return report, errors.Join(append(errs, err)...)
}

// first bootstraps an empty organisation. Another function at the same work is no error.
func (j *Job) first(ctx context.Context) error {
	org, err := j.Store.Org(ctx)
	if err != nil || org.Pointer != nil {
		return err
	}
	_, err = j.Rotator.Do(ctx, rotateca.Request{Mode: rotateca.Mint, Actor: Actor})
	if errors.Is(err, lease.ErrHeld) {
		return nil
	}
	return err
}

// discard ends the generations that will never be current: preparations that a crash cut off, and standbys that a
// newer generation has overtaken.
func (j *Job) discard(ctx context.Context) (int, error) {
	org, err := j.Store.Org(ctx)
	if err != nil || org.Pointer == nil {
		return 0, err
	}
	var errs []error
	count := 0
	for _, g := range org.Generations {
		if !j.leftBehind(g, org.Pointer.Current) {
			continue
		}
		if err := j.Ceremony.Discard(ctx, g, Actor); err != nil {
			errs = append(errs, fmt.Errorf("discard generation %d: %w", g.Number, err))
			continue
		}
		count++
	}
	return count, errors.Join(errs...)
}

func (j *Job) leftBehind(g orgca.Generation, current int64) bool {
	switch g.State {
	case orgca.Preparing:
		return j.Now().Sub(g.CreatedAt) > OrphanAge
	case orgca.Staged:
		return g.Number < current
	default:
		return false
	}
}

// prepare makes a standby unless there is one, or one is being made.
func (j *Job) prepare(ctx context.Context) error {
	org, err := j.Store.Org(ctx)
	if err != nil || org.Pointer == nil {
		return err
	}
	for _, g := range org.Generations {
		if g.Number > org.Pointer.Current && (g.State == orgca.Staged || g.State == orgca.Preparing) {
			return nil
		}
	}
	_, err = j.Ceremony.Prepare(ctx, ceremony.Order{RotationID: j.NewID(), Reason: "unspecified", Actor: Actor})
	if err != nil {
		return fmt.Errorf("prepare a standby: %w", err)
	}
	return nil
}

// trust brings the truststore up to date and notes its version on the generations that it did not hold before.
func (j *Job) trust(ctx context.Context) error {
	// What is staged after this read may have come too late for the object.
	org, err := j.Store.Org(ctx)
	if err != nil {
		return err
	}
	version, err := j.Trust(ctx)
	if err != nil {
		return fmt.Errorf("bring the truststore up to date: %w", err)
	}
	for _, g := range org.Generations {
		if g.State != orgca.Staged || g.Truststore != "" {
			continue
		}
		g.Truststore = version
		err := registry.Settle(ctx, j.Store.Apply, registry.Change{ID: j.NewID(), Generations: []orgca.Generation{g}})
		if err != nil && !errors.Is(err, registry.ErrConflict) {
			return fmt.Errorf("note the truststore's version on generation %d: %w", g.Number, err)
		}
	}
	return nil
}

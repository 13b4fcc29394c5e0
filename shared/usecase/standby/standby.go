// Package standby keeps the next Org CA ready, so that a rotation is only the swap, and removes the leftovers of
// crashes.
package standby

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
)

// Actor is who the audit rows of this job name.
const Actor = "schedule:standby"

// OrphanAge is how long a generation may be in preparation before it counts as left behind by a crash: far longer than
// a function lives.
const OrphanAge = 15 * time.Minute

// StagedAge is how long an uploaded generation waits for its commit: its keys cost money, and a pre-flight that old
// says little about today.
const StagedAge = 7 * 24 * time.Hour

// Store is what the job needs of the registry.
type Store interface {
	Org(ctx context.Context) (registry.Org, error)
	Apply(ctx context.Context, c registry.Change) error
	EdgeCAs(ctx context.Context) ([]registry.EdgeCA, error)
	Named(ctx context.Context, der []byte) (bool, error)
	Census(ctx context.Context, current, newest int64) (map[agent.Method]registry.Tally, error)
	Burndown(ctx context.Context) (registry.Burndown, error)
	PutBurndown(ctx context.Context, b registry.Burndown) error
	Agents(ctx context.Context, q registry.Query) (registry.Page, error)
	SeenAt(ctx context.Context, ids []agent.ID) (map[agent.ID]registry.Sighting, error)
	Refusals(ctx context.Context, ids []agent.ID) (map[agent.ID]registry.Refusal, error)
}

// Notes are kept on the Org CAs' keys themselves, where no restored table overwrites them.
type Notes interface {
	Note(ctx context.Context, key string, fence int64) error
	Noted(ctx context.Context, key string) (fence int64, err error)
	// Left finds the keys of the organisation's Org CAs that are not on their way out.
	Left(ctx context.Context) ([]rotateca.KeySpec, error)
}

// Config is what a Job is made of; all fields but Adopt, Rotate, Schedule and Migrate are required.
type Config struct {
	Store    Store
	Ceremony *rotateca.Ceremony // makes generations, and ends them
	Notes    Notes
	Rotator  *rotateca.Rotator // makes the first Org CA, and replaces one that ends
	// Forgotten reports whether the archive has checkpoints that the registry does not know. It is asked while the
	// registry has no Org CA; nil: it is not.
	Forgotten func(ctx context.Context) (bool, error)
	// Trust brings the truststore up to date and returns its version.
	Trust func(ctx context.Context) (version string, err error)
	// Keys makes the token keys of this epoch and the next.
	Keys  func(ctx context.Context, now time.Time) error
	OrgID string
	Adopt bool // the first Org CA is the operator's, by upload: none is made for an empty organisation
	// Rotate is the overlap of the automatic rotation of a minted Org CA, before it cuts certificates short; zero: no
	// rotation.
	Rotate time.Duration
	// Schedule says how long before their end agents' certificates are replaced; zero: agent.Annually.
	Schedule agent.Schedule
	Migrate  time.Duration // overlap of the automatic migration of a legacy Org CA; zero: no migration
	Now      func() time.Time
	NewID    func() string // unique, at most 36 characters
	Log      *slog.Logger
}

// Job is one run's work. Running it again, or twice at once, is harmless: two runs at once can make two standbys, and
// the later one waits for its turn.
type Job struct{ Config }

// New returns a Job.
func New(cfg Config) *Job { return &Job{cfg} }

// Report says what a run found and did.
type Report struct {
	Generation int64 `json:"generation"` // current
	Standby    int64 `json:"standby"`    // staged and trusted
	Discarded  int   `json:"discarded"`
	Retired    int   `json:"retired"`
	Forgotten  int   `json:"forgotten"` // CAs of others that no agent needs
	Lapsed     int   `json:"lapsed"`    // overlaps whose end was noted
	Wave       int   `json:"wave"`      // that the gate looked at, from 1; zero: none
	Migrated   bool  `json:"migrated"`
	Rotated    bool  `json:"rotated"`   // automatically, before the Org CA ended
	Scheduled  bool  `json:"scheduled"` // a scheduled rotation was carried out
	Dropped    bool  `json:"dropped"`   // a scheduled rotation was dropped
	Legacy     bool  `json:"legacy"`
	Restored   bool  `json:"restored"` // see ErrRestored and rotateca.ErrLost
}

// Run does every step that is due. A step that fails does not stop the others; the errors are joined. Run changes
// nothing in a registry that was restored from a backup: ErrRestored.
func (j *Job) Run(ctx context.Context) (Report, error) {
	if err := j.first(ctx); err != nil {
		return Report{Restored: errors.Is(err, rotateca.ErrLost)}, fmt.Errorf("make the first Org CA: %w", err)
	}
	var report Report
	errs := []error{j.Keys(ctx, j.Now()), j.witness(ctx)}
	if report.Restored = errors.Is(errs[1], ErrRestored); !report.Restored {
		errs = append(errs, j.maintain(ctx, &report))
	}
	org, err := j.Store.Org(ctx)
	if org.Pointer != nil {
		report.Generation, report.Legacy = org.Pointer.Current, org.Pointer.Legacy
	}
	if g, ok := org.Standby(j.Now()); ok && g.Truststore != "" {
		report.Standby = g.Number
	}
	if !report.Restored && err == nil {
		if err := j.plot(ctx, org); err != nil { // a chart is worth no alarm
			j.Log.WarnContext(ctx, "pki.rotate.burndown_unknown", "cause", err.Error())
		}
	}
	return report, errors.Join(append(errs, err)...)
}

// maintain brings the generations into order.
func (j *Job) maintain(ctx context.Context, report *Report) error {
	var discardErr, retireErr, migrateErr, lapseErr, edgeErr, rotateErr error
	dateErr := j.date(ctx, report) // first: the other steps take seconds
	report.Lapsed, lapseErr = j.lapse(ctx)
	gateErr := j.gate(ctx, report)
	report.Forgotten, edgeErr = j.forget(ctx)
	report.Discarded, discardErr = j.each(ctx, j.leftBehind, j.Ceremony.Discard)
	errs := []error{dateErr, discardErr, j.prepare(ctx), j.trust(ctx)}
	report.Migrated, migrateErr = j.migrate(ctx)
	if !report.Migrated {
		report.Rotated, rotateErr = j.rotate(ctx)
	}
	if report.Migrated || report.Rotated || report.Scheduled {
		errs = append(errs, j.witness(ctx), j.prepare(ctx), j.trust(ctx))
	}
	report.Retired, retireErr = j.each(ctx, j.spent, j.Ceremony.Retire)
	return errors.Join(append(errs, lapseErr, gateErr, edgeErr, migrateErr, rotateErr, retireErr)...)
}

// first makes the first Org CA of an empty organisation, unless the operator uploads it. Another function at the same
// work is no error. A registry that has lost its rows is not an empty organisation: a new Org CA would prevent the
// restore from a backup.
func (j *Job) first(ctx context.Context) error {
	org, err := j.Store.Org(ctx)
	if err != nil || org.Pointer != nil || j.Adopt {
		return err
	}
	if err := (rotateca.Traces{Org: j.Store.Org, Keys: j.Notes.Left, Forgotten: j.Forgotten}).Lost(ctx); err != nil {
		if errors.Is(err, rotateca.ErrLost) {
			j.Log.ErrorContext(ctx, "pki.rotate.registry_lost", "cause", err.Error())
		}
		return err
	}
	_, err = j.Rotator.Do(ctx, rotateca.Request{Mode: rotateca.Mint, SkipBackup: true, By: audit.By{Actor: Actor}})
	if errors.Is(err, orgca.ErrLeaseHeld) {
		return nil
	}
	return err
}

// migrate replaces a legacy Org CA with an overlap, so that no agent notices. A concurrent rotation is no error: the
// next run sees its result.
func (j *Job) migrate(ctx context.Context) (bool, error) {
	if j.Migrate == 0 {
		return false, nil
	}
	org, err := j.Store.Org(ctx)
	if err != nil || org.Pointer == nil || !org.Pointer.Legacy || j.waits(org) {
		return false, err
	}
	_, err = j.Rotator.Do(ctx, rotateca.Request{
		Mode:      rotateca.Mint,
		Overlap:   j.Migrate,
		Migration: true,
		By:        audit.By{Actor: Actor},
	})
	if errors.Is(err, orgca.ErrLeaseHeld) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("replace the legacy Org CA: %w", err)
	}
	return true, nil
}

// each ends every picked generation, and counts them.
func (j *Job) each(
	ctx context.Context, which func(orgca.Generation, registry.Org) bool,
	end func(context.Context, orgca.Generation, string) error,
) (int, error) {
	org, err := j.Store.Org(ctx)
	if err != nil || org.Pointer == nil {
		return 0, err
	}
	var errs []error
	count := 0
	for _, g := range org.Generations {
		if !which(g, org) {
			continue
		}
		if err := end(ctx, g, Actor); err != nil {
			errs = append(errs, fmt.Errorf("end generation %d: %w", g.Number, err))
			continue
		}
		count++
	}
	return count, errors.Join(errs...)
}

// leftBehind picks the generations that will never be current: preparations that a crash cut off, standbys that a newer
// generation has overtaken or that are not fit any more, uploads that were not committed in time, and failed
// generations whose keys a crash has left. A generation that a fast clock dated into the future waits no longer than
// that clock was wrong. An upload that a scheduled rotation pins waits for its date.
func (j *Job) leftBehind(g orgca.Generation, org registry.Org) bool {
	p := org.Pointer
	switch g.State {
	case orgca.Preparing:
		return j.Now().Sub(g.CreatedAt).Abs() > OrphanAge
	case orgca.Staged:
		if g.Source == orgca.Mint {
			return g.Number < p.Current || !g.Fit(j.Now())
		}
		return g.Number < p.Current || j.Now().Sub(g.StagedAt).Abs() > StagedAge && !org.Plan.Pins(g)
	case orgca.Failed:
		return g.RetiredAt.IsZero()
	default:
		return false
	}
}

// spent reports whether a generation's keys can be deleted. The note that the key was superseded must be written
// first, because KMS cannot tag a key that waits for its deletion.
func (j *Job) spent(g orgca.Generation, org registry.Org) bool {
	return org.Pointer.Spent(g, j.Now()) && g.Superseding != 0
}

// prepare makes a standby unless there is one that is fit, or one is being made.
func (j *Job) prepare(ctx context.Context) error {
	org, err := j.Store.Org(ctx)
	if err != nil || org.Pointer == nil {
		return err
	}
	for _, g := range org.Generations {
		making := g.State == orgca.Preparing || g.State == orgca.Staged && g.Fit(j.Now())
		if g.Number > org.Pointer.Current && g.Source == orgca.Mint && making {
			return nil
		}
	}
	_, err = j.Ceremony.Prepare(ctx, rotateca.GenerationSpec{
		RotationID: j.NewID(),
		Reason:     "unspecified",
		By:         audit.By{Actor: Actor},
	})
	if err != nil {
		return fmt.Errorf("prepare a standby: %w", err)
	}
	return nil
}

// trust brings the truststore up to date and notes its version on the generations that it did not hold before.
func (j *Job) trust(ctx context.Context) error {
	// The object may not hold a generation that was staged after this read.
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

package auditlog

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/problem"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/usecase/idempotency"
)

// Actor is who the audit rows of a scheduled checkpoint name.
const Actor = "schedule:checkpoint"

// ErrArchive reports that the archive of checkpoints did not do its part.
var ErrArchive = problem.New(503, "audit_archive_unavailable", "audit archive is unavailable").
	Says("The archive of checkpoints did not answer. Retry; a checkpoint that was begun is completed then.").
	After(5 * time.Second)

// ErrTaken reports that the archive holds something else under a name. Nothing in it is ever overwritten.
var ErrTaken = problem.New(503, "audit_archive_conflict", "audit archive holds something else under this name").
	Says("The archive of checkpoints holds something else where this checkpoint belongs. Nothing was " +
		"overwritten; the function's log has the details.")

// SealerStore is what a Sealer needs of the registry.
type SealerStore interface {
	Org(ctx context.Context) (registry.Org, error)
	Apply(ctx context.Context, c registry.Change) error
	Moved(ctx context.Context, limit int) ([]audit.Leaf, error)
	Cover(ctx context.Context, l audit.Leaf) error
	Covered(ctx context.Context, leaves ...audit.Leaf) ([]audit.Row, error)
	Checkpoint(ctx context.Context) (*registry.LastCheckpoint, error)
	idempotency.Store
}

// Archive keeps what checkpoints are made of, for good.
type Archive interface {
	// Put creates an object. One that is there already is no error if it is the same; ErrTaken if it is not.
	Put(ctx context.Context, name string, data []byte) error
	// Get reads an object; nil if there is none.
	Get(ctx context.Context, name string) ([]byte, error)
	// Last finds the last name that begins with prefix and is above after, in the order of names; empty if there is
	// none.
	Last(ctx context.Context, prefix, after string) (string, error)
}

// Key is the signing key of one request.
type Key struct {
	audit.Key
	Signer crypto.Signer
}

// SealerConfig is what a Sealer is made of. Stamp may be nil; the rest is required.
type SealerConfig struct {
	Store   SealerStore
	Archive Archive
	Key     func(ctx context.Context) (Key, error)
	// Stamp has an authority stamp a digest (RFC 3161) and returns the token. A failure does not prevent the checkpoint;
	// the checkpoint's row records the failure.
	Stamp func(ctx context.Context, digest []byte) (token []byte, err error)
	OrgID string
	Now   func() time.Time
	NewID func() string // unique, at most 36 characters
	Log   *slog.Logger
	// Most is how many rows one checkpoint covers at most, two at least; zero: MostRows.
	Most int64
}

// MostRows keeps a checkpoint and its rows small enough for one answer of a function, whatever is in them. The next
// checkpoint covers the rest at once.
const MostRows = 4096

// Sealer makes checkpoints. It is safe for concurrent use, by any number of processes: of two at once, one wins.
type Sealer struct{ SealerConfig }

// NewSealer returns a Sealer.
func NewSealer(cfg SealerConfig) *Sealer {
	if cfg.Most == 0 {
		cfg.Most = MostRows
	}
	cfg.Most = max(cfg.Most, 2) // one is the row that announced the last checkpoint
	return &Sealer{cfg}
}

// Report says what was made.
type Report struct {
	Made      int    `json:"made"`   // checkpoints
	Number    int64  `json:"number"` // of the last one there is
	Hash      string `json:"hash"`
	Rows      int64  `json:"rows"` // that those made cover
	Timestamp string `json:"timestamp,omitempty"`
	More      bool   `json:"more"` // not everything may be covered: run again
	// SetBack is the last checkpoint of the trail before it was set back to an earlier state; zero: it was not, or an
	// operator has looked since.
	SetBack int64 `json:"set_back,omitempty"`
}

// Run makes as many checkpoints as it takes to cover what has moved when it looks, none if nothing has. Later moves
// are left to the next run: a fleet that rotates all the time would otherwise keep a run busy for as long as it may
// take. The next run completes a run that ended anywhere, by an error or a crash. Such a run leaves, before the commit,
// only unreferenced objects; after it, a checkpoint that counts and is marked as not done.
//
// Errors: ErrArchive, ErrTaken, the errors of the key store, registry.ErrUnavailable, registry.ErrUnknown,
// registry.ErrConflict if the organisation's chain kept moving.
func (j *Sealer) Run(ctx context.Context, by audit.By) (Report, error) {
	var report Report
	found, covered := false, false
	for {
		last, err := j.last(ctx)
		if err != nil {
			return report, fmt.Errorf("make a checkpoint: %w", err)
		}
		if err := j.look(ctx, by, &last, &found); err != nil {
			return report, err
		}
		report.of(last)
		if covered {
			return report, nil
		}
		if report.More = j.late(ctx); report.More {
			return report, nil
		}
		leaves, err := j.pick(ctx)
		if err != nil {
			return report, fmt.Errorf("make a checkpoint: %w", err)
		}
		if len(leaves) == 0 {
			return report, nil
		}
		made, err := j.make(ctx, by, last.LastCheckpoint, leaves, unnamed)
		if err != nil {
			return report, fmt.Errorf("make checkpoint %d: %w", last.Number+1, err)
		}
		if made { // or another run was first, and what it left over is seen in the next round
			report.Made++
			report.Rows += rowsOf(leaves)
			covered = rowsOf(leaves) < j.Most
		}
	}
}

// look has an operator's run acknowledge that the trail was set back, unless this very run found it out.
func (j *Sealer) look(ctx context.Context, by audit.By, last *lastSeal, found *bool) error {
	if *found = *found || last.found; *found || last.SetBack == 0 || by.Actor == Actor {
		return nil
	}
	if err := j.acknowledge(ctx, by, last); err != nil {
		return fmt.Errorf("acknowledge that the trail was set back: %w", err)
	}
	return nil
}

func (r *Report) of(p lastSeal) {
	r.Number, r.Hash, r.Timestamp, r.SetBack = p.Number, p.Hash, p.Timestamp, p.SetBack
}

func rowsOf(leaves []audit.Leaf) (rows int64) {
	for _, l := range leaves {
		rows += l.Rows()
	}
	return rows
}

// reserve is what a checkpoint takes at most, and with it the time before the end at which none is begun.
const sealReserve = 10 * time.Second

func (j *Sealer) late(ctx context.Context) bool {
	end, ok := ctx.Deadline()
	return ok && end.Sub(j.Now()) < sealReserve
}

// present is the last checkpoint, with its work completed.
type lastSeal struct {
	registry.LastCheckpoint
	Number          int64
	Hash, Timestamp string
	found           bool // only now, that the trail was set back
}

// last reads the last checkpoint and does all that follows from it and was not done yet.
func (j *Sealer) last(ctx context.Context) (p lastSeal, err error) {
	for range readTries {
		if p, err = j.complete(ctx); !errors.Is(err, errOvertaken) {
			break
		}
	}
	if err == nil {
		err = p.name()
	}
	return p, err
}

// name fills in how a report names the checkpoint.
func (p *lastSeal) name() (err error) {
	if sealed := p.Sealed.Checkpoint; sealed.Number > 0 {
		p.Number, p.Timestamp = sealed.Number, sealed.Timestamp
		p.Hash, err = sealed.Hash()
	}
	return err
}

// errOvertaken reports that another run made a checkpoint since the last one was read.
var errOvertaken = fmt.Errorf("another run makes checkpoints at the same time: %w", registry.ErrConflict)

func (j *Sealer) complete(ctx context.Context) (p lastSeal, err error) {
	stored, err := j.Store.Checkpoint(ctx)
	if err != nil {
		return p, err
	}
	if stored != nil {
		p.LastCheckpoint = *stored
	}
	if p.Sealed.Checkpoint.Number > 0 && !p.Done {
		leaves, err := ReadLeaves(ctx, j.Archive, p.Sealed.Checkpoint)
		if err != nil {
			return p, err
		}
		if err := j.finish(ctx, &p.LastCheckpoint, leaves); err != nil {
			return p, err
		}
	}
	p.found, err = j.setBack(ctx, &p.LastCheckpoint)
	return p, err
}

// setBack compares with the archive. If the archive is ahead, the store was set back to an earlier state, or tampered
// with. The store then takes over the archive's last checkpoint, with a note about it, and the checkpoints go on
// after that one. A verifier finds the missing rows.
func (j *Sealer) setBack(ctx context.Context, last *registry.LastCheckpoint) (bool, error) {
	ahead, err := j.Archive.Last(ctx, sealedPrefix, SealedName(last.Sealed.Checkpoint.Number))
	if err != nil || ahead == "" {
		return false, err
	}
	if err := j.still(ctx, *last); err != nil {
		return false, err
	}
	archived, err := ReadSealed(ctx, j.Archive, numberOf(ahead))
	if err != nil {
		return false, err
	}
	j.Log.ErrorContext(ctx, "audit.checkpoint: the audit trail was set back", "archived", archived.Checkpoint.Number,
		"stored", last.Sealed.Checkpoint.Number)
	last.Sealed, last.Done, last.SetBack = archived, true, archived.Checkpoint.Number
	return true, j.note(ctx, last)
}

// still returns errOvertaken if another run made a checkpoint since last was read.
func (j *Sealer) still(ctx context.Context, last registry.LastCheckpoint) error {
	again, err := j.Store.Checkpoint(ctx)
	if err == nil && again != nil && again.Version != last.Version {
		return errOvertaken
	}
	return err
}

// acknowledge takes the note back: an operator asks for a checkpoint after the trail was found to be set back.
func (j *Sealer) acknowledge(ctx context.Context, by audit.By, p *lastSeal) error {
	j.Log.WarnContext(ctx, "audit.checkpoint: an operator has seen that the audit trail was set back", "archived",
		p.SetBack, "actor", by.Actor, "request_id", by.RequestID)
	p.SetBack = 0
	return j.note(ctx, &p.LastCheckpoint)
}

// note stores the last checkpoint with what is noted on it. Error: errOvertaken.
func (j *Sealer) note(ctx context.Context, c *registry.LastCheckpoint) error {
	err := registry.Settle(ctx, j.Store.Apply, registry.Change{ID: j.NewID(), Checkpoint: c})
	if errors.Is(err, registry.ErrConflict) {
		return errOvertaken // by a run that did the same, and perhaps went on
	}
	if err == nil {
		c.Version++
	}
	return err
}

// finish does what follows from a checkpoint. Each step may have been done before.
func (j *Sealer) finish(ctx context.Context, c *registry.LastCheckpoint, leaves []audit.Leaf) error {
	if err := putSealed(ctx, j.Archive, c.Sealed); err != nil {
		return err
	}
	if err := j.cover(ctx, leaves); err != nil {
		return err
	}
	done := *c
	done.Done = true
	err := j.note(ctx, &done)
	if err == nil {
		*c = done
	}
	return err
}

// coverers is how many chains are covered at once.
const coverers = 16

func (j *Sealer) cover(ctx context.Context, leaves []audit.Leaf) error {
	errs := make([]error, coverers)
	var wg sync.WaitGroup
	for n := range coverers {
		wg.Go(func() {
			for i := n; i < len(leaves) && errs[n] == nil; i += coverers {
				errs[n] = j.Store.Cover(ctx, leaves[i])
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

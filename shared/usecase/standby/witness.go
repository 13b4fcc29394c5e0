package standby

import (
	"context"
	"errors"
	"fmt"

	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/problem"
	"github.com/mastio-aws/mastio/shared/registry"
)

// ErrRestored reports a registry whose current Org CA has been superseded already, as its key says: the table was
// restored from a backup that is older than the last rotation. The job then deletes nothing, because its rows are out
// of date. The remedy is one more rotation of the Org CA.
var ErrRestored = problem.Internal("the registry was restored from before the last rotation: a superseded Org CA is " +
	"current again; run POST /pki/rotate-ca")

// witness notes each swap on the key that it superseded, outside of the registry, and compares the registry with these
// notes. It costs one call to KMS, and two more after a swap.
func (j *Job) witness(ctx context.Context) error {
	org, err := j.Store.Org(ctx)
	if err != nil || org.Pointer == nil {
		return err
	}
	current, ok := org.Generation(org.Pointer.Current)
	if !ok {
		return fmt.Errorf("generation %d: %w", org.Pointer.Current, orgca.ErrTransition)
	}
	noted, err := j.Notes.Noted(ctx, current.SigningKey())
	if err != nil {
		return fmt.Errorf("read the note on the current key: %w", err)
	}
	if noted > org.Pointer.Fence {
		j.Log.ErrorContext(ctx, "pki.rotate.restored", "generation", current.Number, "fence", org.Pointer.Fence,
			"superseded_under", noted)
		return ErrRestored
	}
	errs := []error{j.note(ctx, current, 0, noted)}
	for _, g := range org.Generations {
		if g.State == orgca.Superseded && g.Superseding == 0 {
			errs = append(errs, j.note(ctx, g, org.Pointer.Fence, 0))
		}
	}
	return errors.Join(errs...)
}

// note sets the note on a generation's key, and the record of the note, to a fence; zero removes the note after a
// rollback. The key comes first: a crash in between repeats the same note.
func (j *Job) note(ctx context.Context, g orgca.Generation, fence, noted int64) error {
	if noted != fence {
		var err error
		if fence, err = j.write(ctx, g, fence); err != nil {
			return err
		}
	}
	if g.Superseding == fence {
		return nil
	}
	g.Superseding = fence
	err := registry.Settle(ctx, j.Store.Apply, registry.Change{ID: j.NewID(), Generations: []orgca.Generation{g}})
	if errors.Is(err, registry.ErrConflict) { // it has just moved; the next run sees where to
		return nil
	}
	return err
}

// write notes a fence on a generation's key and returns the fence that the key carries. A key that waits for its
// deletion accepts no note. Such a key is of a generation that was retired after the backup that was restored, and its
// note is from then.
func (j *Job) write(ctx context.Context, g orgca.Generation, fence int64) (int64, error) {
	err := j.Notes.Note(ctx, g.SigningKey(), fence)
	if err == nil {
		return fence, nil
	}
	if noted, readErr := j.Notes.Noted(ctx, g.SigningKey()); readErr == nil && noted > 0 && fence > 0 {
		return noted, nil
	}
	return 0, fmt.Errorf("note on the key of generation %d: %w", g.Number, err)
}

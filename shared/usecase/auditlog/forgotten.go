package auditlog

import (
	"context"

	"github.com/mastio-aws/mastio/shared/registry"
)

// Forgotten reports whether the archive has checkpoints that the registry does not know: the registry was emptied, or
// set back to an earlier state, and no operator has looked since. It reads the registry before and after the archive,
// because a checkpoint is in the registry before it is in the archive.
//
// Errors: registry.ErrUnavailable, ErrArchive.
func Forgotten(
	ctx context.Context, stored func(context.Context) (*registry.LastCheckpoint, error), a Archive,
) (bool, error) {
	before, err := stored(ctx)
	if err != nil || before != nil && before.SetBack > 0 {
		return err == nil, err
	}
	last, err := LastSealed(ctx, a, number(before))
	if err != nil || last == number(before) {
		return false, err
	}
	after, err := stored(ctx)
	return number(after) < last, err
}

package ceremony

import (
	"context"

	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/problem"
	"github.com/mastio-aws/mastio/shared/registry"
)

// ErrLost reports a registry without an Org CA in an organisation that has had one.
var ErrLost = problem.Internal("the registry has no Org CA, but the key store has keys of one that the registry does not know: the registry was emptied, or restored from before it; restore the tables from their last backup, or, to begin anew for good, schedule the deletion of these keys")

// Lost returns ErrLost if the key store holds, and is not about to delete, a key of this organisation without a row in the
// registry, which has no Org CA. A row is written before the first key of its generation and never deleted, so a crash at
// whatever call of the first ceremony leaves no such key. The keys are read first: what is made meanwhile has its row then.
func Lost(ctx context.Context, org func(context.Context) (registry.Org, error), left func(context.Context) ([]KeySpec, error)) error {
	keys, err := left(ctx)
	if err != nil {
		return err
	}
	present, err := org(ctx)
	if err != nil {
		return err
	}
	if present.Pointer == nil && unknown(present.Generations, keys) {
		return ErrLost
	}
	return nil
}

// unknown reports whether a key belongs to no generation.
func unknown(generations []orgca.Generation, keys []KeySpec) bool {
	type work struct {
		number     int64
		rotationID string
	}
	known := map[work]bool{}
	for _, g := range generations {
		known[work{g.Number, g.RotationID}] = true
	}
	for _, k := range keys {
		if !known[work{k.Generation, k.RotationID}] {
			return true
		}
	}
	return false
}

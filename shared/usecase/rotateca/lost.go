package rotateca

import (
	"context"

	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/problem"
	"github.com/mastio-aws/mastio/shared/registry"
)

// ErrLost reports a registry without an Org CA in an organisation that has had one.
var ErrLost = problem.Internal("the registry has no Org CA, but the key store has keys of one, or the archive has " +
	"checkpoints, that the registry does not know: the registry was emptied, or restored from before it; restore the " +
	"tables from their last backup, or, to begin anew for good, schedule the deletion of these keys and rotate the " +
	"Org CA by hand")

// Traces are what an organisation leaves outside of its registry.
type Traces struct {
	Org  func(ctx context.Context) (registry.Org, error)
	Keys func(ctx context.Context) ([]KeySpec, error) // of its Org CAs, that are not about to be deleted
	// Forgotten reports whether the archive has checkpoints that the registry does not know; nil: it is not asked.
	Forgotten func(ctx context.Context) (bool, error)
}

// Lost returns ErrLost if the registry has no Org CA and one of two traces is left: a key of this organisation
// without a row in the registry that does not wait for its deletion, or a checkpoint in the archive that the registry
// does not know. A row is written before the first key of its generation and never deleted, so a crash at any call of
// the first ceremony leaves no such key. The keys are read first: a key that is made meanwhile has its row by then.
func (t Traces) Lost(ctx context.Context) error {
	keys, err := t.Keys(ctx)
	if err != nil {
		return err
	}
	present, err := t.Org(ctx)
	if err != nil || present.Pointer != nil {
		return err
	}
	if unknown(present.Generations, keys) {
		return ErrLost
	}
	if t.Forgotten == nil {
		return nil
	}
	forgotten, err := t.Forgotten(ctx)
	if err == nil && forgotten {
		return ErrLost
	}
	return err
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

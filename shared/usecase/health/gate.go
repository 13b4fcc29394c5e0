package health

import (
	"context"
	"sync/atomic"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/orgca"
)

// PointerStore is what a Gate needs of the registry.
type PointerStore interface {
	Pointer(ctx context.Context, id agent.ID) (*orgca.Pointer, error)
}

// Gate is asked before each request of a function. It is safe for concurrent use.
type Gate struct {
	Store PointerStore
	clean atomic.Bool
}

// Check returns orgca.ErrLegacy while the current Org CA is a legacy one, and a store's error while that is not known.
//
// Once the Org CA was seen to be in order, the registry is not asked again: under strict PKI the function rotateca
// makes no legacy CA current, so it costs a function instance one read in its life. An organisation without an Org CA
// passes: the function has its own answer for that.
func (g *Gate) Check(ctx context.Context) error {
	if g.clean.Load() {
		return nil
	}
	p, err := g.Store.Pointer(ctx, "")
	if err != nil || p == nil {
		return err
	}
	if p.Legacy {
		return orgca.ErrLegacy
	}
	g.clean.Store(true)
	return nil
}

package health

import (
	"context"
	"sync/atomic"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/orgca"
)

// PointerStore is what a StrictCheck needs of the registry.
type PointerStore interface {
	Pointer(ctx context.Context, id agent.ID) (*orgca.Pointer, error)
}

// StrictCheck is asked before each request of a function. It is safe for concurrent use.
type StrictCheck struct {
	Store PointerStore
	clean atomic.Bool
}

// Check returns orgca.ErrLegacy while the current Org CA is a legacy one, and a store's error while that is not known.
//
// Once the Org CA has passed, the registry is not read again: under strict PKI the function rotateca makes no legacy
// CA current. So the check costs a function instance one read in its life. An organisation without an Org CA passes:
// the function has its own answer for that.
func (c *StrictCheck) Check(ctx context.Context) error {
	if c.clean.Load() {
		return nil
	}
	p, err := c.Store.Pointer(ctx, "")
	if err != nil || p == nil {
		return err
	}
	if p.Legacy {
		return orgca.ErrLegacy
	}
	c.clean.Store(true)
	return nil
}

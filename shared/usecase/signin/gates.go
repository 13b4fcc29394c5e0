package signin

import (
	"context"
	"errors"
	"time"

	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/session"
)

// GateStore keeps gates. PutGate writes one iff it has not changed since it was read: registry.ErrConflict.
type GateStore interface {
	Gates(ctx context.Context, keys ...string) ([]session.Gate, error)
	PutGate(ctx context.Context, g session.Gate, forget time.Time) error
}

// Gates count wrong secrets, of the dashboard and of the API together: an address that is locked at one of them is
// locked at the other. They are safe for concurrent use; all state is in the store.
type Gates struct {
	Store GateStore
	Now   func() time.Time
}

// everyone is the gate of all addresses together.
const everyone = "everyone"

// source is the gate of an address, or of its network.
func source(address string) string { return "source " + session.Source(address) }

// Wrong counts a wrong secret that an address has shown. Errors: session.ErrLocked while the address is locked.
func (g *Gates) Wrong(ctx context.Context, address string) error {
	_, err := g.try(ctx, source(address), session.PerSource)
	return err
}

// Locked returns session.ErrLocked while an address is locked, and counts nothing.
func (g *Gates) Locked(ctx context.Context, address string) error {
	gates, err := g.Store.Gates(ctx, source(address))
	if err != nil {
		return err
	}
	_, err = gates[0].Try(session.PerSource, g.Now())
	return err
}

// limitedGate is a gate with its limit.
type limitedGate struct {
	session.Gate
	limit session.Limit
}

// tries is how often a gate that another attempt has moved is read again. With more concurrent attempts than that,
// this attempt may as well wait.
const tries = 3

// try counts an attempt under a key.
func (g *Gates) try(ctx context.Context, key string, l session.Limit) (limitedGate, error) {
	for range tries {
		counted, err := g.tryOnce(ctx, key, l)
		if !errors.Is(err, registry.ErrConflict) {
			return counted, err
		}
	}
	return limitedGate{}, session.Locked(time.Second)
}

func (g *Gates) tryOnce(ctx context.Context, key string, l session.Limit) (limitedGate, error) {
	gates, err := g.Store.Gates(ctx, key)
	if err != nil {
		return limitedGate{}, err
	}
	next, err := gates[0].Try(l, g.Now())
	if err != nil {
		return limitedGate{}, err
	}
	if err := g.Store.PutGate(ctx, next, next.Expires(l)); err != nil {
		return limitedGate{}, err
	}
	next.Version++
	return limitedGate{next, l}, nil
}

package token

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/usecase/authn"
)

const useTries = 3

// use commits what the first use of a certificate ends: in the steady state nothing, and no call. It comes after every
// check and before the token, so that once the token is out the certificate before it is dead. A crash after it leaves
// an agent that has shown, in this very request, that it holds the new key.
//
// An unconfirmed commit is no reason to refuse: the certificate counted when it was read, and the next use commits.
// After a conflict, use reads again: the certificate may have been rotated away.
//
// It returns the handle that the token has: that of the record which the token's scope was decided by.
func (i *Issuer) use(ctx context.Context, view registry.View, pin agent.Pin, now time.Time) (agent.Handle, error) {
	handle := view.Agent.Handle
	for range useTries {
		used, changed := view.Agent.Use(pin, view.Pointer, now)
		if !changed {
			return cmp.Or(handle, view.Agent.Handle), nil
		}
		row, head, err := view.Agent.Head.Append(view.Agent.Activation(used, pin, now))
		if err != nil {
			return handle, err
		}
		used.Head = head
		err = registry.Settle(ctx, i.Store.Apply, registry.Change{
			ID:    i.NewID(),
			Agent: &used,
			Was:   view.Agent,
			Rows:  []audit.Row{row},
		}.Ends(*view.Agent, now))
		if !errors.Is(err, registry.ErrConflict) {
			return cmp.Or(handle, used.Handle), nil //nolint:nilerr // unconfirmed: see above
		}
		if view, err = i.Store.View(ctx, view.Agent.ID); err != nil {
			return handle, err
		}
		if view.Agent == nil || view.Pointer == nil {
			return handle, authn.ErrUnknownAgent
		}
		if pin, err = view.Agent.Authenticate(pin.Thumbprint, view.Pointer, now); err != nil {
			return handle, err
		}
	}
	return handle, nil
}

// learn commits what an SVID's path has shown, once for each new intermediate. It only helps later requests: after a
// failure or a conflict, the next request learns the intermediate.
func (i *Issuer) learn(ctx context.Context, view registry.View, shown authn.Credential, pin agent.Pin, now time.Time) {
	if learned, changed := authn.Learn(*view.Agent, *view.Pointer, shown, pin, now); changed {
		_ = i.Store.Apply(ctx, registry.Change{ID: i.NewID(), Agent: &learned, Was: view.Agent}) // ends nothing
	}
}

package memstore

import (
	"context"
	"time"

	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/registry"
)

// Acquire takes the lease. It panics on a lease without a holder or that has ended before it began.
func (s *Store) Acquire(ctx context.Context, want orgca.Lease, now time.Time) (got orgca.Lease, err error) {
	if want.Holder == "" || !now.Before(want.Expires) {
		panic("memstore: lease without a holder, or already expired")
	}
	err = s.write(ctx, "Acquire", "acquire the lease", func() error {
		present := s.lease
		switch {
		case !present.Held(now):
			s.lease = cloneLease(want)
			s.lease.Fence = present.Fence + 1
		case present.Holder != want.Holder:
			return orgca.LeaseHeld(present, now)
		}
		got = s.lease
		return nil
	})
	if err != nil {
		return orgca.Lease{}, err
	}
	return got, nil
}

// Extend sets phase and expiry of the lease.
func (s *Store) Extend(ctx context.Context, l orgca.Lease) error {
	return s.write(ctx, "Extend", "extend the lease", func() error {
		if !s.holds(l) {
			return orgca.ErrLeaseLost
		}
		s.lease.Phase, s.lease.Expires = l.Phase, stamp(l.Expires)
		return nil
	})
}

// Release frees the lease.
func (s *Store) Release(ctx context.Context, l orgca.Lease) error {
	return s.write(ctx, "Release", "release the lease", func() error {
		if !s.holds(l) {
			return registry.ErrConflict
		}
		s.free()
		return nil
	})
}

// holds reports whether the lease is still in the hands it was given into, be it past its time.
func (s *Store) holds(l orgca.Lease) bool {
	return l.Holder != "" && s.lease.Holder == l.Holder && s.lease.Fence == l.Fence
}

func (s *Store) free() { s.lease = orgca.Lease{Fence: s.lease.Fence} }

type proof struct{ jkt, jti string }

// UseProof notes that a proof was used.
func (s *Store) UseProof(ctx context.Context, jkt, jti string, until, now time.Time) error {
	key := proof{jkt, jti}
	return s.write(ctx, "UseProof", "use a proof", func() error {
		if !now.Before(until) || now.Before(s.proofs[key]) {
			return registry.ErrReplayed
		}
		s.proofs[key] = until
		return nil
	})
}

// PutTokenKey stores the key of an epoch that has none.
func (s *Store) PutTokenKey(ctx context.Context, k registry.TokenKey) error {
	k = cloneTokenKey(k)
	return s.write(ctx, "PutTokenKey", "store a token key", func() error {
		if _, taken := s.tokenKeys[k.Epoch]; taken {
			return registry.ErrConflict
		}
		s.tokenKeys[k.Epoch] = k
		return nil
	})
}

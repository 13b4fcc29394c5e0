package token

import (
	"context"
	"crypto/ecdsa"
	"sync"
	"time"

	"github.com/mastio-aws/mastio/shared/verifier/accesstoken"
)

// verificationKeys keeps the public keys of tokens. It is safe for concurrent use.
type verificationKeys struct {
	mu    sync.Mutex
	epoch int64
	keys  []accesstoken.PublicKey
}

// lookup returns the public keys, read once an epoch: those of an epoch are all there before it begins.
func (v *verificationKeys) lookup(
	ctx context.Context, source ResourceKeys, now time.Time,
) (func(kid string) *ecdsa.PublicKey, error) {
	epoch := accesstoken.Epoch(now)
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.keys != nil && v.epoch == epoch {
		return accesstoken.Lookup(v.keys), nil
	}
	if _, err := source.Signing(ctx, now); err != nil { // makes the epoch's key where it is the first call ever
		return nil, err
	}
	keys, err := source.Published(ctx, now)
	if err != nil {
		return nil, err
	}
	v.epoch, v.keys = epoch, keys
	return accesstoken.Lookup(keys), nil
}

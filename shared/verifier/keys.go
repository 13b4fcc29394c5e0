package verifier

import (
	"context"
	"crypto/ecdsa"
	"sync"
	"time"

	"github.com/mastio-aws/mastio/shared/jose"
	"github.com/mastio-aws/mastio/shared/verifier/accesstoken"
)

const (
	keysEvery = 5 * time.Minute
	keysSize  = jose.MaxSize
	// keysLife is for how long keys count that could not be fetched again.
	keysLife = time.Hour
)

// ring holds the Mastio's public keys.
type ring struct {
	mu   sync.RWMutex
	keys map[string]*ecdsa.PublicKey
	at   time.Time // of the request that fetched them
}

func (r *ring) set(keys []accesstoken.PublicKey, at time.Time) {
	byID := make(map[string]*ecdsa.PublicKey, len(keys))
	for _, k := range keys {
		byID[k.ID] = k.Key
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keys, r.at = byID, at // all of them: a key that is no longer published is not the Mastio's any more
}

func (r *ring) find(kid string) *ecdsa.PublicKey {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.keys[kid]
}

func (r *ring) fresh(now time.Time) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.keys != nil && now.Sub(r.at) <= keysLife
}

// key returns the key of a kid, nil if there is none. One that is not known is looked up in keys that are fetched anew.
func (v *Verifier) key(ctx context.Context, kid string) *ecdsa.PublicKey {
	if k := v.ring.find(kid); k != nil {
		return k
	}
	if !v.keyFeed.again(ctx) {
		return nil
	}
	return v.ring.find(kid)
}

func (v *Verifier) takeKeys(_ context.Context, body []byte, began time.Time) error {
	keys, err := accesstoken.ReadJWKS(body)
	if err == nil {
		v.ring.set(keys, began)
		v.opened.forget() // what a key signed that is no longer published must not be accepted
	}
	return err
}

func (v *Verifier) takeStatus(ctx context.Context, body []byte, began time.Time) error {
	return v.status.Learn(string(body), func(kid string) *ecdsa.PublicKey { return v.key(ctx, kid) }, v.cfg.Issuer, began,
		v.cfg.Now())
}

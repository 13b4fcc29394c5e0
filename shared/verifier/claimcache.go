package verifier

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"sync"

	"github.com/mastio-aws/mastio/shared/verifier/accesstoken"
)

// maxOpened is how many tokens are kept open in each half: some 16 MB at most.
const maxOpened = 1 << 13

// claimCache keeps the claims of tokens whose signatures were verified: an agent shows its token many times, and the
// verification of a signature is most of the work. Dates, binding, proof and status are judged every time. It is safe
// for concurrent use.
type claimCache struct {
	mu         sync.Mutex
	young, old map[[sha256.Size]byte]accesstoken.Claims
	times      int // it was forgotten
}

// open returns the claims of a token, as accesstoken.Open does.
func (o *claimCache) open(token string, keys func(kid string) *ecdsa.PublicKey) (accesstoken.Claims, error) {
	id := sha256.Sum256([]byte(token))
	c, times, ok := o.find(id)
	if ok {
		return c, nil
	}
	c, err := accesstoken.Open(token, keys)
	if err != nil {
		return c, err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.times == times { // else the key may be gone
		o.keep(id, c)
	}
	return c, nil
}

func (o *claimCache) find(id [sha256.Size]byte) (c accesstoken.Claims, times int, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if c, ok = o.young[id]; ok {
		return c, o.times, true
	}
	if c, ok = o.old[id]; ok {
		o.keep(id, c)
	}
	return c, o.times, ok
}

// keep makes the young half the old one when it is full.
func (o *claimCache) keep(id [sha256.Size]byte, c accesstoken.Claims) {
	if o.young == nil || len(o.young) >= maxOpened {
		o.old, o.young = o.young, map[[sha256.Size]byte]accesstoken.Claims{}
	}
	o.young[id] = c
}

// forget is called when the keys are others.
func (o *claimCache) forget() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.young, o.old = nil, nil
	o.times++
}

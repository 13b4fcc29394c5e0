package token

import "sync"

// onceKept is how many certificates a once remembers.
const onceKept = 5000

// once remembers which certificates an instance has dealt with, by thumbprint. When it is full, it begins anew. It is
// safe for concurrent use.
type once struct {
	mu   sync.Mutex
	done map[string]bool
}

// first reports whether the certificate was not dealt with yet. From then on it is.
func (o *once) first(thumbprint string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.done[thumbprint] {
		return false
	}
	if o.done == nil || len(o.done) >= onceKept {
		o.done = map[string]bool{}
	}
	o.done[thumbprint] = true
	return true
}

// forget has the certificate dealt with again, at its next use.
func (o *once) forget(thumbprint string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.done, thumbprint)
}

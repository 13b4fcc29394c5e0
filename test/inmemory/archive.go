package inmemory

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/usecase/auditlog"
)

// Archive keeps objects in memory. It is safe for concurrent use.
type Archive struct {
	// Fault, if set, is asked before each call and, with after set, once it was carried out.
	Fault func(op string, after bool) error

	mu      sync.Mutex
	objects map[string][]byte
}

func (a *Archive) fault(op string, after bool) error {
	if a.Fault == nil {
		return nil
	}
	return a.Fault(op, after)
}

// Put creates an object.
func (a *Archive) Put(_ context.Context, name string, data []byte) error {
	if err := a.fault("Put", false); err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if old, ok := a.objects[name]; ok && !bytes.Equal(old, data) {
		return auditlog.ErrTaken
	}
	if a.objects == nil {
		a.objects = map[string][]byte{}
	}
	a.objects[name] = bytes.Clone(data)
	return a.fault("Put", true)
}

// Get reads an object.
func (a *Archive) Get(_ context.Context, name string) ([]byte, error) {
	if err := a.fault("Get", false); err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return bytes.Clone(a.objects[name]), nil
}

// Last finds the last name after another.
func (a *Archive) Last(_ context.Context, prefix, after string) (last string, err error) {
	if err := a.fault("Last", false); err != nil {
		return "", err
	}
	for _, name := range a.Names() {
		if strings.HasPrefix(name, prefix) && name > after {
			last = name
		}
	}
	return last, nil
}

// Names are those of all objects, in their order.
func (a *Archive) Names() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Sorted(maps.Keys(a.objects))
}

// NewSealKey makes a signing key.
func NewSealKey() auditlog.Key {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err) // there is no randomness
	}
	public, err := audit.NewKey(&private.PublicKey)
	if err != nil {
		panic(err) // the curve is right
	}
	return auditlog.Key{Key: public, Signer: private}
}

package inmemory

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"

	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
)

// KeyState of a key.
type KeyState string

// The states.
const (
	Enabled         KeyState = "enabled"
	Disabled        KeyState = "disabled"
	PendingDeletion KeyState = "pending deletion"
)

// Key is one key in the store.
type Key struct {
	ID    string
	Spec  rotateca.KeySpec
	State KeyState
	Note  int64
}

type storedKey struct {
	Key
	private crypto.Signer
}

// Keys is a key store in memory. It is safe for concurrent use. Fault, if set, is asked before every call and after
// it: an error before means that nothing happened, one after that the answer was lost.
type Keys struct {
	Fault func(op string, after bool) error

	mu    sync.Mutex
	keys  map[string]*storedKey
	calls map[string]int
}

// NewKeys returns an empty store.
func NewKeys() *Keys { return &Keys{keys: map[string]*storedKey{}, calls: map[string]int{}} }

// do runs one operation under the lock, between the two faults.
func (k *Keys) do(op string, f func() error) error {
	if err := k.fault(op, false); err != nil {
		return err
	}
	k.mu.Lock()
	k.calls[op]++
	err := f()
	k.mu.Unlock()
	if err != nil {
		return fmt.Errorf("%s: %w: %w", op, rotateca.ErrKeys, err)
	}
	return k.fault(op, true)
}

func (k *Keys) fault(op string, after bool) error {
	if k.Fault == nil {
		return nil
	}
	return k.Fault(op, after)
}

// Calls returns how often each operation was carried out.
func (k *Keys) Calls() map[string]int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return maps.Clone(k.calls)
}

// All returns a copy of every key.
func (k *Keys) All() []Key {
	k.mu.Lock()
	defer k.mu.Unlock()
	var all []Key
	for _, id := range slices.Sorted(maps.Keys(k.keys)) {
		all = append(all, k.keys[id].Key)
	}
	return all
}

// Create makes a key.
func (k *Keys) Create(_ context.Context, spec rotateca.KeySpec) (id string, pub crypto.PublicKey, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", nil, err
	}
	err = k.do("Create", func() error {
		id = fmt.Sprintf("key-%04d", len(k.keys)+1)
		k.keys[id] = &storedKey{Key{ID: id, Spec: spec, State: Enabled}, private}
		return nil
	})
	return id, private.Public(), err
}

// Import takes a key in. The key is copied: its owner overwrites it.
func (k *Keys) Import(
	_ context.Context, spec rotateca.KeySpec, key crypto.Signer,
) (id string, pub crypto.PublicKey, err error) {
	private, err := clone(key)
	if err != nil {
		return "", nil, fmt.Errorf("import a key: %w: %w", rotateca.ErrKeys, err)
	}
	err = k.do("Import", func() error {
		id = fmt.Sprintf("key-%04d", len(k.keys)+1)
		k.keys[id] = &storedKey{Key{ID: id, Spec: spec, State: Enabled}, private}
		return nil
	})
	if err != nil && id != "" { // the answer was lost: what is left is on its way out
		k.mu.Lock()
		k.keys[id].State = PendingDeletion
		k.mu.Unlock()
		return "", nil, err
	}
	return id, private.Public(), err
}

func clone(key crypto.Signer) (crypto.Signer, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, err
	}
	switch k := parsed.(type) {
	case *ecdsa.PrivateKey:
		if k.Curve == elliptic.P256() || k.Curve == elliptic.P384() {
			return k, nil
		}
	case *rsa.PrivateKey:
		if slices.Contains([]int{2048, 3072, 4096}, k.N.BitLen()) {
			return k, nil
		}
	}
	return nil, errKind
}

var (
	errKind     = errors.New("no key of this kind or size is taken in")
	errNotFound = errors.New("no such key")
	errState    = errors.New("key is not in a state for this")
)

func (k *Keys) set(op, id string, to KeyState) error {
	return k.do(op, func() error {
		key := k.keys[id]
		if key == nil {
			return errNotFound
		}
		if key.State != PendingDeletion {
			key.State = to
		}
		return nil
	})
}

// Disable makes a key refuse to sign.
func (k *Keys) Disable(_ context.Context, id string) error { return k.set("Disable", id, Disabled) }

// ScheduleDeletion makes a key refuse to sign for good.
func (k *Keys) ScheduleDeletion(_ context.Context, id string) error {
	return k.set("ScheduleDeletion", id, PendingDeletion)
}

// Tagged finds the keys of a rotation.
func (k *Keys) Tagged(_ context.Context, rotationID string) (ids []string, err error) {
	err = k.do("Tagged", func() error {
		for id, key := range k.keys {
			if key.Spec.RotationID == rotationID {
				ids = append(ids, id)
			}
		}
		return nil
	})
	slices.Sort(ids)
	return ids, err
}

// Left finds the keys that are not on their way out.
func (k *Keys) Left(context.Context) (specs []rotateca.KeySpec, err error) {
	err = k.do("Left", func() error {
		for _, key := range k.keys {
			if key.State != PendingDeletion {
				specs = append(specs, key.Spec)
			}
		}
		return nil
	})
	return specs, err
}

// Private returns a key in whatever state it is: the operator who uploaded it has it too.
func (k *Keys) Private(id string) crypto.Signer {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.keys[id].private
}

// Signer returns a key as a signer.
func (k *Keys) Signer(_ context.Context, id string, pub crypto.PublicKey) crypto.Signer {
	return &signer{k, id, pub}
}

type signer struct {
	keys *Keys
	id   string
	pub  crypto.PublicKey
}

// Public returns the public half.
func (s *signer) Public() crypto.PublicKey { return s.pub }

// Sign signs outside the lock, as KMS signs for many at once.
func (s *signer) Sign(r io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	var private crypto.Signer
	err := s.keys.do("Sign", func() error {
		key := s.keys.keys[s.id]
		if key == nil {
			return errNotFound
		}
		if key.State != Enabled {
			return errState
		}
		private = key.private
		return nil
	})
	if err != nil {
		return nil, err
	}
	return private.Sign(r, digest, opts)
}

// KeyPair makes a token key pair. The blob is not encrypted: it only remembers what it was made for.
func (k *Keys) KeyPair(_ context.Context, about map[string]string) (publicDER, wrapped []byte, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	if publicDER, err = x509.MarshalPKIXPublicKey(private.Public()); err != nil {
		return nil, nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, nil, err
	}
	return publicDER, append([]byte(spelled(about)), der...), k.do("KeyPair", func() error { return nil })
}

// Open returns the private half if about is what the pair was made with.
func (k *Keys) Open(_ context.Context, wrapped []byte, about map[string]string) (der []byte, err error) {
	err = k.do("Open", func() error {
		prefix := spelled(about)
		if len(wrapped) < len(prefix) || string(wrapped[:len(prefix)]) != prefix {
			return errState
		}
		der = slices.Clone(wrapped[len(prefix):])
		return nil
	})
	return der, err
}

func spelled(about map[string]string) string {
	text := ""
	for _, name := range slices.Sorted(maps.Keys(about)) {
		text += fmt.Sprintf("%q=%q;", name, about[name])
	}
	return text
}

// Note writes onto a key; not onto one that is scheduled for deletion.
func (k *Keys) Note(_ context.Context, id string, fence int64) error {
	return k.do("Note", func() error {
		key := k.keys[id]
		if key == nil || key.State == PendingDeletion {
			return errState
		}
		key.Note = fence
		return nil
	})
}

// Noted reads what Note wrote.
func (k *Keys) Noted(_ context.Context, id string) (fence int64, err error) {
	err = k.do("Noted", func() error {
		key := k.keys[id]
		if key == nil {
			return errNotFound
		}
		fence = key.Note
		return nil
	})
	return fence, err
}

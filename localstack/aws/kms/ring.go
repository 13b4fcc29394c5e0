package kms

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kms/types"
)

// ring holds the keys and their aliases. A change is on disk before it is visible, and is visible whole.
//
// Two locks: writing is held through a change, disk included; mu only while a pointer is swapped. So a
// signature, which needs one look at the map, waits neither for a disk nor for another signature.
type ring struct {
	arns
	disk    disk
	nextDue atomic.Int64 // Unix nanoseconds at which sweep has work; see earliest

	writing sync.Mutex
	closed  bool // under writing

	mu      sync.RWMutex
	keys    map[string]*key
	aliases map[string]alias // by name; the map is replaced, never changed
}

// errClosed says that a change came after [Server.Close].
var errClosed = errors.New("server is closed")

func openRing(d disk, a arns) (*ring, error) {
	keys, err := d.loadKeys()
	if err != nil {
		return nil, err
	}
	aliases, err := d.loadAliases()
	if err != nil {
		return nil, err
	}
	for name, a := range aliases {
		if keys[a.KeyID] == nil { // a key that is removed loses its aliases first
			return nil, fmt.Errorf("the file of key %s is missing, which %s names", a.KeyID, name)
		}
	}
	r := &ring{arns: a, disk: d, keys: keys, aliases: aliases}
	r.nextDue.Store(earliest(keys))
	return r, nil
}

// earliest returns the first moment at which time alone changes a key, far in the future if there is none.
func earliest(keys map[string]*key) int64 {
	first := int64(1<<63 - 1)
	for _, k := range keys {
		if due := k.due(); !due.IsZero() {
			first = min(first, due.UnixNano())
		}
	}
	return first
}

// find returns the key that ref names, if rule accepts its state.
func (r *ring) find(ref *string, rule rule) (*key, error) {
	if ref == nil || *ref == "" {
		return nil, missing("keyId")
	}
	k, err := r.resolve(*ref, rule.aliases)
	if err != nil {
		return nil, err
	}
	if state := k.state(); !slices.Contains(rule.states, state) {
		return nil, rule.unfit(r.key(k.ID), state)
	}
	return k, nil
}

func (r *ring) resolve(ref string, aliases bool) (*key, error) {
	id, err := r.local(ref)
	if err != nil {
		return nil, err
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	if isAlias(id) && aliases {
		a, ok := r.aliases[id]
		if !ok {
			return nil, faultf(codeNotFound, "Alias %s is not found.", r.alias(id))
		}
		id = a.KeyID
	}
	if !uuidPattern.MatchString(id) {
		return nil, faultf(codeNotFound, "Invalid keyId '%s'", id)
	}
	k, ok := r.keys[id]
	if !ok {
		return nil, faultf(codeNotFound, "Key '%s' does not exist", r.arns.key(id))
	}
	return k, nil
}

// add publishes a new key.
func (r *ring) add(k *key) error {
	r.writing.Lock()
	defer r.writing.Unlock()
	return r.publish(k)
}

// change applies edit to a copy of the key that ref names and publishes the copy. An error from edit
// leaves everything as it was.
func (r *ring) change(ref *string, rule rule, edit func(*key) error) (*key, error) {
	r.writing.Lock()
	defer r.writing.Unlock()
	k, err := r.find(ref, rule)
	if err != nil {
		return nil, err
	}
	next := *k
	next.Tags = maps.Clone(k.Tags)
	if err := edit(&next); err != nil {
		return nil, err
	}
	return &next, r.publish(&next)
}

// publish stores k and makes it visible. The caller holds writing.
func (r *ring) publish(k *key) error {
	if r.closed {
		return errClosed
	}
	if err := r.disk.putKey(k); err != nil {
		return fmt.Errorf("store key %s: %w", k.ID, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keys[k.ID] = k
	if due := k.due(); !due.IsZero() && due.UnixNano() < r.nextDue.Load() {
		r.nextDue.Store(due.UnixNano())
	}
	return nil
}

// publishAliases stores and shows a new set of aliases. The caller holds writing.
func (r *ring) publishAliases(next map[string]alias) error {
	if r.closed {
		return errClosed
	}
	if err := r.disk.putAliases(next); err != nil {
		return fmt.Errorf("store aliases: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.aliases = next
	return nil
}

// sweep does what time alone does: it removes keys whose waiting period is over, with their aliases, and
// imported material that has expired. It is one comparison as long as nothing is due.
func (r *ring) sweep(now time.Time) error {
	if now.UnixNano() < r.nextDue.Load() {
		return nil
	}
	r.writing.Lock()
	defer r.writing.Unlock()
	for _, k := range r.snapshot() {
		if err := r.age(k, now); err != nil {
			return err
		}
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	r.nextDue.Store(earliest(r.keys))
	return nil
}

func (r *ring) age(k *key, now time.Time) error {
	switch {
	case !k.DeletionDate.IsZero() && !now.Before(k.DeletionDate):
		return r.remove(k)
	case !k.ValidTo.IsZero() && !now.Before(k.ValidTo):
		next := *k
		next.dropMaterial()
		return r.publish(&next)
	}
	return nil
}

// remove forgets a key for good: its aliases first, so that a crash in between leaves none that dangles.
func (r *ring) remove(k *key) error {
	next := maps.Clone(r.aliasSnapshot())
	maps.DeleteFunc(next, func(_ string, a alias) bool { return a.KeyID == k.ID })
	if err := r.publishAliases(next); err != nil {
		return err
	}
	if err := r.disk.dropKey(k.ID); err != nil {
		return fmt.Errorf("remove key %s: %w", k.ID, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.keys, k.ID)
	return nil
}

// snapshot returns the keys of this moment, by id.
func (r *ring) snapshot() []*key {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return slices.SortedFunc(maps.Values(r.keys), func(a, b *key) int { return strings.Compare(a.ID, b.ID) })
}

func (r *ring) aliasSnapshot() map[string]alias {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.aliases
}

// close refuses every later change; it returns once none is under way.
func (r *ring) close() {
	r.writing.Lock()
	defer r.writing.Unlock()
	r.closed = true
}

// external refuses a key whose material KMS made itself.
func (r *ring) external(k *key) error {
	if k.Origin != types.OriginTypeExternal {
		return faultf(codeUnsupported, "%s origin is %s which is not valid for this operation.", r.key(k.ID), k.Origin)
	}
	return nil
}

package agent

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"github.com/mastio-aws/mastio/shared/problem"
)

// Errors of a key that an agent brings.
var (
	ErrKeyUsed = problem.New(400, "key_not_fresh", "the key has been certified for this agent before, or was declared "+
		"compromised; make a new one").
		Says("This key has been certified for the agent before, or was declared compromised. Make a new key " +
			"and send a request for that one.")
	ErrProofKeyUsed = problem.New(400, "key_not_fresh", "the DPoP key was declared compromised, or is the one to be "+
		"replaced; make a new one").
		Says("This DPoP key was declared compromised, or is the one that is replaced. Make a new key and " +
			"send its dpop_jwk.")
)

// KeyID is the first octets of the SHA-256 that names a key: of a certified key, its SubjectPublicKeyInfo; of a DPoP
// key, its thumbprint of RFC 7638. The agent's record, which every token request reads, holds several. A match only
// ever refuses. By chance a new key matches once in 2^64; of two keys that were made to match, which takes 2^32 tries,
// the second one is refused.
type KeyID [8]byte

// StagedID is the first half of a SHA-256: it lets a certificate in, so it is longer than a KeyID, which only refuses.
type StagedID [16]byte

// Keys are the keys that were ever certified for an agent, as far back as they are kept, and its renewals under way.
// The newest ones may be in the agent's record alone (Past.Recent): what asks about a key asks with both. They are a
// separate record, so that a token request does not read them. Version is the version of this record, as read; zero:
// not stored yet.
type Keys struct {
	Agent       ID
	Compromised []KeyID // certified keys and DPoP keys; kept for good
	Earlier     []KeyID // newest first, the present ones among them; MaxEarlier at most
	// Renewed is the thumbprint of a certificate. Renewals are the times at which it was renewed, newest first.
	Renewed  string
	Renewals []time.Time
	// certificates that hygiene has put into the agent's secret, each with the pin that it is to follow; newest first
	Staged  []StagedID
	Version int64
}

const maxStaged = 4

// MaxEarlier is how many keys are kept that were not declared compromised.
const MaxEarlier = 32

// keyID names a certified key by Pin.Key; ok is false where that is none.
func keyID(sum string) (id KeyID, ok bool) {
	octets, err := hex.DecodeString(sum)
	return id, err == nil && copy(id[:], octets) == len(id)
}

func proofKeyID(jkt string) (id KeyID, ok bool) {
	octets, err := base64.RawURLEncoding.DecodeString(jkt)
	return id, err == nil && copy(id[:], octets) == len(id)
}

// Fresh returns ErrKeyUsed if the key (in the form of Pin.Key) was certified for the agent a before, or declared
// compromised. The record a counts as well: its pins may be older than the record of keys.
func (k Keys) Fresh(a Agent, key string) error {
	id, ok := keyID(key)
	pinned := slices.ContainsFunc(a.Pins, func(p Pin) bool { return p.Key == key })
	if !ok || pinned || slices.Contains(a.Past.Recent, id) || slices.Contains(k.Earlier, id) ||
		slices.Contains(k.Compromised, id) {
		return ErrKeyUsed
	}
	return nil
}

// Sound returns ErrKeyUsed if the key (in the form of Pin.Key) was declared compromised: a re-enrolment under a new
// generation may reuse the present key, but never a compromised one.
func (k Keys) Sound(key string) error {
	if id, ok := keyID(key); !ok || slices.Contains(k.Compromised, id) {
		return ErrKeyUsed
	}
	return nil
}

// SoundProofKey returns ErrProofKeyUsed if the DPoP key with this thumbprint was declared compromised; none is sound.
func (k Keys) SoundProofKey(jkt string) error {
	if jkt == "" {
		return nil
	}
	if id, ok := proofKeyID(jkt); !ok || slices.Contains(k.Compromised, id) {
		return fmt.Errorf("%w", ErrProofKeyUsed)
	}
	return nil
}

// MaxRecent is how many certified keys an agent's record names before the record of keys does. A write of the keys
// costs as much as one of the record; so the keys are written with every twentieth certificate.
const MaxRecent = 19

// Certified returns the agent after a key (in the form of Pin.Key) was certified for it, and the keys to store with
// it: nil while the record itself has room to name the key.
func (k Keys) Certified(a Agent, key string) (Agent, *Keys) {
	if named, ok := a.Certified(key); ok && len(k.Staged) == 0 {
		return named, nil
	}
	return k.Store(a, key)
}

// Certified is Keys.Certified where the keys are not known; ok is false if the record has no room to name the key.
func (a Agent) Certified(key string) (named Agent, ok bool) {
	id, ok := keyID(key)
	switch {
	case !ok:
		return a, false
	case slices.Contains(a.Past.Recent, id): // certified twice, because the Org CA moved, or an answer was lost
		return a, true
	case len(a.Past.Recent) >= MaxRecent:
		return a, false
	}
	a.Past.Recent = append(slices.Clone(a.Past.Recent), id)
	return a, true
}

// Store is Certified where the keys are stored in any case.
func (k Keys) Store(a Agent, key string) (Agent, *Keys) {
	k = k.Remember(a).Certify(key)
	a.Past.Recent, k.Staged = nil, nil // a version staged for another pin is not delivered after this one
	a.Past.Stored = k.Version + 1
	return a, &k
}

// Covers reports whether these keys and the record a together name all that were certified. Keys that were read before
// the record, or at the same time, may be older than the record takes for granted: read them again.
func (k Keys) Covers(a Agent) bool { return k.Version >= a.Past.Stored }

// Certify returns the keys after these (as Pin.Key has them, newest last) were certified. The oldest make room.
func (k Keys) Certify(keys ...string) Keys {
	for _, key := range keys {
		if id, ok := keyID(key); ok {
			k = k.with(id)
		}
	}
	return k
}

func (k Keys) with(id KeyID) Keys {
	if slices.Contains(k.Compromised, id) || slices.Contains(k.Earlier, id) {
		return k
	}
	k.Earlier = slices.Insert(slices.Clone(k.Earlier), 0, id)
	k.Earlier = k.Earlier[:min(len(k.Earlier), MaxEarlier)]
	return k
}

// Stage returns the keys with the note that a certificate (by its thumbprint) is put into the agent's secret, to follow
// the pin before.
func (k Keys) Stage(before Pin, thumbprint string) Keys {
	k.Staged = append([]StagedID{following(before, thumbprint)}, k.Staged[:min(len(k.Staged), maxStaged-1)]...)
	return k
}

// HasStaged reports whether there is a note of the certificate that is to follow the pin before. The next pin, whatever
// it is, makes all notes void, because it is another pin: the record of keys need not be written with it.
func (k Keys) HasStaged(before Pin, thumbprint string) bool {
	return slices.Contains(k.Staged, following(before, thumbprint))
}

// following names a certificate together with the pin that it is to follow.
func following(before Pin, thumbprint string) (id StagedID) {
	sum := sha256.Sum256(fmt.Appendf(nil, "mastio-staged:v1|%s|%s", before.Thumbprint, thumbprint))
	copy(id[:], sum[:])
	return id
}

// Remember returns the keys with those that the agent's record names, which may be older than the record of keys.
func (k Keys) Remember(a Agent) Keys {
	for _, id := range a.Past.Recent {
		k = k.with(id)
	}
	for _, p := range slices.Backward(a.Pins) {
		k = k.Certify(p.Key)
	}
	return k
}

// compromised returns the keys with those of the agent refused: see Compromise.
func (k Keys) compromised(a Agent) Keys {
	k = k.Remember(a)
	var lost []KeyID
	add := func(id KeyID, ok bool) {
		if ok {
			lost = append(lost, id)
		}
	}
	add(proofKeyID(a.JKT))
	for _, p := range a.Pins {
		add(keyID(p.Key))
		add(proofKeyID(p.JKT))
	}
	if a.Status != Active {
		lost = append(lost, k.Earlier...)
	}
	k.Compromised = slices.Clone(k.Compromised)
	for _, id := range lost {
		if !slices.Contains(k.Compromised, id) {
			k.Compromised = append(k.Compromised, id)
		}
	}
	k.Earlier = slices.DeleteFunc(slices.Clone(k.Earlier), func(id KeyID) bool { return slices.Contains(lost, id) })
	return k
}

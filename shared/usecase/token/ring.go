package token

import (
	"context"
	"crypto/ecdsa"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/mastio-aws/mastio/shared/assertion"
	"github.com/mastio-aws/mastio/shared/jose"
	"github.com/mastio-aws/mastio/shared/problem"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/verifier/accesstoken"
	"github.com/mastio-aws/mastio/shared/verifier/dpop"
)

// ErrKey reports a stored token key that cannot be used.
var ErrKey = problem.Internal("token signing key is unusable")

// KeyStore is what the keyring needs of the registry.
type KeyStore interface {
	TokenKey(ctx context.Context, epoch int64) (*registry.TokenKey, error)
	TokenKeys(ctx context.Context, epochs ...int64) ([]registry.TokenKey, error)
	PutTokenKey(ctx context.Context, k registry.TokenKey) error
}

// Vault makes key pairs whose private half only it can open. about is authenticated with the ciphertext: a blob opens
// only with the same words.
type Vault interface {
	KeyPair(ctx context.Context, about map[string]string) (publicDER, wrapped []byte, err error)
	Open(ctx context.Context, wrapped []byte, about map[string]string) ([]byte, error)
}

// RingConfig is what a Ring is made of; all fields are required.
type RingConfig struct {
	Store KeyStore
	Vault Vault
	OrgID string
}

// Ring is one instance's view of the token keys. It is safe for concurrent use.
type Ring struct {
	RingConfig
	mu    sync.Mutex
	epoch int64
	key   *Key

	beforeEpoch int64
	before      *Key
}

// Key is the key that an instance signs with during one epoch. All instances derive the same values from it, without
// another secret.
type Key struct {
	accesstoken.Key
	Nonces     *dpop.Nonces
	Challenges *assertion.Challenges
	// the epoch's key itself, wherever access tokens are signed: an own assertion costs no KMS call
	Assertions accesstoken.Key
	// Published is until when the JWKS has the key: no token outlives it. A key that an earlier release has stored leaves
	// the JWKS earlier than a token of today's longest life.
	Published time.Time
}

// Assertion returns the public key of the Mastio's own assertions if this is the id of it, else nil.
func (k *Key) Assertion(id string) *ecdsa.PublicKey {
	pub, ok := k.Assertions.Signer.Public().(*ecdsa.PublicKey)
	if !ok || id != k.Assertions.ID {
		return nil
	}
	return pub
}

// Handover is for how long after the beginning of an epoch what was handed out under the key of the one before still
// counts: challenges, assertions, and the nonces that go with them.
const Handover = assertion.ChallengeTTL

// NewRing returns an empty Ring.
func NewRing(cfg RingConfig) *Ring { return &Ring{RingConfig: cfg} }

// Signing returns the key of the epoch that now is in. Only an epoch's first call reads the store and calls KMS; if
// the key was not made ahead of time, that call makes it.
func (r *Ring) Signing(ctx context.Context, now time.Time) (*Key, error) {
	epoch := accesstoken.Epoch(now)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.key != nil && r.epoch == epoch {
		return r.key, nil
	}
	stored, err := r.ensure(ctx, epoch)
	if err != nil {
		return nil, err
	}
	key, err := r.open(ctx, stored)
	if err != nil {
		return nil, fmt.Errorf("open the key of epoch %d: %w", epoch, err)
	}
	if r.key != nil && r.epoch == epoch-1 {
		r.beforeEpoch, r.before = r.epoch, r.key
	}
	r.epoch, r.key = epoch, key
	return key, nil
}

// Before returns the key of the epoch before, during Handover, and nil afterwards or if there is none: a login that
// began before midnight ends after it. It costs a read and a KMS call once an epoch, and only where something is shown
// that the epoch's own key does not know.
func (r *Ring) Before(ctx context.Context, now time.Time) (*Key, error) {
	epoch := accesstoken.Epoch(now)
	if from, _ := accesstoken.SignWindow(epoch); !now.Before(from.Add(Handover)) {
		return nil, nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.before != nil && r.beforeEpoch == epoch-1 {
		return r.before, nil
	}
	if r.key != nil && r.epoch == epoch-1 {
		return r.key, nil
	}
	stored, err := r.Store.TokenKey(ctx, epoch-1)
	if err != nil || stored == nil {
		return nil, err
	}
	key, err := r.open(ctx, *stored)
	if err != nil {
		return nil, fmt.Errorf("open the key of epoch %d: %w", epoch-1, err)
	}
	r.beforeEpoch, r.before = epoch-1, key
	return key, nil
}

// Ensure makes the keys of the present epoch and of the next, where they are missing, so that verifiers find a key in
// the JWKS a whole epoch before it signs.
func (r *Ring) Ensure(ctx context.Context, now time.Time) error {
	epoch := accesstoken.Epoch(now)
	for _, e := range []int64{epoch, epoch + 1} {
		if _, err := r.ensure(ctx, e); err != nil {
			return err
		}
	}
	return nil
}

// Usable reports whether the key of the epoch that now is in is there and opens. It makes none.
func (r *Ring) Usable(ctx context.Context, now time.Time) error {
	epoch := accesstoken.Epoch(now)
	stored, err := r.Store.TokenKey(ctx, epoch)
	if err != nil {
		return err
	}
	if stored == nil {
		return fmt.Errorf("%w: epoch %d has none yet", ErrKey, epoch)
	}
	_, err = r.open(ctx, *stored)
	return err
}

// Published returns the public keys that a verifier may need at now: the present epoch's, the next one's, and the last
// one's while a token of it can still be valid.
func (r *Ring) Published(ctx context.Context, now time.Time) ([]accesstoken.PublicKey, error) {
	epoch := accesstoken.Epoch(now)
	stored, err := r.Store.TokenKeys(ctx, epoch-1, epoch, epoch+1)
	if err != nil {
		return nil, err
	}
	var keys []accesstoken.PublicKey
	for _, k := range stored {
		if !now.Before(k.Expires) {
			continue
		}
		pub, err := public(k)
		if err != nil {
			return nil, err
		}
		keys = append(keys, accesstoken.PublicKey{ID: k.ID, Key: pub})
	}
	return keys, nil
}

// ensure returns the epoch's key, making it if it is the first to ask. Of two makers one wins; both return its key.
func (r *Ring) ensure(ctx context.Context, epoch int64) (registry.TokenKey, error) {
	stored, err := r.Store.TokenKey(ctx, epoch)
	if err != nil {
		return registry.TokenKey{}, err
	}
	if stored != nil {
		return *stored, nil
	}
	made, err := r.make(ctx, epoch)
	if err != nil {
		return registry.TokenKey{}, fmt.Errorf("make the key of epoch %d: %w", epoch, err)
	}
	putErr := r.Store.PutTokenKey(ctx, made)
	if putErr != nil && !errors.Is(putErr, registry.ErrConflict) && !errors.Is(putErr, registry.ErrUnknown) {
		return registry.TokenKey{}, putErr
	}
	// Whatever became of the put, what is stored now is the epoch's key.
	if stored, err = r.Store.TokenKey(ctx, epoch); err != nil {
		return registry.TokenKey{}, err
	}
	if stored == nil {
		return registry.TokenKey{}, fmt.Errorf("store the key of epoch %d: %w", epoch, registry.ErrUnavailable)
	}
	return *stored, nil
}

func (r *Ring) make(ctx context.Context, epoch int64) (registry.TokenKey, error) {
	der, wrapped, err := r.Vault.KeyPair(ctx, r.about(epoch))
	if err != nil {
		return registry.TokenKey{}, err
	}
	k := registry.TokenKey{Epoch: epoch, Public: der, Wrapped: wrapped, Expires: accesstoken.VerifyUntil(epoch)}
	pub, err := public(k)
	if err != nil {
		return registry.TokenKey{}, err
	}
	k.ID = jose.Thumbprint(pub)
	return k, nil
}

func (r *Ring) about(epoch int64) map[string]string {
	return map[string]string{"mastio:purpose": "token-signing", "mastio:org": r.OrgID,
		"mastio:epoch": strconv.FormatInt(epoch, 10)}
}

func (r *Ring) open(ctx context.Context, k registry.TokenKey) (*Key, error) {
	der, err := r.Vault.Open(ctx, k.Wrapped, r.about(k.Epoch))
	if err != nil {
		return nil, err
	}
	defer clear(der)
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	private, ok := parsed.(*ecdsa.PrivateKey)
	if !ok || jose.Thumbprint(&private.PublicKey) != k.ID {
		return nil, fmt.Errorf("%w: not the private half of the published key", ErrKey)
	}
	key, err := derived(der, private, k.ID)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	key.Published = k.Expires
	return key, nil
}

// derived adds to a key what other things are authenticated with: a secret of its own for each.
func derived(der []byte, private *ecdsa.PrivateKey, id string) (*Key, error) {
	nonceKey, err := hkdf.Key(sha256.New, der, nil, "mastio dpop nonce v1", sha256.Size)
	if err != nil {
		return nil, err
	}
	nonces, err := dpop.NewNonces(nonceKey)
	if err != nil {
		return nil, err
	}
	challengeKey, err := hkdf.Key(sha256.New, der, nil, "mastio login challenge v1", sha256.Size)
	if err != nil {
		return nil, err
	}
	challenges, err := assertion.NewChallenges(challengeKey)
	if err != nil {
		return nil, err
	}
	signer := accesstoken.Key{ID: id, Signer: private}
	return &Key{Key: signer, Nonces: nonces, Challenges: challenges, Assertions: signer}, nil
}

func public(k registry.TokenKey) (*ecdsa.PublicKey, error) {
	parsed, err := x509.ParsePKIXPublicKey(k.Public)
	if err != nil {
		return nil, fmt.Errorf("%w: epoch %d: %w", ErrKey, k.Epoch, err)
	}
	pub, ok := parsed.(*ecdsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("%w: epoch %d: not an EC key", ErrKey, k.Epoch)
	}
	return pub, nil
}

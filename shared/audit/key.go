package audit

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"

	"github.com/mastio-aws/mastio/shared/problem"
)

// ErrKey reports something that is not the public half of a signing key.
var ErrKey = problem.Internal("not a P-256 public key in PEM")

// Key is the public half of a key that signs checkpoints.
type Key struct {
	Fingerprint string // SHA-256 of the SubjectPublicKeyInfo, lower-case hex
	Public      *ecdsa.PublicKey
}

// NewKey names a public key by its fingerprint.
func NewKey(pub crypto.PublicKey) (Key, error) {
	ec, ok := pub.(*ecdsa.PublicKey)
	if !ok || ec.Curve != elliptic.P256() {
		return Key{}, fmt.Errorf("%w: %T", ErrKey, pub)
	}
	der, err := x509.MarshalPKIXPublicKey(ec)
	if err != nil {
		return Key{}, fmt.Errorf("%w: %w", ErrKey, err)
	}
	sum := sha256.Sum256(der)
	return Key{Fingerprint: hex.EncodeToString(sum[:]), Public: ec}, nil
}

// EncodePEM returns the key as openssl reads it.
func (k Key) EncodePEM() ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(k.Public)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), nil
}

// ParseKeys reads public keys in PEM, one after the other. There may be several where the signing key was changed.
func ParseKeys(data []byte) ([]Key, error) {
	var keys []Key
	for len(data) > 0 {
		block, rest := pem.Decode(data)
		if block == nil || block.Type != "PUBLIC KEY" {
			return nil, fmt.Errorf("%w: behind key %d", ErrKey, len(keys))
		}
		pub, err := x509.ParsePKIXPublicKey(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrKey, err)
		}
		key, err := NewKey(pub)
		if err != nil {
			return nil, err
		}
		if again, err := key.EncodePEM(); err != nil || !bytes.HasPrefix(data, again) || len(data)-len(rest) != len(again) {
			return nil, fmt.Errorf("%w: key %d is not spelt as it was written", ErrKey, len(keys)+1)
		}
		keys, data = append(keys, key), rest
	}
	return keys, nil
}

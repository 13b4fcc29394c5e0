package token

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"errors"
	"time"

	"github.com/mastio-aws/mastio/shared/jose"
	"github.com/mastio-aws/mastio/shared/verifier/accesstoken"
)

// Remote signs every token in KMS instead: the private key is never in a function's memory, at the price of one KMS
// call a token and KMS's quota of 1,000 signatures a second in a region. Nonces, challenges
// and the Mastio's own assertions still come from the epoch's key.
type Remote struct {
	*Ring
	// Load returns the public half and a signer whose calls end with ctx.
	Load func(ctx context.Context) (*ecdsa.PublicKey, crypto.Signer, error)
}

// Signing returns the KMS key as this request's signer.
func (r Remote) Signing(ctx context.Context, now time.Time) (*Key, error) {
	local, err := r.Ring.Signing(ctx, now)
	if err != nil {
		return nil, err
	}
	pub, signer, err := r.Load(ctx)
	if err != nil {
		return nil, err
	}
	key := *local
	key.Key = accesstoken.Key{ID: jose.Thumbprint(pub), Signer: signer}
	return &key, nil
}

// Published adds the KMS key to the epochs' keys, which may have signed before the switch.
func (r Remote) Published(ctx context.Context, now time.Time) ([]accesstoken.PublicKey, error) {
	keys, err := r.Ring.Published(ctx, now)
	if err != nil {
		return nil, err
	}
	pub, _, err := r.Load(ctx)
	if err != nil {
		return nil, err
	}
	return append(keys, accesstoken.PublicKey{ID: jose.Thumbprint(pub), Key: pub}), nil
}

// Usable also asks for the KMS key's public half.
func (r Remote) Usable(ctx context.Context, now time.Time) error {
	_, _, err := r.Load(ctx)
	return errors.Join(err, r.Ring.Usable(ctx, now))
}

package boot

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"time"

	"github.com/mastio-aws/mastio/shared/usecase/discovery"
	"github.com/mastio-aws/mastio/shared/usecase/token"
)

// Ring is what both kinds of token keys can do.
type Ring interface {
	token.Keys
	discovery.Keys
	Usable(ctx context.Context, now time.Time) error
}

// LocalRing has keys of the day, encrypted under KMS.
func (p *Parts) LocalRing() *token.Ring {
	return token.NewRing(token.RingConfig{Store: p.store(), Vault: p.vault(), OrgID: p.OrgID})
}

// Ring has the keys that the settings ask for.
func (p *Parts) Ring() Ring {
	if p.Signer != KMS {
		return p.LocalRing()
	}
	keys := p.keys()
	return token.Remote{
		Ring: p.LocalRing(),
		Load: once(func(ctx context.Context) (*ecdsa.PublicKey, func(context.Context) crypto.Signer, error) {
			pub, err := keys.Public(ctx, p.TokenSigningKey)
			if err != nil {
				return nil, nil, err
			}
			key, ok := pub.(*ecdsa.PublicKey)
			if !ok {
				return nil, nil, token.ErrKey
			}
			return key, func(ctx context.Context) crypto.Signer { return keys.Signer(ctx, p.TokenSigningKey, pub) }, nil
		}),
	}
}

// once remembers the public half after the first success; a KMS key's never changes.
func once(
	load func(context.Context) (*ecdsa.PublicKey, func(context.Context) crypto.Signer, error),
) func(context.Context) (*ecdsa.PublicKey, crypto.Signer, error) {
	var pub *ecdsa.PublicKey
	var signer func(context.Context) crypto.Signer
	return func(ctx context.Context) (*ecdsa.PublicKey, crypto.Signer, error) {
		if pub == nil {
			p, s, err := load(ctx)
			if err != nil {
				return nil, nil, err
			}
			pub, signer = p, s
		}
		return pub, signer(ctx), nil
	}
}

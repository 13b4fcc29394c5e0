package token

import (
	"context"
	"errors"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/usecase/authn"
	"github.com/mastio-aws/mastio/shared/verifier"
	"github.com/mastio-aws/mastio/shared/verifier/accesstoken"
	"github.com/mastio-aws/mastio/shared/verifier/dpop"
)

// ResourceStore is what the resource needs of the registry.
type ResourceStore interface {
	authn.Store
	UseProof(ctx context.Context, jkt, jti string, until, now time.Time) error
}

// ResourceKeys gives the public keys of tokens, and the secrets that nonces are checked with.
type ResourceKeys interface {
	Published(ctx context.Context, now time.Time) ([]accesstoken.PublicKey, error)
	Signing(ctx context.Context, now time.Time) (*Key, error)
	Before(ctx context.Context, now time.Time) (*Key, error)
}

// ResourceConfig is what a Resource is made of. RequireNonce may be false, all else is required.
type ResourceConfig struct {
	Store        ResourceStore
	Keys         ResourceKeys
	Issuer       string // issuer identifier, and the audience of tokens for the Mastio itself
	URL          string // the resource's own, which a proof's htu must name
	RequireNonce bool
	Now          func() time.Time
}

// Resource is the Mastio's own resource: it takes an access token and answers what the token proves. It is safe for
// concurrent use.
type Resource struct {
	ResourceConfig
	published verificationKeys
}

// NewResource returns a Resource.
func NewResource(cfg ResourceConfig) *Resource { return &Resource{ResourceConfig: cfg} }

// ResourceRequest is a request to the resource.
type ResourceRequest struct {
	CertificatePEM string
	Authorization  []string
	Proofs         []string
	Method         string
}

// Answer is what was proved. Nonce is for the DPoP-Nonce header, also of a refusal; empty: none.
type Answer struct {
	verifier.Caller
	Thumbprint string
	Left       time.Duration // until the token expires
	Nonce      string
}

// Ask checks the token and the proof, uses the proof up, and looks whether the certificate still authenticates its
// agent: one read, and one conditional write if there is a proof. A token whose certificate was rotated away is refused
// although it has not expired.
//
// Errors: those of verifier.Rules.Check, verifier.ErrReplayed, those of authn.Authenticate, registry.ErrUnavailable.
func (r *Resource) Ask(ctx context.Context, q ResourceRequest) (Answer, error) {
	shown, err := authn.Read(q.CertificatePEM, "")
	if err != nil {
		return Answer{}, err
	}
	now := r.Now()
	keys, err := r.published.lookup(ctx, r.Keys, now)
	if err != nil {
		return Answer{}, err
	}
	key, err := r.Keys.Signing(ctx, now)
	if err != nil {
		return Answer{}, err
	}
	rules := verifier.Rules{
		Issuer:   r.Issuer,
		Audience: r.Issuer,
		Keys:     keys,
		Nonce:    func(nonce string) error { return r.checkNonce(ctx, nonce, key, now) },
	}
	v, err := rules.Check(verifier.Request{
		Authorization: q.Authorization,
		Proofs:        q.Proofs,
		Certificate:   shown.Leaf,
		Method:        q.Method,
		URL:           r.URL,
		Now:           now,
	})
	if err != nil {
		if errors.Is(err, verifier.ErrNonce) {
			return Answer{Nonce: key.Nonces.Issue(now)}, err
		}
		return Answer{}, err
	}
	if err := r.counts(ctx, shown, v.Claims, now); err != nil {
		return Answer{}, err
	}
	if err := r.useUp(ctx, v, now); err != nil {
		return Answer{}, err
	}
	return Answer{v, shown.Thumbprint(), v.Claims.Expires.Sub(now), key.Nonces.Issue(now)}, nil
}

// counts asks the registry whether the certificate authenticates the token's agent now. An SVID's path was proved for
// the token, which is bound to the certificate; what may have changed since is the agent and the generation.
func (r *Resource) counts(ctx context.Context, shown authn.Credential, c accesstoken.Claims, now time.Time) error {
	view, err := authn.Recognise(ctx, r.Store, shown, c.Subject, now)
	if err != nil {
		return err
	}
	if view.Agent.Method == agent.SPIFFE && c.Generation > 0 && !view.Pointer.Accepts(c.Generation, now) {
		return agent.ErrRevoked
	}
	return nil
}

func (r *Resource) useUp(ctx context.Context, v verifier.Caller, now time.Time) error {
	if v.JTI == "" {
		return nil
	}
	err := r.Store.UseProof(ctx, v.JKT, v.JTI, v.ReplayUntil, now)
	if errors.Is(err, registry.ErrReplayed) {
		return verifier.ErrReplayed
	}
	return err
}

// checkNonce takes a nonce of the epoch before too, for as long as a login may last.
func (r *Resource) checkNonce(ctx context.Context, nonce string, key *Key, now time.Time) error {
	if nonce == "" && !r.RequireNonce {
		return nil
	}
	err := key.Nonces.Check(nonce, now)
	if !errors.Is(err, dpop.ErrNonce) {
		return err
	}
	if before, failed := r.Keys.Before(ctx, now); failed == nil && before != nil &&
		before.Nonces.Check(nonce, now) == nil {
		return nil
	}
	return err
}

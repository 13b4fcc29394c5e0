package enroll

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"

	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/pki"
	"github.com/mastio-aws/mastio/shared/usecase/authn"
)

// vouched checks that an SVID is under its bundle, or, without one, under the current Org CA. A bundle holds no CA of
// the Mastio's own, of any generation, nor another certificate of its key: such an agent would outlive the Org CA's
// rotation.
func (e *Enroller) vouched(ctx context.Context, r submission, p orgca.Pointer) error {
	if r.bundle == nil {
		return e.under(ctx, r, p)
	}
	org, err := e.Store.Org(ctx)
	if err != nil {
		return err
	}
	var never []*x509.Certificate
	for _, g := range org.Generations {
		own, err := g.Own()
		if err != nil {
			return err
		}
		never = append(never, own...)
		for _, c := range own {
			if slices.ContainsFunc(r.bundle, func(b *x509.Certificate) bool { return pki.SameKey(b.PublicKey, c.PublicKey) }) {
				return ErrOwnCA
			}
		}
	}
	if err := pki.VerifyUnder(r.leaf, r.between, pki.Trust{Roots: r.bundle, Never: never}, e.Now()); err != nil {
		return judged(ErrNotUnderBundle, err)
	}
	return nil
}

// under checks that a certificate is under the current Org CA, and that the Mastio did not issue it. It costs a read
// where certificates came with it: none of them may be a former CA of the Mastio's, certified by the present one.
func (e *Enroller) under(ctx context.Context, r submission, p orgca.Pointer) error {
	now := e.Now()
	trust, err := authn.Org(p.Chain, p.Fingerprint)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(trust.Never, func(c *x509.Certificate) bool { return r.leaf.CheckSignatureFrom(c) == nil }) {
		return ErrIssuedHere
	}
	if len(r.between) > 0 { // else nothing stands between the certificate and the Org CA
		org, err := e.Store.Org(ctx)
		if err != nil {
			return err
		}
		never, err := org.Owned()
		if err != nil {
			return err
		}
		if trust, err = authn.Org(p.Chain, p.Fingerprint, never...); err != nil {
			return err
		}
	}
	if err := pki.VerifyUnder(r.leaf, r.between, trust, now); err != nil {
		if !p.Validity().At(now) {
			return fmt.Errorf("%w: %w", orgca.ErrNotValid, err)
		}
		return judged(ErrNotUnderOrgCA, err)
	}
	return nil
}

// judged keeps the words about a CA that is not acceptable, and has fixed ones for a path that is not there.
func judged(none, err error) error {
	if errors.Is(err, pki.ErrIssuer) {
		return err
	}
	return fmt.Errorf("%w: %w", none, err)
}

package authn

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/pki"
	"github.com/mastio-aws/mastio/shared/registry"
)

// namedSVID decides by the agent's SPIFFE ID alone. It returns a pin in place of the one that such an agent does not
// have.
func namedSVID(a agent.Agent, s Credential, now time.Time) (agent.Pin, error) {
	if a.Status != agent.Active {
		return agent.Pin{}, fmt.Errorf("%w: agent is %s", agent.ErrRevoked, a.Status)
	}
	if now.Before(s.Leaf.NotBefore) || now.After(s.Leaf.NotAfter) {
		return agent.Pin{}, ErrNotInValidity
	}
	id, err := CheckSVID(s.Leaf, now)
	if err != nil {
		return agent.Pin{}, fmt.Errorf("%w: %w", ErrUntrusted, err)
	}
	if id != a.SPIFFEID {
		return agent.Pin{}, fmt.Errorf("%w: SPIFFE ID is not the agent's", agent.ErrRevoked)
	}
	pin := PinOf(s.Leaf)
	if err := a.Outlives(pin); errors.Is(err, agent.ErrOutlive) {
		return agent.Pin{}, fmt.Errorf("%w: %w", ErrTooOld, err)
	} else if err != nil {
		return agent.Pin{}, fmt.Errorf("%w: %w", agent.ErrRevoked, err)
	}
	return pin, nil
}

// judgeSVID decides by the agent's SPIFFE ID, and by what must vouch for it: a bundle of the agent's own, or the Org
// CA, whose generations it follows as pins do.
func judgeSVID(
	ctx context.Context, store Store, own *Own, view registry.View, s Credential, now time.Time,
) (agent.Pin, error) {
	a := *view.Agent
	pin, err := namedSVID(a, s, now)
	if err != nil {
		return agent.Pin{}, err
	}
	if s, err = s.withPath(); err != nil {
		return agent.Pin{}, err
	}
	if len(a.Bundle) > 0 {
		never, err := own.certificates(ctx, store, *view.Pointer)
		if err != nil {
			return agent.Pin{}, err
		}
		trust, err := Bundle(a, view.Pointer.Chain, view.Pointer.Fingerprint, never...)
		if err != nil {
			return agent.Pin{}, err
		}
		if err := pki.VerifyUnder(s.Leaf, s.sent, trust, now); err != nil {
			return agent.Pin{}, s.unvouched(trust, ErrUntrusted, err)
		}
		return pin, nil
	}
	pin.Generation, err = vouchingGeneration(ctx, store, own, view, s, now)
	return pin, err
}

// withPath reads what an assertion brought. Its bound is the assertion's own.
func (s Credential) withPath() (Credential, error) {
	s.sent = slices.Clip(s.sent)
	for _, der := range s.behind {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return s, fmt.Errorf("%w: x5c holds something else than certificates", ErrUntrusted)
		}
		s.sent = append(s.sent, cert)
	}
	return s, nil
}

// PinOf describes a certificate that the Mastio does not pin.
func PinOf(leaf *x509.Certificate) agent.Pin {
	return agent.Pin{
		Thumbprint: pki.Thumbprint(leaf.Raw),
		Key:        pki.Thumbprint(leaf.RawSubjectPublicKeyInfo),
		NotBefore:  leaf.NotBefore,
		NotAfter:   leaf.NotAfter,
	}
}

// vouchingGeneration finds the accepted generation under which an SVID was issued. The pointer holds the chain of the
// current generation. The chains of an overlap are read only when the current chain does not vouch; an hour after a
// rotation it does.
func vouchingGeneration(
	ctx context.Context, store Store, own *Own, view registry.View, s Credential, now time.Time,
) (int64, error) {
	p := view.Pointer
	var never []*x509.Certificate
	if len(s.sent)+len(view.Agent.Intermediates) > 0 { // else nothing stands between the SVID and the Org CA
		var err error
		if never, err = own.certificates(ctx, store, *p); err != nil {
			return 0, err
		}
	}
	err := under(*view.Agent, p.Chain, p.Fingerprint, s, now, never)
	if err == nil {
		return p.Current, nil
	}
	if errors.Is(err, agent.ErrRevoked) && !p.Validity().At(now) { // no SVID is wrong for that
		err = fmt.Errorf("%w: %w", orgca.ErrNotValid, err)
	}
	if !overlaps(view, now) {
		return 0, err
	}
	org, failed := store.Org(ctx)
	if failed != nil {
		return 0, failed
	}
	for _, accepted := range p.Accepted {
		g, ok := org.Generation(accepted.Generation)
		if ok && p.Accepts(g.Number, now) && under(*view.Agent, g.Chain(), g.Fingerprint(), s, now, never) == nil {
			return g.Number, nil
		}
	}
	return 0, err
}

func overlaps(view registry.View, now time.Time) bool {
	for _, accepted := range view.Pointer.Accepted {
		if view.Pointer.Accepts(accepted.Generation, now) {
			return true
		}
	}
	return false
}

func under(
	a agent.Agent, chain [][]byte, fingerprint string, s Credential, now time.Time, never []*x509.Certificate,
) error {
	trust, err := Generation(a, chain, fingerprint, never...)
	if err != nil {
		return err
	}
	if err := pki.VerifyUnder(s.Leaf, s.sent, trust, now); err != nil {
		return s.unvouched(trust, agent.ErrRevoked, err)
	}
	return nil
}

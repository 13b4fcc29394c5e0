package authn

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"slices"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/pki"
)

// unvouched returns the error of an SVID without an accepted path: ErrNoPath if no known certificate issued it, else
// the error otherwise, because its path leads to the wrong CA.
func (s Credential) unvouched(t pki.Trust, otherwise, cause error) error {
	known := slices.Concat(s.sent, t.Known, t.Roots)
	if !slices.ContainsFunc(known, func(c *x509.Certificate) bool {
		return bytes.Equal(c.RawSubject, s.Leaf.RawIssuer) && s.Leaf.CheckSignatureFrom(c) == nil
	}) {
		return fmt.Errorf("%w: %w", ErrNoPath, cause)
	}
	return fmt.Errorf("%w: %w", otherwise, cause)
}

// maxIntermediates bounds what an agent's record knows of the CAs between its SVIDs and what vouches for them.
const maxIntermediates = 8

// Learn returns the agent with the intermediates that an SVID brought along and that were on its accepted path. So
// after a change of SPIRE's intermediate, one request with the intermediate is enough, and agents may send the leaf
// alone again. Intermediates are no anchors: a path still has to lead to the agent's bundle, or to the current Org
// CA. changed is false if there is nothing new, as in every request after the first one under an intermediate.
func Learn(
	a agent.Agent, p orgca.Pointer, s Credential, pin agent.Pin, now time.Time,
) (learned agent.Agent, changed bool) {
	s, err := s.withPath()
	if err != nil || a.Method != agent.SPIFFE ||
		!slices.ContainsFunc(s.sent, func(c *x509.Certificate) bool { return !knows(a, c) }) {
		return a, false
	}
	trust, err := trustOf(a, p, pin)
	if err != nil {
		return a, false
	}
	path, err := pki.PathUnder(s.Leaf, s.sent, trust, now)
	if err != nil {
		return a, false
	}
	var fresh [][]byte
	for _, c := range path[1 : len(path)-1] {
		if !knows(a, c) && !slices.ContainsFunc(trust.Known, c.Equal) {
			fresh = append(fresh, c.Raw)
		}
	}
	if len(fresh) == 0 {
		return a, false
	}
	kept := slices.DeleteFunc(slices.Clone(a.Intermediates), func(der []byte) bool {
		c, err := x509.ParseCertificate(der)
		return err != nil || now.After(c.NotAfter)
	})
	all := slices.Concat(fresh, kept)
	a.Intermediates = all[:min(len(all), maxIntermediates)]
	return a, true
}

func knows(a agent.Agent, c *x509.Certificate) bool {
	return slices.ContainsFunc(a.Intermediates, func(der []byte) bool { return bytes.Equal(der, c.Raw) })
}

// trustOf is the trust that vouched for an SVID: the agent's bundle, or the current Org CA. A generation that is
// accepted only in an overlap is not remembered.
func trustOf(a agent.Agent, p orgca.Pointer, pin agent.Pin) (pki.Trust, error) {
	switch {
	case len(a.Bundle) > 0:
		return Bundle(a, p.Chain, p.Fingerprint)
	case pin.Generation != p.Current:
		return pki.Trust{}, agent.ErrRevoked
	}
	return Generation(a, p.Chain, p.Fingerprint)
}

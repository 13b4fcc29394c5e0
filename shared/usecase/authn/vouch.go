package authn

import (
	"crypto/x509"
	"fmt"
	"slices"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/pki"
	"github.com/mastio-aws/mastio/shared/problem"
)

// ErrNoSPIFFEID reports an SVID without exactly one SPIFFE ID.
var ErrNoSPIFFEID = problem.New(400, "svid_missing_spiffe_uri", "SVID does not have exactly one spiffe:// URI").
	Says("An SVID has exactly one URI subject alternative name, and that is a SPIFFE ID: " +
		"spiffe://trust.domain/path.")

// Org returns the trust for certificates of the organisation: its Org CA, which is the certificate of the chain with
// this fingerprint. A CA above an uploaded Org CA vouches for other organisations too, so a path must lead through
// the Org CA. A certificate of the Mastio counts by its pin alone: no path leads through the issuing CA, whose key
// only the Mastio has.
//
// Nor does a path lead through a CA in never, or its key, unless it is the Org CA or a CA above it. A former Org CA
// has ended, even if its successor has certified it to ease a change.
func Org(chain [][]byte, fingerprint string, never ...*x509.Certificate) (pki.Trust, error) {
	certs, err := parse(chain)
	if err != nil {
		return pki.Trust{}, fmt.Errorf("read the Org CA's chain: %w", err)
	}
	if len(certs) == 0 {
		return pki.Trust{}, orgca.ErrMissing
	}
	last := len(certs) - 1
	t := pki.Trust{Roots: certs[last:], Known: certs[:last]}
	for i, c := range certs {
		if pki.Thumbprint(c.Raw) == fingerprint {
			// under a legacy root there is no issuing CA
			t.Through, t.Never = c, slices.Concat(certs[:i], apart(never, certs[i:]))
			return t, nil
		}
	}
	return pki.Trust{}, fmt.Errorf("the Org CA is not in its own chain: %w", orgca.ErrMissing)
}

// apart returns the certificates whose keys are in none of others.
func apart(list, others []*x509.Certificate) []*x509.Certificate {
	return slices.DeleteFunc(slices.Clone(list), func(c *x509.Certificate) bool {
		return slices.ContainsFunc(others, func(o *x509.Certificate) bool { return pki.SameKey(o.PublicKey, c.PublicKey) })
	})
}

// Bundle returns what vouches for the SVIDs of an agent with a bundle of its own. No path leads through the Org CA that
// chain and fingerprint say: it vouches for its own agents, and in no bundle for longer than it is accepted.
//
// Nor does one lead through a CA of never, or its key: what else was the Org CA once.
func Bundle(a agent.Agent, chain [][]byte, fingerprint string, never ...*x509.Certificate) (pki.Trust, error) {
	roots, err := parse(a.Bundle)
	if err != nil {
		return pki.Trust{}, fmt.Errorf("read the bundle of %s: %w", a.ID, err)
	}
	known, err := parse(a.Intermediates)
	if err != nil {
		return pki.Trust{}, fmt.Errorf("read the intermediates of %s: %w", a.ID, err)
	}
	own, err := Org(chain, fingerprint)
	if err != nil {
		return pki.Trust{}, err
	}
	return pki.Trust{
		Roots: roots,
		Known: known,
		Never: slices.Concat(own.Never, []*x509.Certificate{own.Through}, never),
	}, nil
}

// Generation returns what vouches for certificates under a generation of the Org CA, in addition to the certificates
// that an agent's record knows. For never see Org.
func Generation(a agent.Agent, chain [][]byte, fingerprint string, never ...*x509.Certificate) (pki.Trust, error) {
	t, err := Org(chain, fingerprint, never...)
	if err != nil {
		return t, err
	}
	known, err := parse(a.Intermediates)
	t.Known = append(known, t.Known...)
	return t, err
}

// CheckSVID makes the checks of pki.CheckLeaf and those that the X.509-SVID specification demands of a leaf (sections
// 2, 4.3 and 5.2), and returns its SPIFFE ID. The subject says nothing: it is C=US, O=SPIRE in all of SPIRE's.
func CheckSVID(leaf *x509.Certificate, now time.Time) (id string, err error) {
	if err := pki.CheckLeaf(leaf, now); err != nil {
		return "", err
	}
	if leaf.KeyUsage&x509.KeyUsageDigitalSignature == 0 {
		return "", fmt.Errorf("%w: an SVID has keyUsage digitalSignature", pki.ErrLeafUsage)
	}
	id, ok := pki.URI(leaf)
	if !ok {
		return "", ErrNoSPIFFEID
	}
	if err := pki.CheckSPIFFEID(id); err != nil {
		return "", fmt.Errorf("%w: %w", ErrNoSPIFFEID, err)
	}
	return id, nil
}

func parse(ders [][]byte) ([]*x509.Certificate, error) {
	certs := make([]*x509.Certificate, len(ders))
	for i, der := range ders {
		var err error
		if certs[i], err = x509.ParseCertificate(der); err != nil {
			return nil, err
		}
	}
	return certs, nil
}

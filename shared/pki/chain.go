package pki

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"slices"
	"time"

	"github.com/mastio-aws/mastio/shared/pki/dn"
)

// VerifyChain returns ErrChain unless leaf is, at now, a client certificate under exactly this chain: chain[0] issued
// it, each next one issued the one before, and the last is a root, which the caller trusts.
//
// It is Go's verifier (RFC 5280 section 6) plus a check of every level's encoded basicConstraints, root included, and
// of its key identifiers. The second is not a repetition: verifiers that take the anchor as a bare key never see its
// pathLenConstraint (RFC 5280 section 6.1.1 (d) leaves it out), and a chain must satisfy them all.
func VerifyChain(leaf *x509.Certificate, chain []*x509.Certificate, now time.Time) error {
	path := slices.Concat([]*x509.Certificate{leaf}, chain)
	if err := checkPath(path); err != nil {
		return err
	}
	if err := checkLeaf(leaf); err != nil {
		return err
	}
	if err := checkCAs(chain, 0); err != nil {
		return err
	}
	return verifyPath(path, now, x509.ExtKeyUsageClientAuth)
}

// VerifyAuthority returns ErrChain unless chain[0] is, at now, a CA that may issue leaves, and the certificates after
// it lead to a self-signed root, the last. A root alone is a chain of one.
func VerifyAuthority(chain []*x509.Certificate, now time.Time) error {
	if err := checkPath(chain); err != nil {
		return err
	}
	if err := checkCAs(chain, 0); err != nil {
		return err
	}
	// Go's verifier takes the anchor's own signature for granted.
	root := chain[len(chain)-1]
	if err := root.CheckSignatureFrom(root); err != nil {
		return fmt.Errorf("%w: root %s does not sign itself: %w", ErrChain, dn.Brief(root.RawSubject), err)
	}
	return verifyPath(chain, now, x509.ExtKeyUsageAny)
}

// checkPath asks that there be certificates, each naming the next as its issuer by key, the last itself by name.
func checkPath(path []*x509.Certificate) error {
	if len(path) == 0 || slices.Contains(path, nil) {
		return fmt.Errorf("%w: certificate missing", ErrChain)
	}
	if err := checkIdentifiers(path); err != nil {
		return err
	}
	root := path[len(path)-1]
	if !bytes.Equal(root.RawIssuer, root.RawSubject) {
		return fmt.Errorf("%w: %s at its end is not a root", ErrChain, dn.Brief(root.RawSubject))
	}
	return nil
}

// checkIdentifiers asks that each certificate, where it names its issuer's key, name the next one's.
func checkIdentifiers(path []*x509.Certificate) error {
	for i, cert := range path[:len(path)-1] {
		want, got := path[i+1].SubjectKeyId, cert.AuthorityKeyId
		if len(want) > 0 && len(got) > 0 && !bytes.Equal(want, got) {
			return fmt.Errorf("%w: authority key identifier of %s is not its issuer's", ErrChain, dn.Brief(cert.RawSubject))
		}
	}
	return nil
}

// checkCAs checks a chain's constraints, with so many further CAs below chain[0]. Self-issued ones count too, unlike
// in RFC 5280 section 4.2.1.9: Go counts them, and a chain's validity must not depend on the verifier.
func checkCAs(chain []*x509.Certificate, below int) error {
	for i, cert := range chain {
		if err := checkCA(cert, i+below); err != nil {
			return err
		}
	}
	return nil
}

// verifyPath runs Go's verifier on path[0] and asks that the path it finds be this very one.
func verifyPath(path []*x509.Certificate, now time.Time, usage x509.ExtKeyUsage) error {
	last := len(path) - 1
	roots, intermediates := x509.NewCertPool(), x509.NewCertPool()
	roots.AddCert(path[last])
	for _, cert := range path[:last] {
		intermediates.AddCert(cert)
	}
	found, err := path[0].Verify(x509.VerifyOptions{
		Roots:         roots,
		Intermediates: intermediates,
		CurrentTime:   now,
		KeyUsages:     []x509.ExtKeyUsage{usage},
	})
	if err != nil {
		return fmt.Errorf("%w: %w", ErrChain, err)
	}
	same := func(p []*x509.Certificate) bool { return slices.EqualFunc(p, path, (*x509.Certificate).Equal) }
	if !slices.ContainsFunc(found, same) {
		return fmt.Errorf("%w: certificates are out of order, or more than the chain needs", ErrChain)
	}
	return nil
}

package pki

import (
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"math/big"

	"github.com/mastio-aws/mastio/shared/pki/dn"
)

var oidBasicConstraints = asn1.ObjectIdentifier{2, 5, 29, 19}

// Constraints is the extension of RFC 5280 section 4.2.1.9 as encoded. A nil PathLen is absent: no limit.
type Constraints struct {
	CA      bool     `asn1:"optional"`
	PathLen *big.Int `asn1:"optional"`
}

// ReadConstraints decodes the value of a basicConstraints extension, and returns ErrChain if it is malformed.
func ReadConstraints(value []byte) (bc Constraints, err error) {
	if rest, err := asn1.Unmarshal(value, &bc); err != nil || len(rest) > 0 {
		return Constraints{}, fmt.Errorf("%w: malformed basicConstraints", ErrChain)
	}
	return bc, nil
}

// Allow reports whether a CA with these constraints may have so many CAs below it on the way to a leaf.
func (c Constraints) Allow(below int) bool {
	return c.PathLen == nil || c.PathLen.Cmp(big.NewInt(int64(below))) >= 0
}

// readConstraints decodes a certificate's basicConstraints. found is false if it has none.
func readConstraints(cert *x509.Certificate) (bc Constraints, critical, found bool, err error) {
	for _, ext := range cert.Extensions {
		if !ext.Id.Equal(oidBasicConstraints) {
			continue
		}
		if bc, err = ReadConstraints(ext.Value); err != nil {
			return bc, false, false, fmt.Errorf("%w in %s", err, dn.Brief(cert.RawSubject))
		}
		return bc, ext.Critical, true, nil
	}
	return Constraints{}, false, false, nil
}

// LegacyPathLenZero reports whether a root's encoded basicConstraints say pathLenConstraint 0, which forbids every CA
// below it, so that only the root itself can issue leaves.
func LegacyPathLenZero(root *x509.Certificate) bool {
	if root == nil {
		return false
	}
	bc, _, _, err := readConstraints(root)
	return err == nil && bc.CA && bc.PathLen != nil && bc.PathLen.Sign() == 0
}

// checkCA asks that a certificate be a CA, critically, and allow so many CAs between itself and a leaf.
func checkCA(cert *x509.Certificate, below int) error {
	bc, critical, found, err := readConstraints(cert)
	switch {
	case err != nil:
		return err
	case !found || !bc.CA:
		return fmt.Errorf("%w: %s is not a CA", ErrChain, dn.Brief(cert.RawSubject))
	case !critical:
		return fmt.Errorf("%w: basicConstraints of %s are not critical", ErrChain, dn.Brief(cert.RawSubject))
	case !bc.Allow(below):
		return fmt.Errorf("%w: %s allows %d CAs below it, has %d", ErrPathLen, dn.Brief(cert.RawSubject), bc.PathLen, below)
	}
	return nil
}

// checkLeaf asks that a certificate not be a CA. The extension may be missing: RFC 5280 lets end entities omit it,
// and certificates of other issuers do.
func checkLeaf(cert *x509.Certificate) error {
	bc, _, _, err := readConstraints(cert)
	if err != nil {
		return err
	}
	if bc.CA || bc.PathLen != nil {
		return fmt.Errorf("%w: leaf %s claims to be a CA", ErrChain, dn.Brief(cert.RawSubject))
	}
	return nil
}

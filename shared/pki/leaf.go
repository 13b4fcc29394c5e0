package pki

import (
	"crypto/x509"
	"fmt"
	"slices"
	"time"

	"github.com/mastio-aws/mastio/shared/pki/dn"
)

// CheckLeaf checks an agent's certificate from any issuer for what every agent's certificate must be at now: a key
// within the policy of CheckKey, no CA, for client authentication, within its validity. VerifyUnder checks the
// issuer. Errors: ErrLeafKey, ErrLeafIsCA, ErrLeafUsage, ErrExtension, ErrExpired, ErrNotYetValid.
func CheckLeaf(leaf *x509.Certificate, now time.Time) error {
	if err := CheckKey(leaf.PublicKey); err != nil {
		return fmt.Errorf("%w: %s", ErrLeafKey, err.Error())
	}
	if err := checkLeaf(leaf); err != nil || leaf.KeyUsage&(x509.KeyUsageCertSign|x509.KeyUsageCRLSign) != 0 {
		return fmt.Errorf("%w: an agent's certificate has basicConstraints CA:FALSE, or none, and signs neither "+
			"certificates nor CRLs", ErrLeafIsCA)
	}
	if err := CheckExtensions(leaf); err != nil {
		return err
	}
	if err := checkUsage(leaf); err != nil {
		return err
	}
	if now.After(leaf.NotAfter) {
		return fmt.Errorf("%w: it ended on %s", ErrExpired, leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	if now.Before(leaf.NotBefore) {
		return fmt.Errorf("%w: it begins on %s", ErrNotYetValid, leaf.NotBefore.UTC().Format(time.RFC3339))
	}
	return nil
}

// checkUsage asks for what TLS clients need (RFC 5280 sections 4.2.1.3 and 4.2.1.12). An extension that is missing sets
// no limit.
func checkUsage(leaf *x509.Certificate) error {
	if leaf.KeyUsage != 0 && leaf.KeyUsage&x509.KeyUsageDigitalSignature == 0 {
		return fmt.Errorf("%w: keyUsage lacks digitalSignature", ErrLeafUsage)
	}
	if len(leaf.ExtKeyUsage)+len(leaf.UnknownExtKeyUsage) == 0 {
		return nil
	}
	if !slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageClientAuth) &&
		!slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageAny) {
		return fmt.Errorf("%w: extendedKeyUsage lacks clientAuth", ErrLeafUsage)
	}
	return nil
}

// Trust says under what a certificate of another issuer is accepted.
type Trust struct {
	Roots []*x509.Certificate // where a path may end
	// Through must be on the path; nil: nothing must. So an Org CA below a foreign root vouches alone for its agents: a
	// path past it, under the same root, does not count.
	Through *x509.Certificate
	Known   []*x509.Certificate // may stand between
	Never   []*x509.Certificate // must not be on the path, nor any other certificate of their keys
}

// VerifyUnder returns ErrChain, or ErrPathLen, unless leaf is, at now, a client certificate with a path to a root of
// trust, by way of any of the certificates that came with it and those known. In addition to Go's verifier, and for
// the same reason as VerifyChain, it checks every level's encoded basicConstraints, root included, and key
// identifiers.
func VerifyUnder(leaf *x509.Certificate, sent []*x509.Certificate, t Trust, now time.Time) error {
	_, err := PathUnder(leaf, sent, t, now)
	return err
}

// PathUnder is VerifyUnder, and returns the path: the leaf first, the root last.
func PathUnder(leaf *x509.Certificate, sent []*x509.Certificate, t Trust, now time.Time) ([]*x509.Certificate, error) {
	if err := checkLeaf(leaf); err != nil {
		return nil, err
	}
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	for _, c := range t.Roots {
		roots.AddCert(c)
	}
	for _, c := range slices.Concat(sent, t.Known) {
		between.AddCert(c)
	}
	paths, err := leaf.Verify(x509.VerifyOptions{
		Roots:         roots,
		Intermediates: between,
		CurrentTime:   now,
		KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrChain, err)
	}
	for _, path := range paths {
		if err = t.allows(path); err == nil {
			return path, nil
		}
	}
	return nil, err
}

// allows checks what Go's verifier does not.
func (t Trust) allows(path []*x509.Certificate) error {
	if t.Through != nil && !slices.ContainsFunc(path[1:], t.Through.Equal) {
		return fmt.Errorf("%w: %s is not on the path", ErrChain, dn.Brief(t.Through.RawSubject))
	}
	for _, c := range path[1:] {
		if slices.ContainsFunc(t.Never, func(n *x509.Certificate) bool { return SameKey(n.PublicKey, c.PublicKey) }) {
			return fmt.Errorf("%w: %s must not issue it", ErrChain, dn.Brief(c.RawSubject))
		}
		if err := CheckIssuer(c); err != nil {
			return err
		}
	}
	if err := checkIdentifiers(path); err != nil {
		return err
	}
	return checkCAs(path[1:], 0)
}

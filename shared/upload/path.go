package upload

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/mastio-aws/mastio/shared/pki"
)

// arrange returns the CA, which is the certificate of the key, and what is above it, in that order, whatever order
// the file has. Certificates that are on no such path are a defect, as is a path that does not end in a root.
func arrange(all []*certificate, key crypto.Signer, f *findings) []*certificate {
	path := []*certificate{findCA(all, key, f)}
	for len(path) <= len(all) {
		last := path[len(path)-1]
		if last.signs(last) {
			break
		}
		next := issuerOf(last, all, path)
		if next == nil {
			f.add(ChainBroken, "%s", missing(last, all))
			break
		}
		path = append(path, next)
	}
	var extra []string
	for i, c := range all {
		if slices.Contains(path, c) {
			continue
		}
		first := slices.IndexFunc(all, func(other *certificate) bool { return bytes.Equal(other.der, c.der) })
		if first < i || slices.ContainsFunc(path, func(other *certificate) bool { return bytes.Equal(other.der, c.der) }) {
			f.add(ExtraCertificates, "%s is in the file twice; give each certificate once", c)
			continue
		}
		extra = append(extra, c.String())
	}
	if len(extra) > 0 {
		f.add(ExtraCertificates, "not part of the chain from %s up to its root: %s", path[0], strings.Join(extra, ", "))
	}
	return path
}

func missing(c *certificate, all []*certificate) string {
	if bytes.Equal(c.issuer, c.subject) {
		return fmt.Sprintf("%s names itself as its issuer, but its signature is not by its own key", c)
	}
	for _, candidate := range all {
		if candidate != c && sameName(candidate.subject, c.issuer) && !bytes.Equal(candidate.subject, c.issuer) {
			return fmt.Sprintf("%s names its issuer in another encoding than %s has for its subject (string types, case or "+
				"blanks differ); verifiers that compare names "+
				"octet by octet (pyca/cryptography, rustls-webpki) find no issuer: issue it again with the issuer's "+
				"subject as it is", c, candidate)
		}
	}
	return fmt.Sprintf("the file lacks the issuer of %s; give the chain up to its root", c)
}

// findCA picks the certificate of the key. Without one it picks what a reader would take for the CA, so that the
// rest can be judged: the first that no other is issued by.
func findCA(all []*certificate, key crypto.Signer, f *findings) *certificate {
	if key != nil {
		for _, c := range all {
			if sameKey(c.public, key.Public()) {
				return c
			}
		}
		if slices.ContainsFunc(all, func(c *certificate) bool { return c.public != nil }) {
			f.add(KeyMismatch, "the private key is that of no certificate in the file")
		}
	}
	for _, c := range all {
		issues := func(other *certificate) bool { return other != c && bytes.Equal(other.issuer, c.subject) }
		if !slices.ContainsFunc(all, issues) {
			return c
		}
	}
	return all[0]
}

// issuerOf finds the certificate above c among those that are not below it.
func issuerOf(c *certificate, all, below []*certificate) *certificate {
	for _, candidate := range all {
		if !slices.Contains(below, candidate) && candidate.signs(c) {
			return candidate
		}
	}
	return nil
}

// signs reports whether c issued another certificate: by its name, and by its key where the key can be checked. It
// does not verify a signature by a refused algorithm or key; both have a code of their own.
func (c *certificate) signs(other *certificate) bool {
	if !bytes.Equal(c.subject, other.issuer) {
		return false
	}
	if c.parsed == nil || other.parsed == nil || pki.CheckKey(c.public) != nil {
		return true
	}
	p := other.parsed
	err := c.parsed.CheckSignature(p.SignatureAlgorithm, p.RawTBSCertificate, p.Signature)
	var insecure x509.InsecureAlgorithmError
	return err == nil || errors.As(err, &insecure) || errors.Is(err, x509.ErrUnsupportedAlgorithm)
}

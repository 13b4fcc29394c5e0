package upload

import (
	"bytes"
	"crypto"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/mastio-aws/mastio/shared/pki/dn"
)

// judgeKnown requires that every certificate of an upload differs from those of earlier generations, which stay in
// truststores and bundles for as long as a fleet moves. Verifiers find an issuer by its name and key identifier, and
// not all of them try a second candidate; they take issuer and serial number for a certificate's identity.
func judgeKnown(path []*certificate, known []Known, f *findings) {
	for i, c := range path {
		judgeReuse(c.public, c.String(), known, f)
		for _, k := range known {
			judgeIdentity(c, k, f)
		}
		for _, other := range path[:i] {
			judgeTwins(c, other, f)
		}
	}
}

// judgeReuse refuses a key of an earlier generation, also above the CA: a copy of the key could still issue trusted
// certificates.
func judgeReuse(key crypto.PublicKey, whose string, known []Known, f *findings) {
	own := func(k Known) bool { return !k.Above && sameKey(key, k.Certificate.PublicKey) }
	if slices.ContainsFunc(known, own) {
		f.add(KeyReused, "%s has the key of an earlier generation; a rotation that keeps a key rotates nothing: "+
			"make a new one", whose)
	}
}

// judgeIdentity compares a certificate with one of an earlier generation. The same certificate may stand above both.
func judgeIdentity(c *certificate, k Known, f *findings) {
	old := k.Certificate
	if bytes.Equal(c.der, old.Raw) {
		return
	}
	whose := fmt.Sprintf("generation %d (%s)", k.Generation, dn.Brief(old.RawSubject))
	if id, _ := c.subjectKeyID(); len(id) > 0 && bytes.Equal(id, old.SubjectKeyId) && !sameKey(c.public, old.PublicKey) {
		f.add(SKIReused, "%s has the subjectKeyIdentifier of a certificate of %s under another key; OpenSSL and GnuTLS "+
			"then take the wrong one of the two, which locks agents out: "+
			"have it issued with an identifier of its own (subjectKeyIdentifier=hash)", c, whose)
	}
	if sameName(c.issuer, old.RawIssuer) && new(big.Int).SetBytes(c.serial).Cmp(old.SerialNumber) == 0 {
		f.add(SerialReused, "%s has issuer and serial number of a certificate of %s, which NSS refuses (RFC 5280 section "+
			"4.1.2.2); issue it with a serial number of its own", c, whose)
	}
	if sameName(c.subject, old.RawSubject) && !sameName(c.issuer, old.RawIssuer) {
		f.add(SubjectReused, "%s has the subject of a certificate of %s, but another issuer (%s, there %s); API Gateway "+
			"takes one issuer for each subject: issue it with a subject of its own",
			c, whose, dn.Brief(c.issuer), dn.Brief(old.RawIssuer))
	}
}

// judgeTwins compares two certificates of one upload in the same way.
func judgeTwins(c, other *certificate, f *findings) {
	id, _ := c.subjectKeyID()
	if twin, _ := other.subjectKeyID(); len(id) > 0 && bytes.Equal(id, twin) && !sameKey(c.public, other.public) {
		f.add(SKIReused, "%s and %s have the same subjectKeyIdentifier under different keys; verifiers find an issuer by "+
			"it: issue one of them with an identifier of its own", other, c)
	}
	if sameName(c.issuer, other.issuer) && bytes.Equal(c.serial, other.serial) {
		f.add(SerialReused, "%s and %s have the same issuer and serial number, which NSS refuses (RFC 5280 section 4.1.2.2)",
			other, c)
	}
}

// sameName compares names as verifiers do that fold case and blanks (RFC 5280 section 7.1): the wider comparison
// refuses more.
func sameName(a, b []byte) bool {
	return bytes.Equal(a, b) || strings.EqualFold(folded(a), folded(b))
}

func folded(name []byte) string { return strings.Join(strings.Fields(dn.String(name)), " ") }

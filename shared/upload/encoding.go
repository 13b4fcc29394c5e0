package upload

import (
	"bytes"
	"slices"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mastio-aws/mastio/shared/pki/dn"
)

// judgeStandard checks a certificate's encoding for the rules of RFC 5280 that crypto/x509 ignores and another
// verifier enforces. Each refusal names the rule and a verifier.
func judgeStandard(c *certificate, f *findings) {
	if c.generalized {
		f.add(Unparseable, "%s: a date before 2050 is a GeneralizedTime, not a UTCTime as RFC 5280 section 4.1.2.5 has it, "+
			"and pyca/cryptography refuses every chain under it; issue it again", c)
	}
	if c.uniqueID {
		f.add(Unparseable, "%s: it has a unique identifier, which RFC 5280 section 4.1.2.8 forbids, and rustls-webpki "+
			"refuses it; issue it again without", c)
	}
	judgeName(c, "subject", c.subject, f)
	if !bytes.Equal(c.issuer, c.subject) {
		judgeName(c, "issuer", c.issuer, f)
	}
	judgeAlgorithm(c, "signature", c.signed, f)
	judgeAlgorithm(c, "key", c.key, f)
}

var encodedNull = []byte{5, 0}

// withoutParameters are the algorithms that have none (RFC 5758 section 3.2, RFC 8410); withNull those whose parameters
// are NULL (RFC 3279 sections 2.2.1 and 2.3.1, RFC 4055 section 5).
var (
	withoutParameters = []string{"1.2.840.10045.4.3.2", "1.2.840.10045.4.3.3", "1.2.840.10045.4.3.4", "1.3.101.112"}
	withNull          = []string{oidRSA, "1.2.840.113549.1.1.11", "1.2.840.113549.1.1.12", "1.2.840.113549.1.1.13"}
)

func judgeAlgorithm(c *certificate, what string, a algorithm, f *findings) {
	want := []byte(nil)
	switch {
	case slices.Contains(withNull, a.oid):
		want = encodedNull
	case !slices.Contains(withoutParameters, a.oid):
		return
	}
	if !bytes.Equal(a.parameters, want) {
		f.add(Unparseable, "%s: the parameters of its %s's algorithm are not those of RFC 3279, RFC 4055 or RFC 5758 (NULL "+
			"with RSA, none with ECDSA), and rustls-webpki refuses it; issue it again", c, what)
	}
}

// judgeName asks that a name be a sequence of sets of attributes whose values are of the string types of RFC 5280
// appendix A.1, in their alphabets.
func judgeName(c *certificate, which string, name []byte, f *findings) {
	rdns, ok := dn.Parse(name)
	if !ok {
		f.add(Unparseable, "%s: its %s is not the strict DER of a name; issue it again", c, which)
		return
	}
	for _, rdn := range rdns {
		for _, a := range rdn {
			if why := a.Fault(); why != "" {
				f.add(Unparseable, "%s: the attribute %s of its %s %s; issue it again with UTF8String or PrintableString", c,
					a.Type, which, why)
				return
			}
		}
	}
}

// compressed reports whether the key is an EC point in its compressed form.
func (c *certificate) compressed() bool {
	s := cryptobyte.String(c.spki)
	var body cryptobyte.String
	var point []byte
	return c.key.oid == oidEC && s.ReadASN1(&body, asn1.SEQUENCE) && body.SkipASN1(asn1.SEQUENCE) &&
		body.ReadASN1BitStringAsBytes(&point) && len(point) > 0 && (point[0] == 2 || point[0] == 3)
}

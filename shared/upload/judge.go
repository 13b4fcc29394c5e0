package upload

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"slices"
	"time"

	"github.com/mastio-aws/mastio/shared/pki"
	"github.com/mastio-aws/mastio/shared/pki/der"
)

// judgeEach judges the readable certificates of a file that could not be read whole, one by one: a chain with a hole
// in it says nothing.
func judgeEach(all []*certificate, now time.Time, f *findings) {
	for _, c := range all {
		judgeEncoding(c, f)
		judgeValidity(c, now, f)
	}
}

// judgePath holds a chain, the CA first, to everything that is asked of it.
func judgePath(path []*certificate, key crypto.Signer, p Policy, f *findings) {
	judgeEach(path, p.Now, f)
	for i, c := range path {
		judgePathLen(c, i, len(path) == 1 && p.Legacy, f)
		judgeAuthorityKeyID(c, above(path, i), f)
	}
	judgeKnown(path, p.Known, f)
	ca := path[0]
	judgeSize(ca, f)
	if len(path) > 1 && sameKey(ca.public, path[1].public) {
		f.add(KeyReused, "%s and its issuer have the same key", ca)
	}
	if key != nil && !sameKey(ca.public, key.Public()) {
		judgeKey(key, f)
		judgeReuse(key.Public(), "the private key", p.Known, f)
	}
}

// sameKey compares keys that may not be known.
func sameKey(a, b crypto.PublicKey) bool { return a != nil && b != nil && pki.SameKey(a, b) }

// above is the issuer of a certificate of a chain, a root's own for it, or nil if the file lacks it.
func above(path []*certificate, i int) *certificate {
	switch c := path[i]; {
	case i+1 < len(path):
		return path[i+1]
	case bytes.Equal(c.issuer, c.subject):
		return c
	}
	return nil
}

// judgeSize adds to a CA's key what concerns only keys that are imported.
func judgeSize(ca *certificate, f *findings) {
	if ca.public != nil && pki.CheckKey(ca.public) == nil {
		if err := checkCAKey(ca.public); err != nil {
			f.add(WeakKey, "%s: %s", ca, err)
		}
	}
}

// judgeEncoding holds one certificate to the profile of a CA, whatever its place in a chain.
func judgeEncoding(c *certificate, f *findings) {
	before := len(f.defects)
	judgeSerial(c, f)
	if isEmptySequence(c.subject) {
		f.add(SubjectEmpty, "%s has an empty subject; verifiers find an issuer by its name", c)
	}
	judgeStandard(c, f)
	judgePublicKey(c, f)
	judgeSignature(c, f)
	judgeExtensions(c, f)
	// An objection of crypto/x509 alone is still an objection.
	if c.parsed == nil && len(f.defects) == before {
		f.add(Unparseable, "%s: %s", c, clip(c.refusal.Error()))
	}
}

const maxSerial = 20 // octets, RFC 5280 section 4.1.2.2

func judgeSerial(c *certificate, f *findings) {
	s := c.serial
	switch {
	case !der.Integer(s):
		f.add(Serial, "the serial number of %s is malformed", c)
	case s[0] >= 0x80:
		f.add(Serial, "the serial number of %s is negative", c)
	case len(s) == 1 && s[0] == 0:
		f.add(Serial, "the serial number of %s is zero", c)
	case len(s) > maxSerial:
		f.add(Serial, "the serial number of %s has %d octets, want at most %d", c, len(s), maxSerial)
	}
}

func judgePublicKey(c *certificate, f *findings) {
	whose := "the key of " + c.String()
	if c.key.oid == oidEC {
		if _, ok := readCurve(c.key.parameters, whose, f); !ok {
			return
		}
	} else if c.key.oid != oidRSA {
		c.key.refuse(whose, f)
		return
	}
	if c.public == nil {
		if c.compressed() {
			f.add(Unparseable, "%s: its point is compressed, which not every verifier reads (RFC 5480 section 2.2); make the "+
				"key with an uncompressed one and issue it again: openssl ec -conv_form uncompressed", whose)
		}
		return // crypto/x509 has said why
	}
	if err := pki.CheckKey(c.public); err != nil {
		f.add(WeakKey, "%s: %s", whose, err)
	}
}

// signatures are the algorithms that certificates may be signed with. Ed25519 is among them because it is as strong:
// an issuer with such a key is refused for its key.
var signatures = map[string]bool{
	"1.2.840.10045.4.3.2": true, "1.2.840.10045.4.3.3": true, "1.2.840.10045.4.3.4": true, // ECDSA with SHA-256, 384, 512
	"1.2.840.113549.1.1.11": true, "1.2.840.113549.1.1.12": true, "1.2.840.113549.1.1.13": true, // RSA with the same
	oidRSAPSS: true, "1.3.101.112": true,
}

func judgeSignature(c *certificate, f *findings) {
	known := signatures[c.signed.oid]
	switch {
	case c.signed.oid == oidRSAPSS && c.parsed != nil && c.parsed.SignatureAlgorithm == x509.UnknownSignatureAlgorithm:
		f.add(WeakSignature, "%s is signed with RSASSA-PSS in a form that not all verifiers read (they want SHA-256, 384 "+
			"or 512, the same hash in MGF1, and a salt of its length); "+
			"have it signed with sha256WithRSAEncryption (AD CS: AlternateSignatureAlgorithm=0; openssl: no "+
			"rsa_padding_mode:pss)", c)
	case !known:
		f.add(WeakSignature, "%s is signed with %s; want ECDSA or RSA with SHA-256 or better", c, signatureName(c.signed.oid))
	}
}

func signatureName(oid string) string {
	switch oid {
	case "1.2.840.113549.1.1.4":
		return "MD5"
	case "1.2.840.113549.1.1.5", "1.2.840.10045.4.1":
		return "SHA-1"
	}
	return "the algorithm " + oid
}

func judgeValidity(c *certificate, now time.Time, f *findings) {
	switch {
	case now.After(c.notAfter):
		f.add(Expired, "%s expired on %s", c, c.notAfter.Format(time.RFC3339))
	case now.Add(minLeft).After(c.notAfter):
		f.add(ValidityTooShort, "%s expires on %s, in less than 90 days", c, c.notAfter.Format(time.RFC3339))
	}
	if now.Before(c.notBefore) {
		f.add(NotYetValid, "%s is valid from %s only", c, c.notBefore.Format(time.RFC3339))
	}
}

// judgePathLen asks that a certificate allow the CAs that will be below it: those of the chain, and the issuing CA
// that the Mastio makes. A legacy root gets none.
func judgePathLen(c *certificate, place int, legacy bool, f *findings) {
	bc, ok := c.constraints()
	below := place + 1
	if legacy && c.signs(c) {
		below = 0
	}
	if ok && bc.CA && !bc.Allow(below) {
		f.add(PathLenZero, "pathLenConstraint of %s is %d, want none or at least %d: the Mastio's issuing CA is below it", c,
			bc.PathLen, below)
	}
}

// pathLenZero reports whether the encoded pathLenConstraint is 0.
func (c *certificate) pathLenZero() bool {
	bc, ok := c.constraints()
	return ok && bc.CA && !bc.Allow(1)
}

// prove uses the key as the Mastio will: it signs an issuing CA (not under a legacy root) and a certificate. Package
// pki verifies all of it, up to the root's own signature. A failure here refuses the upload even if no other check
// found a defect.
func prove(m Material, now time.Time, f *findings) {
	if err := rehearse(m, now); err != nil {
		f.add(ChainBroken, "a certificate issued under it does not verify: %s", clip(err.Error()))
	}
}

const rehearsal = "rehearsal"

func rehearse(m Material, now time.Time) error {
	authority, err := rehearseCA(m, now)
	if err != nil {
		return err
	}
	key, err := pki.NewKey()
	if err != nil {
		return err
	}
	_, err = authority.IssueAgent(pki.AgentParams{
		AgentID:   rehearsal + "::" + rehearsal,
		Org:       rehearsal,
		SPIFFEID:  "spiffe://rehearsal.invalid/rehearsal/rehearsal",
		PublicKey: key.Public(),
		Now:       now,
	})
	return err
}

func rehearseCA(m Material, now time.Time) (pki.Authority, error) {
	uploaded := pki.Authority{Chain: m.Chain, Key: m.Key}
	if m.Legacy {
		return uploaded, pki.VerifyAuthority(m.Chain, now)
	}
	key, err := pki.NewKey()
	if err != nil {
		return uploaded, err
	}
	// NewIssuing verifies the whole path as VerifyAuthority does.
	issuing, err := pki.NewIssuing(pki.CAParams{Org: rehearsal, Generation: 1, Now: now}, uploaded, key.Public())
	return pki.Authority{Chain: slices.Concat([]*x509.Certificate{issuing}, m.Chain), Key: key}, err
}

func isEmptySequence(element []byte) bool { return bytes.Equal(element, []byte{0x30, 0}) }

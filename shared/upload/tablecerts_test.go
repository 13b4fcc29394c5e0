package upload_test

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"strings"

	"github.com/mastio-aws/mastio/shared/upload"
)

// fields are those before the extensions, each crooked alone. Everything is signed as it stands.
func (r *rows) fields() {
	t := r.t
	r.with("serial number zero", func(f *form) { f.serial = []byte{0} }, upload.Serial)
	r.with("serial number negative", func(f *form) { f.serial = []byte{0x80, 1} }, upload.Serial)
	r.with("serial number of 21 octets", func(f *form) { f.serial = bytes.Repeat([]byte{1}, 21) }, upload.Serial)
	r.with("serial number of 20 octets", func(f *form) { f.serial = bytes.Repeat([]byte{1}, 20) })
	r.with("serial number with a needless zero", func(f *form) { f.serial = []byte{0, 1} }, upload.Serial)
	r.with("serial number empty", func(f *form) { f.serial = nil }, upload.Serial)
	r.with("subject empty", func(f *form) { f.subject, f.issuer = name(""), name("") }, upload.SubjectEmpty)
	r.with("expired yesterday", func(f *form) { f.to = noon.AddDate(0, 0, -1); f.from = noon.AddDate(-1, 0, 0) },
		upload.Expired)
	r.with("valid from tomorrow", func(f *form) { f.from = noon.AddDate(0, 0, 1) }, upload.NotYetValid)
	r.with("expired, and not yet valid", func(f *form) { f.from, f.to = noon.AddDate(0, 0, 1), noon.AddDate(0, 0, -1) },
		upload.Expired, upload.NotYetValid)
	r.with("89 days left", func(f *form) { f.to = noon.AddDate(0, 0, 89) }, upload.ValidityTooShort)
	r.with("90 days left", func(f *form) { f.to = noon.AddDate(0, 0, 90) })
	r.with("valid until 2060", func(f *form) { f.to = noon.AddDate(34, 0, 0) })
	until := func(tag byte, end string) change {
		return func(f *form) { f.validity = seq(moment(f.from), tlv(tag, []byte(end))) }
	}
	r.with("validity in another zone", until(0x17, "311124120000+0000"), upload.Unparseable)
	r.with("validity without seconds", until(0x17, "3111241200Z"), upload.Unparseable)
	r.with("validity of the 31st of February", until(0x17, "310231120000Z"), upload.Unparseable)
	r.with("validity that never ends (RFC 5280 section 4.1.2.5)", until(0x18, "99991231235959Z"))
	r.with("GeneralizedTime of 2040", until(0x18, "20400101000000Z"), upload.Unparseable)
	r.with("valid from 1960", func(f *form) { f.from = noon.AddDate(-66, 0, 0) })
	r.with("unique identifier", func(f *form) { f.unique = tlv(0x81, []byte{0, 1}) }, upload.Unparseable)
	for _, c := range []struct {
		name  string
		der   []byte
		codes []upload.Code
	}{
		{"in PrintableString", attribute(0x13, "acme root"), nil},
		{"in BMPString", attribute(0x1e, "\x00a\x00c"), nil},
		{"in TeletexString", attribute(0x14, "Z\xfcrich"), nil},
		{"in UniversalString", attribute(0x1c, "\x00\x00\x00a"), []upload.Code{upload.Unparseable}},
		{"in VisibleString", attribute(0x1a, "acme"), []upload.Code{upload.Unparseable}},
		{"that is a number", attribute(0x02, "\x01"), []upload.Code{upload.Unparseable}},
		{"with @ in PrintableString", attribute(0x13, "a@b"), []upload.Code{upload.Unparseable}},
		{"that is not UTF-8", attribute(0x0c, "\xff"), []upload.Code{upload.Unparseable}},
		{"of no character", attribute(0x0c, ""), []upload.Code{upload.Unparseable}},
		{"with an empty set", seq(tlv(0x31)), []upload.Code{upload.Unparseable}},
		{"with a set out of order", seq(tlv(0x31, pair(11, "b"), pair(10, "a"))), []upload.Code{upload.Unparseable}},
		{"with a set in order", seq(tlv(0x31, pair(10, "a"), pair(11, "b"))), nil},
		{"of 300 characters", attribute(0x0c, strings.Repeat("x", 300)), nil},
	} {
		r.with("subject "+c.name, func(f *form) { f.subject = c.der }, c.codes...)
	}
	r.with("version 1 with extensions", func(f *form) { f.version = nil }, upload.Unparseable)
	r.with("version 4", func(f *form) { f.version = []byte{3} }, upload.Unparseable)
	r.with("version 1 of old", func(f *form) { f.version, f.extensions = nil, nil }, upload.NotACA, upload.KeyUsage,
		upload.SKIMissing)
	r.with("octets after the extensions", func(f *form) { f.tbsTail = null }, upload.TrailingData)
	r.with("octets after the signature", func(f *form) { f.tail = null }, upload.TrailingData)
	r.with("octets after the certificate", func(f *form) { f.after = null }, upload.TrailingData)
	r.with("signature algorithms that differ", func(f *form) { f.outer = ecSHA384 }, upload.Unparseable)
	r.with("signed with SHA-1", func(f *form) { f.signed, f.hash = ecSHA1, crypto.SHA1 }, upload.WeakSignature)
	r.with("signature of a bit too many",
		func(f *form) { f.mangle = func(der []byte) []byte { der[len(der)-1] ^= 1; return der } }, upload.ChainBroken)
	key := rsaOf(t, 2048)
	rsaSigned := func(name string, c change, codes ...upload.Code) {
		r.add(name, found(t, "acme root", key, nil, c).pem(), pkcs8(t, key), codes...)
	}
	rsaSigned("RSA signed with SHA-1", func(f *form) { f.signed, f.hash = rsaSHA1, crypto.SHA1 }, upload.WeakSignature)
	rsaSigned("RSA signed with MD5", func(f *form) { f.signed, f.hash = rsaMD5, crypto.MD5 }, upload.WeakSignature)
	rsaSigned("RSA signature without NULL", func(f *form) { f.signed = seq(oid(1, 2, 840, 113549, 1, 1, 11)) },
		upload.Unparseable)
	r.with("ECDSA signature with NULL", func(f *form) { f.signed = seq(oid(1, 2, 840, 10045, 4, 3, 2), null) },
		upload.Unparseable)
	rsaSigned("RSA key without NULL",
		func(f *form) { f.spki = seq(seq(rsaKeyOID), bits(x509.MarshalPKCS1PublicKey(&key.PublicKey))) }, upload.Unparseable)
	rsaSigned("RSA signed with PSS", func(f *form) { f.signed, f.pss = pssSHA256, true })
	rsaSigned("RSA signed with PSS by default parameters",
		func(f *form) { f.signed, f.hash, f.pss = pssSHA1, crypto.SHA1, true }, upload.WeakSignature)
}

// attribute is a name of one common name in a string type.
func attribute(tag byte, text string) []byte {
	return seq(tlv(0x31, seq(oid(2, 5, 4, 3), tlv(tag, []byte(text)))))
}

// pair is an attribute 2.5.4.n.
func pair(n int, text string) []byte { return seq(oid(2, 5, 4, n), tlv(0x0c, []byte(text))) }

func set(id, critical, value []byte) change { return func(f *form) { f.set(id, critical, value) } }
func drop(id []byte) change                 { return func(f *form) { f.drop(id) } }

func (r *rows) extensions() {
	isCA := tlv(0x01, yes)
	r.with("basicConstraints missing", drop(oidBC), upload.NotACA)
	r.with("basicConstraints not critical", set(oidBC, nil, seq(isCA)), upload.ConstraintsNotCritical)
	r.with("basicConstraints empty", set(oidBC, yes, seq()), upload.NotACA)
	r.with("basicConstraints CA:FALSE in so many words", set(oidBC, yes, seq(tlv(0x01, []byte{0}))), upload.NotACA)
	r.with("basicConstraints with a truth of 1", set(oidBC, yes, seq(tlv(0x01, []byte{1}))), upload.Unparseable)
	r.with("basicConstraints with a tail", set(oidBC, yes, append(seq(isCA), 5, 0)), upload.Unparseable)
	r.with("basicConstraints in a long length", set(oidBC, yes, []byte{0x30, 0x81, 3, 1, 1, 0xff}), upload.Unparseable)
	r.with("basicConstraints twice", func(f *form) { f.extensions = append(f.extensions, ext{oidBC, yes, seq(isCA)}) },
		upload.Unparseable)
	r.with("criticality of FALSE in so many words", set(oidSKI, []byte{0}, octets([]byte("id"))), upload.Unparseable)
	r.with("criticality of 1", set(oidBC, []byte{1}, seq(isCA)), upload.Unparseable)
	r.with("pathLen 0", pathLen(0), upload.PathLenZero)
	r.with("pathLen 0 on an empty organisation", pathLen(0)).policy.Legacy = true
	r.with("pathLen 1", pathLen(1))
	r.with("pathLen 1 on an empty organisation", pathLen(1)).policy.Legacy = true
	r.with("pathLen -1", pathLen(0xff), upload.Unparseable)
	r.with("pathLen 127", pathLen(127))
	r.with("pathLen 128", pathLen(0, 128), upload.Unparseable)
	r.with("pathLen 2^40", pathLen(1, 0, 0, 0, 0, 0), upload.Unparseable)
	r.with("pathLen 0 with a needless zero", pathLen(0, 0), upload.Unparseable)
	r.with("keyUsage missing", drop(oidKU), upload.KeyUsage)
	r.with("keyUsage without keyCertSign", set(oidKU, yes, []byte{3, 2, 1, 0x02}), upload.KeyUsage)
	r.with("keyUsage keyCertSign alone", set(oidKU, yes, []byte{3, 2, 2, 0x04}))
	r.with("keyUsage with digitalSignature, not critical", set(oidKU, nil, []byte{3, 2, 1, 0x86}))
	r.with("keyUsage with keyEncipherment", set(oidKU, yes, []byte{3, 2, 1, 0x26}), upload.KeyUsage)
	r.with("keyUsage with decipherOnly", set(oidKU, yes, []byte{3, 3, 7, 0x04, 0x80}), upload.KeyUsage)
	r.with("keyUsage with needless bits", set(oidKU, yes, []byte{3, 2, 0, 0x06}), upload.Unparseable)
	r.with("keyUsage of no bits", set(oidKU, yes, []byte{3, 1, 0}), upload.KeyUsage)
	client, server := oid(1, 3, 6, 1, 5, 5, 7, 3, 2), oid(1, 3, 6, 1, 5, 5, 7, 3, 1)
	r.with("extendedKeyUsage serverAuth", set(oidEKU, nil, seq(server)), upload.ExtendedKeyUsage)
	r.with("extendedKeyUsage serverAuth and clientAuth", set(oidEKU, nil, seq(server, client)))
	r.with("extendedKeyUsage any", set(oidEKU, nil, seq(oid(2, 5, 29, 37, 0))), upload.ExtendedKeyUsage)
	r.with("extendedKeyUsage of none", set(oidEKU, nil, seq()), upload.Unparseable)
	r.with("nameConstraints", set(oidNC, yes, seq(tlv(0xa0, seq(tlv(0x82, []byte("example.com")))))),
		upload.NameConstraints)
	r.with("subjectKeyIdentifier missing", drop(oidSKI), upload.SKIMissing)
	r.with("subjectKeyIdentifier empty", set(oidSKI, nil, octets()), upload.SKIMissing)
	r.with("subjectKeyIdentifier critical", set(oidSKI, yes, octets([]byte("id"))), upload.UnknownCriticalExtension)
	r.with("subjectKeyIdentifier malformed", set(oidSKI, nil, integer(1)), upload.Unparseable)
	r.with("authorityKeyIdentifier of itself", set(oidAKI, nil, seq(tlv(0x80, []byte("acme root-key")))))
	r.with("authorityKeyIdentifier of another", set(oidAKI, nil, seq(tlv(0x80, []byte("another")))), upload.AKIMismatch)
	r.with("authorityKeyIdentifier malformed", set(oidAKI, nil, octets([]byte("acme root-key"))), upload.Unparseable)
	r.with("authorityKeyIdentifier by name and number", func(f *form) {
		f.set(oidAKI, nil, seq(tlv(0xa1, tlv(0xa4, f.subject)), tlv(0x82, f.serial)))
	}, upload.AKIMismatch)
	r.with("authorityKeyIdentifier by key, name and number", func(f *form) {
		f.set(oidAKI, nil, seq(tlv(0x80, f.keyID()), tlv(0xa1, tlv(0xa4, f.subject)), tlv(0x82, f.serial)))
	})
	r.with("authorityKeyIdentifier by another number", func(f *form) {
		f.set(oidAKI, nil, seq(tlv(0xa1, tlv(0xa4, f.subject)), tlv(0x82, []byte{7})))
	}, upload.AKIMismatch)
	r.with("unknown extension, critical", set(oid(1, 3, 6, 1, 4, 1, 99999, 1), yes, null), upload.UnknownCriticalExtension)
	r.with("unknown extension, not critical", set(oid(1, 3, 6, 1, 4, 1, 99999, 1), nil, null))
	r.with("certificatePolicies", set(oidCP, nil, seq(seq(oid(2, 5, 29, 32, 0)))))
	r.with("certificatePolicies, critical", set(oidCP, yes, seq(seq(oid(2, 5, 29, 32, 0)))),
		upload.UnknownCriticalExtension)
	r.with("certificatePolicies of none", set(oidCP, nil, seq()), upload.Unparseable)
	r.with("extendedKeyUsage, critical", set(oidEKU, yes, seq(server, client)), upload.UnknownCriticalExtension)
	r.with("cRLDistributionPoints without a place", set(oid(2, 5, 29, 31), nil, seq(seq())), upload.Unparseable)
	r.with("subjectAltName of none", set(oid(2, 5, 29, 17), nil, seq()), upload.Unparseable)
	r.with("policyConstraints", set(oid(2, 5, 29, 36), yes, seq(tlv(0x80, []byte{0}))), upload.UnknownCriticalExtension)
	r.with("inhibitAnyPolicy", set(oid(2, 5, 29, 54), yes, integer(0)), upload.UnknownCriticalExtension)
}

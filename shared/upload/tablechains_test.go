package upload_test

import (
	"crypto"
	"crypto/elliptic"
	"crypto/x509"
	"slices"
	"testing"

	"github.com/mastio-aws/mastio/shared/upload"
)

func (r *rows) chains() {
	t := r.t
	key, rootKey := p256(t, "ca"), ec(t, elliptic.P384(), "root")
	root := found(t, "holding root", rootKey, nil)
	ca := found(t, "acme CA", key, root)
	file := func(ps ...*party) (out []byte) {
		for _, p := range ps {
			out = append(out, p.pem()...)
		}
		return out
	}
	add := func(name string, certs []byte, codes ...upload.Code) *sample {
		return r.add(name, certs, pkcs8(t, key), codes...)
	}
	add("CA and root", file(ca, root))
	add("root and CA", file(root, ca))
	add("CA signed by ECDSA with SHA-512",
		file(found(t, "acme CA", key, root,
			func(f *form) { f.signed, f.hash = seq(oid(1, 2, 840, 10045, 4, 3, 4)), crypto.SHA512 }), root))
	add("CA from 1960 below a root of now",
		file(found(t, "acme CA", key, root, func(f *form) { f.from = noon.AddDate(-66, 0, 0) }), root))
	middle := found(t, "holding middle", rsaOf(t, 3072), root)
	upper := found(t, "holding upper", p256(t, "upper"), middle)
	low := found(t, "acme CA", key, upper)
	add("chain of four", file(low, upper, middle, root))
	add("chain of four, in any order", file(upper, root, low, middle))
	add("five certificates", file(low, upper, middle, root, ca), upload.ExtraCertificates)
	add("root missing", file(ca), upload.ChainBroken)
	add("middle missing", file(low, middle, root), upload.ChainBroken, upload.ExtraCertificates)
	add("CA twice", file(ca, ca, root), upload.ExtraCertificates)
	add("another root too", file(ca, root, found(t, "other root", p256(t, "other"), nil)), upload.ExtraCertificates)
	add("another root of the same name instead", file(ca, found(t, "holding root", p256(t, "other"), nil)),
		upload.ChainBroken, upload.ExtraCertificates)
	add("CA below a root of RSA-2304",
		file(found(t, "acme CA", key, found(t, "r", rsaOf(t, 2304), nil)), found(t, "r", rsaOf(t, 2304), nil)))
	weak := found(t, "weak root", rsaOf(t, 1024), nil)
	add("CA below a root of RSA-1024", file(found(t, "acme CA", key, weak), weak), upload.WeakKey)
	ed := found(t, "ed root", edwards(t), nil)
	add("CA below a root of Ed25519", file(found(t, "acme CA", key, ed), ed), upload.Curve)
	r.add("key of the root", file(ca, root), pkcs8(t, rootKey), upload.ExtraCertificates)
	r.add("key of none of the chain", file(ca, root), pkcs8(t, p256(t, "other")), upload.KeyMismatch)
	add("CA by its root's key", file(found(t, "acme CA", key, found(t, "same root", key, nil)),
		found(t, "same root", key, nil)), upload.KeyReused)
	below := func(name string, up *party, codes ...upload.Code) *sample {
		return add(name, file(found(t, "acme CA", key, up), up), codes...)
	}
	below("root with pathLen 2", found(t, "holding root", rootKey, nil, pathLen(2)))
	below("root with pathLen 1", found(t, "holding root", rootKey, nil, pathLen(1)), upload.PathLenZero)
	below("root with pathLen 0", found(t, "holding root", rootKey, nil, pathLen(0)), upload.PathLenZero)
	below("root with pathLen 0, on an empty organisation", found(t, "holding root", rootKey, nil, pathLen(0)),
		upload.PathLenZero).policy.Legacy = true
	add("CA with pathLen 0 below a root", file(found(t, "acme CA", key, root, pathLen(0)), root), upload.PathLenZero)
	add("CA with pathLen 0 below a root, on an empty organisation", file(found(t, "acme CA", key, root, pathLen(0)), root),
		upload.PathLenZero).policy.Legacy = true
	below("root expired", found(t, "holding root", rootKey, nil, func(f *form) { f.to = noon.AddDate(0, 0, -1) }),
		upload.Expired)
	below("root expires before the CA",
		found(t, "holding root", rootKey, nil, func(f *form) { f.to = noon.AddDate(1, 0, 0) }))
	below("root without keyUsage", found(t, "holding root", rootKey, nil, drop(oidKU)), upload.KeyUsage)
	below("root not a CA", found(t, "holding root", rootKey, nil, drop(oidBC)), upload.NotACA)
	below("root with nameConstraints",
		found(t, "holding root", rootKey, nil, set(oidNC, yes, seq(tlv(0xa1, seq(tlv(0x86, []byte("other.example"))))))),
		upload.NameConstraints)
	below("root for servers only",
		found(t, "holding root", rootKey, nil, set(oidEKU, nil, seq(oid(1, 3, 6, 1, 5, 5, 7, 3, 1)))),
		upload.ExtendedKeyUsage)
	below("root that forges its own signature", forged(t, rootKey), upload.ChainBroken)
	add("CA without authorityKeyIdentifier", file(found(t, "acme CA", key, root, drop(oidAKI)), root), upload.AKIMismatch)
	add("CA with another's authorityKeyIdentifier",
		file(found(t, "acme CA", key, root, set(oidAKI, nil, seq(tlv(0x80, []byte("other"))))), root), upload.AKIMismatch)
	add("CA signed by another key", file(found(t, "acme CA", key, found(t, "holding root", p256(t, "other"), nil)), root),
		upload.ChainBroken, upload.ExtraCertificates)
	add("leaf in front of the CA", file(found(t, "agent", p256(t, "leaf"), ca, drop(oidBC)), ca, root),
		upload.ExtraCertificates)
	add("unreadable certificate behind the CA",
		slices.Concat(file(ca), block("CERTIFICATE", seq(seq(), seq(), bits(nil)))), upload.Unparseable)
	add("CA below an earlier generation", file(ca, root), upload.KeyReused).policy.Known = knownOf(t, false, root)
	r.identities(key, root)
}

// knownOf are certificates of generation 1.
func knownOf(t testing.TB, above bool, parties ...*party) (all []upload.Known) {
	t.Helper()
	for _, p := range parties {
		cert, err := x509.ParseCertificate(p.der)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, upload.Known{Generation: 1, Certificate: cert, Above: above})
	}
	return all
}

// identities are uploads that can be taken for an earlier generation's.
func (r *rows) identities(key crypto.Signer, root *party) {
	t := r.t
	old := found(t, "acme Org CA", p256(t, "old"), nil, func(f *form) { f.serial = []byte{9, 9} })
	add := func(name string, known []upload.Known, codes []upload.Code, ps ...*party) {
		var certs []byte
		for _, p := range ps {
			certs = append(certs, p.pem()...)
		}
		r.add(name, certs, pkcs8(t, key), codes...).policy.Known = known
	}
	own := func(f *form) { f.set(oidSKI, nil, octets([]byte("its own"))) }
	codes := func(cs ...upload.Code) []upload.Code { return cs }
	of := knownOf(t, false, old)
	add("subject of an earlier generation, identifier of its own", of, nil, found(t, "acme Org CA", key, nil, own))
	add("subject and identifier of an earlier generation", of, codes(upload.SKIReused), found(t, "acme Org CA", key, nil))
	add("identifier of an earlier generation, another subject", of, codes(upload.SKIReused),
		found(t, "acme Org CA 2", key, nil, set(oidSKI, nil, octets(old.form.keyID()))))
	add("issuer and serial number of an earlier generation", of, codes(upload.SerialReused),
		found(t, "acme Org CA", key, nil, own, func(f *form) { f.serial = []byte{9, 9} }))
	add("subject of an earlier generation in other case", of, codes(upload.SerialReused),
		found(t, "ACME  Org CA", key, nil, own, func(f *form) { f.serial = []byte{9, 9} }))
	add("subject of an earlier generation under another root", of, codes(upload.SubjectReused),
		found(t, "acme Org CA", key, root, own), root)
	below := found(t, "acme Org CA", p256(t, "old"), root, func(f *form) { f.serial = []byte{8} })
	add("subject of an earlier sub-CA, as a root", knownOf(t, false, below), codes(upload.SubjectReused),
		found(t, "acme Org CA", key, nil, own))
	add("subject of an earlier sub-CA under the same root", append(knownOf(t, false, below), knownOf(t, true, root)...),
		nil, found(t, "acme Org CA", key, root, own), root)
	add("the root above an earlier generation, above again", knownOf(t, true, root), nil, found(t, "acme CA", key, root),
		root)
	twin := found(t, "acme CA", key, root, set(oidSKI, nil, octets(root.form.keyID())))
	add("identifier of its own root", nil, codes(upload.SKIReused), twin, root)
	add("serial number twice under one issuer", nil, codes(upload.SerialReused),
		found(t, "acme CA", key, root, func(f *form) { f.serial = root.form.serial }), root)
	add("certificate twice", nil, codes(upload.ExtraCertificates), found(t, "acme CA", key, root), root, root)
	other := found(t, "acme CA", key, root,
		func(f *form) { f.issuer = seq(tlv(0x31, seq(oid(2, 5, 4, 3), tlv(0x13, []byte("holding root"))))) })
	add("issuer in another string type", nil, codes(upload.ChainBroken, upload.ExtraCertificates), other, root)
}

// forged is a root that names itself its issuer, but whose signature is another key's.
func forged(t testing.TB, key crypto.Signer) *party {
	p := found(t, "holding root", key, found(t, "holding root", ec(t, elliptic.P384(), "forger"), nil), drop(oidAKI))
	p.issuer = nil
	return p
}

// many have more than one defect: all of them are reported at once.
func (r *rows) many() {
	t := r.t
	r.with("everything at once", func(f *form) {
		f.serial, f.subject, f.issuer = []byte{0}, name(""), name("")
		f.to = noon.AddDate(0, 0, 30)
		f.extensions = nil
		f.set(oidBC, nil, seq(tlv(0x01, yes), integer(0)))
		f.set(oidKU, yes, []byte{3, 2, 1, 0x02})
		f.set(oidNC, yes, seq(tlv(0xa0, seq(tlv(0x82, []byte("example.com"))))))
		f.set(oidEKU, nil, seq(oid(1, 3, 6, 1, 5, 5, 7, 3, 1)))
		f.set(oidAKI, nil, seq(tlv(0x82, []byte{1}), tlv(0x80, []byte("x"))))
		f.set(oid(1, 3, 6, 1, 4, 1, 99999, 1), yes, null)
	}, upload.Unparseable, upload.ConstraintsNotCritical, upload.PathLenZero, upload.KeyUsage, upload.ExtendedKeyUsage,
		upload.NameConstraints,
		upload.ValidityTooShort, upload.SubjectEmpty, upload.Serial, upload.SKIMissing, upload.UnknownCriticalExtension)
	weak := rsaOf(t, 1024)
	r.add("both files bad in several ways",
		found(t, "acme root", weak, nil,
			func(f *form) { f.from = noon.AddDate(0, 0, 3); f.signed, f.hash = rsaSHA1, crypto.SHA1 }).pem(),
		slices.Concat(pkcs8(t, p256(t, "ca")), pkcs8(t, p256(t, "other"))),
		upload.KeyUnparseable, upload.NotYetValid, upload.WeakKey, upload.WeakSignature)
	r.add("one certificate unreadable, the other expired",
		slices.Concat(found(t, "acme root", p256(t, "ca"), nil, func(f *form) { f.to = noon.AddDate(0, 0, -1) }).pem(),
			block("CERTIFICATE", seq(seq(), seq(), bits(nil)))), pkcs8(t, p256(t, "ca")), upload.Unparseable, upload.Expired)
	r.add("nothing at all", nil, nil, upload.Unparseable, upload.KeyUnparseable)
}

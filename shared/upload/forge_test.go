package upload_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // to make what must be refused
	"crypto/x509"
	"encoding/pem"
	"slices"
	"testing"
	"time"
)

// noon is when everything here happens.
var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// ext is one extension. A criticality of nil is left out.
type ext struct {
	id       []byte
	critical []byte
	value    []byte
}

func (e ext) der() []byte {
	if e.critical == nil {
		return seq(e.id, octets(e.value))
	}
	return seq(e.id, tlv(0x01, e.critical), octets(e.value))
}

var yes = []byte{0xff}

// Object identifiers of extensions.
var (
	oidSKI = oid(2, 5, 29, 14)
	oidKU  = oid(2, 5, 29, 15)
	oidBC  = oid(2, 5, 29, 19)
	oidNC  = oid(2, 5, 29, 30)
	oidCP  = oid(2, 5, 29, 32)
	oidAKI = oid(2, 5, 29, 35)
	oidEKU = oid(2, 5, 29, 37)
)

// Signature algorithms.
var (
	null      = []byte{5, 0}
	ecSHA256  = seq(oid(1, 2, 840, 10045, 4, 3, 2))
	ecSHA384  = seq(oid(1, 2, 840, 10045, 4, 3, 3))
	ecSHA1    = seq(oid(1, 2, 840, 10045, 4, 1))
	rsaSHA256 = seq(oid(1, 2, 840, 113549, 1, 1, 11), null)
	rsaSHA1   = seq(oid(1, 2, 840, 113549, 1, 1, 5), null)
	rsaMD5    = seq(oid(1, 2, 840, 113549, 1, 1, 4), null)
	edSign    = seq(oid(1, 3, 101, 112))
	sha256Alg = seq(oid(2, 16, 840, 1, 101, 3, 4, 2, 1), null)
	pssSHA256 = seq(oid(1, 2, 840, 113549, 1, 1, 10), seq(
		tlv(0xa0, sha256Alg), tlv(0xa1, seq(oid(1, 2, 840, 113549, 1, 1, 8), sha256Alg)), tlv(0xa2, integer(32))))
	pssSHA1 = seq(oid(1, 2, 840, 113549, 1, 1, 10), seq()) // all defaults
)

// form is a certificate before it is signed: everything in it can be crooked.
type form struct {
	version    []byte // content of the version's INTEGER; nil: left out, which is version 1
	serial     []byte
	signed     []byte // AlgorithmIdentifier
	outer      []byte // the one next to the signature; nil: the same
	hash       crypto.Hash
	pss        bool
	issuer     []byte
	subject    []byte
	from, to   time.Time
	validity   []byte // instead of from and to
	spki       []byte
	unique     []byte // identifiers of old, after the key
	extensions []ext
	tbsTail    []byte
	tail       []byte // after the signature, inside the certificate
	after      []byte // after the certificate
	mangle     func([]byte) []byte
	alter      func([]byte) []byte // what is signed, before it is
	whole      []byte              // instead of everything that is signed
}

// party is a CA with its key.
type party struct {
	form   form
	key    crypto.Signer
	der    []byte
	issuer *party
}

func (p *party) pem() []byte { return block("CERTIFICATE", p.der) }

func block(label string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: label, Bytes: der})
}

// change alters a form. What it alters is then signed, so that the signature is no defect.
type change func(*form)

// found makes a correct CA and applies the changes to it. Without an issuer the CA signs itself.
func found(t testing.TB, cn string, key crypto.Signer, issuer *party, changes ...change) *party {
	t.Helper()
	p := &party{key: key, issuer: issuer}
	signer, up := key, &p.form
	if issuer != nil {
		signer, up = issuer.key, &issuer.form
	}
	p.form = form{
		version: []byte{2},
		serial:  []byte{0x51, checksum(cn), 3, 4, 5, 6, 7, 8, 9},
		subject: name(cn),
		from:    noon.AddDate(0, 0, -1),
		to:      noon.AddDate(5, 0, 0),
		spki:    spkiOf(t, key.Public()),
		extensions: []ext{
			{oidBC, yes, seq(tlv(0x01, yes))}, {oidKU, yes, []byte{3, 2, 1, 0x06}},
			{oidSKI, nil, octets([]byte(cn), []byte("-key"))},
		},
	}
	p.form.signed, p.form.hash = algorithmOf(t, signer)
	if issuer != nil {
		p.form.set(oidAKI, nil, seq(tlv(0x80, issuer.form.keyID())))
	}
	for _, c := range changes {
		c(&p.form)
	}
	if p.form.issuer == nil {
		p.form.issuer = up.subject
	}
	p.der = p.form.sign(t, signer)
	return p
}

// checksum distinguishes names, so that serial numbers of one issuer differ.
func checksum(text string) (sum byte) {
	for _, b := range []byte(text) {
		sum = sum*31 + b
	}
	return sum
}

func spkiOf(t testing.TB, pub crypto.PublicKey) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func algorithmOf(t testing.TB, key crypto.Signer) ([]byte, crypto.Hash) {
	t.Helper()
	switch k := key.(type) {
	case *ecdsa.PrivateKey:
		if k.Curve == elliptic.P256() || k.Curve == elliptic.P224() {
			return ecSHA256, crypto.SHA256
		}
		return ecSHA384, crypto.SHA384
	case *rsa.PrivateKey:
		return rsaSHA256, crypto.SHA256
	case ed25519.PrivateKey:
		return edSign, 0
	}
	t.Fatalf("no algorithm for a %T", key)
	return nil, 0
}

// keyID is the content of the subject key identifier.
func (f *form) keyID() []byte {
	for _, e := range f.extensions {
		if string(e.id) == string(oidSKI) && len(e.value) > 2 {
			return e.value[2:]
		}
	}
	return nil
}

// set replaces or adds an extension.
func (f *form) set(id, critical, value []byte) {
	f.drop(id)
	f.extensions = append(f.extensions, ext{id, critical, value})
}

func (f *form) drop(id []byte) {
	f.extensions = slices.DeleteFunc(slices.Clone(f.extensions), func(e ext) bool { return string(e.id) == string(id) })
}

func moment(t time.Time) []byte {
	if t.Year() < 2050 {
		return tlv(0x17, []byte(t.UTC().Format("060102150405Z")))
	}
	return tlv(0x18, []byte(t.UTC().Format("20060102150405Z")))
}

func (f *form) sign(t testing.TB, key crypto.Signer) []byte {
	t.Helper()
	tbs := f.whole
	if tbs == nil {
		tbs = f.tbs()
	}
	if f.alter != nil {
		tbs = f.alter(tbs)
	}
	digest := tbs
	if f.hash == crypto.SHA1 {
		sum := sha1.Sum(tbs) //nolint:gosec // as above
		digest = sum[:]
	} else if f.hash != 0 {
		h := f.hash.New()
		h.Write(tbs)
		digest = h.Sum(nil)
	}
	var opts crypto.SignerOpts = f.hash
	if f.pss {
		opts = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: f.hash}
	}
	signature, err := key.Sign(rand.Reader, digest, opts)
	if err != nil {
		t.Fatal(err)
	}
	outer := f.outer
	if outer == nil {
		outer = f.signed
	}
	der := slices.Concat(seq(tbs, outer, bits(signature), f.tail), f.after)
	if f.mangle != nil {
		der = f.mangle(der)
	}
	return der
}

func (f *form) tbs() []byte {
	var version, extensions []byte
	if f.version != nil {
		version = tlv(0xa0, integer(f.version...))
	}
	if f.extensions != nil {
		var all []byte
		for _, e := range f.extensions {
			all = append(all, e.der()...)
		}
		extensions = tlv(0xa3, seq(all))
	}
	validity := f.validity
	if validity == nil {
		validity = seq(moment(f.from), moment(f.to))
	}
	return seq(version, integer(f.serial...), f.signed, f.issuer, validity, f.subject, f.spki, f.unique, extensions,
		f.tbsTail)
}

func TestForgedFormsAreSoundWithoutChanges(t *testing.T) {
	root := found(t, "root", p256(t, "root"), nil)
	below := found(t, "below", p256(t, "below"), root)
	parsed, err := x509.ParseCertificate(below.der)
	if err != nil {
		t.Fatal(err)
	}
	up, err := x509.ParseCertificate(root.der)
	if err != nil {
		t.Fatal(err)
	}
	if err := parsed.CheckSignatureFrom(up); err != nil {
		t.Error(err)
	}
}

package upload_test

import (
	"bytes"
	"crypto"
	"crypto/elliptic"
	"encoding/base64"
	"math/big"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode/utf16"

	"github.com/mastio-aws/mastio/shared/upload"
)

// sample is one case: two files, the policy, and the exact set of codes. No codes: it is accepted.
type sample struct {
	name       string
	certs, key []byte
	policy     upload.Policy
	codes      []upload.Code
}

// rows collects the table.
type rows struct {
	t   testing.TB
	all []sample
}

func (r *rows) add(name string, certs, key []byte, codes ...upload.Code) *sample {
	r.all = append(r.all, sample{name, certs, key, upload.Policy{Now: noon}, codes})
	return &r.all[len(r.all)-1]
}

// with adds a self-signed P-256 CA with changes.
func (r *rows) with(name string, c change, codes ...upload.Code) *sample {
	r.t.Helper()
	key := p256(r.t, "ca")
	return r.add(name, found(r.t, "acme root", key, nil, c).pem(), pkcs8(r.t, key), codes...)
}

var table struct {
	once sync.Once
	all  []sample
}

// uploads is the table. It is made once: RSA keys and primes take their time.
func uploads(t testing.TB) []sample {
	table.once.Do(func() { table.all = makeUploads(t) })
	return table.all
}

func makeUploads(t testing.TB) []sample {
	r := &rows{t: t}
	r.kinds()
	r.spellings()
	r.files()
	r.keyFiles()
	r.rsaKeys()
	r.fields()
	r.extensions()
	r.chains()
	r.many()
	return r.all
}

func pathLen(n ...byte) change {
	return func(f *form) { f.set(oidBC, yes, seq(tlv(0x01, yes), integer(n...))) }
}

// kinds are the kinds of keys.
func (r *rows) kinds() {
	t := r.t
	for _, c := range []struct {
		name  string
		key   crypto.Signer
		codes []upload.Code
	}{
		{"P-256", p256(t, "ca"), nil},
		{"P-384", ec(t, elliptic.P384(), "ca"), nil},
		{"RSA-2048", rsaOf(t, 2048), nil},
		{"RSA-3072", rsaOf(t, 3072), nil},
		{"RSA-4096", rsaOf(t, 4096), nil},
		{"RSA-2304, which KMS does not import", rsaOf(t, 2304), []upload.Code{upload.WeakKey}},
		{"RSA-1024", rsaOf(t, 1024), []upload.Code{upload.WeakKey}},
		{"P-224", ec(t, elliptic.P224(), "ca"), []upload.Code{upload.Curve}},
		{"P-521", ec(t, elliptic.P521(), "ca"), []upload.Code{upload.Curve}},
		{"Ed25519", edwards(t), []upload.Code{upload.Curve}},
	} {
		r.add("root of "+c.name, found(t, "acme root", c.key, nil).pem(), pkcs8(t, c.key), c.codes...)
	}
	key := p256(t, "ca")
	spelled := func(algorithm []byte) change {
		return func(f *form) { f.spki = seq(algorithm, bits(pointOf(t, key))) }
	}
	r.add("certificate with explicit curve parameters",
		found(t, "acme root", key, nil, spelled(seq(ecKeyOID, explicitP256()))).pem(), pkcs8(t, key), upload.Curve)
	r.add("certificate on secp256k1", found(t, "acme root", key, nil, spelled(seq(ecKeyOID, curveK256))).pem(),
		pkcs8(t, key), upload.Curve)
	r.add("certificate of an EC key without a curve", found(t, "acme root", key, nil, spelled(seq(ecKeyOID))).pem(),
		pkcs8(t, key), upload.Curve)
	r.add("certificate with a point that is not on the curve", found(t, "acme root", key, nil, func(f *form) {
		point := pointOf(t, key)
		point[64] ^= 1
		f.spki = seq(ecP256Algo, bits(point))
	}).pem(), pkcs8(t, key), upload.Unparseable)
	r.add("certificate with a compressed point", found(t, "acme root", key, nil, func(f *form) {
		f.spki = seq(ecP256Algo, bits(compressed(pointOf(t, key))))
	}).pem(), pkcs8(t, key), upload.Unparseable)
	big := new(big.Int).Lsh(big.NewInt(1), 4160)
	r.add("certificate of RSA-4161", found(t, "acme root", key, nil, func(f *form) {
		f.spki = seq(seq(rsaKeyOID, null), bits(seq(bigint(big.Add(big, one)), integer(1, 0, 1))))
	}).pem(), pkcs8(t, key), upload.WeakKey, upload.KeyMismatch)
	r.add("certificate of RSA for PSS only", found(t, "acme root", rsaOf(t, 2048), nil, func(f *form) {
		f.spki = bytes.Replace(f.spki, seq(rsaKeyOID, null), seq(oid(1, 2, 840, 113549, 1, 1, 10), null), 1)
	}).pem(), pkcs8(t, rsaOf(t, 2048)), upload.WeakKey)
	r.add("certificate of a key of another kind",
		found(t, "acme root", key, nil, spelled(seq(oid(1, 2, 840, 10046, 2, 1)))).pem(), pkcs8(t, key), upload.WeakKey)
}

// compressed is the short form of a point (SEC 1 section 2.3.3).
func compressed(point []byte) []byte {
	half := (len(point) - 1) / 2
	return append([]byte{2 + point[len(point)-1]&1}, point[1:1+half]...)
}

var one = big.NewInt(1)

// spellings are the ways to write the same upload down.
func (r *rows) spellings() {
	t := r.t
	key, rsaKey := p256(t, "ca"), rsaOf(t, 2048)
	root, rsaRoot := found(t, "acme root", key, nil), found(t, "acme root", rsaKey, nil)
	crlf := func(b []byte) []byte { return bytes.ReplaceAll(b, []byte("\n"), []byte("\r\n")) }
	bom := []byte("\ufeff")
	parameters := block("EC PARAMETERS", curveP256)

	r.add("SEC 1 key", root.pem(), sec1(t, key))
	r.add("SEC 1 key after EC PARAMETERS", root.pem(), slices.Concat(parameters, sec1(t, key)))
	r.add("SEC 1 key under a PKCS #8 label", root.pem(), block("PRIVATE KEY", sec1DER(t, key)))
	r.add("PKCS #1 key", rsaRoot.pem(), pkcs1(rsaKey))
	r.add("PKCS #8 key with its public key (RFC 5958)", root.pem(), block("PRIVATE KEY", seq(integer(1), ecP256Algo,
		octets(ecParts(scalarOf(t, key), nil, nil)), tlv(0x81, []byte{0}, pointOf(t, key)))))
	r.add("PKCS #8 key with attributes", root.pem(), block("PRIVATE KEY", seq(integer(0), ecP256Algo,
		octets(ecParts(scalarOf(t, key), nil, pointOf(t, key))),
		tlv(0xa0, seq(oid(2, 5, 29, 15), tlv(0x31, []byte{3, 2, 7, 0x80}))))))
	short := shortKey(t)
	r.add("SEC 1 key without its leading zero", found(t, "acme root", short, nil).pem(),
		block("EC PRIVATE KEY", ecParts(scalarOf(t, short)[1:], curveP256, pointOf(t, short))))
	r.add("SEC 1 key with one zero more", root.pem(),
		block("EC PRIVATE KEY", ecParts(append([]byte{0}, scalarOf(t, key)...), curveP256, nil)))
	r.add("DER and DER, PKCS #8", root.der, pkcs8DER(t, key))
	r.add("DER and DER, SEC 1", root.der, sec1DER(t, key))
	r.add("DER and PEM", root.der, pkcs8(t, key))
	r.add("PEM and DER, PKCS #1", rsaRoot.pem(), bytes.Clone(decoded(pkcs1(rsaKey))))
	r.add("CRLF", crlf(root.pem()), crlf(sec1(t, key)))
	r.add("UTF-8 byte order mark", slices.Concat(bom, root.pem()), slices.Concat(bom, pkcs8(t, key)))
	r.add("byte order mark, CRLF, blank lines",
		slices.Concat(bom, crlf(slices.Concat([]byte("\n\n"), root.pem(), []byte("\n \n")))), crlf(pkcs8(t, key)))
	r.add("no newline at the end", bytes.TrimSpace(root.pem()), bytes.TrimSpace(pkcs8(t, key)))
	r.add("openssl x509 -text", slices.Concat([]byte("Certificate:\n    Data:\n        Version: 3 (0x2)\n"), root.pem()),
		slices.Concat([]byte("Private-Key: (256 bit)\n"), pkcs8(t, key)))
	r.add("bag attributes of openssl pkcs12",
		slices.Concat([]byte("Bag Attributes\n    friendlyName: Größe\n    localKeyID: 01 02\nsubject=CN = acme root\n"),
			root.pem()),
		slices.Concat([]byte("Bag Attributes\n    localKeyID: 01 02\nKey Attributes: <No Attributes>\n"), pkcs8(t, key)))
	r.add("text after the last block", slices.Concat(root.pem(), []byte("that was all\n")),
		slices.Concat(pkcs8(t, key), []byte("\n# end\n")))
	r.add("Latin-1 in bag attributes",
		slices.Concat([]byte("Bag Attributes\n    friendlyName: Z\xfcrich CA\n"), root.pem()),
		slices.Concat([]byte("Bag Attributes\n    friendlyName: Z\xfcrich CA\n"), pkcs8(t, key)))
	r.add("control characters around the blocks", slices.Concat([]byte{0, 1, 2, '\n'}, root.pem(), []byte("\x1a")),
		slices.Concat([]byte("\f\n"), pkcs8(t, key), []byte{0}))
	r.add("label of old", block("X509 CERTIFICATE", root.der), pkcs8(t, key))
}

func decoded(text []byte) []byte {
	b := pemOf(text)
	return b.Bytes
}

// files are certificate files that are none, or not only.
func (r *rows) files() {
	t := r.t
	key := p256(t, "ca")
	root := found(t, "acme root", key, nil)
	bad := func(name string, certs []byte, codes ...upload.Code) { r.add(name, certs, pkcs8(t, key), codes...) }
	cut := root.pem()
	utf16le := []byte{0xff, 0xfe}
	for _, unit := range utf16.Encode([]rune(string(root.pem()))) {
		utf16le = append(utf16le, byte(unit), byte(unit>>8))
	}
	bad("no certificate file", nil, upload.Unparseable)
	bad("empty certificate file", []byte("\n"), upload.Unparseable)
	bad("certificate file of words", []byte("see attachment\n"), upload.Unparseable)
	bad("certificate file in UTF-16", utf16le, upload.Unparseable)
	bad("PEM cut off", cut[:len(cut)/2], upload.Unparseable)
	bad("PEM with a damaged character", bytes.Replace(cut, []byte("\nMII"), []byte("\nM?I"), 1), upload.Unparseable)
	bad("damaged block before a good one", slices.Concat(cut[:len(cut)/2], []byte("\n"), cut), upload.Unparseable)
	bad("good block and a stray end", slices.Concat(cut, []byte("-----END CERTIFICATE-----\n")), upload.Unparseable)
	bad("block begins in the middle of a line", slices.Concat([]byte("cert: "), cut), upload.Unparseable)
	bad("glued to the next block", slices.Concat(bytes.TrimSpace(cut), cut), upload.Unparseable)
	bad("line breaks as two characters", bytes.ReplaceAll(cut, []byte("\n"), []byte(`\n`)), upload.Unparseable)
	bad("line breaks lost", bytes.ReplaceAll(cut, []byte("\n"), []byte(" ")), upload.Unparseable)
	bad("lines that end in CR", bytes.ReplaceAll(cut, []byte("\n"), []byte("\r")), upload.Unparseable)
	bad("base64 without its lines", []byte(base64.StdEncoding.EncodeToString(root.der)), upload.Unparseable)
	bad("Java keystore", append([]byte{0xfe, 0xed, 0xfe, 0xed, 0, 0, 0, 2}, root.der...), upload.Unparseable)
	r.add("Java keystore for a key", cut, append([]byte{0xfe, 0xed, 0xfe, 0xed, 0, 0, 0, 2}, root.der...),
		upload.KeyUnparseable)
	bad("certificate block with headers", bytes.Replace(cut, []byte("-----\n"), []byte("-----\nComment: mine\n\n"), 1),
		upload.Unparseable)
	bad("certification request", block("CERTIFICATE REQUEST", root.der), upload.Unparseable)
	bad("OpenSSL trusted certificate", block("TRUSTED CERTIFICATE", root.der), upload.Unparseable)
	bad("certificate under a foreign label", block("X509 CRL", root.der), upload.Unparseable)
	bad("public key for a certificate", block("PUBLIC KEY", spkiOf(t, key.Public())), upload.Unparseable)
	bad("PKCS #7 container", block("PKCS7", seq(oid(1, 2, 840, 113549, 1, 7, 2), tlv(0xa0, seq(integer(1))))),
		upload.Unparseable)
	bad("PKCS #12 container", seq(integer(3), seq(oid(1, 2, 840, 113549, 1, 7, 1), tlv(0xa0, octets([]byte("bag"))))),
		upload.Unparseable)
	bad("no structure in a certificate block", block("CERTIFICATE", []byte("not DER")), upload.Unparseable)
	bad("key beside the certificate", slices.Concat(cut, pkcs8(t, key)), upload.Unparseable)
	r.add("files swapped", pkcs8(t, key), cut, upload.Unparseable, upload.KeyUnparseable)
	bad("DER with a tail", append(bytes.Clone(root.der), 0), upload.TrailingData)
	bad("PEM block with a tail", block("CERTIFICATE", append(bytes.Clone(root.der), 5, 0)), upload.TrailingData)
	const tooLarge = 66307 // a signature's length differs by a few octets, the sum of both files does not
	keyFile := pkcs8(t, key)
	tail := bytes.Repeat([]byte("x"), tooLarge-len(cut)-len(keyFile))
	r.add("too large", slices.Concat(cut, tail), keyFile, upload.Unparseable)
}

func codesOf(ds []upload.Defect) (cs []upload.Code) {
	for _, d := range ds {
		if !slices.Contains(cs, d.Code) {
			cs = append(cs, d.Code)
		}
	}
	return cs
}

func inOrder(cs []upload.Code) []upload.Code {
	sorted := slices.Clone(cs)
	slices.SortFunc(sorted, func(a,
		b upload.Code) int {
		return slices.Index(upload.Codes(), a) - slices.Index(upload.Codes(), b)
	})
	return sorted
}

func words(cs []upload.Code) string {
	out := make([]string, len(cs))
	for i, c := range cs {
		out[i] = string(c)
	}
	return strings.Join(out, " ")
}

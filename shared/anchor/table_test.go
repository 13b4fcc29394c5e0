package anchor_test

import (
	"bytes"
	"crypto"
	"crypto/elliptic"
	"math/big"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode/utf16"

	"github.com/mastio-aws/mastio/shared/anchor"
)

// upload is one case: two files, the policy, and the exact set of codes. No codes: it is accepted.
type upload struct {
	name       string
	certs, key []byte
	policy     anchor.Policy
	codes      []anchor.Code
}

// rows collects the table.
type rows struct {
	t   testing.TB
	all []upload
}

func (r *rows) add(name string, certs, key []byte, codes ...anchor.Code) *upload {
	r.all = append(r.all, upload{name, certs, key, anchor.Policy{Now: noon}, codes})
	return &r.all[len(r.all)-1]
}

// with adds a self-signed P-256 CA with changes.
func (r *rows) with(name string, c change, codes ...anchor.Code) *upload {
	r.t.Helper()
	key := p256(r.t, "ca")
	return r.add(name, found(r.t, "acme root", key, nil, c).pem(), pkcs8(r.t, key), codes...)
}

var table struct {
	once sync.Once
	all  []upload
}

// uploads is the table. It is made once: RSA keys and primes take their time.
func uploads(t testing.TB) []upload {
	table.once.Do(func() { table.all = makeUploads(t) })
	return table.all
}

func makeUploads(t testing.TB) []upload {
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
		codes []anchor.Code
	}{
		{"P-256", p256(t, "ca"), nil},
		{"P-384", ec(t, elliptic.P384(), "ca"), nil},
		{"RSA-2048", rsaOf(t, 2048), nil},
		{"RSA-3072", rsaOf(t, 3072), nil},
		{"RSA-4096", rsaOf(t, 4096), nil},
		{"RSA-2304, which KMS does not import", rsaOf(t, 2304), []anchor.Code{anchor.WeakKey}},
		{"RSA-1024", rsaOf(t, 1024), []anchor.Code{anchor.WeakKey}},
		{"P-224", ec(t, elliptic.P224(), "ca"), []anchor.Code{anchor.Curve}},
		{"P-521", ec(t, elliptic.P521(), "ca"), []anchor.Code{anchor.Curve}},
		{"Ed25519", edwards(t), []anchor.Code{anchor.Curve}},
	} {
		r.add("root of "+c.name, found(t, "acme root", c.key, nil).pem(), pkcs8(t, c.key), c.codes...)
	}
	key := p256(t, "ca")
	spelled := func(algorithm []byte) change {
		return func(f *form) { f.spki = seq(algorithm, bits(pointOf(t, key))) }
	}
	r.add("certificate with explicit curve parameters", found(t, "acme root", key, nil, spelled(seq(ecKeyOID, explicitP256()))).pem(), pkcs8(t, key), anchor.Curve)
	r.add("certificate on secp256k1", found(t, "acme root", key, nil, spelled(seq(ecKeyOID, curveK256))).pem(), pkcs8(t, key), anchor.Curve)
	r.add("certificate of an EC key without a curve", found(t, "acme root", key, nil, spelled(seq(ecKeyOID))).pem(), pkcs8(t, key), anchor.Curve)
	r.add("certificate with a point that is not on the curve", found(t, "acme root", key, nil, func(f *form) {
		point := pointOf(t, key)
		point[64] ^= 1
		f.spki = seq(ecP256Algo, bits(point))
	}).pem(), pkcs8(t, key), anchor.Unparseable)
	big := new(big.Int).Lsh(big.NewInt(1), 4160)
	r.add("certificate of RSA-4161", found(t, "acme root", key, nil, func(f *form) {
		f.spki = seq(seq(rsaKeyOID, null), bits(seq(bigint(big.Add(big, one)), integer(1, 0, 1))))
	}).pem(), pkcs8(t, key), anchor.WeakKey, anchor.KeyMismatch)
	r.add("certificate of RSA for PSS only", found(t, "acme root", rsaOf(t, 2048), nil, func(f *form) {
		f.spki = bytes.Replace(f.spki, seq(rsaKeyOID, null), seq(oid(1, 2, 840, 113549, 1, 1, 10), null), 1)
	}).pem(), pkcs8(t, rsaOf(t, 2048)), anchor.WeakKey)
	r.add("certificate of a key of another kind", found(t, "acme root", key, nil, spelled(seq(oid(1, 2, 840, 10046, 2, 1)))).pem(), pkcs8(t, key), anchor.WeakKey)
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
		octets(ecParts(scalarOf(t, key), nil, pointOf(t, key))), tlv(0xa0, seq(oid(2, 5, 29, 15), tlv(0x31, []byte{3, 2, 7, 0x80}))))))
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
	r.add("byte order mark, CRLF, blank lines", slices.Concat(bom, crlf(slices.Concat([]byte("\n\n"), root.pem(), []byte("\n \n")))), crlf(pkcs8(t, key)))
	r.add("no newline at the end", bytes.TrimSpace(root.pem()), bytes.TrimSpace(pkcs8(t, key)))
	r.add("openssl x509 -text", slices.Concat([]byte("Certificate:\n    Data:\n        Version: 3 (0x2)\n"), root.pem()),
		slices.Concat([]byte("Private-Key: (256 bit)\n"), pkcs8(t, key)))
	r.add("bag attributes of openssl pkcs12", slices.Concat([]byte("Bag Attributes\n    friendlyName: Größe\n    localKeyID: 01 02\nsubject=CN = acme root\n"), root.pem()),
		slices.Concat([]byte("Bag Attributes\n    localKeyID: 01 02\nKey Attributes: <No Attributes>\n"), pkcs8(t, key)))
	r.add("text after the last block", slices.Concat(root.pem(), []byte("that was all\n")), slices.Concat(pkcs8(t, key), []byte("\n# end\n")))
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
	bad := func(name string, certs []byte, codes ...anchor.Code) { r.add(name, certs, pkcs8(t, key), codes...) }
	cut := root.pem()
	utf16le := []byte{0xff, 0xfe}
	for _, unit := range utf16.Encode([]rune(string(root.pem()))) {
		utf16le = append(utf16le, byte(unit), byte(unit>>8))
	}
	bad("no certificate file", nil, anchor.Unparseable)
	bad("empty certificate file", []byte("\n"), anchor.Unparseable)
	bad("certificate file of words", []byte("see attachment\n"), anchor.Unparseable)
	bad("certificate file in UTF-16", utf16le, anchor.Unparseable)
	bad("PEM cut off", cut[:len(cut)/2], anchor.Unparseable)
	bad("PEM with a damaged character", bytes.Replace(cut, []byte("\nMII"), []byte("\nM?I"), 1), anchor.Unparseable)
	bad("damaged block before a good one", slices.Concat(cut[:len(cut)/2], []byte("\n"), cut), anchor.Unparseable)
	bad("good block and a stray end", slices.Concat(cut, []byte("-----END CERTIFICATE-----\n")), anchor.Unparseable)
	bad("block begins in the middle of a line", slices.Concat([]byte("cert: "), cut), anchor.Unparseable)
	bad("binary around a PEM block", slices.Concat([]byte{0, 1, 2, '\n'}, cut), anchor.Unparseable)
	bad("certificate block with headers", bytes.Replace(cut, []byte("-----\n"), []byte("-----\nComment: mine\n\n"), 1), anchor.Unparseable)
	bad("certification request", block("CERTIFICATE REQUEST", root.der), anchor.Unparseable)
	bad("OpenSSL trusted certificate", block("TRUSTED CERTIFICATE", root.der), anchor.Unparseable)
	bad("certificate under a foreign label", block("X509 CRL", root.der), anchor.Unparseable)
	bad("public key for a certificate", block("PUBLIC KEY", spkiOf(t, key.Public())), anchor.Unparseable)
	bad("PKCS #7 container", block("PKCS7", seq(oid(1, 2, 840, 113549, 1, 7, 2), tlv(0xa0, seq(integer(1))))), anchor.Unparseable)
	bad("PKCS #12 container", seq(integer(3), seq(oid(1, 2, 840, 113549, 1, 7, 1), tlv(0xa0, octets([]byte("bag"))))), anchor.Unparseable)
	bad("no structure in a certificate block", block("CERTIFICATE", []byte("not DER")), anchor.Unparseable)
	bad("key beside the certificate", slices.Concat(cut, pkcs8(t, key)), anchor.Unparseable)
	r.add("files swapped", pkcs8(t, key), cut, anchor.Unparseable, anchor.KeyUnparseable)
	bad("DER with a tail", append(bytes.Clone(root.der), 0), anchor.TrailingData)
	bad("PEM block with a tail", block("CERTIFICATE", append(bytes.Clone(root.der), 5, 0)), anchor.TrailingData)
	r.add("too large", slices.Concat(cut, bytes.Repeat([]byte("x"), 64<<10)), pkcs8(t, key), anchor.Unparseable)
}

// keyFiles are key files that are none, or not only.
func (r *rows) keyFiles() {
	t := r.t
	key, other := p256(t, "ca"), p256(t, "other")
	root := found(t, "acme root", key, nil).pem()
	bad := func(name string, key []byte, codes ...anchor.Code) { r.add(name, root, key, codes...) }
	scalar, point := scalarOf(t, key), pointOf(t, key)
	envelope := func(algorithm, inner []byte) []byte {
		return block("PRIVATE KEY", seq(integer(0), algorithm, octets(inner)))
	}
	bad("no key file", nil, anchor.KeyUnparseable)
	bad("key file of words", []byte("ask the HSM team"), anchor.KeyUnparseable)
	bad("key cut off", pkcs8(t, key)[:120], anchor.KeyUnparseable)
	bad("encrypted PKCS #8 key", block("ENCRYPTED PRIVATE KEY", pkcs8Encrypted(t, key)), anchor.KeyEncrypted)
	bad("encrypted PKCS #8 key in DER", pkcs8Encrypted(t, key), anchor.KeyEncrypted)
	bad("key encrypted in the way of old", legacyEncrypted(t, key), anchor.KeyEncrypted)
	bad("two keys", slices.Concat(pkcs8(t, key), pkcs8(t, other)), anchor.KeyUnparseable)
	bad("the same key twice", slices.Concat(pkcs8(t, key), sec1(t, key)), anchor.KeyUnparseable)
	bad("certificate beside the key", slices.Concat(pkcs8(t, key), root), anchor.KeyUnparseable)
	bad("public key for a key", block("PUBLIC KEY", spkiOf(t, key.Public())), anchor.KeyUnparseable)
	bad("OpenSSH key", block("OPENSSH PRIVATE KEY", []byte("openssh-key-v1\x00")), anchor.KeyUnparseable)
	bad("only EC PARAMETERS", block("EC PARAMETERS", curveP256), anchor.KeyUnparseable)
	bad("EC PARAMETERS spelled out", slices.Concat(block("EC PARAMETERS", explicitP256()), sec1(t, key)), anchor.Curve)
	bad("key with headers", bytes.Replace(sec1(t, key), []byte("-----\n"), []byte("-----\nComment: mine\n\n"), 1), anchor.KeyUnparseable)
	bad("key with a tail", block("PRIVATE KEY", append(pkcs8DER(t, key), 0)), anchor.TrailingData)
	bad("key in BER", block("PRIVATE KEY", append([]byte{0x30, 0x80}, append(pkcs8DER(t, key)[3:], 0, 0)...)), anchor.KeyUnparseable)
	bad("another key", pkcs8(t, other), anchor.KeyMismatch)
	bad("key on another curve", pkcs8(t, ec(t, elliptic.P384(), "ca")), anchor.KeyMismatch)
	bad("key of another kind", pkcs8(t, rsaOf(t, 2048)), anchor.KeyMismatch)
	bad("P-521 key", pkcs8(t, ec(t, elliptic.P521(), "ca")), anchor.Curve)
	bad("Ed25519 key", pkcs8(t, edwards(t)), anchor.Curve)
	bad("weak key of another certificate", pkcs8(t, rsaOf(t, 1024)), anchor.KeyMismatch, anchor.WeakKey)
	bad("PKCS #8 key with explicit curve parameters", envelope(seq(ecKeyOID, explicitP256()), ecParts(scalar, nil, point)), anchor.Curve)
	bad("SEC 1 key with explicit curve parameters", block("EC PRIVATE KEY", ecParts(scalar, explicitP256(), point)), anchor.Curve)
	bad("SEC 1 key without a curve", block("EC PRIVATE KEY", ecParts(scalar, nil, point)), anchor.Curve)
	bad("key that names two curves", envelope(ecP256Algo, ecParts(scalar, curveP384, point)), anchor.KeyUnparseable)
	bad("key with another's public half", block("EC PRIVATE KEY", ecParts(scalar, curveP256, pointOf(t, other))), anchor.KeyUnparseable)
	bad("key of zero", block("EC PRIVATE KEY", ecParts(make([]byte, 32), curveP256, nil)), anchor.KeyUnparseable)
	bad("key not below the order", block("EC PRIVATE KEY", ecParts(bytes.Repeat([]byte{0xff}, 32), curveP256, nil)), anchor.KeyUnparseable)
	bad("key of unknown algorithm", envelope(seq(oid(1, 2, 840, 10046, 2, 1)), []byte{5, 0}), anchor.WeakKey)
	bad("key file of 20 KB", block("PRIVATE KEY", seq(integer(0), ecP256Algo, octets(make([]byte, 20<<10)))), anchor.KeyUnparseable)
	r.add("the same key as an earlier generation", root, pkcs8(t, key), anchor.KeyReused).policy.Known = []crypto.PublicKey{other.Public(), key.Public()}
	r.add("wrong key, but of an earlier generation", root, pkcs8(t, other), anchor.KeyMismatch, anchor.KeyReused).policy.Known = []crypto.PublicKey{other.Public()}
	r.add("earlier generations had other keys", root, pkcs8(t, key)).policy.Known = []crypto.PublicKey{other.Public(), rsaOf(t, 2048).Public()}
}

func (r *rows) rsaKeys() {
	t := r.t
	key := rsaOf(t, 2048)
	root := found(t, "acme root", key, nil).pem()
	spoilt := func(name string, spoil func(*rsaParts), codes ...anchor.Code) {
		p := partsOf(key)
		spoil(&p)
		r.add(name, root, p.encode(t), codes...)
	}
	more := func(n *big.Int) *big.Int { return new(big.Int).Add(n, big.NewInt(2)) }
	spoilt("RSA key as it is", func(*rsaParts) {})
	spoilt("RSA key whose d does not fit", func(p *rsaParts) { p.D = more(p.D) }, anchor.KeyUnparseable)
	spoilt("RSA key whose e does not fit", func(p *rsaParts) { p.E = more(p.E) }, anchor.KeyUnparseable)
	spoilt("RSA key whose n does not fit", func(p *rsaParts) { p.N = more(p.N) }, anchor.KeyUnparseable)
	spoilt("RSA key whose prime does not fit", func(p *rsaParts) { p.P = more(p.P) }, anchor.KeyUnparseable)
	spoilt("RSA key whose dP does not fit", func(p *rsaParts) { p.DP = more(p.DP) }, anchor.KeyUnparseable)
	spoilt("RSA key whose qInv does not fit", func(p *rsaParts) { p.QInv = more(p.QInv) }, anchor.KeyUnparseable)
	spoilt("RSA key of version 2", func(p *rsaParts) { p.Version = 2 }, anchor.KeyUnparseable)
	spoilt("RSA key with a negative number", func(p *rsaParts) { p.D = new(big.Int).Neg(p.D) }, anchor.KeyUnparseable)
	spoilt("RSA key with a modulus of 8192 bits", func(p *rsaParts) { p.N = new(big.Int).Lsh(p.N, 6144) }, anchor.WeakKey)

	three, public := withExponent(t, 3)
	r.add("RSA with exponent 3", found(t, "acme root", three.signer(), nil, func(f *form) { f.spki = spkiOf(t, public) }).pem(), three.encode(t), anchor.WeakKey)
	multi := rsaFrom(65537, primeOf(t, 683), primeOf(t, 683), primeOf(t, 682))
	r.add("RSA of three primes", root, multi.encode(t), anchor.WeakKey)
	p := primeOf(t, 1024)
	near := rsaFrom(65537, p, nextPrime(p))
	r.add("RSA of primes close together", root, near.encode(t), anchor.KeyUnparseable)
	composite := rsaFrom(65537, new(big.Int).Mul(primeOf(t, 512), primeOf(t, 512)), primeOf(t, 1024))
	r.add("RSA of a number that is no prime", root, composite.encode(t), anchor.KeyUnparseable)
}

func nextPrime(p *big.Int) *big.Int {
	q := new(big.Int).Add(p, big.NewInt(2))
	for !q.ProbablyPrime(4) {
		q.Add(q, big.NewInt(2))
	}
	return q
}

// fields are those before the extensions, each crooked alone. Everything is signed as it stands.
func (r *rows) fields() {
	t := r.t
	r.with("serial number zero", func(f *form) { f.serial = []byte{0} }, anchor.Serial)
	r.with("serial number negative", func(f *form) { f.serial = []byte{0x80, 1} }, anchor.Serial)
	r.with("serial number of 21 octets", func(f *form) { f.serial = bytes.Repeat([]byte{1}, 21) }, anchor.Serial)
	r.with("serial number of 20 octets", func(f *form) { f.serial = bytes.Repeat([]byte{1}, 20) })
	r.with("serial number with a needless zero", func(f *form) { f.serial = []byte{0, 1} }, anchor.Serial)
	r.with("serial number empty", func(f *form) { f.serial = nil }, anchor.Serial)
	r.with("subject empty", func(f *form) { f.subject, f.issuer = name(""), name("") }, anchor.SubjectEmpty)
	r.with("expired yesterday", func(f *form) { f.to = noon.AddDate(0, 0, -1); f.from = noon.AddDate(-1, 0, 0) }, anchor.Expired)
	r.with("valid from tomorrow", func(f *form) { f.from = noon.AddDate(0, 0, 1) }, anchor.NotYetValid)
	r.with("expired, and not yet valid", func(f *form) { f.from, f.to = noon.AddDate(0, 0, 1), noon.AddDate(0, 0, -1) }, anchor.Expired, anchor.NotYetValid)
	r.with("89 days left", func(f *form) { f.to = noon.AddDate(0, 0, 89) }, anchor.ValidityTooShort)
	r.with("90 days left", func(f *form) { f.to = noon.AddDate(0, 0, 90) })
	r.with("valid until 2060", func(f *form) { f.to = noon.AddDate(34, 0, 0) })
	until := func(tag byte, end string) change {
		return func(f *form) { f.validity = seq(moment(f.from), tlv(tag, []byte(end))) }
	}
	r.with("validity in another zone", until(0x17, "311124120000+0000"), anchor.Unparseable)
	r.with("validity without seconds", until(0x17, "3111241200Z"), anchor.Unparseable)
	r.with("validity of the 31st of February", until(0x17, "310231120000Z"), anchor.Unparseable)
	r.with("validity that never ends (RFC 5280 section 4.1.2.5)", until(0x18, "99991231235959Z"))
	r.with("version 1 with extensions", func(f *form) { f.version = nil }, anchor.Unparseable)
	r.with("version 4", func(f *form) { f.version = []byte{3} }, anchor.Unparseable)
	r.with("version 1 of old", func(f *form) { f.version, f.extensions = nil, nil }, anchor.NotACA, anchor.KeyUsage, anchor.SKIMissing)
	r.with("octets after the extensions", func(f *form) { f.tbsTail = null }, anchor.TrailingData)
	r.with("octets after the signature", func(f *form) { f.tail = null }, anchor.TrailingData)
	r.with("octets after the certificate", func(f *form) { f.after = null }, anchor.TrailingData)
	r.with("signature algorithms that differ", func(f *form) { f.outer = ecSHA384 }, anchor.Unparseable)
	r.with("signed with SHA-1", func(f *form) { f.signed, f.hash = ecSHA1, crypto.SHA1 }, anchor.WeakSignature)
	r.with("signature of a bit too many", func(f *form) { f.mangle = func(der []byte) []byte { der[len(der)-1] ^= 1; return der } }, anchor.ChainBroken)
	key := rsaOf(t, 2048)
	rsaSigned := func(name string, c change, codes ...anchor.Code) {
		r.add(name, found(t, "acme root", key, nil, c).pem(), pkcs8(t, key), codes...)
	}
	rsaSigned("RSA signed with SHA-1", func(f *form) { f.signed, f.hash = rsaSHA1, crypto.SHA1 }, anchor.WeakSignature)
	rsaSigned("RSA signed with MD5", func(f *form) { f.signed, f.hash = rsaMD5, crypto.MD5 }, anchor.WeakSignature)
	rsaSigned("RSA signed with PSS", func(f *form) { f.signed, f.pss = pssSHA256, true })
	rsaSigned("RSA signed with PSS by default parameters", func(f *form) { f.signed, f.hash, f.pss = pssSHA1, crypto.SHA1, true }, anchor.WeakSignature)
}

func set(id, critical, value []byte) change { return func(f *form) { f.set(id, critical, value) } }
func drop(id []byte) change                 { return func(f *form) { f.drop(id) } }

func (r *rows) extensions() {
	isCA := tlv(0x01, yes)
	r.with("basicConstraints missing", drop(oidBC), anchor.NotACA)
	r.with("basicConstraints not critical", set(oidBC, nil, seq(isCA)), anchor.ConstraintsNotCritical)
	r.with("basicConstraints empty", set(oidBC, yes, seq()), anchor.NotACA)
	r.with("basicConstraints CA:FALSE in so many words", set(oidBC, yes, seq(tlv(0x01, []byte{0}))), anchor.NotACA)
	r.with("basicConstraints with a truth of 1", set(oidBC, yes, seq(tlv(0x01, []byte{1}))), anchor.Unparseable)
	r.with("basicConstraints with a tail", set(oidBC, yes, append(seq(isCA), 5, 0)), anchor.Unparseable)
	r.with("basicConstraints in a long length", set(oidBC, yes, []byte{0x30, 0x81, 3, 1, 1, 0xff}), anchor.Unparseable)
	r.with("basicConstraints twice", func(f *form) { f.extensions = append(f.extensions, ext{oidBC, yes, seq(isCA)}) }, anchor.Unparseable)
	r.with("criticality of FALSE in so many words", set(oidSKI, []byte{0}, octets([]byte("id"))), anchor.Unparseable)
	r.with("criticality of 1", set(oidBC, []byte{1}, seq(isCA)), anchor.Unparseable)
	r.with("pathLen 0", pathLen(0), anchor.PathLenZero)
	r.with("pathLen 0 on an empty organisation", pathLen(0)).policy.Legacy = true
	r.with("pathLen 1", pathLen(1))
	r.with("pathLen 1 on an empty organisation", pathLen(1)).policy.Legacy = true
	r.with("pathLen -1", pathLen(0xff), anchor.Unparseable)
	r.with("pathLen 2^40", pathLen(1, 0, 0, 0, 0, 0))
	r.with("pathLen 0 with a needless zero", pathLen(0, 0), anchor.Unparseable)
	r.with("keyUsage missing", drop(oidKU), anchor.KeyUsage)
	r.with("keyUsage without keyCertSign", set(oidKU, yes, []byte{3, 2, 1, 0x02}), anchor.KeyUsage)
	r.with("keyUsage keyCertSign alone", set(oidKU, yes, []byte{3, 2, 2, 0x04}))
	r.with("keyUsage with digitalSignature, not critical", set(oidKU, nil, []byte{3, 2, 1, 0x86}))
	r.with("keyUsage with keyEncipherment", set(oidKU, yes, []byte{3, 2, 1, 0x26}), anchor.KeyUsage)
	r.with("keyUsage with decipherOnly", set(oidKU, yes, []byte{3, 3, 7, 0x04, 0x80}), anchor.KeyUsage)
	r.with("keyUsage with needless bits", set(oidKU, yes, []byte{3, 2, 0, 0x06}), anchor.Unparseable)
	r.with("keyUsage of no bits", set(oidKU, yes, []byte{3, 1, 0}), anchor.KeyUsage)
	client, server := oid(1, 3, 6, 1, 5, 5, 7, 3, 2), oid(1, 3, 6, 1, 5, 5, 7, 3, 1)
	r.with("extendedKeyUsage serverAuth", set(oidEKU, nil, seq(server)), anchor.ExtendedKeyUsage)
	r.with("extendedKeyUsage serverAuth and clientAuth", set(oidEKU, nil, seq(server, client)))
	r.with("extendedKeyUsage any", set(oidEKU, nil, seq(oid(2, 5, 29, 37, 0))), anchor.ExtendedKeyUsage)
	r.with("extendedKeyUsage of none", set(oidEKU, nil, seq()), anchor.Unparseable)
	r.with("nameConstraints", set(oidNC, yes, seq(tlv(0xa0, seq(tlv(0x82, []byte("example.com")))))), anchor.NameConstraints)
	r.with("subjectKeyIdentifier missing", drop(oidSKI), anchor.SKIMissing)
	r.with("subjectKeyIdentifier empty", set(oidSKI, nil, octets()), anchor.SKIMissing)
	r.with("subjectKeyIdentifier critical", set(oidSKI, yes, octets([]byte("id"))), anchor.UnknownCriticalExtension)
	r.with("subjectKeyIdentifier malformed", set(oidSKI, nil, integer(1)), anchor.Unparseable)
	r.with("authorityKeyIdentifier of itself", set(oidAKI, nil, seq(tlv(0x80, []byte("acme root-key")))))
	r.with("authorityKeyIdentifier of another", set(oidAKI, nil, seq(tlv(0x80, []byte("another")))), anchor.AKIMismatch)
	r.with("authorityKeyIdentifier malformed", set(oidAKI, nil, octets([]byte("acme root-key"))), anchor.Unparseable)
	r.with("authorityKeyIdentifier by name and number", func(f *form) {
		f.set(oidAKI, nil, seq(tlv(0xa1, tlv(0xa4, f.subject)), tlv(0x82, f.serial)))
	})
	r.with("authorityKeyIdentifier by another number", func(f *form) {
		f.set(oidAKI, nil, seq(tlv(0xa1, tlv(0xa4, f.subject)), tlv(0x82, []byte{7})))
	}, anchor.AKIMismatch)
	r.with("unknown extension, critical", set(oid(1, 3, 6, 1, 4, 1, 99999, 1), yes, null), anchor.UnknownCriticalExtension)
	r.with("unknown extension, not critical", set(oid(1, 3, 6, 1, 4, 1, 99999, 1), nil, null))
	r.with("certificatePolicies, critical", set(oidCP, yes, seq(seq(oid(2, 5, 29, 32, 0)))))
	r.with("policyConstraints", set(oid(2, 5, 29, 36), yes, seq(tlv(0x80, []byte{0}))), anchor.UnknownCriticalExtension)
	r.with("inhibitAnyPolicy", set(oid(2, 5, 29, 54), yes, integer(0)), anchor.UnknownCriticalExtension)
}

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
	add := func(name string, certs []byte, codes ...anchor.Code) *upload {
		return r.add(name, certs, pkcs8(t, key), codes...)
	}
	add("CA and root", file(ca, root))
	add("root and CA", file(root, ca))
	middle := found(t, "holding middle", rsaOf(t, 3072), root)
	upper := found(t, "holding upper", p256(t, "upper"), middle)
	low := found(t, "acme CA", key, upper)
	add("chain of four", file(low, upper, middle, root))
	add("chain of four, in any order", file(upper, root, low, middle))
	add("five certificates", file(low, upper, middle, root, ca), anchor.ExtraCertificates)
	add("root missing", file(ca), anchor.ChainBroken)
	add("middle missing", file(low, middle, root), anchor.ChainBroken, anchor.ExtraCertificates)
	add("CA twice", file(ca, ca, root), anchor.ExtraCertificates)
	add("another root too", file(ca, root, found(t, "other root", p256(t, "other"), nil)), anchor.ExtraCertificates)
	add("another root of the same name instead", file(ca, found(t, "holding root", p256(t, "other"), nil)), anchor.ChainBroken, anchor.ExtraCertificates)
	add("CA below a root of RSA-2304", file(found(t, "acme CA", key, found(t, "r", rsaOf(t, 2304), nil)), found(t, "r", rsaOf(t, 2304), nil)))
	weak := found(t, "weak root", rsaOf(t, 1024), nil)
	add("CA below a root of RSA-1024", file(found(t, "acme CA", key, weak), weak), anchor.WeakKey)
	ed := found(t, "ed root", edwards(t), nil)
	add("CA below a root of Ed25519", file(found(t, "acme CA", key, ed), ed), anchor.Curve)
	r.add("key of the root", file(ca, root), pkcs8(t, rootKey), anchor.ExtraCertificates)
	r.add("key of none of the chain", file(ca, root), pkcs8(t, p256(t, "other")), anchor.KeyMismatch)
	add("CA by its root's key", file(found(t, "acme CA", key, found(t, "same root", key, nil)), found(t, "same root", key, nil)), anchor.KeyReused)
	below := func(name string, up *party, codes ...anchor.Code) *upload {
		return add(name, file(found(t, "acme CA", key, up), up), codes...)
	}
	below("root with pathLen 2", found(t, "holding root", rootKey, nil, pathLen(2)))
	below("root with pathLen 1", found(t, "holding root", rootKey, nil, pathLen(1)), anchor.PathLenZero)
	below("root with pathLen 0", found(t, "holding root", rootKey, nil, pathLen(0)), anchor.PathLenZero)
	below("root with pathLen 0, on an empty organisation", found(t, "holding root", rootKey, nil, pathLen(0)), anchor.PathLenZero).policy.Legacy = true
	add("CA with pathLen 0 below a root", file(found(t, "acme CA", key, root, pathLen(0)), root), anchor.PathLenZero)
	add("CA with pathLen 0 below a root, on an empty organisation", file(found(t, "acme CA", key, root, pathLen(0)), root), anchor.PathLenZero).policy.Legacy = true
	below("root expired", found(t, "holding root", rootKey, nil, func(f *form) { f.to = noon.AddDate(0, 0, -1) }), anchor.Expired)
	below("root expires before the CA", found(t, "holding root", rootKey, nil, func(f *form) { f.to = noon.AddDate(1, 0, 0) }))
	below("root without keyUsage", found(t, "holding root", rootKey, nil, drop(oidKU)), anchor.KeyUsage)
	below("root not a CA", found(t, "holding root", rootKey, nil, drop(oidBC)), anchor.NotACA)
	below("root with nameConstraints", found(t, "holding root", rootKey, nil, set(oidNC, yes, seq(tlv(0xa1, seq(tlv(0x86, []byte("other.example"))))))), anchor.NameConstraints)
	below("root for servers only", found(t, "holding root", rootKey, nil, set(oidEKU, nil, seq(oid(1, 3, 6, 1, 5, 5, 7, 3, 1)))), anchor.ExtendedKeyUsage)
	below("root that forges its own signature", forged(t, rootKey), anchor.ChainBroken)
	add("CA without authorityKeyIdentifier", file(found(t, "acme CA", key, root, drop(oidAKI)), root), anchor.AKIMismatch)
	add("CA with another's authorityKeyIdentifier", file(found(t, "acme CA", key, root, set(oidAKI, nil, seq(tlv(0x80, []byte("other"))))), root), anchor.AKIMismatch)
	add("CA signed by another key", file(found(t, "acme CA", key, found(t, "holding root", p256(t, "other"), nil)), root), anchor.ChainBroken, anchor.ExtraCertificates)
	add("leaf in front of the CA", file(found(t, "agent", p256(t, "leaf"), ca, drop(oidBC)), ca, root), anchor.ExtraCertificates)
	add("unreadable certificate behind the CA", slices.Concat(file(ca), block("CERTIFICATE", seq(seq(), seq(), bits(nil)))), anchor.Unparseable)
	add("CA below an earlier generation", file(ca, root), anchor.KeyReused).policy.Known = []crypto.PublicKey{rootKey.Public()}
}

// forged is a root that names itself its issuer, but whose signature is another key's.
func forged(t testing.TB, key crypto.Signer) *party {
	p := found(t, "holding root", key, found(t, "holding root", ec(t, elliptic.P384(), "forger"), nil), drop(oidAKI))
	p.issuer = nil
	return p
}

// many have more than one defect: all of them are told at once.
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
	}, anchor.Unparseable, anchor.ConstraintsNotCritical, anchor.PathLenZero, anchor.KeyUsage, anchor.ExtendedKeyUsage, anchor.NameConstraints,
		anchor.ValidityTooShort, anchor.SubjectEmpty, anchor.Serial, anchor.SKIMissing, anchor.UnknownCriticalExtension)
	weak := rsaOf(t, 1024)
	r.add("both files bad in several ways", found(t, "acme root", weak, nil, func(f *form) { f.from = noon.AddDate(0, 0, 3); f.signed, f.hash = rsaSHA1, crypto.SHA1 }).pem(),
		slices.Concat(pkcs8(t, p256(t, "ca")), pkcs8(t, p256(t, "other"))),
		anchor.KeyUnparseable, anchor.NotYetValid, anchor.WeakKey, anchor.WeakSignature)
	r.add("one certificate unreadable, the other expired", slices.Concat(found(t, "acme root", p256(t, "ca"), nil, func(f *form) { f.to = noon.AddDate(0, 0, -1) }).pem(),
		block("CERTIFICATE", seq(seq(), seq(), bits(nil)))), pkcs8(t, p256(t, "ca")), anchor.Unparseable, anchor.Expired)
	r.add("nothing at all", nil, nil, anchor.Unparseable, anchor.KeyUnparseable)
}

func codesOf(ds []anchor.Defect) (cs []anchor.Code) {
	for _, d := range ds {
		if !slices.Contains(cs, d.Code) {
			cs = append(cs, d.Code)
		}
	}
	return cs
}

func inOrder(cs []anchor.Code) []anchor.Code {
	sorted := slices.Clone(cs)
	slices.SortFunc(sorted, func(a, b anchor.Code) int { return slices.Index(anchor.Codes(), a) - slices.Index(anchor.Codes(), b) })
	return sorted
}

func words(cs []anchor.Code) string {
	out := make([]string, len(cs))
	for i, c := range cs {
		out[i] = string(c)
	}
	return strings.Join(out, " ")
}

package upload_test

import (
	"bytes"
	"crypto/elliptic"
	"math/big"
	"slices"

	"github.com/mastio-aws/mastio/shared/upload"
)

// keyFiles are key files that are none, or not only.
func (r *rows) keyFiles() {
	t := r.t
	key, other := p256(t, "ca"), p256(t, "other")
	root := found(t, "acme root", key, nil).pem()
	bad := func(name string, key []byte, codes ...upload.Code) { r.add(name, root, key, codes...) }
	scalar, point := scalarOf(t, key), pointOf(t, key)
	envelope := func(algorithm, inner []byte) []byte {
		return block("PRIVATE KEY", seq(integer(0), algorithm, octets(inner)))
	}
	bad("no key file", nil, upload.KeyUnparseable)
	bad("key file of words", []byte("ask the HSM team"), upload.KeyUnparseable)
	bad("key cut off", pkcs8(t, key)[:120], upload.KeyUnparseable)
	bad("encrypted PKCS #8 key", block("ENCRYPTED PRIVATE KEY", pkcs8Encrypted(t, key)), upload.KeyEncrypted)
	bad("encrypted PKCS #8 key in DER", pkcs8Encrypted(t, key), upload.KeyEncrypted)
	bad("key encrypted in the way of old", legacyEncrypted(t, key), upload.KeyEncrypted)
	bad("two keys", slices.Concat(pkcs8(t, key), pkcs8(t, other)), upload.KeyUnparseable)
	bad("the same key twice", slices.Concat(pkcs8(t, key), sec1(t, key)), upload.KeyUnparseable)
	bad("certificate beside the key", slices.Concat(pkcs8(t, key), root), upload.KeyUnparseable)
	bad("public key for a key", block("PUBLIC KEY", spkiOf(t, key.Public())), upload.KeyUnparseable)
	bad("OpenSSH key", block("OPENSSH PRIVATE KEY", []byte("openssh-key-v1\x00")), upload.KeyUnparseable)
	bad("only EC PARAMETERS", block("EC PARAMETERS", curveP256), upload.KeyUnparseable)
	bad("EC PARAMETERS spelled out", slices.Concat(block("EC PARAMETERS", explicitP256()), sec1(t, key)), upload.Curve)
	bad("key with headers", bytes.Replace(sec1(t, key), []byte("-----\n"), []byte("-----\nComment: mine\n\n"), 1),
		upload.KeyUnparseable)
	bad("key with a tail", block("PRIVATE KEY", append(pkcs8DER(t, key), 0)), upload.TrailingData)
	bad("key in BER", block("PRIVATE KEY", append([]byte{0x30, 0x80}, append(pkcs8DER(t, key)[3:], 0, 0)...)),
		upload.KeyUnparseable)
	bad("another key", pkcs8(t, other), upload.KeyMismatch)
	bad("key on another curve", pkcs8(t, ec(t, elliptic.P384(), "ca")), upload.KeyMismatch)
	bad("key of another kind", pkcs8(t, rsaOf(t, 2048)), upload.KeyMismatch)
	bad("P-521 key", pkcs8(t, ec(t, elliptic.P521(), "ca")), upload.Curve)
	bad("Ed25519 key", pkcs8(t, edwards(t)), upload.Curve)
	bad("weak key of another certificate", pkcs8(t, rsaOf(t, 1024)), upload.KeyMismatch, upload.WeakKey)
	bad("PKCS #8 key with explicit curve parameters", envelope(seq(ecKeyOID, explicitP256()), ecParts(scalar, nil, point)),
		upload.Curve)
	bad("SEC 1 key with explicit curve parameters", block("EC PRIVATE KEY", ecParts(scalar, explicitP256(), point)),
		upload.Curve)
	bad("SEC 1 key without a curve", block("EC PRIVATE KEY", ecParts(scalar, nil, point)), upload.Curve)
	bad("key that names two curves", envelope(ecP256Algo, ecParts(scalar, curveP384, point)), upload.KeyUnparseable)
	r.add("key with a compressed point", root, block("EC PRIVATE KEY", ecParts(scalar, curveP256, compressed(point))))
	bad("key with another's public half", block("EC PRIVATE KEY", ecParts(scalar, curveP256, pointOf(t, other))),
		upload.KeyUnparseable)
	bad("key of zero", block("EC PRIVATE KEY", ecParts(make([]byte, 32), curveP256, nil)), upload.KeyUnparseable)
	bad("key not below the order", block("EC PRIVATE KEY", ecParts(bytes.Repeat([]byte{0xff}, 32), curveP256, nil)),
		upload.KeyUnparseable)
	bad("key of unknown algorithm", envelope(seq(oid(1, 2, 840, 10046, 2, 1)), []byte{5, 0}), upload.WeakKey)
	bad("key file of 20 KB", block("PRIVATE KEY", seq(integer(0), ecP256Algo, octets(make([]byte, 20<<10)))),
		upload.KeyUnparseable)
	elder := found(t, "elder", other, nil)
	r.add("the same key as an earlier generation", root, pkcs8(t, key), upload.KeyReused).policy.Known = knownOf(t, false,
		elder, found(t, "elder too", key, nil))
	r.add("wrong key, but of an earlier generation", root, pkcs8(t, other), upload.KeyMismatch,
		upload.KeyReused).policy.Known = knownOf(t, false, elder)
	r.add("earlier generations had other keys", root, pkcs8(t, key)).policy.Known = knownOf(t, false, elder,
		found(t, "elder in RSA", rsaOf(t, 2048), nil))
}

func (r *rows) rsaKeys() {
	t := r.t
	key := rsaOf(t, 2048)
	root := found(t, "acme root", key, nil).pem()
	spoilt := func(name string, spoil func(*rsaParts), codes ...upload.Code) {
		p := partsOf(key)
		spoil(&p)
		r.add(name, root, p.encode(t), codes...)
	}
	more := func(n *big.Int) *big.Int { return new(big.Int).Add(n, big.NewInt(2)) }
	spoilt("RSA key as it is", func(*rsaParts) {})
	spoilt("RSA key whose d does not fit", func(p *rsaParts) { p.D = more(p.D) }, upload.KeyUnparseable)
	spoilt("RSA key whose e does not fit", func(p *rsaParts) { p.E = more(p.E) }, upload.KeyUnparseable)
	spoilt("RSA key whose n does not fit", func(p *rsaParts) { p.N = more(p.N) }, upload.KeyUnparseable)
	spoilt("RSA key whose prime does not fit", func(p *rsaParts) { p.P = more(p.P) }, upload.KeyUnparseable)
	spoilt("RSA key whose dP does not fit", func(p *rsaParts) { p.DP = more(p.DP) }, upload.KeyUnparseable)
	spoilt("RSA key whose qInv does not fit", func(p *rsaParts) { p.QInv = more(p.QInv) }, upload.KeyUnparseable)
	spoilt("RSA key of version 2", func(p *rsaParts) { p.Version = 2 }, upload.KeyUnparseable)
	spoilt("RSA key with a negative number", func(p *rsaParts) { p.D = new(big.Int).Neg(p.D) }, upload.KeyUnparseable)
	spoilt("RSA key with a modulus of 8192 bits", func(p *rsaParts) { p.N = new(big.Int).Lsh(p.N, 6144) }, upload.WeakKey)

	three, public := withExponent(t, 3)
	r.add("RSA with exponent 3", found(t, "acme root", three.signer(), nil,
		func(f *form) { f.spki = spkiOf(t, public) }).pem(), three.encode(t), upload.WeakKey)
	multi := rsaFrom(65537, primeOf(t, 683), primeOf(t, 683), primeOf(t, 682))
	r.add("RSA of three primes", root, multi.encode(t), upload.WeakKey)
	p := primeOf(t, 1024)
	near := rsaFrom(65537, p, nextPrime(p))
	r.add("RSA of primes close together", root, near.encode(t), upload.KeyUnparseable)
	composite := rsaFrom(65537, new(big.Int).Mul(primeOf(t, 512), primeOf(t, 512)), primeOf(t, 1024))
	r.add("RSA of a number that is no prime", root, composite.encode(t), upload.KeyUnparseable)
}

func nextPrime(p *big.Int) *big.Int {
	q := new(big.Int).Add(p, big.NewInt(2))
	for !q.ProbablyPrime(4) {
		q.Add(q, big.NewInt(2))
	}
	return q
}

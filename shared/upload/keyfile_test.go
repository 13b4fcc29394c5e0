package upload_test

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"encoding/pem"
	"math/big"
	"slices"
	"testing"
)

func pkcs8DER(t testing.TB, key crypto.Signer) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func pkcs8(t testing.TB, key crypto.Signer) []byte { return block("PRIVATE KEY", pkcs8DER(t, key)) }

func sec1DER(t testing.TB, key *ecdsa.PrivateKey) []byte {
	t.Helper()
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func sec1(t testing.TB, key *ecdsa.PrivateKey) []byte {
	return block("EC PRIVATE KEY", sec1DER(t, key))
}

func pkcs1(key *rsa.PrivateKey) []byte {
	return block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(key))
}

var (
	curveP256  = oid(1, 2, 840, 10045, 3, 1, 7)
	curveP384  = oid(1, 3, 132, 0, 34)
	curveK256  = oid(1, 3, 132, 0, 10)
	ecKeyOID   = oid(1, 2, 840, 10045, 2, 1)
	rsaKeyOID  = oid(1, 2, 840, 113549, 1, 1, 1)
	ecP256Algo = seq(ecKeyOID, curveP256)
)

// explicitP256 is P-256 spelled out (RFC 3279 section 2.3.5), as old tools and attackers write it.
func explicitP256() []byte {
	p, _ := new(big.Int).SetString("ffffffff00000001000000000000000000000000ffffffffffffffffffffffff", 16)
	n, _ := new(big.Int).SetString("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551", 16)
	a, _ := hex.DecodeString("ffffffff00000001000000000000000000000000fffffffffffffffffffffffc")
	b, _ := hex.DecodeString("5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604b")
	g, _ := hex.DecodeString("046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296" +
		"4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5")
	return seq(integer(1), seq(oid(1, 2, 840, 10045, 1, 1), bigint(p)), seq(octets(a), octets(b)), octets(g), bigint(n),
		integer(1))
}

// ecParts assembles a SEC 1 key of any parts. nil leaves one out.
func ecParts(scalar, parameters, public []byte) []byte {
	var p, q []byte
	if parameters != nil {
		p = tlv(0xa0, parameters)
	}
	if public != nil {
		q = tlv(0xa1, bits(public))
	}
	return seq(integer(1), octets(scalar), p, q)
}

func scalarOf(t testing.TB, key *ecdsa.PrivateKey) []byte {
	t.Helper()
	scalar, err := key.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return scalar
}

func pointOf(t testing.TB, key *ecdsa.PrivateKey) []byte {
	t.Helper()
	point, err := key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return point
}

// shortKey is a P-256 key whose scalar begins with a zero octet, which old tools left out.
func shortKey(t testing.TB) *ecdsa.PrivateKey {
	for {
		key, err := ecdsa.GenerateKey(p256(t, "any").Curve, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if scalarOf(t, key)[0] == 0 {
			return key
		}
	}
}

// rsaParts is the structure of RFC 8017 appendix A.1.2.
type rsaParts struct {
	Version                     int
	N, E, D, P, Q, DP, DQ, QInv *big.Int
	Others                      []otherPrime `asn1:"optional,omitempty"`
}

type otherPrime struct{ R, D, T *big.Int }

func partsOf(key *rsa.PrivateKey) rsaParts {
	return rsaParts{
		0, key.N, big.NewInt(int64(key.E)), key.D, key.Primes[0], key.Primes[1], key.Precomputed.Dp, key.Precomputed.Dq,
		key.Precomputed.Qinv, nil,
	}
}

func (p rsaParts) encode(t testing.TB) []byte {
	t.Helper()
	der, err := asn1.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	return block("RSA PRIVATE KEY", der)
}

// rsaFrom makes the numbers of a key of given primes, whether they are primes or not, for a given exponent.
func rsaFrom(e int64, primes ...*big.Int) rsaParts {
	one := big.NewInt(1)
	n, phi := big.NewInt(1), big.NewInt(1)
	for _, p := range primes {
		n.Mul(n, p)
		phi.Mul(phi, new(big.Int).Sub(p, one))
	}
	d := new(big.Int).ModInverse(big.NewInt(e), phi)
	if d == nil {
		return rsaParts{}
	}
	p, q := primes[0], primes[1]
	parts := rsaParts{
		0, n, big.NewInt(e), d, p, q, new(big.Int).Mod(d, new(big.Int).Sub(p, one)),
		new(big.Int).Mod(d, new(big.Int).Sub(q, one)), new(big.Int).ModInverse(q, p), nil,
	}
	before := new(big.Int).Mul(p, q)
	for _, r := range primes[2:] {
		parts.Version = 1
		parts.Others = append(parts.Others,
			otherPrime{r, new(big.Int).Mod(d, new(big.Int).Sub(r, one)), new(big.Int).ModInverse(before, r)})
		before = new(big.Int).Mul(before, r)
	}
	return parts
}

func primeOf(t testing.TB, bits int) *big.Int {
	t.Helper()
	p, err := rand.Prime(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// withExponent makes an RSA key of 2048 bits with a small exponent.
func withExponent(t testing.TB, e int64) (rsaParts, *rsa.PublicKey) {
	for {
		if p := rsaFrom(e, primeOf(t, 1024), primeOf(t, 1024)); p.N != nil && p.N.BitLen() == 2048 {
			return p, &rsa.PublicKey{N: p.N, E: int(e)}
		}
	}
}

func (p rsaParts) signer() *rsa.PrivateKey {
	return &rsa.PrivateKey{PublicKey: rsa.PublicKey{N: p.N, E: int(p.E.Int64())}, D: p.D, Primes: []*big.Int{p.P, p.Q}}
}

// legacyEncrypted is a key in the encryption of old (RFC 1421 headers).
func legacyEncrypted(t testing.TB, key *ecdsa.PrivateKey) []byte {
	t.Helper()
	der := sec1DER(t, key)
	//nolint:staticcheck // what operators have
	b, err := x509.EncryptPEMBlock(rand.Reader, "EC PRIVATE KEY", der, []byte("secret"), x509.PEMCipherAES128)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(b)
}

// pkcs8Encrypted is an EncryptedPrivateKeyInfo (RFC 5958 section 3) by PBES2. No test decrypts it.
func pkcs8Encrypted(t testing.TB, key crypto.Signer) []byte {
	t.Helper()
	c, err := aes.NewCipher(make([]byte, 16))
	if err != nil {
		t.Fatal(err)
	}
	der := pkcs8DER(t, key)
	padded := append(slices.Clone(der), make([]byte, 16-len(der)%16)...)
	cipher.NewCBCEncrypter(c, make([]byte, 16)).CryptBlocks(padded, padded)
	kdf := seq(oid(1, 2, 840, 113549, 1, 5, 12), seq(octets([]byte("saltsalt")), integer(8, 0)))
	scheme := seq(oid(2, 16, 840, 1, 101, 3, 4, 1, 2), octets(make([]byte, 16)))
	return seq(seq(oid(1, 2, 840, 113549, 1, 5, 13), seq(kdf, scheme)), octets(padded))
}

package upload_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"math/big"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/mastio-aws/mastio/shared/pki"
	"github.com/mastio-aws/mastio/shared/upload"
)

// good are uploads that are accepted, of every kind, as DER.
func good(t testing.TB) []sample {
	key, rsaKey := p256(t, "ca"), rsaOf(t, 2048)
	root := found(t, "holding root", rsaKey, nil, pathLen(3))
	policy := upload.Policy{Now: noon}
	return []sample{
		{"P-256", found(t, "acme root", key, nil, pathLen(1)).der, pkcs8DER(t, key), policy, nil},
		{"SEC 1", found(t, "acme root", key, nil).der, sec1DER(t, key), policy, nil},
		{"RSA", root.der, x509.MarshalPKCS1PrivateKey(rsaKey), policy, nil},
		{"chain", slices.Concat(found(t, "acme CA", key, root).pem(), root.pem()), pkcs8DER(t, key), policy, nil},
	}
}

// mutate changes one place of a file: an octet to another, one more, or one less.
func mutate(rt *rapid.T, file []byte) []byte {
	at := rapid.IntRange(0, len(file)-1).Draw(rt, "at")
	out := bytes.Clone(file)
	switch rapid.IntRange(0, 3).Draw(rt, "how") {
	case 0:
		out[at] ^= 1 << rapid.IntRange(0, 7).Draw(rt, "bit")
	case 1:
		out[at] = rapid.Byte().Draw(rt, "octet")
	case 2:
		out = slices.Insert(out, at, rapid.Byte().Draw(rt, "octet"))
	default:
		out = slices.Delete(out, at, at+1)
	}
	return out
}

// One mutation anywhere in a good upload is refused, or what was read is the very same certificates and key.
func TestOneMutationIsRefusedOrChangesNothing(t *testing.T) {
	uploads := good(t)
	refused, same := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		u := uploads[rapid.IntRange(0, len(uploads)-1).Draw(rt, "upload")]
		want, err := upload.Read(u.certs, u.key, u.policy)
		if err != nil {
			rt.Fatal(err)
		}
		certs, key := u.certs, u.key
		if rapid.Bool().Draw(rt, "certificates") {
			certs = mutate(rt, certs)
		} else {
			key = mutate(rt, key)
		}
		got, err := upload.Read(certs, key, u.policy)
		if err != nil {
			refused++
			defectsOf(t, err)
			return
		}
		same++
		if !slices.EqualFunc(got.Chain, want.Chain, (*x509.Certificate).Equal) ||
			!pki.SameKey(got.Key.Public(), want.Key.Public()) {
			rt.Errorf("%s: accepted as something else", u.name)
		}
	})
	t.Logf("%d refused, %d unchanged", refused, same)
	if refused == 0 {
		t.Error("no mutation was refused: the test does nothing")
	}
}

// One mutation of a root that is signed again, so that the signature is not what gives it away. What is still accepted
// is a CA by crypto/x509's reading too.
func TestOneMutationUnderAGoodSignature(t *testing.T) {
	key := p256(t, "ca")
	plain := found(t, "acme root", key, nil, pathLen(1), set(oidAKI, nil, seq(tlv(0x80, []byte("acme root-key")))))
	accepted := 0
	rapid.Check(t, func(rt *rapid.T) {
		tbs := mutate(rt, plain.form.tbs())
		der := (&form{signed: plain.form.signed, hash: plain.form.hash, whole: tbs}).sign(t, key)
		m, err := upload.Read(der, pkcs8DER(t, key), upload.Policy{Now: noon})
		if err != nil {
			defectsOf(t, err)
			return
		}
		accepted++
		c := m.Chain[0]
		switch {
		case !c.IsCA || !c.BasicConstraintsValid || c.MaxPathLen == 0 || c.MaxPathLenZero || m.Legacy:
			rt.Errorf("accepted: not a CA with room for another: %v", c.MaxPathLen)
		case c.KeyUsage&x509.KeyUsageCertSign == 0 || len(c.SubjectKeyId) == 0 || len(c.UnhandledCriticalExtensions) > 0:
			rt.Errorf("accepted: %v, %x, %v", c.KeyUsage, c.SubjectKeyId, c.UnhandledCriticalExtensions)
		case c.SerialNumber.Sign() <= 0 || c.SerialNumber.BitLen() > 159 || len(c.Subject.Names) == 0:
			rt.Errorf("accepted: serial %d, subject %q", c.SerialNumber, c.Subject)
		case c.NotBefore.After(noon) || c.NotAfter.Before(noon.AddDate(0, 0, 90)):
			rt.Errorf("accepted: valid %v to %v", c.NotBefore, c.NotAfter)
		case !pki.SameKey(c.PublicKey, key.Public()):
			rt.Error("accepted: another key")
		}
	})
	t.Logf("%d accepted", accepted)
}

// No defect reveals anything about a private key, however the files are broken.
func TestDetailsHoldNoSecrets(t *testing.T) {
	const window = 10
	for _, u := range uploads(t) {
		_, err := upload.Read(u.certs, u.key, u.policy)
		text := ""
		for _, d := range defectsOf(t, err) {
			text += d.Detail + "\n"
		}
		for _, secret := range secretsOf(u) {
			for at := 0; at+window <= len(secret); at++ {
				if part := secret[at : at+window]; strings.Contains(strings.ToLower(text), part) {
					t.Errorf("%s: a detail holds %q of the key", u.name, part)
				}
			}
		}
	}
}

// secretsOf spells the private key of an upload in the ways that it could leak by, in lower case.
func secretsOf(u sample) (all []string) {
	for _, file := range [][]byte{u.key, u.certs} {
		for b := pemOf(file); b != nil; b = nil {
			if strings.HasSuffix(b.Type, "PRIVATE KEY") {
				all = append(all, strings.ToLower(base64.StdEncoding.EncodeToString(b.Bytes)), hex.EncodeToString(b.Bytes))
			}
		}
	}
	if len(u.key) > 0 && u.key[0] == 0x30 {
		all = append(all, strings.ToLower(base64.StdEncoding.EncodeToString(u.key)), hex.EncodeToString(u.key))
	}
	return all
}

func TestZeroOverwritesTheNumbers(t *testing.T) {
	read := func(p *party, key []byte) upload.Material {
		m, err := upload.Read(p.der, key, upload.Policy{Now: noon})
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	ecKey, rsaKey := p256(t, "ca"), rsaOf(t, 2048)
	m := read(found(t, "acme root", ecKey, nil), pkcs8DER(t, ecKey))
	private := m.Key.(*ecdsa.PrivateKey)
	numbers := []*big.Int{private.D} //nolint:staticcheck // what is under test
	m.Zero()
	m.Zero() // twice is no error
	m = read(found(t, "acme root", rsaKey, nil), pkcs8DER(t, rsaKey))
	r := m.Key.(*rsa.PrivateKey)
	numbers = append(numbers, r.D, r.Primes[0], r.Primes[1], r.Precomputed.Dp, r.Precomputed.Dq, r.Precomputed.Qinv)
	behind := make([][]big.Word, len(numbers))
	for i, n := range numbers {
		behind[i] = n.Bits()
	}
	m.Zero()
	for i, n := range numbers {
		if n.Sign() != 0 || slices.ContainsFunc(behind[i], func(w big.Word) bool { return w != 0 }) {
			t.Errorf("number %d is still there", i)
		}
	}
}

// Why there is a test for primes: the standard library's validation lets this key pass.
func TestStandardLibraryDoesNotAskForPrimes(t *testing.T) {
	p := rsaFrom(65537, new(big.Int).Mul(primeOf(t, 512), primeOf(t, 512)), primeOf(t, 1024))
	if p.N == nil || p.N.BitLen() < 2047 {
		t.Skip("the numbers fell out badly")
	}
	if _, err := x509.ParsePKCS1PrivateKey(decoded(p.encode(t))); err != nil {
		t.Errorf("it does now: %v", err)
	}
}

package pki_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/mastio-aws/mastio/shared/pki"
	"github.com/mastio-aws/mastio/test/pkitest"
)

func ecKey(t testing.TB, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func edKey(t testing.TB) ed25519.PrivateKey {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// weakRSA makes a key of 1024 bits from its primes: rsa.GenerateKey and the signer refuse to, in some builds.
func weakRSA(t testing.TB) *rsa.PublicKey {
	t.Helper()
	product := big.NewInt(1)
	for range 2 {
		prime, err := rand.Prime(rand.Reader, 512)
		if err != nil {
			t.Fatal(err)
		}
		product.Mul(product, prime)
	}
	return &rsa.PublicKey{N: product, E: 65537}
}

func csrOf(t testing.TB, key crypto.Signer, algorithm x509.SignatureAlgorithm) []byte {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{SignatureAlgorithm: algorithm}, key)
	if err != nil {
		t.Fatal(err)
	}
	return armour("CERTIFICATE REQUEST", der)
}

func armour(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func derOf(t testing.TB, text []byte) []byte {
	t.Helper()
	block, _ := pem.Decode(text)
	if block == nil {
		t.Fatal("not PEM")
	}
	return block.Bytes
}

func TestParseCSRAccepts(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	p256 := ecKey(t, elliptic.P256())
	plain := pkitest.CSR(t, p256)
	tests := map[string]struct {
		text []byte
		want crypto.PublicKey
	}{
		"P-256":             {plain, p256.Public()},
		"RSA":               {csrOf(t, rsaKey, x509.SHA256WithRSA), rsaKey.Public()},
		"RSA-PSS":           {csrOf(t, rsaKey, x509.SHA384WithRSAPSS), rsaKey.Public()},
		"openssl req -text": {slices.Concat([]byte("Certificate Request:\n    Data:\n"), plain), p256.Public()},
		"certtool": {slices.Concat([]byte("PKCS #10 Certificate Request Information:\n\tVersion: 1\n\n"), plain),
			p256.Public()},
		"byte order mark": {slices.Concat([]byte("\ufeff"), plain), p256.Public()},
		"Latin-1 around":  {slices.Concat([]byte("# K\xf6ln\n"), plain, []byte("# bye \xe9\n")), p256.Public()},
		"white space":     {slices.Concat([]byte("\r\n \t\n"), plain, []byte("\n\n")), p256.Public()},
		"CRLF":            {bytes.ReplaceAll(plain, []byte("\n"), []byte("\r\n")), p256.Public()},
		"old label":       {armour("NEW CERTIFICATE REQUEST", derOf(t, plain)), p256.Public()},
	}
	p384 := ecKey(t, elliptic.P384())
	tests["P-384"] = struct {
		text []byte
		want crypto.PublicKey
	}{csrOf(t, p384, 0), p384.Public()}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := pki.ParseCSR(tt.text)
			if err != nil {
				t.Fatal(err)
			}
			if !tt.want.(interface{ Equal(crypto.PublicKey) bool }).Equal(got) {
				t.Error("got another key than the request's")
			}
		})
	}
}

func TestParseCSRRefuses(t *testing.T) {
	good := pkitest.CSR(t, ecKey(t, elliptic.P256()))
	der := derOf(t, good)
	forged := slices.Clone(der)
	forged[len(forged)-1] ^= 1
	swapped := bytes.Replace(der, []byte("ignored"), []byte("another"), 1)
	root := pkitest.Root(t, "acme", 1, noon)
	secret, err := pki.EncodePrivateKey(ecKey(t, elliptic.P256()))
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, says string
		text       []byte
		want       error
	}{
		{"nothing", "is empty", nil, pki.ErrPEM},
		{"white space", "is empty", []byte(" \n"), pki.ErrPEM},
		{"DER", "no PEM block", der, pki.ErrPEM},
		{"two requests", "2 blocks", slices.Concat(good, good), pki.ErrPEM},
		{"broken one, then a good one", "another one begins", slices.Concat(good[:60], []byte("\n"), good), pki.ErrPEM},
		{"cut off", "END line", good[:len(good)-8], pki.ErrPEM},
		{"headers", "headers", pem.EncodeToMemory(&pem.Block{
			Type:    "CERTIFICATE REQUEST",
			Headers: map[string]string{"Proc-Type": "4,ENCRYPTED"},
			Bytes:   der,
		}), pki.ErrPEM},
		{"a certificate", "is a certificate", pki.EncodeCertificates(root.Chain...), pki.ErrPEM},
		{"a private key", "is a private key", secret, pki.ErrPEM},
		{"a certificate labelled so", "", armour("CERTIFICATE REQUEST", root.Chain[0].Raw), pki.ErrCSR},
		{"empty DER", "", armour("CERTIFICATE REQUEST", nil), pki.ErrCSR},
		{"trailing data", "follows its end", armour("CERTIFICATE REQUEST", append(slices.Clone(der), 0)), pki.ErrCSR},
		{"signature changed", "signature", armour("CERTIFICATE REQUEST", forged), pki.ErrCSR},
		{"contents changed", "signature", armour("CERTIFICATE REQUEST", swapped), pki.ErrCSR},
		{"too large", "16384", slices.Concat(good, bytes.Repeat([]byte("\n"), 16<<10)), pki.ErrCSR},
		{"P-224", "P-224", csrOf(t, ecKey(t, elliptic.P224()), 0), pki.ErrKey},
		{"P-521", "P-521", csrOf(t, ecKey(t, elliptic.P521()), 0), pki.ErrKey},
		{"Ed25519", "neither EC nor RSA", csrOf(t, edKey(t), 0), pki.ErrKey},
		{"RSA-1024", "1024 bits", withKey(t, der, weakRSA(t)), pki.ErrKey},
		{"SHA-1", "SHA1", sha1CSR(t, der), pki.ErrCSR},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			key, err := pki.ParseCSR(tt.text)
			if key != nil || !errors.Is(err, tt.want) || !errors.Is(err, pki.ErrCSR) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %v, %v, want %v saying %q", key, err, tt.want, tt.says)
			}
		})
	}
}

func FuzzParseCSR(f *testing.F) {
	good := pkitest.CSR(f, ecKey(f, elliptic.P256()))
	f.Add(good)
	f.Add(slices.Concat(good, good))
	f.Add(slices.Concat(good[:60], []byte("\n"), good))
	f.Add(bytes.ReplaceAll(good, []byte("\n"), []byte("\r\n")))
	f.Add(armour("CERTIFICATE REQUEST", []byte{0x30, 0x80}))
	f.Add(armour("NEW CERTIFICATE REQUEST", derOf(f, good)))
	f.Add(csrOf(f, ecKey(f, elliptic.P521()), 0))
	f.Add(csrOf(f, edKey(f), 0))
	f.Fuzz(func(t *testing.T, text []byte) {
		key, err := pki.ParseCSR(text)
		if err != nil {
			if key != nil || !errors.Is(err, pki.ErrCSR) {
				t.Errorf("got %v, %v", key, err)
			}
			return
		}
		if err := pki.CheckKey(key); err != nil {
			t.Error(err)
		}
		if bytes.Count(text, []byte("-----BEGIN ")) != 1 || len(text) > 16<<10 {
			t.Error("accepted more than one request's text")
		}
	})
}

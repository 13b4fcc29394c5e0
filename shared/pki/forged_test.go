package pki_test

import (
	"bytes"
	"crypto"
	"crypto/elliptic"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"testing"
)

// request is a certification request (RFC 2986 section 4.2) taken apart, to be put together wrongly.
type request struct {
	Info struct {
		Version    int
		Subject    asn1.RawValue
		Key        asn1.RawValue
		Attributes asn1.RawValue
	}
	Algorithm pkix.AlgorithmIdentifier
	Signature asn1.BitString
}

func takeApart(t *testing.T, der []byte) request {
	t.Helper()
	var r request
	if _, err := asn1.Unmarshal(der, &r); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r request) encode(t *testing.T) []byte {
	t.Helper()
	der, err := asn1.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return armour("CERTIFICATE REQUEST", der)
}

// withKey puts another key into a request. The signature no longer fits; the key must be refused before that shows.
func withKey(t *testing.T, der []byte, pub crypto.PublicKey) []byte {
	t.Helper()
	spki, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		t.Fatal(err)
	}
	r := takeApart(t, der)
	r.Info.Key = asn1.RawValue{FullBytes: spki}
	return r.encode(t)
}

// sha1CSR claims a signature by ecdsa-with-SHA1, 1.2.840.10045.4.1 (RFC 3279 section 2.2.3).
func sha1CSR(t *testing.T, der []byte) []byte {
	t.Helper()
	r := takeApart(t, der)
	r.Algorithm = pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 1}}
	return r.encode(t)
}

func TestTakingApartLosesNothing(t *testing.T) {
	good := csrOf(t, ecKey(t, elliptic.P256()), 0)
	if got := takeApart(t, derOf(t, good)).encode(t); !bytes.Equal(got, good) {
		t.Error("a request put together again differs")
	}
}

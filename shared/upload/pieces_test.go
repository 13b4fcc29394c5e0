package upload_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/asn1"
	"math/big"
	"slices"
	"sync"
	"testing"
)

// keys are made once, and shared: RSA keys take their time.
var keys sync.Map

func keyOf[K crypto.Signer](t testing.TB, name string, generate func() (K, error)) K {
	t.Helper()
	if k, ok := keys.Load(name); ok {
		return k.(K)
	}
	k, err := generate()
	if err != nil {
		t.Fatal(err)
	}
	actual, _ := keys.LoadOrStore(name, k)
	return actual.(K)
}

func ec(t testing.TB, curve elliptic.Curve, name string) *ecdsa.PrivateKey {
	return keyOf(t, curve.Params().Name+name,
		func() (*ecdsa.PrivateKey, error) { return ecdsa.GenerateKey(curve, rand.Reader) })
}

func p256(t testing.TB, name string) *ecdsa.PrivateKey { return ec(t, elliptic.P256(), name) }

func rsaOf(t testing.TB, bits int) *rsa.PrivateKey {
	return keyOf(t, big.NewInt(int64(bits)).String(),
		func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, bits) })
}

func edwards(t testing.TB) ed25519.PrivateKey {
	return keyOf(t, "Ed25519", func() (ed25519.PrivateKey, error) {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	})
}

// tlv encodes an element whose content is the parts one after the other.
func tlv(tag byte, parts ...[]byte) []byte {
	content := slices.Concat(parts...)
	head := []byte{tag}
	switch n := len(content); {
	case n < 0x80:
		head = append(head, byte(n))
	case n < 0x100:
		head = append(head, 0x81, byte(n))
	case n < 0x10000:
		head = append(head, 0x82, byte(n>>8), byte(n))
	default:
		head = append(head, 0x83, byte(n>>16), byte(n>>8), byte(n))
	}
	return append(head, content...)
}

func seq(parts ...[]byte) []byte     { return tlv(0x30, parts...) }
func integer(content ...byte) []byte { return tlv(0x02, content) }
func octets(parts ...[]byte) []byte  { return tlv(0x04, parts...) }
func bits(content []byte) []byte     { return tlv(0x03, []byte{0}, content) }

func oid(arcs ...int) []byte {
	der, err := asn1.Marshal(asn1.ObjectIdentifier(arcs))
	if err != nil {
		panic(err)
	}
	return der
}

func bigint(n *big.Int) []byte {
	der, err := asn1.Marshal(n)
	if err != nil {
		panic(err)
	}
	return der
}

// name is a distinguished name of one common name; the empty one is the empty name.
func name(cn string) []byte {
	if cn == "" {
		return seq()
	}
	return seq(tlv(0x31, seq(oid(2, 5, 4, 3), tlv(0x0c, []byte(cn)))))
}

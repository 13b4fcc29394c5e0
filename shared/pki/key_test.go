package pki_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"math/big"
	"testing"

	"github.com/mastio-aws/mastio/shared/pki"
)

// modulus is an odd number of so many bits; CheckKey does not factor it.
func modulus(bits uint) *big.Int {
	n := new(big.Int).Lsh(big.NewInt(1), bits-1)
	return n.SetBit(n, 0, 1)
}

func TestCheckKey(t *testing.T) {
	var noEC *ecdsa.PublicKey
	var noRSA *rsa.PublicKey
	tests := map[string]struct {
		key  crypto.PublicKey
		good bool
	}{
		"P-256":             {ecKey(t, elliptic.P256()).Public(), true},
		"P-384":             {ecKey(t, elliptic.P384()).Public(), true},
		"RSA-2048":          {&rsa.PublicKey{N: modulus(2048), E: 65537}, true},
		"RSA-4096":          {&rsa.PublicKey{N: modulus(4096), E: 65539}, true},
		"nothing":           {nil, false},
		"nil EC":            {noEC, false},
		"nil RSA":           {noRSA, false},
		"empty EC":          {&ecdsa.PublicKey{}, false},
		"no point":          {&ecdsa.PublicKey{Curve: elliptic.P256()}, false},
		"not on the curve":  {point(1, 1), false},
		"negative":          {point(-1, 1), false},
		"P-224":             {ecKey(t, elliptic.P224()).Public(), false},
		"P-521":             {ecKey(t, elliptic.P521()).Public(), false},
		"Ed25519":           {edKey(t).Public(), false},
		"a private key":     {ecKey(t, elliptic.P256()), false},
		"a value":           {ecKey(t, elliptic.P256()).PublicKey, false},
		"empty RSA":         {&rsa.PublicKey{}, false},
		"RSA-1024":          {weakRSA(t), false},
		"RSA-2047":          {&rsa.PublicKey{N: modulus(2047), E: 65537}, false},
		"RSA-4097":          {&rsa.PublicKey{N: modulus(4097), E: 65537}, false},
		"RSA even modulus":  {&rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), 2047), E: 65537}, false},
		"RSA negative":      {&rsa.PublicKey{N: new(big.Int).Neg(modulus(2048)), E: 65537}, false},
		"RSA exponent 3":    {&rsa.PublicKey{N: modulus(2048), E: 3}, false},
		"RSA even exponent": {&rsa.PublicKey{N: modulus(2048), E: 65538}, false},
		"RSA no exponent":   {&rsa.PublicKey{N: modulus(2048)}, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if err := pki.CheckKey(tt.key); (err == nil) != tt.good || (err != nil && !errors.Is(err, pki.ErrKey)) {
				t.Errorf("got %v, want acceptable %t", err, tt.good)
			}
		})
	}
}

func TestThumbprint(t *testing.T) {
	// FIPS 180-4's example for "abc".
	const want = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
	if got := pki.Thumbprint([]byte("abc")); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// point is what claims to be a key on P-256.
func point(x, y int64) *ecdsa.PublicKey {
	//nolint:staticcheck // a broken key is the point
	return &ecdsa.PublicKey{Curve: elliptic.P256(), X: big.NewInt(x), Y: big.NewInt(y)}
}

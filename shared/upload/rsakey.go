package upload

import (
	"crypto"
	"crypto/x509"
	"math/big"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// readRSA reads the structure of RFC 8017 appendix A.1.2. The standard library's parser validates that the numbers
// belong together, that the primes are far apart and d is large; it does not check that the primes are primes.
func readRSA(der []byte, f *findings) crypto.Signer {
	s := cryptobyte.String(der)
	var body cryptobyte.String
	var version int
	n, e := new(big.Int), new(big.Int)
	if !s.ReadASN1(&body, asn1.SEQUENCE) || !s.Empty() || !body.ReadASN1Integer(&version) ||
		!body.ReadASN1Integer(n) || !body.ReadASN1Integer(e) {
		f.add(KeyUnparseable, malformedKey)
		return nil
	}
	switch {
	case version == 1:
		f.add(WeakKey, "the private key is RSA of more than two primes")
		return nil
	case n.BitLen() > maxRSABits || e.BitLen() > 31:
		// Nothing is calculated with numbers of a size that the sender chooses.
		f.add(WeakKey, "the private key is RSA of %d bits with an exponent of %d bits, want at most %d and 31", n.BitLen(),
			e.BitLen(), maxRSABits)
		return nil
	}
	key, err := x509.ParsePKCS1PrivateKey(der)
	if err != nil || !prime(key.Primes) {
		f.add(KeyUnparseable, "key file: the numbers of the RSA key do not belong together; it cannot be used")
		return nil
	}
	return key
}

func prime(numbers []*big.Int) bool {
	for _, n := range numbers {
		if !n.ProbablyPrime(primeRounds) {
			return false
		}
	}
	return true
}

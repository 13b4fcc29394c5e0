package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
)

// An ES256 signature is r and s, each as 32 big-endian octets (RFC 7518, 3.4).
const (
	scalarSize    = 32
	signatureSize = 2 * scalarSize
)

// verifyES256 reports whether key, a P-256 key, made the signature.
//
// A high s is accepted: ES256 does not forbid it, and many signers, KMS among them, produce it half of the
// time. The second spelling that every signature thereby has is harmless here, since replay is judged by a
// proof's jti and key and no token is ever looked up by its text.
func verifyES256(key *ecdsa.PublicKey, input string, sig []byte) bool {
	if key == nil || key.Curve != elliptic.P256() || len(sig) != signatureSize {
		return false
	}
	digest := sha256.Sum256([]byte(input))
	r, s := new(big.Int).SetBytes(sig[:scalarSize]), new(big.Int).SetBytes(sig[scalarSize:])
	return ecdsa.Verify(key, digest[:], r, s)
}

// signES256 signs with a P-256 key. A remote signer's answer is checked: it may be anything.
func signES256(key crypto.Signer, input string) ([]byte, error) {
	if key == nil {
		return nil, errSigner
	}
	if pub, ok := key.Public().(*ecdsa.PublicKey); !ok || pub == nil || pub.Curve != elliptic.P256() {
		return nil, errSigner
	}
	digest := sha256.Sum256([]byte(input))
	der, err := key.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		return nil, err
	}
	return rawSignature(der)
}

var (
	errSigner = errors.New("the signer has no P-256 key")
	errAnswer = errors.New("signer answered something else than a P-256 signature")
)

// rawSignature turns the ASN.1 SEQUENCE of r and s into their 64 octets.
func rawSignature(der []byte) ([]byte, error) {
	var sig struct{ R, S *big.Int }
	rest, err := asn1.Unmarshal(der, &sig)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errAnswer, err)
	}
	if len(rest) != 0 || !isScalar(sig.R) || !isScalar(sig.S) {
		return nil, errAnswer
	}
	raw := make([]byte, signatureSize)
	sig.R.FillBytes(raw[:scalarSize])
	sig.S.FillBytes(raw[scalarSize:])
	return raw, nil
}

// isScalar reports whether n is in 1 … order-1, the range of r and s.
func isScalar(n *big.Int) bool {
	return n.Sign() > 0 && n.Cmp(elliptic.P256().Params().N) < 0
}

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

	gojose "github.com/go-jose/go-jose/v4"
)

// An ES256 signature is r and s, each as 32 big-endian octets (RFC 7518, 3.4).
const (
	scalarSize    = 32
	signatureSize = 2 * scalarSize
)

// verifier is the P-256 key that go-jose asks about a signature.
type verifier struct{ key *ecdsa.PublicKey }

// VerifyPayload implements gojose.OpaqueVerifier.
//
// A high s is accepted: ES256 does not forbid it, and many signers, KMS among them, produce it half of the
// time. The second spelling that every signature thereby has is harmless here, since replay is judged by a
// proof's jti and key and no token is ever looked up by its text.
func (v verifier) VerifyPayload(input, sig []byte, alg gojose.SignatureAlgorithm) error {
	if alg != gojose.ES256 || v.key == nil || v.key.Curve != elliptic.P256() || len(sig) != signatureSize {
		return ErrInvalid
	}
	digest := sha256.Sum256(input)
	r, s := new(big.Int).SetBytes(sig[:scalarSize]), new(big.Int).SetBytes(sig[scalarSize:])
	if !ecdsa.Verify(v.key, digest[:], r, s) {
		return ErrInvalid
	}
	return nil
}

// signer lets go-jose sign with any crypto.Signer. go-jose's own cryptosigner is not used: it panics on a
// signature whose integers are longer than the curve's, so a remote signer could stop the process.
type signer struct {
	key crypto.Signer
	kid string
}

// Public implements gojose.OpaqueSigner; go-jose takes the kid from it.
func (s signer) Public() *gojose.JSONWebKey {
	return &gojose.JSONWebKey{Key: s.key.Public(), KeyID: s.kid}
}

// Algs implements gojose.OpaqueSigner. It is empty, and go-jose then refuses the key, unless the curve is P-256.
func (s signer) Algs() []gojose.SignatureAlgorithm {
	if s.key == nil {
		return nil
	}
	if pub, ok := s.key.Public().(*ecdsa.PublicKey); !ok || pub == nil || pub.Curve != elliptic.P256() {
		return nil
	}
	return []gojose.SignatureAlgorithm{gojose.ES256}
}

// SignPayload implements gojose.OpaqueSigner.
func (s signer) SignPayload(input []byte, alg gojose.SignatureAlgorithm) ([]byte, error) {
	if alg != gojose.ES256 {
		return nil, gojose.ErrUnsupportedAlgorithm
	}
	digest := sha256.Sum256(input)
	der, err := s.key.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		return nil, err
	}
	return rawSignature(der)
}

var errSignature = errors.New("signer answered something else than a P-256 signature")

// rawSignature turns the ASN.1 SEQUENCE of r and s into their 64 octets.
func rawSignature(der []byte) ([]byte, error) {
	var sig struct{ R, S *big.Int }
	rest, err := asn1.Unmarshal(der, &sig)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errSignature, err)
	}
	if len(rest) != 0 || !isScalar(sig.R) || !isScalar(sig.S) {
		return nil, errSignature
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

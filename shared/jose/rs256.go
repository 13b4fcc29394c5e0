package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
)

// ClaimsBy verifies the signature with a key whose kind the caller does not know, a certificate's say, and reads the
// payload as a JSON object. The key's kind and the header's alg must belong together: an RSA key verifies RS256 and
// nothing else, a P-256 key ES256. How long an RSA key must be is the caller's policy. Every error is ErrInvalid.
func (m *Message) ClaimsBy(key crypto.PublicKey) (Object, error) {
	switch key := key.(type) {
	case *ecdsa.PublicKey:
		return m.Claims(key)
	case *rsa.PublicKey:
		if m.alg != RS256 || key == nil {
			return nil, errAlgorithm
		}
		digest := sha256.Sum256([]byte(m.input))
		if rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], m.signature) != nil {
			return nil, errSignature
		}
		return m.claims()
	}
	return nil, errAlgorithm
}

package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"fmt"
	"strings"

	gojose "github.com/go-jose/go-jose/v4"
)

// ClaimsBy verifies the signature with a key whose kind the caller does not know, a certificate's say, and reads the
// payload as a JSON object. The key's kind and the header's alg must belong together: an RSA key verifies RS256 and
// nothing else, a P-256 key ES256. How long an RSA key must be is the caller's policy. Every error is ErrInvalid.
func (m *Message) ClaimsBy(key crypto.PublicKey) (Object, error) {
	switch key := key.(type) {
	case *ecdsa.PublicKey:
		if m.alg == Algorithm {
			return m.claimsBy(func(input, sig []byte) error { return verifier{key}.VerifyPayload(input, sig, gojose.ES256) })
		}
	case *rsa.PublicKey:
		if m.alg == RS256 && key != nil {
			return m.claimsBy(func(input, sig []byte) error {
				digest := sha256.Sum256(input)
				return rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], sig)
			})
		}
	}
	return nil, fmt.Errorf("%w: alg does not fit the key", ErrInvalid)
}

// claimsBy does not ask go-jose: it reads the certificates of an x5c header on the way and refuses messages for them,
// which here only the caller may. The three parts are in their canonical spelling since ParseLimited.
func (m *Message) claimsBy(verify func(input, sig []byte) error) (Object, error) {
	end := strings.LastIndexByte(m.compact, '.')
	sig, err := Decode(m.compact[end+1:])
	if err != nil {
		return nil, err
	}
	if err := verify([]byte(m.compact[:end]), sig); err != nil {
		return nil, fmt.Errorf("%w: signature does not verify", ErrInvalid)
	}
	_, text, _ := strings.Cut(m.compact[:end], ".")
	payload, err := Decode(text)
	if err != nil {
		return nil, err
	}
	return claims(payload, m.limit)
}

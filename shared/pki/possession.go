package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"fmt"
)

// Matches reports whether a private key belongs to a certificate's public key.
func Matches(pub crypto.PublicKey, key crypto.Signer) bool {
	return key != nil && SameKey(pub, key.Public())
}

// CheckPossession returns ErrPossession unless signature is one over message by the private key of pub, in exactly one
// form for each kind of key: ECDSA over SHA-256, ASN.1 DER (what `openssl dgst -sha256 -sign` writes), on both curves;
// or RSASSA-PSS over SHA-256 with MGF1 of the same and a salt of 32 octets. The caller has checked the key's policy.
func CheckPossession(pub crypto.PublicKey, message string, signature []byte) error {
	digest := sha256.Sum256([]byte(message))
	ok := false
	switch key := pub.(type) {
	case *ecdsa.PublicKey:
		ok = ecdsa.VerifyASN1(key, digest[:], signature)
	case *rsa.PublicKey:
		ok = rsa.VerifyPSS(key, crypto.SHA256, digest[:], signature, &rsa.PSSOptions{
			SaltLength: rsa.PSSSaltLengthEqualsHash,
			Hash:       crypto.SHA256,
		}) == nil
	}
	if !ok {
		return fmt.Errorf("%w: the signature is not one over %q by the certificate's key", ErrPossession, message)
	}
	return nil
}

package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
)

// Bounds of an acceptable RSA key. Below 2048 bits it is weak; above 4096 it only costs the verifier time.
const (
	minRSABits     = 2048
	maxRSABits     = 4096
	minRSAExponent = 65537 // FIPS 186-5 appendix A.1.1: smaller ones invite padding attacks
)

// NewKey makes a P-256 key.
func NewKey() (*ecdsa.PrivateKey, error) {
	return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
}

// EncodePrivateKey returns a private key as one PKCS#8 PEM block (RFC 7468 section 10), unencrypted: the result is
// a secret. It takes the key types of x509.MarshalPKCS8PrivateKey and returns ErrKey for others.
func EncodePrivateKey(key crypto.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("%w: cannot encode a %T", ErrKey, key)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// CheckKey returns ErrKey, with the reason, unless the public key is EC on P-256 or P-384, or RSA of 2048 to 4096
// bits with an odd exponent of at least 65537. It is the one policy for agents, uploaded CAs and their chains.
func CheckKey(pub crypto.PublicKey) error {
	switch key := pub.(type) {
	case *ecdsa.PublicKey:
		return checkEC(key)
	case *rsa.PublicKey:
		return checkRSA(key)
	}
	return fmt.Errorf("%w: %T is neither EC nor RSA", ErrKey, pub)
}

func checkEC(key *ecdsa.PublicKey) error {
	if key == nil || key.Curve == nil {
		return fmt.Errorf("%w: EC key without a curve", ErrKey)
	}
	if key.Curve != elliptic.P256() && key.Curve != elliptic.P384() {
		return fmt.Errorf("%w: EC key on %s, want P-256 or P-384", ErrKey, key.Curve.Params().Name)
	}
	//nolint:staticcheck // only read: Bytes would panic on the missing coordinate of a half-built key
	if key.X == nil || key.Y == nil {
		return fmt.Errorf("%w: EC key without a point", ErrKey)
	}
	if _, err := key.Bytes(); err != nil {
		return fmt.Errorf("%w: EC point is not on its curve", ErrKey)
	}
	return nil
}

func checkRSA(key *rsa.PublicKey) error {
	if key == nil || key.N == nil || key.N.Sign() <= 0 || key.N.Bit(0) == 0 {
		return fmt.Errorf("%w: RSA modulus is not a positive odd number", ErrKey)
	}
	if bits := key.N.BitLen(); bits < minRSABits || bits > maxRSABits {
		return fmt.Errorf("%w: RSA key of %d bits, want %d to %d", ErrKey, bits, minRSABits, maxRSABits)
	}
	if key.E < minRSAExponent || key.E%2 == 0 {
		return fmt.Errorf("%w: RSA exponent %d, want an odd one of at least %d", ErrKey, key.E, minRSAExponent)
	}
	return nil
}

// SameKey compares public keys by value. Kinds that CheckKey refuses are never the same.
func SameKey(a, b crypto.PublicKey) bool {
	switch a := a.(type) {
	case *ecdsa.PublicKey:
		return a.Equal(b)
	case *rsa.PublicKey:
		return a.Equal(b)
	}
	return false
}

// KeyThumbprint is the lower-case hex SHA-256 of a public key's SubjectPublicKeyInfo, as in a certificate of the
// Mastio: the same for every encoding of the key. Error: ErrKey.
func KeyThumbprint(pub crypto.PublicKey) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrKey, err)
	}
	return Thumbprint(der), nil
}

// signatureAlgorithm picks what a CA's key signs certificates with: the hash matches the curve, and is SHA-256
// for RSA. PKCS #1 v1.5 rather than PSS: every verifier in the field still reads it.
func signatureAlgorithm(pub crypto.PublicKey) (x509.SignatureAlgorithm, error) {
	if err := CheckKey(pub); err != nil {
		return x509.UnknownSignatureAlgorithm, err
	}
	key, isEC := pub.(*ecdsa.PublicKey)
	switch {
	case !isEC:
		return x509.SHA256WithRSA, nil
	case key.Curve == elliptic.P384():
		return x509.ECDSAWithSHA384, nil
	}
	return x509.ECDSAWithSHA256, nil
}

// keyID derives a subject key identifier: the leftmost 160 bits of the SHA-256 of the public key's bits
// (RFC 7093 section 2, method 1).
func keyID(pub crypto.PublicKey) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	var info struct {
		Algorithm pkix.AlgorithmIdentifier
		Key       asn1.BitString
	}
	if _, err := asn1.Unmarshal(der, &info); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	sum := sha256.Sum256(info.Key.Bytes)
	return sum[:20], nil
}

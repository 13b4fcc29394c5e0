package kms

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/kms/types"
)

// spec is what a KeySpec means: the one usage that is built for it, the algorithms, and the key itself.
type spec struct {
	usage   types.KeyUsageType
	signing []types.SigningAlgorithmSpec
	curve   elliptic.Curve // elliptic specs
	bits    int            // RSA specs: size of the modulus
}

var rsaSigning = []types.SigningAlgorithmSpec{
	types.SigningAlgorithmSpecRsassaPkcs1V15Sha256,
	types.SigningAlgorithmSpecRsassaPkcs1V15Sha384,
	types.SigningAlgorithmSpecRsassaPkcs1V15Sha512,
	types.SigningAlgorithmSpecRsassaPssSha256,
	types.SigningAlgorithmSpecRsassaPssSha384,
	types.SigningAlgorithmSpecRsassaPssSha512,
}

// specs is every KeySpec that is built. RSA for encryption is not: nothing here encrypts with it.
var specs = map[types.KeySpec]spec{
	types.KeySpecSymmetricDefault: {usage: types.KeyUsageTypeEncryptDecrypt},
	types.KeySpecEccNistP256: {
		usage:   types.KeyUsageTypeSignVerify,
		curve:   elliptic.P256(),
		signing: []types.SigningAlgorithmSpec{types.SigningAlgorithmSpecEcdsaSha256},
	},
	types.KeySpecEccNistP384: {
		usage:   types.KeyUsageTypeSignVerify,
		curve:   elliptic.P384(),
		signing: []types.SigningAlgorithmSpec{types.SigningAlgorithmSpecEcdsaSha384},
	},
	types.KeySpecRsa2048: {usage: types.KeyUsageTypeSignVerify, bits: 2048, signing: rsaSigning},
	types.KeySpecRsa3072: {usage: types.KeyUsageTypeSignVerify, bits: 3072, signing: rsaSigning},
	types.KeySpecRsa4096: {usage: types.KeyUsageTypeSignVerify, bits: 4096, signing: rsaSigning},
}

func (p spec) symmetric() bool { return p.curve == nil && p.bits == 0 }

// symmetricKeySize is the size in bytes of a SYMMETRIC_DEFAULT key: AES-256.
const symmetricKeySize = 32

// generate makes new key material: PKCS#8 DER, or the bare octets of a symmetric key.
func (p spec) generate() ([]byte, error) {
	switch {
	case p.curve != nil:
		k, err := ecdsa.GenerateKey(p.curve, rand.Reader)
		if err != nil {
			return nil, fmt.Errorf("generate %s key: %w", p.curve.Params().Name, err)
		}
		return x509.MarshalPKCS8PrivateKey(k)
	case p.bits != 0:
		k, err := rsa.GenerateKey(rand.Reader, p.bits)
		if err != nil {
			return nil, fmt.Errorf("generate RSA-%d key: %w", p.bits, err)
		}
		return x509.MarshalPKCS8PrivateKey(k)
	}
	secret := make([]byte, symmetricKeySize)
	_, _ = rand.Read(secret)
	return secret, nil
}

// material is a key's secret half, ready for use. It never changes.
type material struct {
	signer crypto.Signer // nil for a symmetric key
	public []byte        // SubjectPublicKeyInfo DER; nil for a symmetric key
	aead   cipher.AEAD   // nil for an asymmetric key
	id     string        // hex digest that identifies the key, whatever its encoding
}

// errMaterial says that octets are not a key of the spec they were offered for.
var errMaterial = errors.New("key material does not fit the key spec")

// parse reads what generate makes and what a caller imports for the key with the given id.
func (p spec) parse(keyID string, raw []byte) (*material, error) {
	if p.symmetric() {
		return parseSymmetric(keyID, raw)
	}
	var outer asn1.RawValue
	if rest, err := asn1.Unmarshal(raw, &outer); err != nil || len(rest) != 0 {
		return nil, errMaterial // the standard library's parser would let trailing octets pass
	}
	parsed, err := x509.ParsePKCS8PrivateKey(raw)
	if err != nil {
		return nil, errMaterial
	}
	signer, ok := parsed.(crypto.Signer)
	if !ok || !p.fits(parsed) {
		return nil, errMaterial
	}
	public, err := x509.MarshalPKIXPublicKey(signer.Public())
	if err != nil {
		return nil, errMaterial
	}
	sum := sha256.Sum256(public)
	return &material{signer: signer, public: public, id: hex.EncodeToString(sum[:])}, nil
}

func parseSymmetric(keyID string, raw []byte) (*material, error) {
	if len(raw) != symmetricKeySize {
		return nil, errMaterial
	}
	block, err := aes.NewCipher(raw)
	if err != nil {
		return nil, fmt.Errorf("read AES key: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("read AES key: %w", err)
	}
	sum := sha256.Sum256(append([]byte(keyID), raw...))
	return &material{aead: aead, id: hex.EncodeToString(sum[:])}, nil
}

// fits reports whether a private key has the curve or the size of the spec.
func (p spec) fits(private any) bool {
	switch k := private.(type) {
	case *ecdsa.PrivateKey:
		return p.curve != nil && k.Curve == p.curve
	case *rsa.PrivateKey:
		return p.bits != 0 && k.N.BitLen() == p.bits
	}
	return false
}

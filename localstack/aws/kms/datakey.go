package kms

import (
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/kms/types"
)

type dataKeyRequest struct {
	keyRef
	DryRun            bool
	EncryptionContext map[string]string
	KeySpec           types.DataKeySpec
	NumberOfBytes     *int32
	Recipient         *struct{}
}

type dataKeyAnswer struct {
	keyAnswer
	CiphertextBlob, Plaintext []byte
	KeyMaterialId             string
}

var dataKeySizes = map[types.DataKeySpec]int32{types.DataKeySpecAes128: 16, types.DataKeySpecAes256: 32}

// maxDataKey bounds a data key in bytes.
const maxDataKey = 1024

func (s *Server) generateDataKey(in *dataKeyRequest) (any, error) {
	size, err := in.size()
	if err != nil {
		return nil, err
	}
	k, err := s.cipherKey(in.KeyId, "", "GenerateDataKey")
	if err != nil {
		return nil, err
	}
	if in.DryRun {
		return nil, dryRun()
	}
	plaintext := make([]byte, size)
	_, _ = rand.Read(plaintext)
	sealed, err := sealUnder(k, plaintext, in.EncryptionContext)
	if err != nil {
		return nil, err
	}
	return dataKeyAnswer{keyAnswer{s.ring.key(k.ID)}, sealed, plaintext, k.MaterialID}, nil
}

// size returns the length in bytes that exactly one of two members gives.
func (in *dataKeyRequest) size() (int32, error) {
	switch {
	case in.Recipient != nil:
		return 0, faultf(codeUnsupported, "Recipient is not supported.")
	case (in.KeySpec == "") == (in.NumberOfBytes == nil):
		return 0, faultf(codeValidation, "Please specify either number of bytes or key spec.")
	case in.KeySpec != "":
		all := in.KeySpec.Values()
		return dataKeySizes[in.KeySpec], oneOf("keySpec", in.KeySpec, all, slices.Collect(maps.Keys(dataKeySizes))...)
	case *in.NumberOfBytes < 1 || *in.NumberOfBytes > maxDataKey:
		return 0, violation(*in.NumberOfBytes, "numberOfBytes", "Member must be between 1 and 1024, inclusive")
	}
	return *in.NumberOfBytes, nil
}

// pairs is every data key pair that is built: what KMS may not hold here, it may still make.
var pairs = map[types.DataKeyPairSpec]spec{
	types.DataKeyPairSpecEccNistP256: {curve: elliptic.P256()},
	types.DataKeyPairSpecEccNistP384: {curve: elliptic.P384()},
	types.DataKeyPairSpecEccNistP521: {curve: elliptic.P521()},
	types.DataKeyPairSpecRsa2048:     {bits: 2048},
	types.DataKeyPairSpecRsa3072:     {bits: 3072},
	types.DataKeyPairSpecRsa4096:     {bits: 4096},
}

type dataKeyPairRequest struct {
	keyRef
	DryRun            bool
	EncryptionContext map[string]string
	KeyPairSpec       types.DataKeyPairSpec
}

type dataKeyPairAnswer struct {
	keyAnswer
	KeyMaterialId            string
	KeyPairSpec              types.DataKeyPairSpec
	PrivateKeyCiphertextBlob []byte // PKCS#8 DER, as Decrypt gives it back
	PublicKey                []byte // SubjectPublicKeyInfo DER
}

// generateDataKeyPair serves GenerateDataKeyPairWithoutPlaintext.
func (s *Server) generateDataKeyPair(in *dataKeyPairRequest) (any, error) {
	if err := oneOf("keyPairSpec", in.KeyPairSpec, in.KeyPairSpec.Values(),
		slices.Collect(maps.Keys(pairs))...); err != nil {
		return nil, err
	}
	k, err := s.cipherKey(in.KeyId, "", "GenerateDataKeyPairWithoutPlaintext")
	if err != nil {
		return nil, err
	}
	if in.DryRun {
		return nil, dryRun()
	}
	private, public, err := newPair(pairs[in.KeyPairSpec])
	if err != nil {
		return nil, err
	}
	sealed, err := sealUnder(k, private, in.EncryptionContext)
	if err != nil {
		return nil, err
	}
	return dataKeyPairAnswer{keyAnswer{s.ring.key(k.ID)}, k.MaterialID, in.KeyPairSpec, sealed, public}, nil
}

// newPair makes a key pair: PKCS#8 and SubjectPublicKeyInfo DER.
func newPair(p spec) (private, public []byte, err error) {
	private, err = p.generate()
	if err != nil {
		return nil, nil, err
	}
	m, err := p.parse("", private)
	if err != nil {
		return nil, nil, fmt.Errorf("read generated pair: %w", err)
	}
	return private, m.public, nil
}

package kms

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/kms/types"
)

// A ciphertext blob is a version, the key's id as 16 octets, and what AES-256-GCM made of the plaintext
// under a random nonce. The first two and the encryption context are its additional data, so that a blob
// opens only under the key and the context it was made for.
const (
	blobVersion = 1
	blobHeader  = 1 + 16
	maxBlob     = 6144 // bytes of a blob that Decrypt accepts
)

// sealUnder encrypts plaintext under a symmetric key.
func sealUnder(k *key, plaintext []byte, context map[string]string) ([]byte, error) {
	id, ok := parseUUID(k.ID)
	if !ok {
		return nil, fmt.Errorf("seal under %q: not a key id", k.ID)
	}
	header := append([]byte{blobVersion}, id[:]...)
	return k.material.aead.Seal(header, nil, plaintext, additionalData(header, context)), nil
}

// sealedUnder returns the id of the key that a blob names.
func sealedUnder(sealed []byte) (id string, err error) {
	if len(sealed) <= blobHeader || sealed[0] != blobVersion {
		return "", faultf(codeInvalidCiphertext, "The ciphertext is not valid.")
	}
	return formatUUID([16]byte(sealed[1:blobHeader])), nil
}

// open is the inverse of sealUnder.
func open(k *key, sealed []byte, context map[string]string) ([]byte, error) {
	header := sealed[:blobHeader]
	plaintext, err := k.material.aead.Open(nil, nil, sealed[blobHeader:], additionalData(header, context))
	if err != nil {
		return nil, faultf(codeInvalidCiphertext, "The ciphertext, or the encryption context it was made with, "+
			"does not match.")
	}
	return plaintext, nil
}

// additionalData spells header and context unambiguously: every string is preceded by its length, and the
// context is in the order of its names, which a JSON object does not keep.
func additionalData(header []byte, context map[string]string) []byte {
	data := slices.Clone(header)
	for _, name := range slices.Sorted(maps.Keys(context)) {
		for _, s := range []string{name, context[name]} {
			data = binary.BigEndian.AppendUint64(data, uint64(len(s)))
			data = append(data, s...)
		}
	}
	return data
}

type encryptRequest struct {
	keyRef
	DryRun              bool
	Plaintext           []byte
	EncryptionAlgorithm types.EncryptionAlgorithmSpec
	EncryptionContext   map[string]string
}

type encryptAnswer struct {
	keyAnswer
	CiphertextBlob      []byte
	EncryptionAlgorithm types.EncryptionAlgorithmSpec
}

func (s *Server) encrypt(in *encryptRequest) (any, error) {
	if err := blob("plaintext", in.Plaintext, 1, maxMessage); err != nil {
		return nil, err
	}
	k, err := s.cipherKey(in.KeyId, in.EncryptionAlgorithm, "Encrypt")
	if err != nil {
		return nil, err
	}
	if in.DryRun {
		return nil, dryRun()
	}
	sealed, err := sealUnder(k, in.Plaintext, in.EncryptionContext)
	if err != nil {
		return nil, err
	}
	return encryptAnswer{keyAnswer{s.ring.key(k.ID)}, sealed, types.EncryptionAlgorithmSpecSymmetricDefault}, nil
}

// cipherKey returns a key that may run algorithm, which is empty for the default.
func (s *Server) cipherKey(ref *string, algorithm types.EncryptionAlgorithmSpec, op string) (*key, error) {
	if algorithm == "" {
		algorithm = types.EncryptionAlgorithmSpecSymmetricDefault
	}
	all := algorithm.Values()
	if err := oneOf("encryptionAlgorithm", algorithm, all, all...); err != nil {
		return nil, err
	}
	k, err := s.usable(ref, types.KeyUsageTypeEncryptDecrypt, op)
	if err != nil {
		return nil, err
	}
	if algorithm != types.EncryptionAlgorithmSpecSymmetricDefault {
		return nil, faultf(codeInvalidUsage, "Algorithm %s is incompatible with key spec %s.", algorithm, k.Spec)
	}
	return k, nil
}

type decryptRequest struct {
	keyRef
	DryRun              bool
	CiphertextBlob      []byte
	EncryptionAlgorithm types.EncryptionAlgorithmSpec
	EncryptionContext   map[string]string
	DryRunModifiers     []types.DryRunModifierType
	Recipient           *struct{}
}

type decryptAnswer struct {
	keyAnswer
	EncryptionAlgorithm types.EncryptionAlgorithmSpec
	KeyMaterialId       string
	Plaintext           []byte
}

func (s *Server) decrypt(in *decryptRequest) (any, error) {
	if in.Recipient != nil || in.DryRunModifiers != nil {
		return nil, faultf(codeUnsupported, "Recipient and DryRunModifiers are not supported.")
	}
	if err := blob("ciphertextBlob", in.CiphertextBlob, 1, maxBlob); err != nil {
		return nil, err
	}
	id, err := sealedUnder(in.CiphertextBlob)
	if err != nil {
		return nil, err
	}
	if in.KeyId == nil {
		in.KeyId = &id
	}
	k, err := s.cipherKey(in.KeyId, in.EncryptionAlgorithm, "Decrypt")
	if err != nil {
		return nil, err
	}
	if k.ID != id {
		return nil, faultf("IncorrectKeyException", "The key ID in the request does not identify a key that can perform "+
			"this operation.")
	}
	plaintext, err := open(k, in.CiphertextBlob, in.EncryptionContext)
	if err != nil {
		return nil, err
	}
	if in.DryRun {
		return nil, dryRun()
	}
	return decryptAnswer{keyAnswer{s.ring.key(k.ID)}, types.EncryptionAlgorithmSpecSymmetricDefault, k.MaterialID,
		plaintext}, nil
}

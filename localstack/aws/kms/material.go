package kms

import (
	"crypto"
	"crypto/rsa"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/mastio-aws/mastio/localstack/aws/kms/keywrap"
)

// wrappingSpecs is every wrapping key that is built.
var wrappingSpecs = map[types.WrappingKeySpec]spec{
	types.WrappingKeySpecRsa2048: {bits: 2048},
	types.WrappingKeySpecRsa3072: {bits: 3072},
	types.WrappingKeySpecRsa4096: {bits: 4096},
}

// parametersLife is how long a wrapping key and its token are good for.
const parametersLife = 24 * time.Hour

// maxMaterialLife is the farthest that material may be said to expire.
const maxMaterialLife = 365 * 24 * time.Hour

type parametersRequest struct {
	keyRef
	WrappingAlgorithm types.AlgorithmSpec
	WrappingKeySpec   types.WrappingKeySpec
}

type parametersAnswer struct {
	keyAnswer
	ImportToken       []byte
	ParametersValidTo epoch
	PublicKey         []byte // SubjectPublicKeyInfo DER
}

func (s *Server) parametersForImport(in *parametersRequest) (any, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	k, err := s.importable(in.KeyId, managed)
	if err != nil {
		return nil, err
	}
	if !wraps(in.WrappingAlgorithm, k.spec()) {
		return nil, faultf(codeUnsupported, "The wrapping algorithm %s is not valid for key spec %s.", in.WrappingAlgorithm,
			k.Spec)
	}
	private, public, err := newPair(wrappingSpecs[in.WrappingKeySpec])
	if err != nil {
		return nil, err
	}
	validTo := s.now().Add(parametersLife)
	token, err := s.tokens.seal(importToken{k.ID, in.WrappingAlgorithm, validTo, private})
	if err != nil {
		return nil, err
	}
	return parametersAnswer{keyAnswer{s.ring.key(k.ID)}, token, epoch{validTo}, public}, nil
}

func (in *parametersRequest) check() error {
	if err := oneOf("wrappingAlgorithm", in.WrappingAlgorithm, in.WrappingAlgorithm.Values(),
		types.AlgorithmSpecRsaAesKeyWrapSha256, types.AlgorithmSpecRsaesOaepSha256); err != nil {
		return err
	}
	return oneOf("wrappingKeySpec", in.WrappingKeySpec, in.WrappingKeySpec.Values(),
		slices.Collect(maps.Keys(wrappingSpecs))...)
}

// wraps reports whether AWS accepts a wrapping algorithm for material of a spec: an RSA key does not fit into one RSA
// block, and a symmetric key needs no second layer.
func wraps(algorithm types.AlgorithmSpec, p spec) bool {
	if algorithm == types.AlgorithmSpecRsaAesKeyWrapSha256 {
		return !p.symmetric()
	}
	return p.bits == 0
}

func (s *Server) importable(ref *string, r rule) (*key, error) {
	k, err := s.ring.find(ref, r)
	if err != nil {
		return nil, err
	}
	return k, s.ring.external(k)
}

type importRequest struct {
	keyRef
	EncryptedKeyMaterial, ImportToken []byte
	ExpirationModel                   types.ExpirationModelType
	ImportType                        types.ImportType
	KeyMaterialId                     *string
	ValidTo                           *epoch
}

type materialAnswer struct {
	keyAnswer
	KeyMaterialId string `json:",omitempty"`
}

// maxImport bounds the wrapped material and the token, in bytes each.
const maxImport = 6144

func (s *Server) importKeyMaterial(in *importRequest) (any, error) {
	if err := in.check(s.now()); err != nil {
		return nil, err
	}
	k, err := s.importable(in.KeyId, managed)
	if err != nil {
		return nil, err
	}
	token, wrapping, err := s.tokens.open(in.ImportToken, k.ID, s.now())
	if err != nil {
		return nil, err
	}
	raw, err := unwrap(token.Algorithm, wrapping, in.EncryptedKeyMaterial)
	if err != nil {
		return nil, faultf(codeInvalidCiphertext, "The encrypted key material could not be decrypted.")
	}
	k, err = s.ring.change(in.KeyId, managed, func(k *key) error { return in.apply(k, raw) })
	if err != nil {
		return nil, err
	}
	return s.materialAnswer(k), nil
}

func (s *Server) materialAnswer(k *key) materialAnswer {
	a := materialAnswer{keyAnswer: keyAnswer{s.ring.key(k.ID)}}
	if k.spec().symmetric() {
		a.KeyMaterialId = k.MaterialID
	}
	return a
}

// check refuses what is wrong with the request whatever the key, and fills in the default.
func (in *importRequest) check(now time.Time) error {
	if in.ExpirationModel == "" {
		in.ExpirationModel = types.ExpirationModelTypeKeyMaterialExpires
	}
	models := in.ExpirationModel.Values()
	if err := errors.Join(
		blob("encryptedKeyMaterial", in.EncryptedKeyMaterial, 1, maxImport),
		blob("importToken", in.ImportToken, 1, maxImport),
		oneOf("expirationModel", in.ExpirationModel, models, models...)); err != nil {
		return err
	}
	expires := in.ExpirationModel == types.ExpirationModelTypeKeyMaterialExpires
	switch {
	case expires && in.ValidTo == nil:
		return faultf(codeValidation, "A validTo date must be set if the ExpirationModel is KEY_MATERIAL_EXPIRES.")
	case !expires && in.ValidTo != nil:
		return faultf(codeValidation,
			"A validTo date must not be set if the ExpirationModel is KEY_MATERIAL_DOES_NOT_EXPIRE.")
	case expires && (!in.ValidTo.After(now) || in.ValidTo.Sub(now) > maxMaterialLife):
		return faultf(codeValidation, "The validTo date must be in the future and at most 365 days away.")
	}
	return nil
}

// apply gives raw to k. The material enables a key that lost its material or had none. A disabled key stays disabled,
// because a second import is no decision to use it.
func (in *importRequest) apply(k *key, raw []byte) error {
	earlier, empty := k.MaterialID, k.Material == nil
	if err := in.checkType(k); err != nil {
		return err
	}
	if err := k.setMaterial(raw); err != nil {
		return faultf(codeIncorrectMaterial, "The key material is not a valid key of key spec %s.", k.Spec)
	}
	if earlier != "" && earlier != k.MaterialID || in.KeyMaterialId != nil && *in.KeyMaterialId != k.MaterialID {
		return faultf(codeIncorrectMaterial, "The key material is not the same that was previously imported.")
	}
	if empty {
		k.Disabled = false
	}
	k.ExpirationModel, k.ValidTo = in.ExpirationModel, time.Time{}
	if in.ValidTo != nil {
		k.ValidTo = in.ValidTo.Time
	}
	return nil
}

// checkType holds ImportType against the key. A second material for one key would be a rotation on demand,
// which is not built.
func (in *importRequest) checkType(k *key) error {
	if in.ImportType == "" && in.KeyMaterialId == nil {
		return nil
	}
	if !k.spec().symmetric() {
		return faultf(codeUnsupported, "ImportType and KeyMaterialId are valid for symmetric encryption keys only.")
	}
	if in.ImportType == "" {
		return nil
	}
	all := in.ImportType.Values()
	if err := oneOf("importType", in.ImportType, all, all...); err != nil {
		return err
	}
	existing := in.ImportType == types.ImportTypeExistingKeyMaterial
	switch {
	case existing && k.MaterialID == "":
		return faultf(codeIncorrectMaterial, "No key material was imported before.")
	case !existing && k.MaterialID != "":
		return faultf(codeUnsupported, "A key holds one key material here; import the existing one.")
	}
	return nil
}

// unwrap opens wrapped key material. RSA_AES_KEY_WRAP (PKCS #11 v2.40, CKM_RSA_AES_KEY_WRAP) is an AES-256
// key in one RSA-OAEP block, and after it the material, wrapped under that key.
func unwrap(algorithm types.AlgorithmSpec, wrapping *rsa.PrivateKey, wrapped []byte) ([]byte, error) {
	oaep := &rsa.OAEPOptions{Hash: crypto.SHA256}
	if algorithm == types.AlgorithmSpecRsaesOaepSha256 {
		return wrapping.Decrypt(nil, wrapped, oaep)
	}
	if algorithm != types.AlgorithmSpecRsaAesKeyWrapSha256 || len(wrapped) <= wrapping.Size() {
		return nil, keywrap.ErrUnwrap
	}
	kek, err := wrapping.Decrypt(nil, wrapped[:wrapping.Size()], oaep)
	if err != nil {
		return nil, err
	}
	if len(kek) != symmetricKeySize {
		return nil, keywrap.ErrUnwrap
	}
	return keywrap.Unwrap(kek, wrapped[wrapping.Size():])
}

type deleteMaterialRequest struct {
	keyRef
	KeyMaterialId *string
}

// deleteImportedKeyMaterial takes the material from a key, also from one that is pending deletion, whose
// state it does not change.
func (s *Server) deleteImportedKeyMaterial(in *deleteMaterialRequest) (any, error) {
	k, err := s.ring.change(in.KeyId, listed, func(k *key) error {
		if err := s.ring.external(k); err != nil {
			return err
		}
		if in.KeyMaterialId != nil && *in.KeyMaterialId != k.MaterialID {
			return faultf(codeNotFound, "The key material is not found.")
		}
		k.dropMaterial()
		return nil
	})
	if err != nil {
		return nil, err
	}
	return s.materialAnswer(k), nil
}

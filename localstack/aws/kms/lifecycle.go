package kms

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kms/types"
)

// keyRef is the request of every operation that only names a key.
type keyRef struct{ KeyId *string }

// keyAnswer is the answer of those that only repeat the key's ARN.
type keyAnswer struct{ KeyId string }

// metadata is a KeyMetadata; members that do not apply to a key are left out.
type metadata struct {
	AWSAccountId, Arn, KeyId string
	CreationDate             epoch
	CurrentKeyMaterialId     string        `json:",omitempty"`
	CustomerMasterKeySpec    types.KeySpec // deprecated twin of KeySpec, still sent
	DeletionDate             *epoch        `json:",omitempty"`
	Description              string
	Enabled                  bool
	EncryptionAlgorithms     []types.EncryptionAlgorithmSpec `json:",omitempty"`
	ExpirationModel          types.ExpirationModelType       `json:",omitempty"`
	KeyManager               types.KeyManagerType
	KeySpec                  types.KeySpec
	KeyState                 types.KeyState
	KeyUsage                 types.KeyUsageType
	MultiRegion              bool
	Origin                   types.OriginType
	SigningAlgorithms        []types.SigningAlgorithmSpec `json:",omitempty"`
	ValidTo                  *epoch                       `json:",omitempty"`
}

type metadataAnswer struct{ KeyMetadata metadata }

func (s *Server) metadata(k *key) metadataAnswer {
	p := k.spec()
	m := metadata{
		AWSAccountId:          s.ring.account,
		Arn:                   s.ring.key(k.ID),
		KeyId:                 k.ID,
		CreationDate:          epoch{k.Created},
		CustomerMasterKeySpec: k.Spec,
		Description:           k.Description,
		Enabled:               k.state() == types.KeyStateEnabled,
		KeyManager:            types.KeyManagerTypeCustomer,
		KeySpec:               k.Spec,
		KeyState:              k.state(),
		KeyUsage:              p.usage,
		Origin:                k.Origin,
		SigningAlgorithms:     p.signing,
		ExpirationModel:       k.ExpirationModel,
		DeletionDate:          optional(k.DeletionDate),
		ValidTo:               optional(k.ValidTo),
	}
	if p.symmetric() {
		m.CurrentKeyMaterialId = k.MaterialID
		m.EncryptionAlgorithms = []types.EncryptionAlgorithmSpec{types.EncryptionAlgorithmSpecSymmetricDefault}
	}
	return metadataAnswer{KeyMetadata: m}
}

func optional(t time.Time) *epoch {
	if t.IsZero() {
		return nil
	}
	return &epoch{t}
}

type createKeyRequest struct {
	KeySpec, CustomerMasterKeySpec types.KeySpec
	KeyUsage                       types.KeyUsageType
	Origin                         types.OriginType
	Description                    string
	Policy                         *string
	Tags                           []tag
	MultiRegion                    bool
	CustomKeyStoreId, XksKeyId     *string
}

// maxDescription and maxPolicy bound those members, in bytes.
const (
	maxDescription = 8192
	maxPolicy      = 32 << 10
)

func (s *Server) createKey(in *createKeyRequest) (any, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	tags := map[string]string{}
	if err := addTags(tags, in.Tags); err != nil {
		return nil, err
	}
	k := &key{
		ID:          newUUID(),
		Spec:        in.KeySpec,
		Origin:      in.Origin,
		Description: in.Description,
		Created:     s.now(),
		Tags:        tags,
	}
	if in.Origin == types.OriginTypeAwsKms {
		raw, err := k.spec().generate()
		if err != nil {
			return nil, err
		}
		if err := k.setMaterial(raw); err != nil {
			return nil, fmt.Errorf("read generated key: %w", err)
		}
	}
	if err := s.ring.add(k); err != nil {
		return nil, err
	}
	return s.metadata(k), nil
}

// check fills in the defaults and refuses what is not built. It checks the form of a key policy and then drops the
// policy: this server authorises no call by one.
func (in *createKeyRequest) check() error {
	if in.KeySpec == "" {
		in.KeySpec = in.CustomerMasterKeySpec
	}
	if in.KeySpec == "" {
		in.KeySpec = types.KeySpecSymmetricDefault
	}
	if in.Origin == "" {
		in.Origin = types.OriginTypeAwsKms
	}
	if err := oneOf("keySpec", in.KeySpec, in.KeySpec.Values(), slices.Collect(maps.Keys(specs))...); err != nil {
		return err
	}
	if err := oneOf("origin", in.Origin, in.Origin.Values(), types.OriginTypeAwsKms,
		types.OriginTypeExternal); err != nil {
		return err
	}
	if in.MultiRegion || in.CustomKeyStoreId != nil || in.XksKeyId != nil {
		return faultf(codeUnsupported, "Multi-Region keys and custom key stores are not supported.")
	}
	if len(in.Description) > maxDescription {
		return violation("at", "description", "Member must have length less than or equal to 8192")
	}
	if err := in.checkUsage(); err != nil {
		return err
	}
	return checkPolicy(in.Policy)
}

func (in *createKeyRequest) checkUsage() error {
	p := specs[in.KeySpec]
	if in.KeyUsage == "" && p.symmetric() {
		in.KeyUsage = p.usage
	}
	if in.KeyUsage == "" {
		return faultf(codeValidation, "You must specify a KeyUsage value for an asymmetric key.")
	}
	if err := oneOf("keyUsage", in.KeyUsage, in.KeyUsage.Values(),
		types.KeyUsageTypeSignVerify, types.KeyUsageTypeEncryptDecrypt); err != nil {
		return err
	}
	if in.KeyUsage == p.usage {
		return nil
	}
	if p.bits != 0 {
		return faultf(codeUnsupported, "KeyUsage %s is not supported for KeySpec %s.", in.KeyUsage, in.KeySpec)
	}
	return faultf(codeValidation, "KeyUsage %s is not compatible with KeySpec %s", in.KeyUsage, in.KeySpec)
}

func checkPolicy(policy *string) error {
	switch {
	case policy == nil:
		return nil
	case len(*policy) > maxPolicy:
		return faultf(codeLimitExceeded, "The key policy is longer than %d bytes.", maxPolicy)
	case !json.Valid([]byte(*policy)):
		return faultf("MalformedPolicyDocumentException", "The key policy is not valid JSON.")
	}
	return nil
}

func (s *Server) describeKey(in *keyRef) (any, error) {
	k, err := s.ring.find(in.KeyId, described)
	if err != nil {
		return nil, err
	}
	return s.metadata(k), nil
}

func (s *Server) enableKey(in *keyRef) (any, error)  { return s.setDisabled(in, false) }
func (s *Server) disableKey(in *keyRef) (any, error) { return s.setDisabled(in, true) }

func (s *Server) setDisabled(in *keyRef, disabled bool) (any, error) {
	_, err := s.ring.change(in.KeyId, switched, func(k *key) error {
		k.Disabled = disabled
		return nil
	})
	return nil, err
}

type scheduleRequest struct {
	keyRef
	PendingWindowInDays *int32
}

type scheduleAnswer struct {
	keyAnswer
	DeletionDate        epoch
	KeyState            types.KeyState
	PendingWindowInDays int32
}

func (s *Server) scheduleKeyDeletion(in *scheduleRequest) (any, error) {
	days := int32(30)
	if in.PendingWindowInDays != nil {
		days = *in.PendingWindowInDays
	}
	if days < 7 || days > 30 {
		return nil, violation(days, "pendingWindowInDays", "Member must be between 7 and 30, inclusive")
	}
	k, err := s.ring.change(in.KeyId, managed, func(k *key) error {
		k.DeletionDate = s.now().AddDate(0, 0, int(days))
		return nil
	})
	if err != nil {
		return nil, err
	}
	return scheduleAnswer{keyAnswer{s.ring.key(k.ID)}, epoch{k.DeletionDate}, k.state(), days}, nil
}

// cancelKeyDeletion leaves the key disabled, as AWS does: the caller must enable it before it is used again.
func (s *Server) cancelKeyDeletion(in *keyRef) (any, error) {
	k, err := s.ring.change(in.KeyId, cancelled, func(k *key) error {
		k.DeletionDate, k.Disabled = time.Time{}, true
		return nil
	})
	if err != nil {
		return nil, err
	}
	return keyAnswer{s.ring.key(k.ID)}, nil
}

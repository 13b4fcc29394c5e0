package kms

import (
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kms/types"
)

// key is one KMS key as it is at one moment, and the form in which it is stored. A published key never changes: a
// change publishes a copy, so that readers need no lock.
type key struct {
	ID           string            `json:"id"`
	Spec         types.KeySpec     `json:"spec"`
	Origin       types.OriginType  `json:"origin"`
	Description  string            `json:"description"`
	Created      time.Time         `json:"created"`
	Disabled     bool              `json:"disabled"`
	DeletionDate time.Time         `json:"deletion_date,omitzero"` // set while deletion is pending
	Tags         map[string]string `json:"tags,omitempty"`
	// PKCS#8 DER or AES key; nil while an import is pending
	Material []byte `json:"material,omitempty"`
	// outlives the material: only the same may be imported again
	MaterialID      string                    `json:"material_id,omitempty"`
	ExpirationModel types.ExpirationModelType `json:"expiration_model,omitempty"`
	ValidTo         time.Time                 `json:"valid_to,omitzero"` // when imported material expires; zero is never

	material *material // Material, parsed
}

func (k *key) spec() spec { return specs[k.Spec] }

// state derives the key state from what is known, so that no two fields can contradict each other.
func (k *key) state() types.KeyState {
	switch {
	case !k.DeletionDate.IsZero():
		return types.KeyStatePendingDeletion
	case k.Material == nil:
		return types.KeyStatePendingImport
	case k.Disabled:
		return types.KeyStateDisabled
	}
	return types.KeyStateEnabled
}

// setMaterial gives the key its material.
func (k *key) setMaterial(raw []byte) error {
	m, err := k.spec().parse(k.ID, raw)
	if err != nil {
		return err
	}
	k.Material, k.MaterialID, k.material = raw, m.id, m
	return nil
}

// dropMaterial forgets the material, but not which one it was.
func (k *key) dropMaterial() {
	k.Material, k.material = nil, nil
	k.ExpirationModel, k.ValidTo = "", time.Time{}
}

// due returns when time alone next changes the key; zero is never.
func (k *key) due() time.Time {
	switch {
	case k.DeletionDate.IsZero():
		return k.ValidTo
	case k.ValidTo.IsZero() || k.DeletionDate.Before(k.ValidTo):
		return k.DeletionDate
	}
	return k.ValidTo
}

// rule is what an operation asks of the key it names.
type rule struct {
	aliases bool // the key may be named by an alias
	states  []types.KeyState
}

// The rules, after the table of key states in the KMS developer guide.
var (
	described = rule{aliases: true, states: types.KeyState("").Values()}
	listed    = rule{states: types.KeyState("").Values()}
	used      = rule{aliases: true, states: []types.KeyState{types.KeyStateEnabled}}
	switched  = rule{states: []types.KeyState{types.KeyStateEnabled, types.KeyStateDisabled}}
	managed   = rule{states: []types.KeyState{types.KeyStateEnabled, types.KeyStateDisabled, types.KeyStatePendingImport}}
	cancelled = rule{states: []types.KeyState{types.KeyStatePendingDeletion}}
)

// unfit is the refusal of a key whose state the rule does not accept.
func (r rule) unfit(arn string, state types.KeyState) error {
	switch {
	case slices.Contains(r.states, types.KeyStatePendingDeletion):
		return faultf(codeInvalidState, "%s is not pending deletion.", arn)
	case state == types.KeyStateDisabled:
		return faultf("DisabledException", "%s is disabled.", arn)
	case state == types.KeyStatePendingImport:
		return faultf(codeInvalidState, "%s is pending import.", arn)
	}
	return faultf(codeInvalidState, "%s is pending deletion.", arn)
}

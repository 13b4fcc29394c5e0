package mastio

import "github.com/aws/aws-cdk-go/awscdk/v2"

// Tags of an Org CA's key, as shared/edge/awskms puts them on.
const (
	tagOrg        = "mastio:org"
	tagGeneration = "mastio:generation"
	tagRotation   = "mastio:rotation"
	tagRole       = "mastio:role"
	tagSuperseded = "mastio:superseded"
)

// caKeySpecs are the keys an Org CA can have: minted ones are P-256, uploaded ones any of these.
var caKeySpecs = []string{"ECC_NIST_P256", "ECC_NIST_P384", "RSA_2048", "RSA_3072", "RSA_4096"}

// caAlgorithms are the signatures that certificates are made with.
var caAlgorithms = []string{"ECDSA_SHA_256", "ECDSA_SHA_384", "RSASSA_PKCS1_V1_5_SHA_256"}

// anyKey is every key of the account and region: an Org CA's keys are made by the application and have no ARN that a
// template could know. Every statement that names it narrows it by the organisation's tag.
func (s *Service) anyKey() []string {
	return []string{*s.stack.FormatArn(&awscdk.ArnComponents{
		Service:      str("kms"),
		Resource:     str("key"),
		ResourceName: str("*"),
	})}
}

func (s *Service) ours(more conditions) conditions {
	c := conditions{"StringEquals": {"aws:ResourceTag/" + tagOrg: s.props.OrgID}}
	for operator, keys := range more {
		if c[operator] == nil {
			c[operator] = map[string]any{}
		}
		for key, value := range keys {
			c[operator][key] = value
		}
	}
	return c
}

// issueLeaves signs certificates of agents with the issuing CA's key.
func (s *Service) issueLeaves() statement {
	return statement{
		sid:       "SignWithOrgCA",
		actions:   []string{"kms:Sign"},
		resources: s.anyKey(),
		conditions: s.ours(conditions{"StringEquals": {
			"kms:KeySpec": caKeySpecs, "kms:MessageType": "DIGEST", "kms:SigningAlgorithm": caAlgorithms,
		}}),
	}
}

// readNotes reads what noteOnKeys wrote: whether a restored registry takes a superseded CA for the current one.
func (s *Service) readNotes() statement {
	return statement{
		sid:        "ReadNotesOnKeys",
		actions:    []string{"kms:ListResourceTags"},
		resources:  s.anyKey(),
		conditions: s.ours(nil),
	}
}

func (s *Service) noteOnKeys() statement {
	return statement{
		sid:        "NoteOnKeys",
		actions:    []string{"kms:TagResource", "kms:UntagResource"},
		resources:  s.anyKey(),
		conditions: s.ours(conditions{"ForAllValues:StringEquals": {"aws:TagKeys": []string{tagSuperseded}}}),
	}
}

// mintCAs are the rights of the two functions that make generations; no other function has them. They can create a
// key only with the organisation's tag; every other call is for keys with that tag. The right to tag is the weak
// spot: CreateKey needs it for resources that do not exist yet. The denials exclude every key that is not for signing
// certificates.
func (s *Service) mintCAs() []statement {
	tagged := map[string]any{"aws:RequestTag/" + tagOrg: s.props.OrgID}
	tags := map[string]any{"aws:TagKeys": []string{tagOrg, tagGeneration, tagRotation, tagRole}}
	return []statement{
		{
			sid:        "MakeOrgCAKeys",
			actions:    []string{"kms:CreateKey", "kms:TagResource"},
			resources:  []string{"*"},
			conditions: conditions{"StringEquals": tagged, "ForAllValues:StringEquals": tags},
		},
		{
			sid:        "MakeNoOtherSpec",
			deny:       true,
			actions:    []string{"kms:CreateKey", "kms:TagResource"},
			resources:  []string{"*"},
			conditions: conditions{"StringNotEquals": {"kms:KeySpec": caKeySpecs}, "Null": {"kms:KeySpec": "false"}},
		},
		{
			sid:        "MakeNoOtherUsage",
			deny:       true,
			actions:    []string{"kms:CreateKey", "kms:TagResource"},
			resources:  []string{"*"},
			conditions: conditions{"StringNotEquals": {"kms:KeyUsage": "SIGN_VERIFY"}, "Null": {"kms:KeyUsage": "false"}},
		},
		{
			sid:       "TagNoForeignOrganisation",
			deny:      true,
			actions:   []string{"kms:TagResource"},
			resources: []string{"*"},
			conditions: conditions{"StringNotEquals": {"aws:ResourceTag/" + tagOrg: s.props.OrgID},
				"Null": {"aws:ResourceTag/" + tagOrg: "false"}},
		},
		{
			sid: "UseOrgCAKeys",
			actions: []string{
				"kms:DisableKey", "kms:GetParametersForImport", "kms:GetPublicKey", "kms:ImportKeyMaterial",
				"kms:ScheduleKeyDeletion",
			},
			resources:  s.anyKey(),
			conditions: s.ours(nil),
		},
		{
			sid:        "LetKeysGoSlowly",
			deny:       true,
			actions:    []string{"kms:ScheduleKeyDeletion"},
			resources:  []string{"*"},
			conditions: conditions{"NumericLessThan": {"kms:ScheduleKeyDeletionPendingWindowInDays": "30"}},
		},
		s.issueLeaves(),
	}
}

// describeKeys shows whether an Org CA key waits for its deletion: a key that does not, and that the registry does
// not know, says that the registry has lost it.
func (s *Service) describeKeys() statement {
	return statement{
		sid:        "DescribeOrgCAKeys",
		actions:    []string{"kms:DescribeKey"},
		resources:  s.anyKey(),
		conditions: s.ours(nil),
	}
}

// findOrphans lists the account's keys, to find those that a rotation left behind. KMS knows no narrower resource for
// it; it returns ids, nothing else.
func (s *Service) findOrphans() statement {
	return statement{sid: "FindOrphans", actions: []string{"kms:ListKeys"}, resources: []string{"*"}}
}

// Package awskms keeps the Mastio's private keys in AWS KMS: Org CA keys as crypto.Signers, token keys under a wrapping
// key.
package awskms

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
)

// API is the part of the KMS client that this package calls.
type API interface {
	Sign(context.Context, *kms.SignInput, ...func(*kms.Options)) (*kms.SignOutput, error)
	GetPublicKey(context.Context, *kms.GetPublicKeyInput, ...func(*kms.Options)) (*kms.GetPublicKeyOutput, error)
	CreateKey(context.Context, *kms.CreateKeyInput, ...func(*kms.Options)) (*kms.CreateKeyOutput, error)
	GetParametersForImport(context.Context, *kms.GetParametersForImportInput,
		...func(*kms.Options)) (*kms.GetParametersForImportOutput, error)
	ImportKeyMaterial(context.Context, *kms.ImportKeyMaterialInput, ...func(*kms.Options)) (*kms.ImportKeyMaterialOutput,
		error)
	DisableKey(context.Context, *kms.DisableKeyInput, ...func(*kms.Options)) (*kms.DisableKeyOutput, error)
	ScheduleKeyDeletion(context.Context, *kms.ScheduleKeyDeletionInput,
		...func(*kms.Options)) (*kms.ScheduleKeyDeletionOutput, error)
	DescribeKey(context.Context, *kms.DescribeKeyInput, ...func(*kms.Options)) (*kms.DescribeKeyOutput, error)
	ListKeys(context.Context, *kms.ListKeysInput, ...func(*kms.Options)) (*kms.ListKeysOutput, error)
	TagResource(context.Context, *kms.TagResourceInput, ...func(*kms.Options)) (*kms.TagResourceOutput, error)
	UntagResource(context.Context, *kms.UntagResourceInput, ...func(*kms.Options)) (*kms.UntagResourceOutput, error)
	ListResourceTags(context.Context, *kms.ListResourceTagsInput, ...func(*kms.Options)) (*kms.ListResourceTagsOutput,
		error)
	GenerateDataKeyPairWithoutPlaintext(context.Context, *kms.GenerateDataKeyPairWithoutPlaintextInput,
		...func(*kms.Options)) (*kms.GenerateDataKeyPairWithoutPlaintextOutput, error)
	Decrypt(context.Context, *kms.DecryptInput, ...func(*kms.Options)) (*kms.DecryptOutput, error)
}

// Tags of an Org CA key. Policies allow Sign by them, and the orphan reaper finds keys by them.
const (
	TagOrg        = "mastio:org"
	TagGeneration = "mastio:generation"
	TagRotation   = "mastio:rotation"
	TagRole       = "mastio:role"
	TagSuperseded = "mastio:superseded" // the fence of the swap that superseded the key's generation
)

// deletionDays is KMS's longest waiting period: a mistake must have time to be noticed.
const deletionDays = 30

// Keys makes and uses the keys of one organisation's CAs. API, OrgID and Now are required. It is safe for concurrent
// use.
type Keys struct {
	API   API
	OrgID string
	Now   func() time.Time
	// Patience is how long after its creation a key may be refused by hosts of KMS that do not know it yet; zero:
	// DefaultPatience.
	Patience time.Duration

	mu   sync.Mutex
	born map[string]time.Time // when this instance created a key, of those that are not older than Patience
}

// Create makes a P-256 signing key. A call whose answer was lost may leave a key behind; it carries the rotation's tag.
func (k *Keys) Create(ctx context.Context, spec rotateca.KeySpec) (id string, pub crypto.PublicKey, err error) {
	in := k.creation(spec)
	in.KeySpec = types.KeySpecEccNistP256
	out, err := k.API.CreateKey(ctx, in)
	if err != nil {
		return "", nil, wrap("create a key", err)
	}
	id = aws.ToString(out.KeyMetadata.Arn)
	k.bear(id)
	pub, err = k.Public(ctx, id)
	return id, pub, err
}

// creation is what every key of an Org CA is created with.
func (k *Keys) creation(spec rotateca.KeySpec) *kms.CreateKeyInput {
	tag := func(key, value string) types.Tag {
		return types.Tag{TagKey: aws.String(key), TagValue: aws.String(value)}
	}
	number := strconv.FormatInt(spec.Generation, 10)
	return &kms.CreateKeyInput{
		KeyUsage:    types.KeyUsageTypeSignVerify,
		Description: aws.String(fmt.Sprintf("Mastio %s, Org CA generation %s, %s", k.OrgID, number, spec.Role)),
		Tags: []types.Tag{tag(TagOrg, k.OrgID), tag(TagGeneration, number), tag(TagRotation, spec.RotationID),
			tag(TagRole, string(spec.Role))},
	}
}

// Public reads a key's public half.
func (k *Keys) Public(ctx context.Context, id string) (crypto.PublicKey, error) {
	var out *kms.GetPublicKeyOutput
	err := k.young(ctx, id, func() (err error) {
		out, err = k.API.GetPublicKey(ctx, &kms.GetPublicKeyInput{KeyId: aws.String(id)})
		return err
	})
	if err != nil {
		return nil, wrap("read a public key", err)
	}
	pub, err := x509.ParsePKIXPublicKey(out.PublicKey)
	if err != nil {
		return nil, wrap("parse a public key", err)
	}
	return pub, nil
}

// Disable makes a key refuse to sign until it is enabled again.
func (k *Keys) Disable(ctx context.Context, id string) error {
	return wrap("disable a key", k.young(ctx, id, func() error {
		_, err := k.API.DisableKey(ctx, &kms.DisableKeyInput{KeyId: aws.String(id)})
		return err
	}))
}

// ScheduleDeletion deletes a key after 30 days. A key that is already scheduled, or deleted, is no error. A key that
// was just created and is reported as missing is an error: it may exist, and would stay.
func (k *Keys) ScheduleDeletion(ctx context.Context, id string) error {
	schedule := func() error {
		_, err := k.API.ScheduleKeyDeletion(ctx, &kms.ScheduleKeyDeletionInput{
			KeyId:               aws.String(id),
			PendingWindowInDays: aws.Int32(deletionDays),
		})
		return err
	}
	young := k.isYoung(id)
	var err error
	if young {
		err = k.young(ctx, id, schedule)
	} else {
		err = schedule()
	}
	var gone *types.NotFoundException
	var state *types.KMSInvalidStateException
	if err == nil || errors.As(err, &state) || errors.As(err, &gone) && !young {
		k.forget(id)
		return nil
	}
	return wrap("schedule a key's deletion", err)
}

// Tagged finds the keys made for a rotation. It looks at every key of the account, two calls for each: it is for the
// rare orphan. The tagging API would find them in one, at the price of one more permission over all resources.
func (k *Keys) Tagged(ctx context.Context, rotationID string) ([]string, error) {
	var found []string
	pages := kms.NewListKeysPaginator(k.API, &kms.ListKeysInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, wrap("list keys", err)
		}
		for _, entry := range page.Keys {
			ours, err := k.isOf(ctx, aws.ToString(entry.KeyId), rotationID)
			if err != nil {
				return nil, err
			}
			if ours {
				found = append(found, aws.ToString(entry.KeyArn))
			}
		}
	}
	return found, nil
}

// Left finds the Org CA keys of the organisation that do not wait for their deletion. As Tagged, it looks at every
// key of the account: it is for an organisation without an Org CA, which has few or none.
func (k *Keys) Left(ctx context.Context) ([]rotateca.KeySpec, error) {
	var found []rotateca.KeySpec
	pages := kms.NewListKeysPaginator(k.API, &kms.ListKeysInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, wrap("list keys", err)
		}
		for _, entry := range page.Keys {
			tags, err := k.tags(ctx, aws.ToString(entry.KeyId))
			if denied(err) || err == nil && tags[TagOrg] != k.OrgID {
				continue
			}
			if err != nil {
				return nil, err
			}
			out, err := k.API.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: entry.KeyId})
			if err != nil {
				return nil, wrap("describe a key", err)
			}
			if out.KeyMetadata.DeletionDate != nil {
				continue
			}
			number, _ := strconv.ParseInt(tags[TagGeneration], 10, 64) // zero is no generation's, so such a key has no row
			found = append(found, rotateca.KeySpec{
				Generation: number,
				RotationID: tags[TagRotation],
				Role:       rotateca.Role(tags[TagRole]),
			})
		}
	}
	return found, nil
}

// isOf reports whether a key is this organisation's and was made for the rotation. A key whose tags may not be read
// belongs to another system.
func (k *Keys) isOf(ctx context.Context, id, rotationID string) (bool, error) {
	tags, err := k.tags(ctx, id)
	if denied(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return tags[TagOrg] == k.OrgID && tags[TagRotation] == rotationID, nil
}

func (k *Keys) tags(ctx context.Context, id string) (map[string]string, error) {
	out, err := k.API.ListResourceTags(ctx, &kms.ListResourceTagsInput{KeyId: aws.String(id)})
	if err != nil {
		return nil, wrap("read a key's tags", err)
	}
	tags := map[string]string{}
	for _, t := range out.Tags {
		tags[aws.ToString(t.TagKey)] = aws.ToString(t.TagValue)
	}
	return tags, nil
}

// Note tags a key with the fence under which its generation was superseded; zero takes the tag away.
func (k *Keys) Note(ctx context.Context, id string, fence int64) error {
	if fence == 0 {
		return wrap("untag a key", k.young(ctx, id, func() error {
			_, err := k.API.UntagResource(ctx, &kms.UntagResourceInput{KeyId: aws.String(id), TagKeys: []string{TagSuperseded}})
			return err
		}))
	}
	tag := types.Tag{TagKey: aws.String(TagSuperseded), TagValue: aws.String(strconv.FormatInt(fence, 10))}
	return wrap("tag a key", k.young(ctx, id, func() error {
		_, err := k.API.TagResource(ctx, &kms.TagResourceInput{KeyId: aws.String(id), Tags: []types.Tag{tag}})
		return err
	}))
}

// Noted reads the tag that Note wrote; zero: there is none.
func (k *Keys) Noted(ctx context.Context, id string) (int64, error) {
	tags, err := k.tags(ctx, id)
	if err != nil || tags[TagSuperseded] == "" {
		return 0, err
	}
	fence, err := strconv.ParseInt(tags[TagSuperseded], 10, 64)
	return fence, wrap("read the tag "+TagSuperseded, err)
}

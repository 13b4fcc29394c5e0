package kmstest

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
)

var stateChecks = []check{
	{"create-metadata", createMetadata},
	{"create-refused", createRefused},
	{"state-disabled", stateDisabled},
	{"state-pending-deletion", statePendingDeletion},
	{"state-cancelled-deletion", stateCancelledDeletion},
	{"state-deletion-window", stateDeletionWindow},
}

func createMetadata(p *probe) error {
	arn := p.create(&kms.CreateKeyInput{
		KeySpec:     types.KeySpecEccNistP384,
		KeyUsage:    types.KeyUsageTypeSignVerify,
		Description: aws.String("a root"),
	})
	m := must(p.client.DescribeKey(p.ctx, &kms.DescribeKeyInput{KeyId: &arn}))(p).KeyMetadata
	type facts struct {
		ID, Description string
		Enabled         bool
		Spec            types.KeySpec
		Usage           types.KeyUsageType
		State           types.KeyState
		Origin          types.OriginType
		Manager         types.KeyManagerType
	}
	got := facts{aws.ToString(m.KeyId), aws.ToString(m.Description), m.Enabled, m.KeySpec, m.KeyUsage, m.KeyState,
		m.Origin, m.KeyManager}
	_, id, _ := strings.Cut(arn, "key/")
	want := facts{id, "a root", true, types.KeySpecEccNistP384, types.KeyUsageTypeSignVerify, types.KeyStateEnabled,
		types.OriginTypeAwsKms, types.KeyManagerTypeCustomer}
	if got != want {
		return fmt.Errorf("metadata = %+v; want %+v", got, want)
	}
	if age := time.Since(aws.ToTime(m.CreationDate)); age < -time.Hour || age > time.Hour {
		return fmt.Errorf("key is %s old", age)
	}
	return nil
}

func createRefused(p *probe) error {
	_, spec := p.client.CreateKey(p.ctx, &kms.CreateKeyInput{
		KeySpec:  "ECC_NIST_P1",
		KeyUsage: types.KeyUsageTypeSignVerify,
	})
	_, usage := p.client.CreateKey(p.ctx, &kms.CreateKeyInput{
		KeySpec:  types.KeySpecSymmetricDefault,
		KeyUsage: types.KeyUsageTypeSignVerify,
	})
	_, none := p.client.CreateKey(p.ctx, &kms.CreateKeyInput{KeySpec: types.KeySpecEccNistP256})
	_, curve := p.client.CreateKey(p.ctx, &kms.CreateKeyInput{
		KeySpec:  types.KeySpecEccNistP256,
		KeyUsage: types.KeyUsageTypeEncryptDecrypt,
	})
	return errors.Join(
		invalid("create with an unknown spec", spec),
		invalid("create a symmetric key for signing", usage),
		invalid("create an asymmetric key without a usage", none),
		invalid("create an elliptic key for encryption", curve))
}

func stateDisabled(p *probe) error {
	signing, symmetric := p.signing(types.KeySpecEccNistP256), p.symmetric()
	sealed := must(p.client.Encrypt(p.ctx, &kms.EncryptInput{KeyId: &symmetric, Plaintext: []byte("m")}))(p).CiphertextBlob
	for _, id := range []string{signing, symmetric} {
		must(p.client.DisableKey(p.ctx, &kms.DisableKeyInput{KeyId: &id}))(p)
		if err := p.wantState(id, types.KeyStateDisabled); err != nil {
			return err
		}
	}
	_, encrypt := p.client.Encrypt(p.ctx, &kms.EncryptInput{KeyId: &symmetric, Plaintext: []byte("m")})
	_, decrypt := p.client.Decrypt(p.ctx, &kms.DecryptInput{CiphertextBlob: sealed})
	if err := errors.Join(
		refused[*types.DisabledException]("Sign", p.sign(signing, []byte("m"))),
		refused[*types.DisabledException]("Encrypt", encrypt),
		refused[*types.DisabledException]("Decrypt", decrypt)); err != nil {
		return err
	}
	must(p.client.EnableKey(p.ctx, &kms.EnableKeyInput{KeyId: &signing}))(p)
	return p.sign(signing, []byte("m"))
}

func (p *probe) schedule(id string, days *int32) (*kms.ScheduleKeyDeletionOutput, error) {
	return p.client.ScheduleKeyDeletion(p.ctx, &kms.ScheduleKeyDeletionInput{KeyId: &id, PendingWindowInDays: days})
}

func statePendingDeletion(p *probe) error {
	arn := p.signing(types.KeySpecEccNistP256)
	must(p.schedule(arn, aws.Int32(7)))(p)
	if err := p.wantState(arn, types.KeyStatePendingDeletion); err != nil {
		return err
	}
	_, enable := p.client.EnableKey(p.ctx, &kms.EnableKeyInput{KeyId: &arn})
	_, disable := p.client.DisableKey(p.ctx, &kms.DisableKeyInput{KeyId: &arn})
	_, again := p.schedule(arn, aws.Int32(7))
	_, tag := p.client.TagResource(p.ctx, &kms.TagResourceInput{
		KeyId: &arn,
		Tags:  []types.Tag{{TagKey: aws.String("k"), TagValue: aws.String("v")}},
	})
	_, public := p.client.GetPublicKey(p.ctx, &kms.GetPublicKeyInput{KeyId: &arn})
	return errors.Join(
		refused[*types.KMSInvalidStateException]("Sign", p.sign(arn, []byte("m"))),
		refused[*types.KMSInvalidStateException]("EnableKey", enable),
		refused[*types.KMSInvalidStateException]("DisableKey", disable),
		refused[*types.KMSInvalidStateException]("ScheduleKeyDeletion", again),
		refused[*types.KMSInvalidStateException]("TagResource", tag),
		refused[*types.KMSInvalidStateException]("GetPublicKey", public))
}

func stateCancelledDeletion(p *probe) error {
	arn := p.signing(types.KeySpecEccNistP256)
	_, early := p.client.CancelKeyDeletion(p.ctx, &kms.CancelKeyDeletionInput{KeyId: &arn})
	if err := refused[*types.KMSInvalidStateException]("cancel what was not scheduled", early); err != nil {
		return err
	}
	must(p.schedule(arn, aws.Int32(7)))(p)
	must(p.client.CancelKeyDeletion(p.ctx, &kms.CancelKeyDeletionInput{KeyId: &arn}))(p)
	if err := p.wantState(arn, types.KeyStateDisabled); err != nil {
		return err
	}
	must(p.client.EnableKey(p.ctx, &kms.EnableKeyInput{KeyId: &arn}))(p)
	return p.sign(arn, []byte("m"))
}

func stateDeletionWindow(p *probe) error {
	arn := p.signing(types.KeySpecEccNistP256)
	_, short := p.schedule(arn, aws.Int32(6))
	_, long := p.schedule(arn, aws.Int32(31))
	if err := errors.Join(invalid("6 days", short), invalid("31 days", long)); err != nil {
		return err
	}
	out := must(p.schedule(arn, nil))(p)
	days := time.Until(aws.ToTime(out.DeletionDate)).Hours() / 24
	if out.KeyState != types.KeyStatePendingDeletion || days < 29 || days > 31 {
		return fmt.Errorf("state %s, deleted in %.1f days; want PendingDeletion, 30", out.KeyState, days)
	}
	return nil
}

package kms_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/mastio-aws/mastio/localstack/aws/kms"
)

// A refused change leaves nothing behind, not even what came before the refused part.
func TestRefusedTagsLeaveNothing(t *testing.T) {
	_, client := start(t, kms.Config{})
	id := createKey(t, client, &awskms.CreateKeyInput{Tags: []types.Tag{{
		TagKey:   aws.String("a"),
		TagValue: aws.String("1"),
	}}})
	_, err := client.TagResource(t.Context(), &awskms.TagResourceInput{
		KeyId: &id,
		Tags: []types.Tag{
			{TagKey: aws.String("a"), TagValue: aws.String("2")},
			{TagKey: aws.String("aws:b"), TagValue: aws.String("3")},
		},
	})
	wantErr[*types.TagException](t, "TagResource", err)
	got, err := client.ListResourceTags(t.Context(), &awskms.ListResourceTagsInput{KeyId: &id})
	if err != nil || len(got.Tags) != 1 || aws.ToString(got.Tags[0].TagValue) != "1" {
		t.Errorf("tags = %v, %v; want a=1 alone", got, err)
	}
}

func TestMaterialWithTrailingDataIsRefused(t *testing.T) {
	_, client := start(t, kms.Config{})
	id := createKey(t, client, external)
	raw := newP256(t)
	_, err := client.ImportKeyMaterial(t.Context(), importInput(id, wrapFor(t, client, id, append(raw, 0))))
	wantErr[*types.IncorrectKeyMaterialException](t, "ImportKeyMaterial", err)
	if got := stateOf(t, client, id); got != types.KeyStatePendingImport {
		t.Errorf("state = %s; want PendingImport", got)
	}
}

// Other people's tools choose other wrapping algorithms; what AWS refuses for a key is refused here.
func TestWrappingAlgorithms(t *testing.T) {
	_, client := start(t, kms.Config{})
	elliptic := createKey(t, client, external)
	symmetric := createKey(t, client, &awskms.CreateKeyInput{Origin: types.OriginTypeExternal})
	rsa := createKey(t, client, &awskms.CreateKeyInput{
		KeySpec:  types.KeySpecRsa2048,
		KeyUsage: types.KeyUsageTypeSignVerify,
		Origin:   types.OriginTypeExternal,
	})
	for _, v := range []struct {
		name, id  string
		algorithm types.AlgorithmSpec
		spec      types.WrappingKeySpec
	}{
		{"RSA in one block", rsa, types.AlgorithmSpecRsaesOaepSha256, types.WrappingKeySpecRsa2048},
		{"symmetric in two layers", symmetric, types.AlgorithmSpecRsaAesKeyWrapSha256, types.WrappingKeySpecRsa2048},
		{"SHA-1", elliptic, types.AlgorithmSpecRsaAesKeyWrapSha1, types.WrappingKeySpecRsa2048},
		{"SM2", elliptic, types.AlgorithmSpecSm2pke, types.WrappingKeySpecSm2},
	} {
		_, err := client.GetParametersForImport(t.Context(), &awskms.GetParametersForImportInput{
			KeyId:             &v.id,
			WrappingAlgorithm: v.algorithm,
			WrappingKeySpec:   v.spec,
		})
		wantErr[*types.UnsupportedOperationException](t, v.name, err)
	}
}

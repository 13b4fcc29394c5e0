package kms_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/mastio-aws/mastio/localstack/aws/kms"
)

const day = 24 * time.Hour

func TestDeletedKeyIsGone(t *testing.T) {
	c := newClock()
	_, client := start(t, kms.Config{Now: c.Now})
	id := createKey(t, client, &awskms.CreateKeyInput{})
	ctx := t.Context()
	check(t)(client.CreateAlias(ctx, &awskms.CreateAliasInput{AliasName: aws.String("alias/gone"), TargetKeyId: &id}))
	check(t)(client.ScheduleKeyDeletion(ctx, &awskms.ScheduleKeyDeletionInput{
		KeyId:               &id,
		PendingWindowInDays: aws.Int32(7),
	}))

	c.Advance(7*day - time.Second)
	if got := stateOf(t, client, id); got != types.KeyStatePendingDeletion {
		t.Errorf("state a second before the end of the window = %s; want PendingDeletion", got)
	}
	c.Advance(time.Second)
	for _, name := range []string{id, "alias/gone"} {
		_, err := client.DescribeKey(ctx, &awskms.DescribeKeyInput{KeyId: &name})
		wantErr[*types.NotFoundException](t, "DescribeKey "+name, err)
	}
	aliases, err := client.ListAliases(ctx, &awskms.ListAliasesInput{})
	if err != nil || len(aliases.Aliases) != 0 {
		t.Errorf("ListAliases = %v, %v; want none", aliases, err)
	}
	keys, err := client.ListKeys(ctx, &awskms.ListKeysInput{})
	if err != nil || len(keys.Keys) != 0 {
		t.Errorf("ListKeys = %v, %v; want none", keys, err)
	}
}

func TestCancelledDeletionStays(t *testing.T) {
	c := newClock()
	_, client := start(t, kms.Config{Now: c.Now})
	id := createKey(t, client, &awskms.CreateKeyInput{})
	check(t)(client.ScheduleKeyDeletion(t.Context(), &awskms.ScheduleKeyDeletionInput{KeyId: &id}))
	c.Advance(29 * day)
	check(t)(client.CancelKeyDeletion(t.Context(), &awskms.CancelKeyDeletionInput{KeyId: &id}))
	c.Advance(30 * day)
	if got := stateOf(t, client, id); got != types.KeyStateDisabled {
		t.Errorf("state = %s; want Disabled", got)
	}
}

func TestExpiredImportToken(t *testing.T) {
	c := newClock()
	_, client := start(t, kms.Config{Now: c.Now})
	id := createKey(t, client, external)
	early := wrapFor(t, client, id, newP256(t))
	c.Advance(day)
	_, err := client.ImportKeyMaterial(t.Context(), importInput(id, early))
	wantErr[*types.ExpiredImportTokenException](t, "ImportKeyMaterial after 24 hours", err)

	late := wrapFor(t, client, id, newP256(t))
	c.Advance(day - time.Second)
	check(t)(client.ImportKeyMaterial(t.Context(), importInput(id, late)))
}

func TestMaterialExpires(t *testing.T) {
	c := newClock()
	_, client := start(t, kms.Config{Now: c.Now})
	id := createKey(t, client, external)
	raw := newP256(t)
	in := importInput(id, wrapFor(t, client, id, raw))
	in.ExpirationModel = types.ExpirationModelTypeKeyMaterialExpires
	for name, validTo := range map[string]time.Time{"now": c.Now(), "in 366 days": c.Now().Add(366 * day)} {
		in.ValidTo = &validTo
		_, err := client.ImportKeyMaterial(t.Context(), in)
		wantCode(t, "import material that expires "+name, err, "ValidationException")
	}
	in.ValidTo = aws.Time(c.Now().Add(10 * day))
	check(t)(client.ImportKeyMaterial(t.Context(), in))
	metadata, err := client.DescribeKey(t.Context(), &awskms.DescribeKeyInput{KeyId: &id})
	if err != nil || !aws.ToTime(metadata.KeyMetadata.ValidTo).Equal(*in.ValidTo) {
		t.Errorf("DescribeKey = %+v, %v; want ValidTo %s", metadata, err, in.ValidTo)
	}

	c.Advance(10 * day)
	if got := stateOf(t, client, id); got != types.KeyStatePendingImport {
		t.Errorf("state after ValidTo = %s; want PendingImport", got)
	}
	wantErr[*types.KMSInvalidStateException](t, "Sign with expired material", sign(t, client, id))
	check(t)(client.ImportKeyMaterial(t.Context(), importInput(id, wrapFor(t, client, id, raw))))
	if err := sign(t, client, id); err != nil {
		t.Errorf("Sign with the material back = %v", err)
	}
}

// A second import must not enable a key that was disabled.
func TestImportKeepsDisabled(t *testing.T) {
	_, client := start(t, kms.Config{})
	id := createKey(t, client, external)
	raw := newP256(t)
	check(t)(client.ImportKeyMaterial(t.Context(), importInput(id, wrapFor(t, client, id, raw))))
	check(t)(client.DisableKey(t.Context(), &awskms.DisableKeyInput{KeyId: &id}))
	check(t)(client.ImportKeyMaterial(t.Context(), importInput(id, wrapFor(t, client, id, raw))))
	if got := stateOf(t, client, id); got != types.KeyStateDisabled {
		t.Errorf("state = %s; want Disabled", got)
	}
}

// A key may lose its material while its deletion is pending; cancelling then finds it without.
func TestMaterialDeletedWhilePendingDeletion(t *testing.T) {
	_, client := start(t, kms.Config{})
	id := createKey(t, client, external)
	check(t)(client.ImportKeyMaterial(t.Context(), importInput(id, wrapFor(t, client, id, newP256(t)))))
	check(t)(client.ScheduleKeyDeletion(t.Context(), &awskms.ScheduleKeyDeletionInput{KeyId: &id}))
	check(t)(client.DeleteImportedKeyMaterial(t.Context(), &awskms.DeleteImportedKeyMaterialInput{KeyId: &id}))
	if got := stateOf(t, client, id); got != types.KeyStatePendingDeletion {
		t.Errorf("state = %s; want PendingDeletion", got)
	}
	check(t)(client.CancelKeyDeletion(t.Context(), &awskms.CancelKeyDeletionInput{KeyId: &id}))
	if got := stateOf(t, client, id); got != types.KeyStatePendingImport {
		t.Errorf("state = %s; want PendingImport", got)
	}
}

var external = &awskms.CreateKeyInput{
	KeySpec:  types.KeySpecEccNistP256,
	KeyUsage: types.KeyUsageTypeSignVerify,
	Origin:   types.OriginTypeExternal,
}

// check returns a function that fails the test on the error of an SDK call.
func check(t *testing.T) func(_ any, err error) {
	return func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
}

func createKey(t *testing.T, client *awskms.Client, in *awskms.CreateKeyInput) (id string) {
	t.Helper()
	out, err := client.CreateKey(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	return aws.ToString(out.KeyMetadata.KeyId)
}

func stateOf(t *testing.T, client *awskms.Client, id string) types.KeyState {
	t.Helper()
	out, err := client.DescribeKey(t.Context(), &awskms.DescribeKeyInput{KeyId: &id})
	if err != nil {
		t.Fatal(err)
	}
	return out.KeyMetadata.KeyState
}

func sign(t *testing.T, client *awskms.Client, id string) error {
	t.Helper()
	_, err := client.Sign(t.Context(), &awskms.SignInput{
		KeyId:            &id,
		Message:          []byte("m"),
		SigningAlgorithm: types.SigningAlgorithmSpecEcdsaSha256,
	})
	return err
}

func wantErr[E error](t *testing.T, what string, err error) {
	t.Helper()
	if _, ok := errors.AsType[E](err); !ok {
		var want E
		t.Errorf("%s: error = %v; want %T", what, err, want)
	}
}

func newP256(t *testing.T) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(crypto.Signer(key))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// parcel is wrapped material with its token.
type parcel struct{ material, token []byte }

func wrapFor(t *testing.T, client *awskms.Client, id string, raw []byte) parcel {
	t.Helper()
	got, err := client.GetParametersForImport(t.Context(), &awskms.GetParametersForImportInput{
		KeyId:             &id,
		WrappingAlgorithm: types.AlgorithmSpecRsaesOaepSha256,
		WrappingKeySpec:   types.WrappingKeySpecRsa2048,
	})
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.ParsePKIXPublicKey(got.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, public.(*rsa.PublicKey), raw, nil)
	if err != nil {
		t.Fatal(err)
	}
	return parcel{sealed, got.ImportToken}
}

func importInput(id string, in parcel) *awskms.ImportKeyMaterialInput {
	return &awskms.ImportKeyMaterialInput{
		KeyId:                &id,
		EncryptedKeyMaterial: in.material,
		ImportToken:          in.token,
		ExpirationModel:      types.ExpirationModelTypeKeyMaterialDoesNotExpire,
	}
}

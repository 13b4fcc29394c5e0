package awskms_test

import (
	"context"
	"crypto"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"

	localkms "github.com/mastio-aws/mastio/localstack/aws/kms"
	"github.com/mastio-aws/mastio/shared/edge/awskms"
	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
)

// lateKMS is a KMS whose hosts hear of a key one after the other: the first calls of every kind on every key are
// refused, in each of the ways that AWS documents.
type lateKMS struct {
	awskms.API
	first int // calls of each kind on each key that are refused; negative: all

	mu   sync.Mutex
	seen map[string]int // by operation and key
}

func (l *lateKMS) refuse(op string, id *string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.seen[op+" "+aws.ToString(id)]
	if l.seen == nil {
		l.seen = map[string]int{}
	}
	l.seen[op+" "+aws.ToString(id)]++
	if l.first >= 0 && n >= l.first {
		return nil
	}
	return []error{&types.NotFoundException{}, &types.KMSInvalidStateException{},
		&smithy.GenericAPIError{Code: "AccessDeniedException"}}[n%3]
}

func (l *lateKMS) Sign(ctx context.Context, in *kms.SignInput, o ...func(*kms.Options)) (*kms.SignOutput, error) {
	if err := l.refuse("Sign", in.KeyId); err != nil {
		return nil, err
	}
	return l.API.Sign(ctx, in, o...)
}

func (l *lateKMS) GetPublicKey(
	ctx context.Context, in *kms.GetPublicKeyInput, o ...func(*kms.Options),
) (*kms.GetPublicKeyOutput, error) {
	if err := l.refuse("GetPublicKey", in.KeyId); err != nil {
		return nil, err
	}
	return l.API.GetPublicKey(ctx, in, o...)
}

func (l *lateKMS) GetParametersForImport(
	ctx context.Context, in *kms.GetParametersForImportInput, o ...func(*kms.Options),
) (*kms.GetParametersForImportOutput, error) {
	if err := l.refuse("GetParametersForImport", in.KeyId); err != nil {
		return nil, err
	}
	return l.API.GetParametersForImport(ctx, in, o...)
}

func (l *lateKMS) ImportKeyMaterial(
	ctx context.Context, in *kms.ImportKeyMaterialInput, o ...func(*kms.Options),
) (*kms.ImportKeyMaterialOutput, error) {
	if err := l.refuse("ImportKeyMaterial", in.KeyId); err != nil {
		return nil, err
	}
	return l.API.ImportKeyMaterial(ctx, in, o...)
}

func (l *lateKMS) DisableKey(
	ctx context.Context, in *kms.DisableKeyInput, o ...func(*kms.Options),
) (*kms.DisableKeyOutput, error) {
	if err := l.refuse("DisableKey", in.KeyId); err != nil {
		return nil, err
	}
	return l.API.DisableKey(ctx, in, o...)
}

func (l *lateKMS) ScheduleKeyDeletion(
	ctx context.Context, in *kms.ScheduleKeyDeletionInput, o ...func(*kms.Options),
) (*kms.ScheduleKeyDeletionOutput, error) {
	if err := l.refuse("ScheduleKeyDeletion", in.KeyId); err != nil {
		return nil, err
	}
	return l.API.ScheduleKeyDeletion(ctx, in, o...)
}

func (l *lateKMS) TagResource(
	ctx context.Context, in *kms.TagResourceInput, o ...func(*kms.Options),
) (*kms.TagResourceOutput, error) {
	if err := l.refuse("TagResource", in.KeyId); err != nil {
		return nil, err
	}
	return l.API.TagResource(ctx, in, o...)
}

func (l *lateKMS) UntagResource(
	ctx context.Context, in *kms.UntagResourceInput, o ...func(*kms.Options),
) (*kms.UntagResourceOutput, error) {
	if err := l.refuse("UntagResource", in.KeyId); err != nil {
		return nil, err
	}
	return l.API.UntagResource(ctx, in, o...)
}

func (l *lateKMS) GenerateDataKeyPairWithoutPlaintext(
	ctx context.Context, in *kms.GenerateDataKeyPairWithoutPlaintextInput, o ...func(*kms.Options),
) (*kms.GenerateDataKeyPairWithoutPlaintextOutput, error) {
	if err := l.refuse("GenerateDataKeyPairWithoutPlaintext", in.KeyId); err != nil {
		return nil, err
	}
	return l.API.GenerateDataKeyPairWithoutPlaintext(ctx, in, o...)
}

func (l *lateKMS) Decrypt(
	ctx context.Context, in *kms.DecryptInput, o ...func(*kms.Options),
) (*kms.DecryptOutput, error) {
	if err := l.refuse("Decrypt", in.KeyId); err != nil {
		return nil, err
	}
	return l.API.Decrypt(ctx, in, o...)
}

// CreateKey of a KMS that never hears of a key makes one all the same.
func (l *lateKMS) CreateKey(
	ctx context.Context, in *kms.CreateKeyInput, o ...func(*kms.Options),
) (*kms.CreateKeyOutput, error) {
	if l.API == nil {
		arn := aws.String("arn:aws:kms:us-east-1:000000000000:key/1")
		return &kms.CreateKeyOutput{KeyMetadata: &types.KeyMetadata{Arn: arn}}, nil
	}
	return l.API.CreateKey(ctx, in, o...)
}

// Every call that is ever made on a key that was created just now, with hosts that refuse the first ones of each kind.
func TestYoungKeys(t *testing.T) {
	_, client, keys := serve(t, localkms.Config{})
	l := &lateKMS{API: client, first: 3}
	keys.API, keys.Patience = l, 12*time.Second
	digest := sha256.Sum256([]byte("x"))
	use := func(id string, pub crypto.PublicKey, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := keys.Signer(t.Context(), id, pub).Sign(rand.Reader, digest[:], crypto.SHA256); err != nil {
			t.Errorf("sign: %v", err)
		}
		for n, err := range []error{
			keys.Note(t.Context(), id, 3), keys.Note(t.Context(), id, 0), keys.Disable(t.Context(), id),
			keys.ScheduleDeletion(t.Context(), id), keys.ScheduleDeletion(t.Context(), id),
		} {
			if err != nil {
				t.Errorf("call %d: %v", n, err)
			}
		}
	}
	use(keys.Create(t.Context(), rootSpec))
	use(keys.Import(t.Context(), rootSpec, ecKey(t, elliptic.P256())))

	made, err := client.CreateKey(t.Context(), &kms.CreateKeyInput{})
	if err != nil {
		t.Fatal(err)
	}
	v := &awskms.Vault{API: l, Now: time.Now, KeyID: *made.KeyMetadata.Arn, Patience: 12 * time.Second}
	_, wrapped, err := v.KeyPair(t.Context(), nil)
	if _, openErr := v.Open(t.Context(), wrapped, nil); err != nil || openErr != nil {
		t.Errorf("token key: %v, %v", err, openErr)
	}

	ops := map[string]bool{}
	for what, n := range l.seen {
		op, _, _ := strings.Cut(what, " ")
		ops[op] = true
		if n <= l.first {
			t.Errorf("%s: %d calls, and each of them failed", what, n)
		}
	}
	want := []string{
		"Decrypt", "DisableKey", "GenerateDataKeyPairWithoutPlaintext", "GetParametersForImport", "GetPublicKey",
		"ImportKeyMaterial", "ScheduleKeyDeletion", "Sign",
		"TagResource", "UntagResource",
	}
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(ops))); diff != "" {
		t.Errorf("kinds of calls that were late (-want +got):\n%s", diff)
	}
}

// The wait is bounded: by the key's age, by a tenth of that where the key is not this instance's, and by the request.
func TestYoungKeysThatNeverCome(t *testing.T) {
	const patience = 20 * time.Second
	for name, tt := range map[string]struct {
		deadline time.Duration // of the request; zero: none
		do       func(ctx context.Context, k *awskms.Keys) error
		least    time.Duration
		most     time.Duration
	}{
		"create": {0, func(ctx context.Context, k *awskms.Keys) error { return third(k.Create(ctx, rootSpec)) },
			17 * time.Second, patience},
		"create in a request of 10 s": {10 * time.Second, func(ctx context.Context, k *awskms.Keys) error {
			return third(k.Create(ctx, rootSpec))
		}, 5 * time.Second, 8 * time.Second},
		"another's": {0, func(ctx context.Context, k *awskms.Keys) error {
			_, err := k.Public(ctx, "arn:aws:kms:us-east-1:000000000000:key/2")
			return err
		}, 500 * time.Millisecond, patience / 10},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx := t.Context()
				if tt.deadline > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, tt.deadline)
					defer cancel()
				}
				begun := time.Now()
				err := tt.do(ctx, &awskms.Keys{API: &lateKMS{first: -1}, Now: time.Now, OrgID: org, Patience: patience})
				if took := time.Since(begun); !errors.Is(err, rotateca.ErrKeys) || took < tt.least || took > tt.most {
					t.Errorf("%v after %s, want ErrKeys after %s to %s", err, took, tt.least, tt.most)
				}
			})
		})
	}
}

// A key that was just created and is reported as missing still exists: the cleanup must get an error.
func TestDeletionOfAKeyThatIsNotKnownYet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &awskms.Keys{API: &notThere{lateKMS{first: -1}}, Now: time.Now, OrgID: org, Patience: 20 * time.Second}
		_, _, err := k.Import(t.Context(), rootSpec, ecKey(t, elliptic.P256()))
		var gone *types.NotFoundException
		if !errors.Is(err, rotateca.ErrKeys) || !errors.As(err, &gone) ||
			!strings.Contains(err.Error(), "schedule a key's deletion") {
			t.Errorf("import = %v, want both errors", err)
		}
	})
}

// notThere is a KMS that says of every key that there is none.
type notThere struct{ lateKMS }

func (n *notThere) GetParametersForImport(
	context.Context, *kms.GetParametersForImportInput, ...func(*kms.Options),
) (*kms.GetParametersForImportOutput, error) {
	return nil, &types.NotFoundException{}
}

func (n *notThere) ScheduleKeyDeletion(
	context.Context, *kms.ScheduleKeyDeletionInput, ...func(*kms.Options),
) (*kms.ScheduleKeyDeletionOutput, error) {
	return nil, &types.NotFoundException{}
}

func third(_ string, _ crypto.PublicKey, err error) error { return err }

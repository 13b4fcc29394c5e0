package awskms_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/google/go-cmp/cmp"

	localkms "github.com/mastio-aws/mastio/localstack/aws/kms"
	"github.com/mastio-aws/mastio/shared/edge/awskms"
	"github.com/mastio-aws/mastio/shared/pki"
	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
)

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

var rootSpec = rotateca.KeySpec{Generation: 7, RotationID: "rotation-1", Role: rotateca.Root}

func ecKey(t *testing.T, curve elliptic.Curve) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func rsaKey(t *testing.T, bits int) crypto.Signer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// states returns the state of every key in a KMS.
func states(t *testing.T, client *kms.Client) (all []types.KeyState) {
	t.Helper()
	listed, err := client.ListKeys(t.Context(), &kms.ListKeysInput{})
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range listed.Keys {
		described, err := client.DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: entry.KeyId})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, described.KeyMetadata.KeyState)
	}
	return all
}

func TestImportedKeysSign(t *testing.T) {
	digest, digest384 := sha256.Sum256([]byte("x")), sha512.Sum384([]byte("x"))
	ec := func(digest []byte) func(crypto.PublicKey, []byte) bool {
		return func(pub crypto.PublicKey, sig []byte) bool {
			return ecdsa.VerifyASN1(pub.(*ecdsa.PublicKey), digest, sig)
		}
	}
	pkcs1 := func(pub crypto.PublicKey, sig []byte) bool {
		return rsa.VerifyPKCS1v15(pub.(*rsa.PublicKey), crypto.SHA256, digest[:], sig) == nil
	}
	for _, c := range []struct {
		spec     types.KeySpec
		key      crypto.Signer
		digest   []byte
		hash     crypto.Hash
		verifies func(crypto.PublicKey, []byte) bool
	}{
		{types.KeySpecEccNistP256, ecKey(t, elliptic.P256()), digest[:], crypto.SHA256, ec(digest[:])},
		{types.KeySpecEccNistP384, ecKey(t, elliptic.P384()), digest384[:], crypto.SHA384, ec(digest384[:])},
		{types.KeySpecRsa2048, rsaKey(t, 2048), digest[:], crypto.SHA256, pkcs1},
		{types.KeySpecRsa3072, rsaKey(t, 3072), digest[:], crypto.SHA256, pkcs1},
		{types.KeySpecRsa4096, rsaKey(t, 4096), digest[:], crypto.SHA256, pkcs1},
	} {
		t.Run(string(c.spec), func(t *testing.T) {
			server, client, keys := serve(t, localkms.Config{})
			before, _ := x509.MarshalPKCS8PrivateKey(c.key)
			id, pub, err := keys.Import(t.Context(), rootSpec, c.key)
			if err != nil {
				t.Fatal(err)
			}
			calls := map[string]int64{"CreateKey": 1, "GetParametersForImport": 1, "ImportKeyMaterial": 1, "GetPublicKey": 1}
			if diff := cmp.Diff(calls, server.Calls()); diff != "" {
				t.Errorf("calls (-want +got):\n%s", diff)
			}
			if after, _ := x509.MarshalPKCS8PrivateKey(c.key); !slices.Equal(before, after) {
				t.Error("the caller's key was changed")
			}
			sig, err := keys.Signer(t.Context(), id, pub).Sign(rand.Reader, c.digest, c.hash)
			if err != nil || !pki.SameKey(pub, c.key.Public()) || !c.verifies(c.key.Public(), sig) {
				t.Errorf("sign: %v, or not by the imported key", err)
			}
			m := metadata(t, client, id)
			if m.KeySpec != c.spec || m.Origin != types.OriginTypeExternal ||
				m.ExpirationModel != types.ExpirationModelTypeKeyMaterialDoesNotExpire || m.ValidTo != nil {
				t.Errorf("metadata = %+v", m)
			}
			if found, err := keys.Tagged(t.Context(), rootSpec.RotationID); err != nil || !slices.Equal(found, []string{id}) {
				t.Errorf("tagged = %v, %v", found, err)
			}
			if err := keys.Disable(t.Context(), id); err != nil {
				t.Error(err)
			}
		})
	}
}

func metadata(t *testing.T, client *kms.Client, id string) *types.KeyMetadata {
	t.Helper()
	described, err := client.DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: &id})
	if err != nil {
		t.Fatal(err)
	}
	return described.KeyMetadata
}

func TestImportOfWhatKMSHasNoSpecFor(t *testing.T) {
	server, _, keys := serve(t, localkms.Config{})
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string]crypto.Signer{
		"P-521": ecKey(t, elliptic.P521()), "P-224": ecKey(t, elliptic.P224()), "RSA-2304": rsaKey(t, 2304),
		"RSA-1024": rsaKey(t, 1024), "Ed25519": edwards, "nothing": nil,
		"a key elsewhere": keys.Signer(t.Context(), "id", ecKey(t, elliptic.P256()).Public()),
	} {
		if id, pub, err := keys.Import(t.Context(), rootSpec, key); !errors.Is(err, rotateca.ErrKeys) || id != "" ||
			pub != nil {
			t.Errorf("%s: %q, %v, %v; want ErrKeys", name, id, pub, err)
		}
	}
	if calls := server.Calls(); len(calls) != 0 {
		t.Errorf("calls = %v, want none", calls)
	}
}

// Whatever call fails, before or after it took effect, there is an error and no key that could sign.
func TestImportThatFailsLeavesNothingUsable(t *testing.T) {
	type fault struct {
		op    string
		after bool
	}
	key := ecKey(t, elliptic.P256())
	pending, deletion := types.KeyStatePendingImport, types.KeyStatePendingDeletion
	for _, c := range []struct {
		name   string
		faults []fault
		left   []types.KeyState
	}{
		{"create refused", []fault{{"CreateKey", false}}, nil},
		{"create lost", []fault{{"CreateKey", true}}, []types.KeyState{pending}},
		{"parameters refused", []fault{{"GetParametersForImport", false}}, []types.KeyState{deletion}},
		{"parameters lost", []fault{{"GetParametersForImport", true}}, []types.KeyState{deletion}},
		{"import refused", []fault{{"ImportKeyMaterial", false}}, []types.KeyState{deletion}},
		{"import lost", []fault{{"ImportKeyMaterial", true}}, []types.KeyState{deletion}},
		{"read refused", []fault{{"GetPublicKey", false}}, []types.KeyState{deletion}},
		{"read lost", []fault{{"GetPublicKey", true}}, []types.KeyState{deletion}},
		{"import and clean-up refused", []fault{{"ImportKeyMaterial", false}, {"ScheduleKeyDeletion", false}},
			[]types.KeyState{pending}},
		{"import refused and clean-up lost", []fault{{"ImportKeyMaterial", false}, {"ScheduleKeyDeletion", true}},
			[]types.KeyState{deletion}},
	} {
		t.Run(c.name, func(t *testing.T) {
			fail := func(after bool) func(string) error {
				return func(op string) error {
					if slices.Contains(c.faults, fault{op, after}) {
						return &localkms.Fault{Code: "KMSInternalException", Message: "try again", Status: 500}
					}
					return nil
				}
			}
			_, client, keys := serve(t, localkms.Config{Before: fail(false), After: fail(true)})
			keys.API = quick{client}
			id, pub, err := keys.Import(t.Context(), rootSpec, key)
			if !errors.Is(err, rotateca.ErrKeys) || id != "" || pub != nil {
				t.Errorf("import = %q, %v, %v; want ErrKeys alone", id, pub, err)
			}
			if got := states(t, client); !slices.Equal(got, c.left) {
				t.Errorf("keys left = %v, want %v", got, c.left)
			}
			if found, err := keys.Tagged(t.Context(), rootSpec.RotationID); err != nil || len(found) != len(c.left) {
				t.Errorf("found by tag: %v, %v; want %d", found, err, len(c.left))
			}
		})
	}
}

// crookedKMS is a KMS that answers wrongly, or whose caller gives up.
type crookedKMS struct {
	awskms.API
	create     func(*kms.CreateKeyInput)
	parameters func(*kms.GetParametersForImportOutput)
	public     func(*kms.GetPublicKeyOutput)
}

// CreateKey makes another key than asked for.
func (c crookedKMS) CreateKey(
	ctx context.Context, in *kms.CreateKeyInput, opts ...func(*kms.Options),
) (*kms.CreateKeyOutput, error) {
	if c.create != nil {
		c.create(in)
	}
	return c.API.CreateKey(ctx, in, opts...)
}

// GetParametersForImport changes the answer.
func (c crookedKMS) GetParametersForImport(
	ctx context.Context, in *kms.GetParametersForImportInput, opts ...func(*kms.Options),
) (*kms.GetParametersForImportOutput, error) {
	out, err := c.API.GetParametersForImport(ctx, in, opts...)
	if c.parameters != nil && err == nil {
		c.parameters(out)
	}
	return out, err
}

// GetPublicKey changes the answer.
func (c crookedKMS) GetPublicKey(
	ctx context.Context, in *kms.GetPublicKeyInput, opts ...func(*kms.Options),
) (*kms.GetPublicKeyOutput, error) {
	out, err := c.API.GetPublicKey(ctx, in, opts...)
	if c.public != nil && err == nil {
		c.public(out)
	}
	return out, err
}

func TestImportBelievesNothing(t *testing.T) {
	other, err := x509.MarshalPKIXPublicKey(ecKey(t, elliptic.P256()).Public())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for name, c := range map[string]crookedKMS{
		"material of the wrong curve": {create: func(in *kms.CreateKeyInput) { in.KeySpec = types.KeySpecEccNistP384 }},
		"material for an RSA key":     {create: func(in *kms.CreateKeyInput) { in.KeySpec = types.KeySpecRsa2048 }},
		"wrapping key is EC":          {parameters: func(out *kms.GetParametersForImportOutput) { out.PublicKey = other }},
		"wrapping key is nothing":     {parameters: func(out *kms.GetParametersForImportOutput) { out.PublicKey = nil }},
		"token is another's": {parameters: func(out *kms.GetParametersForImportOutput) {
			out.ImportToken = []byte("another")
		}},
		"another public key reads back": {public: func(out *kms.GetPublicKeyOutput) { out.PublicKey = other }},
		"nothing reads back":            {public: func(out *kms.GetPublicKeyOutput) { out.PublicKey = nil }},
		"the request ends meanwhile":    {parameters: func(*kms.GetParametersForImportOutput) { cancel() }},
	} {
		t.Run(name, func(t *testing.T) {
			_, client, keys := serve(t, localkms.Config{})
			c.API = quick{client}
			keys.API = c
			request := t.Context()
			if name == "the request ends meanwhile" {
				request = ctx
			}
			if _, _, err := keys.Import(request, rootSpec, ecKey(t, elliptic.P256())); !errors.Is(err, rotateca.ErrKeys) {
				t.Errorf("err = %v, want ErrKeys", err)
			}
			if got := states(t, client); !slices.Equal(got, []types.KeyState{types.KeyStatePendingDeletion}) {
				t.Errorf("keys left = %v", got)
			}
		})
	}
}

// quick is a KMS that is asked for smaller wrapping keys: making them is what takes a local one its time.
type quick struct{ awskms.API }

// GetParametersForImport asks for RSA-2048.
func (q quick) GetParametersForImport(
	ctx context.Context, in *kms.GetParametersForImportInput, opts ...func(*kms.Options),
) (*kms.GetParametersForImportOutput, error) {
	in.WrappingKeySpec = types.WrappingKeySpecRsa2048
	return q.API.GetParametersForImport(ctx, in, opts...)
}

// A CA whose key was imported issues, and after Disable does not.
func TestImportedKeyIsTheCAs(t *testing.T) {
	_, _, keys := serve(t, localkms.Config{})
	key := ecKey(t, elliptic.P384())
	id, pub, err := keys.Import(t.Context(), rootSpec, key)
	if err != nil {
		t.Fatal(err)
	}
	params := pki.CAParams{Org: org, Generation: 7, Now: noon}
	root, err := pki.NewRoot(params, key)
	if err != nil {
		t.Fatal(err)
	}
	issuing := ecKey(t, elliptic.P256())
	above := pki.Authority{Chain: []*x509.Certificate{root}, Key: keys.Signer(t.Context(), id, pub)}
	if _, err := pki.NewIssuing(params, above, issuing.Public()); err != nil {
		t.Error(err)
	}
	if err := keys.Disable(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if _, err := pki.NewIssuing(params, above, issuing.Public()); !errors.Is(err, rotateca.ErrKeys) {
		t.Errorf("disabled: %v", err)
	}
}

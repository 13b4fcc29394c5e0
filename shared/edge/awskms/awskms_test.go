package awskms_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"errors"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"

	localkms "github.com/mastio-aws/mastio/localstack/aws/kms"
	"github.com/mastio-aws/mastio/shared/edge/awskms"
	"github.com/mastio-aws/mastio/shared/pki"
	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
)

const org = "orga"

var (
	_ rotateca.Keys = (*awskms.Keys)(nil)
	_ awskms.API    = (*kms.Client)(nil)
)

// serve returns a KMS in this process, the SDK's client of it, and the keys of one organisation in it.
func serve(t *testing.T, cfg localkms.Config) (*localkms.Server, *kms.Client, *awskms.Keys) {
	t.Helper()
	server, err := localkms.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(server)
	t.Cleanup(func() { web.Close(); server.Close() })
	client := kms.New(kms.Options{
		Region:       "us-east-1",
		BaseEndpoint: &web.URL,
		HTTPClient:   web.Client(),
		Credentials:  credentials.NewStaticCredentialsProvider("local", "local", ""),
		Retryer:      aws.NopRetryer{},
	})
	return server, client, &awskms.Keys{API: client, Now: time.Now, OrgID: org, Patience: 2 * time.Second}
}

func create(t *testing.T, k *awskms.Keys, rotation string, role rotateca.Role) (string, crypto.PublicKey) {
	t.Helper()
	id, pub, err := k.Create(t.Context(), rotateca.KeySpec{Generation: 7, RotationID: rotation, Role: role})
	if err != nil {
		t.Fatal(err)
	}
	return id, pub
}

func TestCreatedKeyIsTaggedAndOfTheRightKind(t *testing.T) {
	_, client, keys := serve(t, localkms.Config{})
	id, pub := create(t, keys, "rotation-1", rotateca.Root)
	if key, ok := pub.(*ecdsa.PublicKey); !ok || key.Curve != elliptic.P256() {
		t.Errorf("public key is a %T", pub)
	}
	described, err := client.DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: &id})
	if err != nil {
		t.Fatal(err)
	}
	m := described.KeyMetadata
	if aws.ToString(m.Arn) != id || m.KeySpec != types.KeySpecEccNistP256 || m.KeyUsage != types.KeyUsageTypeSignVerify ||
		m.KeyState != types.KeyStateEnabled {
		t.Errorf("metadata = %+v", m)
	}
	listed, err := client.ListResourceTags(t.Context(), &kms.ListResourceTagsInput{KeyId: &id})
	if err != nil {
		t.Fatal(err)
	}
	tags := map[string]string{}
	for _, tag := range listed.Tags {
		tags[aws.ToString(tag.TagKey)] = aws.ToString(tag.TagValue)
	}
	want := map[string]string{"mastio:org": org, "mastio:generation": "7", "mastio:rotation": "rotation-1",
		"mastio:role": "root"}
	if diff := cmp.Diff(want, tags); diff != "" {
		t.Errorf("tags (-want +got):\n%s", diff)
	}
	again, err := keys.Public(t.Context(), id)
	if err != nil || !pub.(*ecdsa.PublicKey).Equal(again) {
		t.Errorf("public key read again = %v, %v", again, err)
	}
}

// A CA of two KMS keys issues what Go's verifier accepts, with one call for each signature.
func TestKeysSignCertificates(t *testing.T) {
	server, _, keys := serve(t, localkms.Config{})
	rootID, rootPub := create(t, keys, "r", rotateca.Root)
	issuingID, issuingPub := create(t, keys, "r", rotateca.Issuing)
	now := time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC)
	params := pki.CAParams{Org: org, Generation: 1, Now: now}
	rootKey := keys.Signer(t.Context(), rootID, rootPub)
	root, err := pki.NewRoot(params, rootKey)
	if err != nil {
		t.Fatal(err)
	}
	issuing, err := pki.NewIssuing(params, pki.Authority{Chain: []*x509.Certificate{root}, Key: rootKey}, issuingPub)
	if err != nil {
		t.Fatal(err)
	}
	agentKey, err := pki.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	authority := pki.Authority{
		Chain: []*x509.Certificate{issuing, root},
		Key:   keys.Signer(t.Context(), issuingID, issuingPub),
	}
	leaf, err := authority.IssueAgent(pki.AgentParams{
		AgentID:   "orga::kyc",
		Org:       org,
		SPIFFEID:  "spiffe://mastio.test/orga/kyc",
		PublicKey: agentKey.Public(),
		Now:       now,
	})
	if err != nil {
		t.Fatal(err)
	}
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	roots.AddCert(root)
	between.AddCert(issuing)
	if _, err := leaf.Verify(x509.VerifyOptions{
		Roots:         roots,
		Intermediates: between,
		CurrentTime:   now,
		KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}); err != nil {
		t.Error(err)
	}
	if calls := server.Calls(); calls["Sign"] != 3 || calls["GetPublicKey"] != 2 {
		t.Errorf("calls = %v, want three signatures and a look at each of two new keys", calls)
	}
}

// A signer whose public half is not the key's makes nothing that passes for a certificate.
func TestSignerOfAnotherKeyIsFound(t *testing.T) {
	_, _, keys := serve(t, localkms.Config{})
	_, first := create(t, keys, "r", rotateca.Root)
	second, _ := create(t, keys, "r", rotateca.Root)
	if cert, err := pki.NewRoot(pki.CAParams{
		Org:        org,
		Generation: 1,
		Now:        time.Now(),
	}, keys.Signer(t.Context(), second, first)); err == nil {
		t.Errorf("certificate %q under a key that is not its own", cert.Subject)
	}
}

func TestDigestsThatAKeyTakes(t *testing.T) {
	_, client, keys := serve(t, localkms.Config{})
	p256, rsa2048 := sha256.Sum256([]byte("x")), sha256.Sum256([]byte("x"))
	p384 := sha512.Sum384([]byte("x"))
	for _, c := range []struct {
		spec     types.KeySpec
		digest   []byte
		opts     crypto.SignerOpts
		verifies func(pub crypto.PublicKey, sig []byte) bool // nil: refused
	}{
		{types.KeySpecEccNistP256, p256[:], crypto.SHA256, func(pub crypto.PublicKey, sig []byte) bool {
			return ecdsa.VerifyASN1(pub.(*ecdsa.PublicKey), p256[:], sig)
		}},
		{types.KeySpecEccNistP384, p384[:], crypto.SHA384, func(pub crypto.PublicKey, sig []byte) bool {
			return ecdsa.VerifyASN1(pub.(*ecdsa.PublicKey), p384[:], sig)
		}},
		{types.KeySpecRsa2048, rsa2048[:], crypto.SHA256, func(pub crypto.PublicKey, sig []byte) bool {
			return rsa.VerifyPKCS1v15(pub.(*rsa.PublicKey), crypto.SHA256, rsa2048[:], sig) == nil
		}},
		{types.KeySpecEccNistP256, p384[:], crypto.SHA384, nil},
		{types.KeySpecEccNistP384, p256[:], crypto.SHA256, nil},
		{types.KeySpecEccNistP256, p256[:], crypto.SHA1, nil},
		{types.KeySpecRsa2048, p384[:], crypto.SHA384, nil},
		{types.KeySpecRsa2048, rsa2048[:], &rsa.PSSOptions{SaltLength: 32, Hash: crypto.SHA256}, nil},
	} {
		made, err := client.CreateKey(t.Context(), &kms.CreateKeyInput{
			KeySpec:  c.spec,
			KeyUsage: types.KeyUsageTypeSignVerify,
		})
		if err != nil {
			t.Fatal(err)
		}
		id := aws.ToString(made.KeyMetadata.Arn)
		pub, err := keys.Public(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		sig, err := keys.Signer(t.Context(), id, pub).Sign(rand.Reader, c.digest, c.opts)
		switch {
		case c.verifies == nil && !errors.Is(err, awskms.ErrDigest):
			t.Errorf("%s with %s: err = %v, want ErrDigest", c.spec, c.opts.HashFunc(), err)
		case c.verifies != nil && (err != nil || !c.verifies(pub, sig)):
			t.Errorf("%s with %s: %v, or a signature that does not verify", c.spec, c.opts.HashFunc(), err)
		}
	}
}

func TestKeysThatCannotSign(t *testing.T) {
	_, _, keys := serve(t, localkms.Config{})
	digest := sha256.Sum256([]byte("x"))
	id, pub := create(t, keys, "r", rotateca.Root)
	sign := func(ctx context.Context, id string) error {
		_, err := keys.Signer(ctx, id, pub).Sign(rand.Reader, digest[:], crypto.SHA256)
		return err
	}
	if err := sign(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := sign(ended, id); !errors.Is(err, rotateca.ErrKeys) || !errors.Is(err, context.Canceled) {
		t.Errorf("after the end of the request: %v", err)
	}
	for range 2 { // disabling twice is no error
		if err := keys.Disable(t.Context(), id); err != nil {
			t.Error(err)
		}
	}
	if err := sign(t.Context(), id); !errors.Is(err, rotateca.ErrKeys) {
		t.Errorf("disabled: %v", err)
	}
	const nobody = "arn:aws:kms:us-east-1:000000000000:key/00000000-0000-4000-8000-000000000000"
	if err := sign(t.Context(), nobody); !errors.Is(err, rotateca.ErrKeys) {
		t.Errorf("no key: %v", err)
	}
	if err := keys.Disable(t.Context(), nobody); !errors.Is(err, rotateca.ErrKeys) {
		t.Errorf("disable no key: %v", err)
	}
	if _, err := keys.Public(t.Context(), nobody); !errors.Is(err, rotateca.ErrKeys) {
		t.Errorf("public half of no key: %v", err)
	}
}

func TestScheduleDeletionTwice(t *testing.T) {
	clock := time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC)
	_, client, keys := serve(t, localkms.Config{Now: func() time.Time { return clock }})
	id, _ := create(t, keys, "r", rotateca.Root)
	for range 2 {
		if err := keys.ScheduleDeletion(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	described, err := client.DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: &id})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := aws.ToTime(described.KeyMetadata.DeletionDate), clock.AddDate(0, 0, 30); !got.Equal(want) ||
		described.KeyMetadata.KeyState != types.KeyStatePendingDeletion {
		t.Errorf("%s, to be deleted at %s; want %s", described.KeyMetadata.KeyState, got, want)
	}
	clock = clock.AddDate(0, 0, 31)
	if err := keys.ScheduleDeletion(t.Context(), id); err != nil {
		t.Errorf("of a key that is gone: %v", err)
	}
}

func TestScheduleDeletionThatFails(t *testing.T) {
	refuse := false
	_, _, keys := serve(t, localkms.Config{Before: func(string) error {
		if refuse {
			return &localkms.Fault{Code: "KMSInternalException", Message: "try again"}
		}
		return nil
	}})
	id, _ := create(t, keys, "r", rotateca.Root)
	refuse = true
	if err := keys.ScheduleDeletion(t.Context(), id); !errors.Is(err, rotateca.ErrKeys) {
		t.Errorf("err = %v, want ErrKeys", err)
	}
	if _, err := keys.Tagged(t.Context(), "r"); !errors.Is(err, rotateca.ErrKeys) {
		t.Errorf("err = %v, want ErrKeys", err)
	}
}

// What an emptied registry has forgotten is found, with its generation; what waits for its deletion, or is another
// organisation's, is not.
func TestKeysThatAreLeft(t *testing.T) {
	_, client, keys := serve(t, localkms.Config{})
	create(t, keys, "mine", rotateca.Root)
	gone, _ := create(t, keys, "gone", rotateca.Issuing)
	if err := keys.ScheduleDeletion(t.Context(), gone); err != nil {
		t.Fatal(err)
	}
	if _, err := client.CreateKey(t.Context(), &kms.CreateKeyInput{
		KeySpec:  types.KeySpecEccNistP256,
		KeyUsage: types.KeyUsageTypeSignVerify,
	}); err != nil {
		t.Fatal(err)
	}
	left, err := keys.Left(t.Context())
	if err != nil || len(left) != 1 || left[0].RotationID != "mine" || left[0].Role != rotateca.Root ||
		left[0].Generation == 0 {
		t.Errorf("left: %+v, %v", left, err)
	}
}

// A call to CreateKey whose answer was lost leaves a key that only its tags lead to.
func TestLostKeyIsFoundByItsTags(t *testing.T) {
	lose := false
	_, client, keys := serve(t, localkms.Config{After: func(op string) error {
		if lose && op == "CreateKey" {
			return errors.New("lost")
		}
		return nil
	}})
	create(t, keys, "another", rotateca.Root)
	foreign := &awskms.Keys{API: client, Now: time.Now, OrgID: "orgb"}
	create(t, foreign, "mine", rotateca.Root)
	for range 120 { // more than a page of foreign keys
		if _, err := client.CreateKey(t.Context(), &kms.CreateKeyInput{}); err != nil {
			t.Fatal(err)
		}
	}
	known, _ := create(t, keys, "mine", rotateca.Root)
	lose = true
	if _, _, err := keys.Create(t.Context(), rotateca.KeySpec{
		Generation: 7,
		RotationID: "mine",
		Role:       rotateca.Issuing,
	}); !errors.Is(err, rotateca.ErrKeys) {
		t.Fatalf("err = %v, want ErrKeys", err)
	}
	found, err := keys.Tagged(t.Context(), "mine")
	if err != nil || len(found) != 2 || !slices.Contains(found, known) {
		t.Fatalf("found %v, %v; want %s and the lost one", found, err, known)
	}
	for _, id := range found {
		if err := keys.ScheduleDeletion(t.Context(), id); err != nil {
			t.Error(err)
		}
	}
	if none, err := keys.Tagged(t.Context(), "nobody"); err != nil || len(none) != 0 {
		t.Errorf("keys of no rotation = %v, %v", none, err)
	}
}

// denyingKMS is a KMS in which one key's tags may not be read.
type denyingKMS struct {
	awskms.API
	id string
}

// ListResourceTags refuses for that key.
func (d denyingKMS) ListResourceTags(
	ctx context.Context, in *kms.ListResourceTagsInput, opts ...func(*kms.Options),
) (*kms.ListResourceTagsOutput, error) {
	if aws.ToString(in.KeyId) == d.id {
		return nil, &smithy.GenericAPIError{Code: "AccessDeniedException"}
	}
	return d.API.ListResourceTags(ctx, in, opts...)
}

func TestKeysOfOthersAreLeftAlone(t *testing.T) {
	_, client, keys := serve(t, localkms.Config{})
	other, err := client.CreateKey(t.Context(), &kms.CreateKeyInput{})
	if err != nil {
		t.Fatal(err)
	}
	ours, _ := create(t, keys, "mine", rotateca.Root)
	keys.API = denyingKMS{client, aws.ToString(other.KeyMetadata.KeyId)}
	found, err := keys.Tagged(t.Context(), "mine")
	if diff := cmp.Diff([]string{ours}, found); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

func TestVaultOpensOnlyWithTheSameWords(t *testing.T) {
	_, client, _ := serve(t, localkms.Config{})
	vault := func() *awskms.Vault {
		made, err := client.CreateKey(t.Context(), &kms.CreateKeyInput{})
		if err != nil {
			t.Fatal(err)
		}
		return &awskms.Vault{API: client, Now: time.Now, KeyID: aws.ToString(made.KeyMetadata.Arn)}
	}
	ours, another := vault(), vault()
	about := map[string]string{"mastio:org": org, "mastio:epoch": "1"}
	public, wrapped, err := ours.KeyPair(t.Context(), about)
	if err != nil {
		t.Fatal(err)
	}
	der, err := ours.Open(t.Context(), wrapped, about)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		t.Fatal(err)
	}
	published, err := x509.ParsePKIXPublicKey(public)
	if err != nil || !private.(*ecdsa.PrivateKey).PublicKey.Equal(published) ||
		private.(*ecdsa.PrivateKey).Curve != elliptic.P256() {
		t.Errorf("the halves are not of one P-256 pair: %v", err)
	}
	spoilt := slices.Clone(wrapped)
	spoilt[len(spoilt)-1] ^= 1
	for _, c := range []struct {
		name    string
		vault   *awskms.Vault
		wrapped []byte
		about   map[string]string
	}{
		{"another epoch", ours, wrapped, map[string]string{"mastio:org": org, "mastio:epoch": "2"}},
		{"one word less", ours, wrapped, map[string]string{"mastio:org": org}},
		{"one word more", ours, wrapped, map[string]string{"mastio:org": org, "mastio:epoch": "1", "x": "y"}},
		{"no words", ours, wrapped, nil},
		{"another key", another, wrapped, about},
		{"one bit", ours, spoilt, about},
		{"nothing", ours, nil, about},
	} {
		if _, err := c.vault.Open(t.Context(), c.wrapped, c.about); err == nil {
			t.Errorf("%s: it opened", c.name)
		}
	}
	gone := &awskms.Vault{API: client, Now: time.Now, KeyID: "00000000-0000-4000-8000-000000000000"}
	if _, _, err := gone.KeyPair(t.Context(), about); !errors.Is(err, rotateca.ErrKeys) {
		t.Errorf("without a wrapping key: err = %v, want ErrKeys", err)
	}
}

// A note is on the key itself, and still there when the key waits for its deletion.
func TestNotes(t *testing.T) {
	_, _, keys := serve(t, localkms.Config{})
	id, _ := create(t, keys, "rotation-1", rotateca.Issuing)
	for _, want := range []int64{0, 7, 9, 0, 0, 11} {
		if err := keys.Note(t.Context(), id, want); err != nil {
			t.Fatal(err)
		}
		if got, err := keys.Noted(t.Context(), id); got != want || err != nil {
			t.Errorf("noted %d, %v; want %d", got, err, want)
		}
	}
	if err := keys.ScheduleDeletion(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if got, err := keys.Noted(t.Context(), id); got != 11 || err != nil {
		t.Errorf("on a key that waits for its deletion: %d, %v", got, err)
	}
	if err := keys.Note(t.Context(), id, 12); !errors.Is(err, rotateca.ErrKeys) {
		t.Errorf("note on a key that waits for its deletion: %v", err)
	}
	if found, err := keys.Tagged(t.Context(), "rotation-1"); err != nil || len(found) != 1 {
		t.Errorf("a note hides the key from the search for orphans: %v, %v", found, err)
	}
}

package kms_test

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/google/go-cmp/cmp"

	"github.com/mastio-aws/mastio/localstack/aws/kms"
)

// TestRestart makes one of everything, starts a second server on the same folder, and expects all of it.
func TestRestart(t *testing.T) {
	c := newClock()
	cfg := kms.Config{Dir: filepath.Join(t.TempDir(), "state"), Now: c.Now}
	server, client := start(t, cfg)
	ctx := t.Context()

	signing := createKey(t, client, &awskms.CreateKeyInput{
		KeySpec:     types.KeySpecEccNistP256,
		KeyUsage:    types.KeyUsageTypeSignVerify,
		Description: aws.String("issuing"),
		Tags:        []types.Tag{{TagKey: aws.String("generation"), TagValue: aws.String("7")}},
	})
	check(t)(client.CreateAlias(ctx, &awskms.CreateAliasInput{
		AliasName:   aws.String("alias/issuing"),
		TargetKeyId: &signing,
	}))
	public := publicKey(t, client, signing)
	symmetric := createKey(t, client, &awskms.CreateKeyInput{})
	sealed, err := client.Encrypt(ctx, &awskms.EncryptInput{KeyId: &symmetric, Plaintext: []byte("kept")})
	if err != nil {
		t.Fatal(err)
	}
	disabled := createKey(t, client, &awskms.CreateKeyInput{})
	check(t)(client.DisableKey(ctx, &awskms.DisableKeyInput{KeyId: &disabled}))
	dying := createKey(t, client, &awskms.CreateKeyInput{})
	check(t)(client.ScheduleKeyDeletion(ctx, &awskms.ScheduleKeyDeletionInput{
		KeyId:               &dying,
		PendingWindowInDays: aws.Int32(7),
	}))
	waiting := createKey(t, client, external)
	wrapped := wrapFor(t, client, waiting, newP256(t))
	before := describeAll(t, client)
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}

	_, client = start(t, cfg)
	if diff := cmp.Diff(before, describeAll(t, client)); diff != "" {
		t.Errorf("keys after a restart (-before +after):\n%s", diff)
	}
	if got := publicKey(t, client, "alias/issuing"); !bytes.Equal(got, public) {
		t.Errorf("public key = %x; want %x", got, public)
	}
	if err := sign(t, client, "alias/issuing"); err != nil {
		t.Errorf("Sign = %v", err)
	}
	out, err := client.Decrypt(ctx, &awskms.DecryptInput{CiphertextBlob: sealed.CiphertextBlob})
	if err != nil || string(out.Plaintext) != "kept" {
		t.Errorf("Decrypt = %v, %v; want kept", out, err)
	}
	tags, err := client.ListResourceTags(ctx, &awskms.ListResourceTagsInput{KeyId: &signing})
	if err != nil || len(tags.Tags) != 1 || aws.ToString(tags.Tags[0].TagValue) != "7" {
		t.Errorf("ListResourceTags = %v, %v; want generation=7", tags, err)
	}
	check(t)(client.ImportKeyMaterial(ctx, importInput(waiting, wrapped)))
	if err := sign(t, client, waiting); err != nil {
		t.Errorf("Sign with material imported by an earlier token = %v", err)
	}
	c.Advance(7 * day)
	_, err = client.DescribeKey(ctx, &awskms.DescribeKeyInput{KeyId: &dying})
	wantErr[*types.NotFoundException](t, "DescribeKey after the window", err)
	if _, err := os.Stat(filepath.Join(cfg.Dir, "keys", dying+".json")); !os.IsNotExist(err) {
		t.Errorf("the deleted key's file: %v; want it gone", err)
	}
}

// describeAll returns the metadata of every key, by id.
func describeAll(t *testing.T, client *awskms.Client) map[string]string {
	t.Helper()
	keys, err := client.ListKeys(t.Context(), &awskms.ListKeysInput{})
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, k := range keys.Keys {
		out, err := client.DescribeKey(t.Context(), &awskms.DescribeKeyInput{KeyId: k.KeyId})
		if err != nil {
			t.Fatal(err)
		}
		m := out.KeyMetadata
		all[*k.KeyId] = string(m.KeyState) + " " + string(m.KeySpec) + " " + string(m.Origin) + " " +
			aws.ToString(m.Description) +
			" " + m.CreationDate.Format(time.RFC3339Nano) + " " + aws.ToTime(m.DeletionDate).Format(time.RFC3339Nano) +
			" " + aws.ToString(m.CurrentKeyMaterialId)
	}
	return all
}

func publicKey(t *testing.T, client *awskms.Client, id string) []byte {
	t.Helper()
	out, err := client.GetPublicKey(t.Context(), &awskms.GetPublicKeyInput{KeyId: &id})
	if err != nil {
		t.Fatal(err)
	}
	return out.PublicKey
}

func TestFilesArePrivate(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	_, client := start(t, kms.Config{Dir: dir})
	id := createKey(t, client, &awskms.CreateKeyInput{})
	check(t)(client.CreateAlias(t.Context(), &awskms.CreateAliasInput{AliasName: aws.String("alias/a"), TargetKeyId: &id}))
	files := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		want := os.FileMode(0o700)
		if !d.IsDir() {
			want, files = 0o600, files+1
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s has mode %o; want %o", path, got, want)
		}
		return nil
	})
	if err != nil || files != 3 {
		t.Errorf("walked %d files, %v; want 3: key, aliases, token key", files, err)
	}
}

func TestLeftovers(t *testing.T) {
	dir := t.TempDir()
	server, client := start(t, kms.Config{Dir: dir})
	id := createKey(t, client, &awskms.CreateKeyInput{})
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	half := filepath.Join(dir, "keys", ".tmp-123")
	if err := os.WriteFile(half, []byte(`{"id":`), 0o600); err != nil {
		t.Fatal(err)
	}
	_, client = start(t, kms.Config{Dir: dir})
	if got := stateOf(t, client, id); got != types.KeyStateEnabled {
		t.Errorf("state = %s; want Enabled", got)
	}
	if _, err := os.Stat(half); !os.IsNotExist(err) {
		t.Errorf("half-written file: %v; want it gone", err)
	}
}

func TestDamagedStateIsRefused(t *testing.T) {
	for name, damage := range map[string]struct{ file, text string }{
		"cut key": {"keys/3f0e7c1a-0000-4000-8000-000000000000.json", `{"id":`},
		"renamed key": {"keys/3f0e7c1a-0000-4000-8000-000000000000.json",
			`{"id":"00000000-0000-4000-8000-000000000000","spec":"SYMMETRIC_DEFAULT"}`},
		"unknown spec": {"keys/3f0e7c1a-0000-4000-8000-000000000000.json",
			`{"id":"3f0e7c1a-0000-4000-8000-000000000000","spec":"SM2"}`},
		"wrong material": {"keys/3f0e7c1a-0000-4000-8000-000000000000.json",
			`{"id":"3f0e7c1a-0000-4000-8000-000000000000","spec":"ECC_NIST_P256","material":"AAAA"}`},
		"cut aliases":     {"aliases.json", `{"alias/a":`},
		"short token key": {"token.key", `"AAAA"`},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.Mkdir(filepath.Join(dir, "keys"), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, damage.file), []byte(damage.text), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := kms.New(kms.Config{Dir: dir}); err == nil {
				t.Error("New accepted it")
			}
		})
	}
}

// A change that cannot be stored is not made, and the answer says so without saying why.
func TestStoreFailure(t *testing.T) {
	dir := t.TempDir()
	_, client := start(t, kms.Config{Dir: dir})
	id := createKey(t, client, &awskms.CreateKeyInput{})
	if err := os.RemoveAll(filepath.Join(dir, "keys")); err != nil {
		t.Fatal(err)
	}
	_, err := client.DisableKey(t.Context(), &awskms.DisableKeyInput{KeyId: &id})
	wantErr[*types.KMSInternalException](t, "DisableKey", err)
	if err != nil && bytes.Contains([]byte(err.Error()), []byte(dir)) {
		t.Errorf("the answer names the folder: %v", err)
	}
	if got := stateOf(t, client, id); got != types.KeyStateEnabled {
		t.Errorf("state = %s; want Enabled, as before", got)
	}
}

func TestClosedRefusesChanges(t *testing.T) {
	server, client := start(t, kms.Config{Dir: t.TempDir()})
	id := createKey(t, client, &awskms.CreateKeyInput{})
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := client.DisableKey(t.Context(), &awskms.DisableKeyInput{KeyId: &id})
	wantErr[*types.KMSInternalException](t, "DisableKey after Close", err)
}

package main

import (
	"bytes"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	localkms "github.com/mastio-aws/mastio/localstack/aws/kms"
)

func serve(t *testing.T) *kms.Client {
	t.Helper()
	server, err := localkms.New(localkms.Config{})
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(server)
	t.Cleanup(func() { web.Close(); server.Close() })
	return kms.New(kms.Options{
		Region:       "us-east-1",
		BaseEndpoint: &web.URL,
		HTTPClient:   web.Client(),
		Credentials:  credentials.NewStaticCredentialsProvider("local", "local", ""),
		Retryer:      aws.NopRetryer{},
	})
}

func create(t *testing.T, api *kms.Client, org string) string {
	t.Helper()
	in := &kms.CreateKeyInput{KeySpec: types.KeySpecEccNistP256, KeyUsage: types.KeyUsageTypeSignVerify}
	if org != "" {
		in.Tags = []types.Tag{{TagKey: aws.String(tag), TagValue: &org}}
	}
	out, err := api.CreateKey(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	return aws.ToString(out.KeyMetadata.Arn)
}

func state(t *testing.T, api *kms.Client, id string) types.KeyState {
	t.Helper()
	out, err := api.DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: &id})
	if err != nil {
		t.Fatal(err)
	}
	return out.KeyMetadata.KeyState
}

func TestErase(t *testing.T) {
	api := serve(t)
	first, second := create(t, api, "acme"), create(t, api, "acme")
	others := []string{create(t, api, "acme2"), create(t, api, ""), create(t, api, "Acme")}
	for _, c := range []struct {
		confirmed bool
		want      types.KeyState
		says      string
	}{
		{false, types.KeyStateEnabled, "would be deleted; to do it, add --confirm delete-ca-keys"},
		{true, types.KeyStatePendingDeletion, "is deleted on "},
		{true, types.KeyStatePendingDeletion, "already waits for its deletion"}, // once more is harmless
	} {
		var out bytes.Buffer
		if err := erase(t.Context(), api, "acme", c.confirmed, &out); err != nil {
			t.Fatal(err)
		}
		for _, id := range []string{first, second} {
			if got := state(t, api, id); got != c.want || !strings.Contains(out.String(), id+" "+c.says) {
				t.Errorf("confirmed %t: %s is %s, want %s; said:\n%s", c.confirmed, id, got, c.want, &out)
			}
		}
		for _, id := range others {
			if got := state(t, api, id); got != types.KeyStateEnabled {
				t.Errorf("the key of another system is %s", got)
			}
		}
	}
}

func TestWhatIsRefused(t *testing.T) {
	for _, args := range [][]string{{}, {"--confirm", word}, {"--org", "acme", "--confirm", "yes"},
		{"--org", "acme", "--force"}} {
		if err := run(t.Context(), args, &bytes.Buffer{}); err == nil {
			t.Errorf("%v: nothing was refused", args)
		}
	}
}

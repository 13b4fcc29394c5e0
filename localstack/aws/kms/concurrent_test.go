package kms_test

import (
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/mastio-aws/mastio/localstack/aws/kms"
)

// TestConcurrent lets callers sign with, tag, and switch one key at a time when others list and create:
// no tag is lost, no answer but the documented ones is given, and every call is counted.
func TestConcurrent(t *testing.T) {
	const workers, rounds = 8, 6
	server, client := start(t, kms.Config{Dir: t.TempDir()})
	id := createKey(t, client, &awskms.CreateKeyInput{
		KeySpec:  types.KeySpecEccNistP256,
		KeyUsage: types.KeyUsageTypeSignVerify,
	})
	errs := make(chan error, workers)
	var all sync.WaitGroup
	for n := range workers {
		all.Go(func() { errs <- work(t, client, id, n, rounds) })
	}
	all.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			t.Error(err)
		}
	}
	tags, err := client.ListResourceTags(t.Context(), &awskms.ListResourceTagsInput{KeyId: &id})
	if err != nil || len(tags.Tags) != workers*rounds {
		t.Errorf("%d tags, %v; want %d", len(tags.Tags), err, workers*rounds)
	}
	keys, err := client.ListKeys(t.Context(), &awskms.ListKeysInput{})
	if err != nil || len(keys.Keys) != 1+workers*rounds {
		t.Errorf("%d keys, %v; want %d", len(keys.Keys), err, 1+workers*rounds)
	}
	if got := server.Calls()["Sign"]; got != workers*rounds {
		t.Errorf("%d calls of Sign; want %d", got, workers*rounds)
	}
}

func work(t *testing.T, client *awskms.Client, id string, worker, rounds int) error {
	ctx := t.Context()
	for i := range rounds {
		if _, err := client.CreateKey(ctx, &awskms.CreateKeyInput{}); err != nil {
			return fmt.Errorf("create: %w", err)
		}
		name := strconv.Itoa(worker) + "-" + strconv.Itoa(i)
		_, err := client.TagResource(ctx, &awskms.TagResourceInput{
			KeyId: &id,
			Tags:  []types.Tag{{TagKey: &name, TagValue: aws.String("")}},
		})
		if err != nil {
			return fmt.Errorf("tag: %w", err)
		}
		if _, err := client.DisableKey(ctx, &awskms.DisableKeyInput{KeyId: &id}); err != nil {
			return fmt.Errorf("disable: %w", err)
		}
		err = sign(t, client, id)
		if _, disabled := errors.AsType[*types.DisabledException](err); err != nil && !disabled {
			return fmt.Errorf("sign: %w", err)
		}
		if _, err := client.EnableKey(ctx, &awskms.EnableKeyInput{KeyId: &id}); err != nil {
			return fmt.Errorf("enable: %w", err)
		}
		if _, err := client.ListKeys(ctx, &awskms.ListKeysInput{}); err != nil {
			return fmt.Errorf("list: %w", err)
		}
	}
	return nil
}

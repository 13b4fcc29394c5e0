// Command erase schedules the deletion of an organisation's Org CA keys. The application made these keys, so no stack
// owns them. It is the last step of make destroy; without --confirm it only lists the keys.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
)

// word confirms the deletion.
const word = "delete-ca-keys"

// days is KMS's longest waiting period. Until it is over, aws kms cancel-key-deletion recalls the key.
const days = 30

// tag is what shared/edge/awskms puts on each key.
const tag = "mastio:org"

func main() {
	if err := run(context.Background(), os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("erase", flag.ContinueOnError)
	org := flags.String("org", "", "id of the organisation (required)")
	confirm := flags.String("confirm", "", "the word "+word+"; without it, the keys are only listed")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return nil
	} else if err != nil {
		return err
	}
	if *org == "" {
		return errors.New("--org is missing: the id of the organisation")
	}
	if *confirm != "" && *confirm != word {
		return fmt.Errorf("--confirm takes the word %s; nothing was deleted", word)
	}
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return err
	}
	return erase(ctx, kms.NewFromConfig(cfg), *org, *confirm == word, out)
}

// erase ends every key of the organisation. It reports a key that already waits for its deletion and leaves it alone.
func erase(ctx context.Context, api *kms.Client, org string, confirmed bool, out io.Writer) error {
	pages := kms.NewListKeysPaginator(api, &kms.ListKeysInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return fmt.Errorf("list keys: %w", err)
		}
		for _, key := range page.Keys {
			if err := one(ctx, api, org, aws.ToString(key.KeyArn), confirmed, out); err != nil {
				return err
			}
		}
	}
	return nil
}

func one(ctx context.Context, api *kms.Client, org, arn string, confirmed bool, out io.Writer) error {
	ours, err := of(ctx, api, org, arn)
	if err != nil || !ours {
		return err
	}
	if !confirmed {
		fmt.Fprintf(out, "%s would be deleted; to do it, add --confirm %s\n", arn, word)
		return nil
	}
	done, err := api.ScheduleKeyDeletion(ctx, &kms.ScheduleKeyDeletionInput{
		KeyId:               &arn,
		PendingWindowInDays: aws.Int32(days),
	})
	if _, already := errors.AsType[*types.KMSInvalidStateException](err); already {
		fmt.Fprintf(out, "%s already waits for its deletion\n", arn)
		return nil
	}
	if err != nil {
		return fmt.Errorf("schedule the deletion of %s: %w", arn, err)
	}
	fmt.Fprintf(out, "%s is deleted on %s\n", arn, aws.ToTime(done.DeletionDate).Format("2006-01-02"))
	return nil
}

// of reports whether a key is the organisation's. A key whose tags may not be read belongs to another system.
func of(ctx context.Context, api *kms.Client, org, arn string) (bool, error) {
	out, err := api.ListResourceTags(ctx, &kms.ListResourceTagsInput{KeyId: &arn})
	if err != nil {
		var refused interface{ ErrorCode() string }
		if errors.As(err, &refused) && refused.ErrorCode() == "AccessDeniedException" {
			return false, nil
		}
		return false, fmt.Errorf("read the tags of %s: %w", arn, err)
	}
	for _, t := range out.Tags {
		if aws.ToString(t.TagKey) == tag {
			return aws.ToString(t.TagValue) == org, nil
		}
	}
	return false, nil
}

package dynamo

import (
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
)

// A function has 29 s to answer API Gateway and makes a handful of calls in them. DynamoDB answers within a few
// milliseconds, so what takes seconds is lost: three attempts are over in less than 11 s.
const (
	maxAttempts    = 3
	attemptTimeout = 3 * time.Second
	maxBackoff     = 500 * time.Millisecond
)

// NewClient returns a DynamoDB client with limits that suit a function behind API Gateway. An HTTP client of cfg's that
// is not the SDK's own is taken as it is, its timeout included.
func NewClient(cfg aws.Config) *dynamodb.Client {
	return dynamodb.NewFromConfig(cfg, func(o *dynamodb.Options) {
		o.Retryer = retry.NewStandard(func(r *retry.StandardOptions) {
			r.MaxAttempts, r.MaxBackoff = maxAttempts, maxBackoff
			// A write of one item that met a transaction in progress on it: over in milliseconds.
			r.Retryables = append(r.Retryables,
				retry.RetryableErrorCode{Codes: map[string]struct{}{"TransactionConflictException": {}}})
		})
		switch c := cfg.HTTPClient.(type) {
		case nil:
			o.HTTPClient = awshttp.NewBuildableClient().WithTimeout(attemptTimeout)
		case *awshttp.BuildableClient:
			o.HTTPClient = c.WithTimeout(attemptTimeout)
		}
		// TLS authenticates every byte already, and emulators send checksums of something else.
		o.DisableValidateResponseChecksum = true
	})
}

// Package deployed describes a Mastio that the CDK app deployed to a LocalStack: its addresses, and clients for its
// resources.
package deployed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awsdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	awslambda "github.com/aws/aws-sdk-go-v2/service/lambda"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/mastio-aws/mastio/shared/routes"
)

// Region and account of everything on a LocalStack.
const (
	Region  = "us-east-1"
	Account = "000000000000"
)

// Mastio is what is known after a deploy. It is a file; the admin secret is not in it.
type Mastio struct {
	Endpoint       string `json:"endpoint"`       // of LocalStack
	OrgID          string `json:"org_id"`         //
	URL            string `json:"url"`            // of the gateway, under which agents and operators alike find it
	CAFile         string `json:"ca_file"`        // the CA that clients of the gateway trust, PEM
	OperatorsURL   string `json:"operators_url"`  // of the operators' API in LocalStack's API Gateway, stage and all
	TablePrefix    string `json:"table_prefix"`   //
	Bucket         string `json:"bucket"`         // of the truststore
	TruststoreKey  string `json:"truststore_key"` //
	AdminSecretID  string `json:"admin_secret_id"`
	MetricsTokenID string `json:"metrics_token_id"`
}

// Read reads what Write wrote.
func Read(path string) (Mastio, error) {
	var d Mastio
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, &d)
	}
	if err != nil {
		return d, fmt.Errorf("read the deployment: %w", err)
	}
	return d, nil
}

// Write replaces the file whole.
func (d Mastio) Write(path string) error {
	text, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return err
	}
	part := path + ".part"
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(part, text, 0o644); err != nil {
		return err
	}
	return os.Rename(part, path)
}

// Clients reach LocalStack's services.
type Clients struct {
	DynamoDB       *awsdynamodb.Client
	KMS            *awskms.Client
	Lambda         *awslambda.Client
	S3             *awss3.Client
	SecretsManager *secretsmanager.Client
}

// Connect makes clients of the services at an endpoint. They ignore the environment: a developer's own profile or CA
// bundle would redirect them.
func Connect(endpoint string) Clients {
	cfg := aws.Config{
		Region:       Region,
		BaseEndpoint: &endpoint,
		Credentials:  credentials.NewStaticCredentialsProvider("test", "test", ""),
		HTTPClient:   &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}},
	}
	return Clients{
		DynamoDB: awsdynamodb.NewFromConfig(cfg,
			func(o *awsdynamodb.Options) { o.DisableValidateResponseChecksum = true }),
		KMS: awskms.NewFromConfig(cfg),
		// an invocation is not repeated
		Lambda:         awslambda.NewFromConfig(cfg, func(o *awslambda.Options) { o.Retryer = aws.NopRetryer{} }),
		S3:             awss3.NewFromConfig(cfg, func(o *awss3.Options) { o.UsePathStyle = true }),
		SecretsManager: secretsmanager.NewFromConfig(cfg),
	}
}

// FunctionName is the name under which the CDK app deploys a function of an organisation.
func FunctionName(org, function string) string { return "mastio-" + org + "-" + function }

// ErrFunction means that a function ran and failed; its log says why.
var ErrFunction = errors.New("function failed")

// alias is what everything calls: on AWS it moves only once the start-up check has passed.
const alias = "live"

// Invoke runs a function by Lambda's API. It returns an error of the service (with an ErrorCode method), such as
// ResourceNotFoundException, unchanged.
func (c Clients) Invoke(
	ctx context.Context, org, function string, payload []byte,
) (answer []byte, functionError string, err error) {
	out, err := c.Lambda.Invoke(ctx, &awslambda.InvokeInput{
		FunctionName: aws.String(FunctionName(org, function)),
		Qualifier:    aws.String(alias),
		Payload:      payload,
	})
	if err != nil {
		return nil, "", fmt.Errorf("invoke %s: %w", function, err)
	}
	return out.Payload, aws.ToString(out.FunctionError), nil
}

// Run invokes a function that no route reaches, and takes its failure for an error.
func (c Clients) Run(ctx context.Context, org, function string, payload []byte) ([]byte, error) {
	answer, functionError, err := c.Invoke(ctx, org, function, payload)
	if err == nil && functionError != "" {
		err = fmt.Errorf("%w: %s: %s", ErrFunction, function, answer)
	}
	return answer, err
}

// Scheduled is what EventBridge sends; the functions do not look at it.
// Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-run-lambda-schedule.html
const Scheduled = `{"version":"0","detail-type":"Scheduled Event","source":"aws.events","resources":[],"detail":{}}`

// Tick runs every scheduled function once, one after the other.
func (c Clients) Tick(ctx context.Context, org string) error {
	var errs []error
	for _, name := range routes.Scheduled() {
		if _, err := c.Run(ctx, org, name, []byte(Scheduled)); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// AdminSecret reads a secret as it is now.
func (c Clients) AdminSecret(ctx context.Context, id string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	out, err := c.SecretsManager.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &id})
	if err != nil {
		return "", fmt.Errorf("read the admin secret: %w", err)
	}
	return aws.ToString(out.SecretString), nil
}

package stack

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	smtypes "github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/aws/smithy-go"

	"github.com/mastio-aws/mastio/localstack/aws/dynamodb"
)

// Region is the AWS region that the stack plays.
const Region = region

const (
	region        = "us-east-1"
	account       = "000000000000"
	bucket        = "mastio-truststore"
	truststoreKey = "truststore.pem"
	agentsDomain  = "localhost" // the gateway's name, whichever port it has
	auditBucket   = "mastio-audit"
	adminSecretID = "mastio/admin-secret"
	metricsID     = "mastio/metrics-token"
	tablePrefix   = "mastio-"
	eventBus      = "mastio"

	tokenKEKAlias     = "alias/mastio-token-kek"
	agentSecretsAlias = "alias/mastio-agent-secrets"
	tokenSigningAlias = "alias/mastio-token-signing"
	auditAlias        = "alias/mastio-audit"
)

// AccessKey is the id of the access key of the stack's own clients and of the operator's tools. A function's has the
// function's name after it, so that what stands in between (Config.Wrap) knows which function asks. The secrets are
// Keys.
const AccessKey = "local"

// Clients reach the services of a stack, past anything that wraps them.
type Clients struct {
	DynamoDB       *awsdynamodb.Client
	KMS            *awskms.Client
	S3             *awss3.Client
	SecretsManager *secretsmanager.Client
}

// TablePrefix is what stands before the logical name of each table.
func (s *Stack) TablePrefix() string { return s.tables }

// Bucket and object key of the truststore.
func (s *Stack) Bucket() (bucketName, key string) { return bucket, truststoreKey }

// AdminSecretID is the name of the admin secret in Secrets Manager.
func (s *Stack) AdminSecretID() string { return adminSecretID }

// AWSConfig is what a client needs in addition to an endpoint: the region and the stack's own access key.
func (s *Stack) AWSConfig() aws.Config {
	return aws.Config{Region: region, Credentials: s.Keys.Provider(AccessKey)}
}

func (s *Stack) clients() Clients {
	base := s.AWSConfig()
	// Never asked for: a direct client has no socket.
	const nowhere = "http://127.0.0.1"
	// Retries would hide a defect of our own stand-ins, and the first answer is the only one anyway.
	once := func() aws.Retryer { return aws.NopRetryer{} }
	within := func(service string) *http.Client { return &http.Client{Transport: direct{s.handlers[service]}} }
	return Clients{
		DynamoDB: awsdynamodb.NewFromConfig(base, func(o *awsdynamodb.Options) {
			o.BaseEndpoint, o.DisableValidateResponseChecksum = aws.String(s.database.Endpoint()), true
		}),
		KMS: awskms.NewFromConfig(base, func(o *awskms.Options) {
			o.BaseEndpoint, o.HTTPClient, o.Retryer = aws.String(nowhere), within(KMS), once()
		}),
		S3: awss3.NewFromConfig(base, func(o *awss3.Options) {
			o.BaseEndpoint, o.HTTPClient, o.Retryer = aws.String(nowhere), within(S3), once()
		}),
		SecretsManager: secretsmanager.NewFromConfig(base, func(o *secretsmanager.Options) {
			o.BaseEndpoint, o.HTTPClient, o.Retryer = aws.String(nowhere), within(SecretsManager), once()
		}),
	}
}

// streams reads the streams of DynamoDB Local.
func (s *Stack) streams() *dynamodbstreams.Client {
	return dynamodbstreams.NewFromConfig(s.AWSConfig(),
		func(o *dynamodbstreams.Options) { o.BaseEndpoint = aws.String(s.database.Endpoint()) })
}

// provision makes what a deployment would have made, unless the state folder holds it already.
func (s *Stack) provision(ctx context.Context) error {
	s.cfg.Progress("creating tables, keys and the admin secret")
	s.Clients = s.clients()
	if err := s.databaseStamp(ctx); err != nil {
		return err
	}
	if err := dynamodb.CreateTables(ctx, s.Clients.DynamoDB, s.tables); err != nil {
		if errors.Is(err, dynamodb.ErrTableDiffers) {
			return s.foreign("%v", err)
		}
		return s.damaged("dynamodb", err)
	}
	var err error
	if s.AdminSecret, err = s.secret(ctx, adminSecretID, s.cfg.AdminSecret); err != nil {
		return fmt.Errorf("make the admin secret: %w", err)
	}
	if s.MetricsToken, err = s.secret(ctx, metricsID, ""); err != nil {
		return fmt.Errorf("make the metrics token: %w", err)
	}
	if s.kek, err = s.key(ctx, tokenKEKAlias, kmstypes.KeySpecSymmetricDefault,
		kmstypes.KeyUsageTypeEncryptDecrypt); err != nil {
		return fmt.Errorf("make the key for token keys: %w", err)
	}
	if s.audit, err = s.key(ctx, auditAlias, kmstypes.KeySpecEccNistP256, kmstypes.KeyUsageTypeSignVerify); err != nil {
		return fmt.Errorf("make the key that signs checkpoints: %w", err)
	}
	if s.agentSecrets, err = s.key(ctx, agentSecretsAlias, kmstypes.KeySpecSymmetricDefault,
		kmstypes.KeyUsageTypeEncryptDecrypt); err != nil {
		return fmt.Errorf("make the key for agents' secrets: %w", err)
	}
	if s.cfg.Env["TOKEN_SIGNER"] != "kms" {
		return nil
	}
	if s.signing, err = s.key(ctx, tokenSigningAlias, kmstypes.KeySpecEccNistP256,
		kmstypes.KeyUsageTypeSignVerify); err != nil {
		return fmt.Errorf("make the token signing key: %w", err)
	}
	return nil
}

// secret returns the current value of a secret, which it makes if need be. A value that is asked for takes its place,
// and the old one stays valid as the previous, as in any rotation of it.
func (s *Stack) secret(ctx context.Context, name, asked string) (string, error) {
	id := aws.String(name)
	got, err := s.Clients.SecretsManager.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: id})
	if _, missing := errors.AsType[*smtypes.ResourceNotFoundException](err); missing {
		secret := cmp.Or(asked, newSecret())
		_, err := s.Clients.SecretsManager.CreateSecret(ctx, &secretsmanager.CreateSecretInput{
			Name:         id,
			SecretString: &secret,
		})
		return secret, err
	}
	if err != nil {
		return "", err
	}
	if asked != "" && asked != aws.ToString(got.SecretString) {
		_, err := s.Clients.SecretsManager.PutSecretValue(ctx, &secretsmanager.PutSecretValueInput{
			SecretId:     id,
			SecretString: &asked,
		})
		return asked, err
	}
	return aws.ToString(got.SecretString), nil
}

// newSecret is 256 bits, in letters that need no quoting in a shell.
func newSecret() string {
	var b [32]byte
	rand.Read(b[:]) //nolint:errcheck // never fails; the process ends when there is no randomness
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// key returns the ARN of the key with this alias, which it makes if need be.
func (s *Stack) key(
	ctx context.Context, alias string, spec kmstypes.KeySpec, usage kmstypes.KeyUsageType,
) (string, error) {
	found, err := s.Clients.KMS.DescribeKey(ctx, &awskms.DescribeKeyInput{KeyId: &alias})
	if err == nil {
		return aws.ToString(found.KeyMetadata.Arn), nil
	}
	if _, missing := errors.AsType[*kmstypes.NotFoundException](err); !missing {
		return "", err
	}
	made, err := s.Clients.KMS.CreateKey(ctx, &awskms.CreateKeyInput{KeySpec: spec, KeyUsage: usage})
	if err != nil {
		return "", err
	}
	_, err = s.Clients.KMS.CreateAlias(ctx, &awskms.CreateAliasInput{
		AliasName:   &alias,
		TargetKeyId: made.KeyMetadata.KeyId,
	})
	return aws.ToString(made.KeyMetadata.Arn), err
}

// object reads a version of the truststore for the domain that was pointed at it.
func (s *Stack) object(ctx context.Context, version string) ([]byte, error) {
	out, err := s.Clients.S3.GetObject(ctx, &awss3.GetObjectInput{
		Bucket:    aws.String(bucket),
		Key:       aws.String(truststoreKey),
		VersionId: &version,
	})
	if api, ok := errors.AsType[smithy.APIError](err); ok &&
		(api.ErrorCode() == "NoSuchVersion" || api.ErrorCode() == "NoSuchKey") {
		return nil, fmt.Errorf("%w: %w", fs.ErrNotExist, err)
	}
	if err != nil {
		return nil, err
	}
	defer out.Body.Close()
	return io.ReadAll(out.Body)
}

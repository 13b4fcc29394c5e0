package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/aws/smithy-go"
)

// store is the part of the Secrets Manager client that agent-sync calls.
type store interface {
	DescribeSecret(context.Context, *secretsmanager.DescribeSecretInput,
		...func(*secretsmanager.Options)) (*secretsmanager.DescribeSecretOutput, error)
	GetSecretValue(context.Context, *secretsmanager.GetSecretValueInput,
		...func(*secretsmanager.Options)) (*secretsmanager.GetSecretValueOutput, error)
}

// currentStage is the label of the version that counts. Hygiene moves it after the certificate is pinned.
const currentStage = "AWSCURRENT"

// secret is the agent's secret.
type secret struct {
	store store
	id    string // name or ARN
}

// delivery is one version of the secret. Its content never changes.
type delivery struct {
	id      string
	created time.Time
	value   []byte
}

// current returns the id of the current version. It does not decrypt anything.
func (s secret) current(ctx context.Context) (string, error) {
	out, err := s.store.DescribeSecret(ctx, &secretsmanager.DescribeSecretInput{SecretId: &s.id})
	if err != nil {
		return "", s.explain("secretsmanager:DescribeSecret", err)
	}
	for id, stages := range out.VersionIdsToStages {
		if slices.Contains(stages, currentStage) {
			return id, nil
		}
	}
	return "", s.nothingYet(nil)
}

// read returns the current version. It may be a later one than current returned before.
func (s secret) read(ctx context.Context) (delivery, error) {
	out, err := s.store.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{
		SecretId:     &s.id,
		VersionStage: aws.String(currentStage),
	})
	if err != nil {
		return delivery{}, s.explain("secretsmanager:GetSecretValue", err)
	}
	return delivery{aws.ToString(out.VersionId), aws.ToTime(out.CreatedDate), []byte(aws.ToString(out.SecretString))}, nil
}

// nothingYet reports that hygiene has not delivered anything.
func (s secret) nothingYet(cause error) error {
	return &trouble{undelivered, fmt.Sprintf("nothing has been delivered to the secret %s", s.id),
		"check the name (mastio/agents/ORG/NAME), account and region; the operator switches the delivery on with " +
			`PUT /v1/admin/agents/ORG::NAME/hygiene {"deliver": "secretsmanager"}, and hygiene delivers before the certificate ends`, cause}
}

// explain says what an answer of Secrets Manager means for who runs agent-sync.
func (s secret) explain(action string, err error) error {
	if _, missing := errors.AsType[*types.ResourceNotFoundException](err); missing {
		return s.nothingYet(err)
	}
	next := "the installed files stay; check network, region and endpoint (AWS_REGION, AWS_ENDPOINT_URL)"
	if refusal, ok := errors.AsType[smithy.APIError](err); ok {
		switch refusal.ErrorCode() {
		case "AccessDeniedException", "AccessDenied", "DecryptionFailure":
			// IAM denies a secret that does not exist where the policy ends in the suffix that each secret gets.
			next = "the installed files stay; allow " + action + " on this one secret, and kms:Decrypt on its key " +
				"(AgentSecretsKeyArn of the " +
				"deployment). A secret that hygiene has not made yet is denied like this, too"
		case "ExpiredTokenException", "UnrecognizedClientException", "InvalidSignatureException", "InvalidClientTokenId",
			"IncompleteSignature":
			next = "the installed files stay; renew the AWS credentials of this host, and check its clock"
		}
	}
	return &trouble{failed, "the secret " + s.id + " cannot be read", next, err}
}

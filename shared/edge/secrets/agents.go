package secrets

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"github.com/mastio-aws/mastio/shared/usecase/hygiene"
)

// Agents keeps what is delivered to agents, each in a secret of its own, encrypted under one KMS key. It is safe for
// concurrent use.
type Agents struct {
	API   *secretsmanager.Client
	KeyID string
}

const pending = "AWSPENDING"

// nothingYet is a new secret's first version, which Secrets Manager always makes the current one. An agent's material
// becomes current only after its certificate counts.
const nothingYet = "{}"

// Version reads one version; nil if there is none.
func (a *Agents) Version(ctx context.Context, name, version string) ([]byte, error) {
	out, err := a.API.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &name, VersionId: &version})
	if _, missing := errors.AsType[*types.ResourceNotFoundException](err); missing {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSecrets, err)
	}
	return []byte(aws.ToString(out.SecretString)), nil
}

// Stage adds a version with the label AWSPENDING. Secrets Manager accepts the same version with the same value, so a
// retry is safe; with another value the error is hygiene.ErrVersionTaken.
func (a *Agents) Stage(ctx context.Context, name, version string, value []byte) error {
	err := a.put(ctx, name, version, value)
	if _, missing := errors.AsType[*types.ResourceNotFoundException](err); missing {
		if err = a.create(ctx, name); err == nil {
			err = a.put(ctx, name, version, value)
		}
	}
	if _, taken := errors.AsType[*types.ResourceExistsException](err); taken {
		return hygiene.ErrVersionTaken
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrSecrets, err)
	}
	return nil
}

func (a *Agents) put(ctx context.Context, name, version string, value []byte) error {
	_, err := a.API.PutSecretValue(ctx, &secretsmanager.PutSecretValueInput{
		SecretId:           &name,
		ClientRequestToken: &version,
		SecretString:       aws.String(string(value)),
		VersionStages:      []string{pending},
	})
	return err
}

// create makes the secret. That another run was faster is no error.
func (a *Agents) create(ctx context.Context, name string) error {
	_, err := a.API.CreateSecret(ctx, &secretsmanager.CreateSecretInput{
		Name:         &name,
		KmsKeyId:     &a.KeyID,
		SecretString: aws.String(nothingYet),
		Description:  aws.String("Certificate and keys of an agent, written by the Mastio"),
	})
	if _, exists := errors.AsType[*types.ResourceExistsException](err); exists {
		return nil
	}
	return err
}

// Promote makes a version AWSCURRENT; the one before it becomes AWSPREVIOUS.
func (a *Agents) Promote(ctx context.Context, name, version string) error {
	out, err := a.API.DescribeSecret(ctx, &secretsmanager.DescribeSecretInput{SecretId: &name})
	if err != nil {
		return fmt.Errorf("%w: %w", ErrSecrets, err)
	}
	in := &secretsmanager.UpdateSecretVersionStageInput{
		SecretId:        &name,
		VersionStage:    aws.String(string(Current)),
		MoveToVersionId: &version,
	}
	for id, stages := range out.VersionIdsToStages {
		for _, stage := range stages {
			if stage == string(Current) {
				in.RemoveFromVersionId = &id
			}
		}
	}
	if aws.ToString(in.RemoveFromVersionId) == version {
		return nil
	}
	if _, err := a.API.UpdateSecretVersionStage(ctx, in); err != nil {
		return fmt.Errorf("%w: %w", ErrSecrets, err)
	}
	return nil
}

package dynamo

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/smithy-go"

	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/schema"
)

// BackupAPI is what Backups uses of the DynamoDB client. Its caller needs dynamodb:CreateBackup on both tables.
type BackupAPI interface {
	CreateBackup(context.Context, *dynamodb.CreateBackupInput, ...func(*dynamodb.Options)) (*dynamodb.CreateBackupOutput,
		error)
}

// Backups requests on-demand backups of the tables that a rotation changes: what is, and what happened. Proof ids and
// token keys are over within days. It is safe for concurrent use.
type Backups struct {
	client BackupAPI
	tables []string
	none   atomic.Bool // the endpoint has none, and was asked
}

// NewBackups returns the backups of the tables with a prefix.
func NewBackups(client BackupAPI, prefix string) *Backups {
	return &Backups{client: client, tables: []string{prefix + schema.Registry, prefix + schema.Audit}}
}

// Backup requests one of each table at the same time, and returns their ARNs in the tables' order. Each backup has
// the table's state at its own request: a change by an agent in between is in one backup and not in the other. A
// request that is sent twice makes two backups of one name; the later one is reported.
//
// Errors: registry.ErrUnsupported from an endpoint that does not know of backups, which is asked once.
func (b *Backups) Backup(ctx context.Context, name string) ([]string, error) {
	if b.none.Load() {
		return nil, registry.ErrUnsupported
	}
	arns, errs := make([]string, len(b.tables)), make([]error, len(b.tables))
	var wg sync.WaitGroup
	for n, table := range b.tables {
		wg.Go(func() { arns[n], errs[n] = b.backup(ctx, table, name) })
	}
	wg.Wait()
	if slices.ContainsFunc(errs, unknownOperation) {
		b.none.Store(true)
		return nil, fmt.Errorf("%w: %w", registry.ErrUnsupported, errors.Join(errs...))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return arns, nil
}

func (b *Backups) backup(ctx context.Context, table, name string) (string, error) {
	out, err := b.client.CreateBackup(ctx, &dynamodb.CreateBackupInput{TableName: &table, BackupName: &name})
	if err != nil {
		return "", fmt.Errorf("back up table %s: %w", table, err)
	}
	if out.BackupDetails == nil || aws.ToString(out.BackupDetails.BackupArn) == "" {
		return "", fmt.Errorf("back up table %s: the answer names no backup", table)
	}
	return *out.BackupDetails.BackupArn, nil
}

// unknownOperation reports whether the endpoint does not have the operation at all, in the words of DynamoDB Local or
// with the status of LocalStack. DynamoDB itself says neither. Whatever else goes wrong is no reason to rotate without
// a backup.
func unknownOperation(err error) bool {
	if api, ok := errors.AsType[smithy.APIError](err); ok && api.ErrorCode() == "UnknownOperationException" {
		return true
	}
	response, ok := errors.AsType[*awshttp.ResponseError](err)
	return ok && response.HTTPStatusCode() == http.StatusNotImplemented
}

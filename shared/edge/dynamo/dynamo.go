// Package dynamo keeps the Mastio's state in DynamoDB. It applies changes and makes no decisions.
//
// registry.Store documents what each method guarantees, and package storetest tests it. Particular to DynamoDB:
//
//   - Writes are sent up to as often as the client's retryer likes, so a condition can fail because an earlier attempt
//     of the very same call met it. Each write says in its own comment why its answer is right all the same.
//   - An error of a write is ErrUnavailable only if every attempt of it was refused by the service in words that rule
//     out that it happened; whatever else comes back, or nothing at all, is ErrUnknown.
//   - Times are numbers, Unix milliseconds; a zero time, an empty text and an empty list are no attribute at all.
package dynamo

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/schema"
)

// API is what the store uses of the DynamoDB client. An implementation other than *dynamodb.Client that sends a request
// more than once has to apply the options of the call, or a write that an earlier attempt did is taken for refused.
type API interface {
	BatchGetItem(context.Context, *dynamodb.BatchGetItemInput, ...func(*dynamodb.Options)) (*dynamodb.BatchGetItemOutput,
		error)
	GetItem(context.Context, *dynamodb.GetItemInput, ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error)
	DeleteItem(context.Context, *dynamodb.DeleteItemInput, ...func(*dynamodb.Options)) (*dynamodb.DeleteItemOutput, error)
	PutItem(context.Context, *dynamodb.PutItemInput, ...func(*dynamodb.Options)) (*dynamodb.PutItemOutput, error)
	Query(context.Context, *dynamodb.QueryInput, ...func(*dynamodb.Options)) (*dynamodb.QueryOutput, error)
	TransactWriteItems(context.Context, *dynamodb.TransactWriteItemsInput,
		...func(*dynamodb.Options)) (*dynamodb.TransactWriteItemsOutput, error)
	UpdateItem(context.Context, *dynamodb.UpdateItemInput, ...func(*dynamodb.Options)) (*dynamodb.UpdateItemOutput, error)
}

// Config is what a Store is made of.
type Config struct {
	Client API    // required; see NewClient
	Prefix string // of the tables' names; may be empty
}

var _ registry.Store = (*Store)(nil)

// Store is the state in DynamoDB. It holds no state itself and is safe for concurrent use, by any number of processes.
type Store struct {
	client API
	// Names of the tables.
	registry, fleet, audit, replay, keys, sessions string
}

// New returns the store over the tables of package schema, which must exist.
func New(cfg Config) *Store {
	return &Store{
		client:   cfg.Client,
		registry: cfg.Prefix + schema.Registry,
		fleet:    cfg.Prefix + schema.Fleet,
		audit:    cfg.Prefix + schema.Audit,
		replay:   cfg.Prefix + schema.Replay,
		keys:     cfg.Prefix + schema.Keys,
		sessions: cfg.Prefix + schema.Sessions,
	}
}

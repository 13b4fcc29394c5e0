package dynamodb

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/mastio-aws/mastio/shared/schema"
)

// ErrTableDiffers means that a table of that name exists with other keys or indexes than the schema's.
var ErrTableDiffers = errors.New("table exists with another layout")

// activeTimeout bounds the wait for one table; the real service takes seconds.
const activeTimeout = 2 * time.Minute

// CreateTables creates the tables of the schema, each named prefix followed by its logical name: on demand, with their
// indexes and time to live. It waits until every one is active. Tables that exist are left as they are, and a table
// of another layout is ErrTableDiffers, so it may be called any number of times, also by several processes at once.
func CreateTables(ctx context.Context, c *awsdynamodb.Client, prefix string) error {
	for _, t := range schema.Tables() {
		name := prefix + t.Name
		if err := create(ctx, c, name, t); err != nil {
			return fmt.Errorf("create table %s: %w", name, err)
		}
		if err := expire(ctx, c, name, t.TTL); err != nil {
			return fmt.Errorf("set time to live of table %s: %w", name, err)
		}
	}
	return nil
}

func create(ctx context.Context, c *awsdynamodb.Client, name string, t schema.Table) error {
	_, err := c.CreateTable(ctx, request(name, t))
	if _, exists := errors.AsType[*types.ResourceInUseException](err); err != nil && !exists {
		return err
	}
	waiter := awsdynamodb.NewTableExistsWaiter(c, func(o *awsdynamodb.TableExistsWaiterOptions) {
		o.MinDelay, o.MaxDelay = 50*time.Millisecond, 2*time.Second
	})
	out, err := waiter.WaitForOutput(ctx, &awsdynamodb.DescribeTableInput{TableName: &name}, activeTimeout)
	if err != nil {
		return err
	}
	return compare(out.Table, t)
}

func request(name string, t schema.Table) *awsdynamodb.CreateTableInput {
	in := &awsdynamodb.CreateTableInput{
		TableName:            &name,
		BillingMode:          types.BillingModePayPerRequest,
		KeySchema:            keys(t.PartitionKey, t.SortKey),
		AttributeDefinitions: attributes(t),
	}
	if t.Stream {
		in.StreamSpecification = &types.StreamSpecification{
			StreamEnabled:  aws.Bool(true),
			StreamViewType: types.StreamViewTypeNewImage,
		}
	}
	for _, i := range t.Indexes {
		in.GlobalSecondaryIndexes = append(in.GlobalSecondaryIndexes, types.GlobalSecondaryIndex{
			IndexName:  aws.String(i.Name),
			KeySchema:  keys(i.PartitionKey, i.SortKey),
			Projection: projection(i),
		})
	}
	return in
}

func keys(partition, sort string) []types.KeySchemaElement {
	list := []types.KeySchemaElement{{AttributeName: aws.String(partition), KeyType: types.KeyTypeHash}}
	if sort != "" {
		list = append(list, types.KeySchemaElement{AttributeName: aws.String(sort), KeyType: types.KeyTypeRange})
	}
	return list
}

// attributes declares every key once, of table and indexes alike: the service refuses both a missing and a spare one.
func attributes(t schema.Table) []types.AttributeDefinition {
	names := map[string]bool{t.PartitionKey: true, t.SortKey: true}
	for _, i := range t.Indexes {
		names[i.PartitionKey], names[i.SortKey] = true, true
	}
	delete(names, "") // no sort key
	var list []types.AttributeDefinition
	for _, name := range slices.Sorted(maps.Keys(names)) {
		list = append(list, types.AttributeDefinition{
			AttributeName: aws.String(name),
			AttributeType: types.ScalarAttributeTypeS,
		})
	}
	return list
}

func projection(i schema.Index) *types.Projection {
	if i.Include == nil {
		return &types.Projection{ProjectionType: types.ProjectionTypeKeysOnly}
	}
	return &types.Projection{ProjectionType: types.ProjectionTypeInclude, NonKeyAttributes: i.Include}
}

// expire turns on the expiry of items. A second request is an error to the service, so expire reads the state first.
// It reads again after a refusal, because another process may have sent the request in between.
func expire(ctx context.Context, c *awsdynamodb.Client, name, attribute string) error {
	if attribute == "" {
		return nil
	}
	if on, err := expires(ctx, c, name, attribute); on || err != nil {
		return err
	}
	_, refused := c.UpdateTimeToLive(ctx, &awsdynamodb.UpdateTimeToLiveInput{
		TableName:               &name,
		TimeToLiveSpecification: &types.TimeToLiveSpecification{AttributeName: &attribute, Enabled: aws.Bool(true)},
	})
	if refused == nil {
		return nil
	}
	if on, err := expires(ctx, c, name, attribute); !on || err != nil {
		return errors.Join(refused, err)
	}
	return nil
}

func expires(ctx context.Context, c *awsdynamodb.Client, name, attribute string) (bool, error) {
	got, err := c.DescribeTimeToLive(ctx, &awsdynamodb.DescribeTimeToLiveInput{TableName: &name})
	if err != nil {
		return false, err
	}
	switch d := got.TimeToLiveDescription; d.TimeToLiveStatus {
	case types.TimeToLiveStatusEnabled, types.TimeToLiveStatusEnabling:
		return aws.ToString(d.AttributeName) == attribute, nil
	default:
		return false, nil
	}
}

// compare refuses a table left by a version with another schema: its queries would fail one by one, much later.
func compare(got *types.TableDescription, want schema.Table) error {
	if want.Stream && aws.ToString(got.LatestStreamArn) == "" {
		return fmt.Errorf("%w: it has no stream", ErrTableDiffers)
	}
	have := layout(got.KeySchema, nil)
	for _, i := range got.GlobalSecondaryIndexes {
		have = append(have, aws.ToString(i.IndexName)+"("+strings.Join(layout(i.KeySchema, i.Projection), " ")+")")
	}
	need := layout(keys(want.PartitionKey, want.SortKey), nil)
	for _, i := range want.Indexes {
		need = append(need, i.Name+"("+strings.Join(layout(keys(i.PartitionKey, i.SortKey), projection(i)), " ")+")")
	}
	// Tables and indexes alike have their keys first; only the order of indexes and projections is the service's.
	slices.Sort(have)
	slices.Sort(need)
	if !slices.Equal(have, need) {
		return fmt.Errorf("%w: it has %v, the schema has %v", ErrTableDiffers, have, need)
	}
	return nil
}

func layout(keys []types.KeySchemaElement, p *types.Projection) []string {
	var list []string
	for _, k := range keys {
		list = append(list, string(k.KeyType)+":"+aws.ToString(k.AttributeName))
	}
	if p != nil {
		list = append(list, slices.Sorted(slices.Values(p.NonKeyAttributes))...)
	}
	return list
}

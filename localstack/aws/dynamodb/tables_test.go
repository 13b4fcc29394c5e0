package dynamodb_test

import (
	"errors"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/mastio-aws/mastio/localstack/aws/dynamodb"
	"github.com/mastio-aws/mastio/localstack/aws/dynamodb/dynamodbtest"
	"github.com/mastio-aws/mastio/shared/schema"
)

// describe reads a table back into the form the schema has.
func describe(t *testing.T, c *awsdynamodb.Client, prefix, name string) schema.Table {
	t.Helper()
	full := prefix + name
	d, err := c.DescribeTable(t.Context(), &awsdynamodb.DescribeTableInput{TableName: &full})
	if err != nil {
		t.Fatal(err)
	}
	if got := d.Table.BillingModeSummary.BillingMode; got != types.BillingModePayPerRequest {
		t.Errorf("billing mode of %s: got %s, want on demand", full, got)
	}
	got := schema.Table{Name: name}
	got.PartitionKey, got.SortKey = keyNames(d.Table.KeySchema)
	for _, i := range d.Table.GlobalSecondaryIndexes {
		index := schema.Index{Name: *i.IndexName, Include: i.Projection.NonKeyAttributes}
		index.PartitionKey, index.SortKey = keyNames(i.KeySchema)
		got.Indexes = append(got.Indexes, index)
	}
	ttl, err := c.DescribeTimeToLive(t.Context(), &awsdynamodb.DescribeTimeToLiveInput{TableName: &full})
	if err != nil {
		t.Fatal(err)
	}
	stream := d.Table.StreamSpecification
	got.Stream = stream != nil && aws.ToBool(stream.StreamEnabled) && stream.StreamViewType == types.StreamViewTypeNewImage
	got.TTL = aws.ToString(ttl.TimeToLiveDescription.AttributeName)
	return got
}

func keyNames(keys []types.KeySchemaElement) (partition, sort string) {
	for _, k := range keys {
		if k.KeyType == types.KeyTypeHash {
			partition = *k.AttributeName
		} else {
			sort = *k.AttributeName
		}
	}
	return partition, sort
}

func TestCreateTables(t *testing.T) {
	c := client(dynamodbtest.Server(t, root).Endpoint())

	// Four at once stand for several processes that start together.
	errs := make([]error, 4)
	var group sync.WaitGroup
	for i := range errs {
		group.Go(func() { errs[i] = dynamodb.CreateTables(t.Context(), c, "p-") })
	}
	group.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	anyOrder := cmp.Options{
		cmpopts.SortSlices(func(a, b string) bool { return a < b }),
		cmpopts.SortSlices(func(a, b schema.Index) bool { return a.Name < b.Name }),
	}
	for _, want := range schema.Tables() {
		if diff := cmp.Diff(want, describe(t, c, "p-", want.Name), anyOrder); diff != "" {
			t.Errorf("table %s (-want +got):\n%s", want.Name, diff)
		}
	}
}

func TestCreateTablesRefusesAnotherLayout(t *testing.T) {
	c := client(dynamodbtest.Server(t, root).Endpoint())
	_, err := c.CreateTable(t.Context(), &awsdynamodb.CreateTableInput{
		TableName:   aws.String("q-" + schema.Registry),
		BillingMode: types.BillingModePayPerRequest,
		KeySchema:   []types.KeySchemaElement{{AttributeName: aws.String("other"), KeyType: types.KeyTypeHash}},
		AttributeDefinitions: []types.AttributeDefinition{{
			AttributeName: aws.String("other"),
			AttributeType: types.ScalarAttributeTypeS,
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := dynamodb.CreateTables(t.Context(), c, "q-"); !errors.Is(err, dynamodb.ErrTableDiffers) {
		t.Errorf("got %v, want %v", err, dynamodb.ErrTableDiffers)
	}
}

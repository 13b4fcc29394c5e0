package dynamo_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awsdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/mastio-aws/mastio/localstack/aws/dynamodb"
	"github.com/mastio-aws/mastio/localstack/aws/dynamodb/dynamodbtest"
	"github.com/mastio-aws/mastio/shared/edge/dynamo"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/registry/storetest"
	"github.com/mastio-aws/mastio/shared/schema"
)

// given is a DynamoDB that the tests run against in place of DynamoDB Local.
var given = os.Getenv("DYNAMODB_ENDPOINT")

// endpoint returns a DynamoDB to test against: DYNAMODB_ENDPOINT, or DynamoDB Local.
func endpoint(t testing.TB) string {
	t.Helper()
	if given != "" {
		return given
	}
	return dynamodbtest.Server(t, "../../..").Endpoint()
}

func config(endpoint string) aws.Config {
	return aws.Config{
		Region:       "us-east-1",
		BaseEndpoint: &endpoint,
		Credentials:  credentials.NewStaticCredentialsProvider("local", "local", ""),
	}
}

// tables makes a set of empty tables and returns a client and their prefix.
func tables(t testing.TB) (*awsdynamodb.Client, string) {
	t.Helper()
	client, prefix := dynamo.NewClient(config(endpoint(t))), fmt.Sprintf("t-%s-", strings.ToLower(rand.Text()[:8]))
	if err := dynamodb.CreateTables(t.Context(), client, prefix); err != nil {
		t.Fatal(err)
	}
	if given != "" { // a server that outlives the test: its tables would stay
		t.Cleanup(func() { deleteTables(t, client, prefix) })
	}
	return client, prefix
}

func deleteTables(t testing.TB, client *awsdynamodb.Client, prefix string) {
	for _, table := range schema.Tables() {
		name := prefix + table.Name
		if _, err := client.DeleteTable(context.WithoutCancel(t.Context()),
			&awsdynamodb.DeleteTableInput{TableName: &name}); err != nil {
			t.Errorf("delete table %s: %v", name, err)
		}
	}
}

func open(t testing.TB) *dynamo.Store {
	t.Helper()
	client, prefix := tables(t)
	return dynamo.New(dynamo.Config{Client: client, Prefix: prefix})
}

func TestContract(t *testing.T) {
	storetest.Run(t, func(t *testing.T) registry.Store { return open(t) })
}

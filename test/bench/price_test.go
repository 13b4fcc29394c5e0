package main

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awsdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/mastio-aws/mastio/localstack/aws/dynamodb"
	"github.com/mastio-aws/mastio/localstack/aws/dynamodb/dynamodbtest"
	"github.com/mastio-aws/mastio/shared/edge/dynamo"
	"github.com/mastio-aws/mastio/shared/schema"
)

// database returns an endpoint of DynamoDB Local.
func database(t *testing.T) string {
	t.Helper()
	if endpoint := os.Getenv("DYNAMODB_ENDPOINT"); endpoint != "" {
		return endpoint
	}
	return dynamodbtest.Server(t, filepath.Join("..", "..")).Endpoint()
}

// open returns a Mastio of its own over DynamoDB Local.
func open(t *testing.T, prefix string) *shop {
	t.Helper()
	endpoint := database(t)
	s, err := openShop(t.Context(), dynamo.NewClient(aws.Config{
		Region:       "us-east-1",
		BaseEndpoint: &endpoint,
		Credentials:  credentials.NewStaticCredentialsProvider("local", "local", ""),
	}), prefix)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// A transaction costs two units for each kilobyte of each item, and what its indexes cost: an entry one, a moved entry
// two.
func TestTransactionsAreCountedByTheItem(t *testing.T) {
	endpoint := database(t)
	client := dynamo.NewClient(aws.Config{
		Region:       "us-east-1",
		BaseEndpoint: &endpoint,
		Credentials:  credentials.NewStaticCredentialsProvider("local", "local", ""),
	})
	if err := dynamodb.CreateTables(t.Context(), client, "units-"); err != nil {
		t.Fatal(err)
	}
	text := func(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }
	put := func(id, due string, octets int) types.TransactWriteItem {
		i := item{"pk": text(id), "sk": text("-"), "filling": text(strings.Repeat("x", octets))}
		if due != "" {
			i["due_pk"], i["due_sk"] = text("0"), text(due)
		}
		return types.TransactWriteItem{Put: &types.Put{TableName: aws.String("units-" + schema.Registry), Item: i}}
	}
	var got float64
	m := meteredClient{client, func(_, writes float64) { got += writes }, func(_, _ float64) {}}
	for _, c := range []struct {
		name   string
		writes []types.TransactWriteItem
		want   float64
	}{
		{"three of one size", []types.TransactWriteItem{put("a", "", 10), put("b", "", 10), put("c", "", 10)}, 6},
		{"one of two kilobytes", []types.TransactWriteItem{put("d", "", 10), put("e", "", 1100)}, 6},
		{"a new entry", []types.TransactWriteItem{put("f", "1", 10)}, 3},
		{"the entry moves", []types.TransactWriteItem{put("f", "2", 10), put("g", "", 10)}, 6},
		{"the entry stays", []types.TransactWriteItem{put("f", "2", 11)}, 2},
	} {
		got = 0
		if _, err := m.TransactWriteItems(t.Context(),
			&awsdynamodb.TransactWriteItemsInput{TransactItems: c.writes}); err != nil || got != c.want {
			t.Errorf("%s: %v units, %v; want %v", c.name, got, err, c.want)
		}
	}
}

// What infra/README.md says that things cost is what they use, measured, times the list prices; and what agents ask for
// most stays within its bar.
func TestPriceTableIsTheReadmes(t *testing.T) {
	s := open(t, "price-")
	sold, err := s.sold(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	table := priceTable(sold)
	t.Logf("\n%s", table)
	readme, err := os.ReadFile(filepath.Join("..", "..", "infra", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(readme), table) {
		t.Errorf("infra/README.md has another table of prices than\n%s", table)
	}
	bars := map[string]float64{opToken: 1.75, opDPoP: 2.40, opRotate: 25.00, rowAdded: 26.00}
	for _, p := range prices(sold) {
		if bar, ok := bars[p.name]; ok && p.total() > bar {
			t.Errorf("a million %s cost $%.3f, want at most $%.2f", p.name, p.total(), bar)
		}
	}
	for _, p := range prices(sold) {
		alone, behindCache, _ := following(p)
		if p.name == opStatus && (alone > 2.50 || behindCache > 0.01) {
			t.Errorf("a resource server that polls every %s costs $%.2f a month, want at most $2.50; behind a cache $%.4f, "+
				"want at most $0.01", statusPoll, alone, behindCache)
		}
	}
	if used := sold[opAsk]; used.reads < 3 || used.reads > 4 || used.writes != 0 {
		t.Errorf("an introspection used %+v, want one read of two agents and the pointer, and no write", used)
	}
	if more := sold[opLate].writes - sold[opRotate].writes; math.Abs(more-2) > 0.01 {
		t.Errorf("an entry of the due index that moves costs %v write units, want 2", more)
	}
	if used := sold[opSeen]; used.reads != 1 || used.writes != 1 || sold[opToken].writes != 0 {
		t.Errorf("an agent's hour costs %+v, and its other tokens %v writes; want one read, one write, and none", used,
			sold[opToken].writes)
	}
	if used := sold[opKey]; used.reads != 0.5 || used.writes != 1 {
		t.Errorf("the first token with a new key costs %+v more, want half a read and one write", used)
	}
	if used := sold[opReissue]; used.signatures != 1 || used.writes < 7 || used.writes > 12 {
		t.Errorf("a re-issue used %+v, want one signature and at most 12 write units", used)
	}
	if used := sold[opRotate]; used.signatures != 1 || used.reads < 3 || used.writes < 7 {
		t.Errorf("a rotation used %+v: the measurement is broken", used)
	}
}

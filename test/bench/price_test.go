package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/mastio-aws/mastio/localstack/dynamodb"
	"github.com/mastio-aws/mastio/shared/edge/dynamo"
)

// database returns an endpoint of DynamoDB Local.
func database(t *testing.T) string {
	t.Helper()
	if endpoint := os.Getenv("DYNAMODB_ENDPOINT"); endpoint != "" {
		return endpoint
	}
	for _, tool := range []string{"npm", "javac", "java"} {
		if _, err := exec.LookPath(tool); err != nil {
			if os.Getenv("CI") != "" {
				t.Fatalf("DynamoDB Local needs %s", tool)
			}
			t.Skipf("DynamoDB Local needs %s; or set DYNAMODB_ENDPOINT", tool)
		}
	}
	s, err := dynamodb.Start(context.WithoutCancel(t.Context()), dynamodb.Config{Cache: filepath.Join("..", "..", "build", "localstack")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s.Endpoint()
}

// What infra/README.md says that things cost is what they use, measured, times the list prices; and what agents ask for most
// stays within its bar.
func TestPriceTableIsTheReadmes(t *testing.T) {
	endpoint := database(t)
	s, err := openShop(t.Context(), dynamo.NewClient(aws.Config{
		Region: "us-east-1", BaseEndpoint: &endpoint, Credentials: credentials.NewStaticCredentialsProvider("local", "local", ""),
	}), "price-")
	if err != nil {
		t.Fatal(err)
	}
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
	bars := map[string]float64{opToken: 1.75, opDPoP: 2.40}
	for _, p := range prices(sold) {
		if bar, ok := bars[p.name]; ok && p.total() > bar {
			t.Errorf("a million %s cost $%.3f, want at most $%.2f", p.name, p.total(), bar)
		}
	}
	if used := sold[opRotate]; used.signatures != 1 || used.reads < 3 || used.writes < 8 {
		t.Errorf("a rotation used %+v: the measurement is broken", used)
	}
}

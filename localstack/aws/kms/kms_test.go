package kms_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/mastio-aws/mastio/localstack/aws/kms"
	"github.com/mastio-aws/mastio/localstack/aws/kms/kmstest"
)

func TestContract(t *testing.T) {
	_, client := start(t, kms.Config{})
	kmstest.Run(t, kmstest.Endpoint{Client: client})
}

// TestEndpoint runs the contract against KMS_ENDPOINT. KMS_DEVIATIONS names a known endpoint.
func TestEndpoint(t *testing.T) {
	url := os.Getenv("KMS_ENDPOINT")
	if url == "" {
		t.Skip("KMS_ENDPOINT is not set: no other KMS to hold against the contract")
	}
	known := map[string]func() []string{"": func() []string { return nil }, "localstack-4.14.0": kmstest.LocalStack4140}
	deviations, ok := known[os.Getenv("KMS_DEVIATIONS")]
	if !ok {
		t.Fatalf("KMS_DEVIATIONS=%s is not known", os.Getenv("KMS_DEVIATIONS"))
	}
	kmstest.Run(t, kmstest.Endpoint{Client: dial(url, http.DefaultClient), Deviations: deviations()})
}

// start serves a KMS until the test ends.
func start(t *testing.T, cfg kms.Config) (*kms.Server, *awskms.Client) {
	t.Helper()
	server, err := kms.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	listener := httptest.NewServer(server)
	t.Cleanup(func() {
		listener.Close()
		if err := server.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return server, dial(listener.URL, listener.Client())
}

// dial makes an SDK client that never repeats a request, so that every refusal is seen once.
func dial(url string, client *http.Client) *awskms.Client {
	return awskms.New(awskms.Options{
		BaseEndpoint: &url,
		Region:       "us-east-1",
		HTTPClient:   client,
		Retryer:      aws.NopRetryer{},
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "local", SecretAccessKey: "local"}, nil
		}),
	})
}

// clock is a time that a test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

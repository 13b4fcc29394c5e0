package dynamo_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"

	"github.com/mastio-aws/mastio/shared/edge/dynamo"
)

// A function has 29 s, and does more in them than one call.
func TestClientGivesUpInTime(t *testing.T) {
	for name, given := range map[string]aws.HTTPClient{"no client": nil,
		"the SDK's client": awshttp.NewBuildableClient()} {
		cfg := config("http://dynamodb.invalid")
		cfg.HTTPClient = given
		o := dynamo.NewClient(cfg).Options()
		c, ok := o.HTTPClient.(*awshttp.BuildableClient)
		if !ok {
			t.Fatalf("%s: got a %T", name, o.HTTPClient)
		}
		delay, err := o.Retryer.RetryDelay(10, errCut)
		if err != nil {
			t.Fatal(err)
		}
		attempts := o.Retryer.MaxAttempts()
		if most := time.Duration(attempts) * (c.GetTimeout() + delay); c.GetTimeout() <= 0 || attempts < 2 ||
			most > 12*time.Second {
			t.Errorf("%s: %d attempts of %v and pauses of %v, want several within 12s", name, attempts, c.GetTimeout(), delay)
		}
	}
}

func TestClientKeepsAnHTTPClientOfOnesOwn(t *testing.T) {
	asked := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked++
		w.Header().Set("X-Amz-Crc32", "1") // of something else
		w.Write([]byte(`{}`))
	}))
	defer s.Close()
	cfg := config(s.URL)
	cfg.HTTPClient = s.Client()
	if p, err := dynamo.New(dynamo.Config{Client: dynamo.NewClient(cfg)}).Pointer(t.Context(), "acme::a"); err != nil ||
		p != nil || asked != 1 {
		t.Errorf("got %+v, %v after %d requests, want nothing after 1", p, err, asked)
	}
}

package dynamo_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awsdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/mastio-aws/mastio/shared/edge/dynamo"
)

// fate is what becomes of one attempt of a request on its way.
type fate func(w *wire, r *http.Request) (*http.Response, error)

// wire is an HTTP client that treats the first attempts as configured and the rest as the last of these.
type wire struct {
	mu    sync.Mutex
	fates []fate
	sent  int
}

var errCut = errors.New("connection reset by peer")

func (w *wire) Do(r *http.Request) (*http.Response, error) {
	w.mu.Lock()
	next := w.fates[min(w.sent, len(w.fates)-1)]
	w.sent++
	w.mu.Unlock()
	return next(w, r)
}

// pass lets the request through.
func pass(_ *wire, r *http.Request) (*http.Response, error) { return http.DefaultClient.Do(r) }

// cut loses the request.
func cut(*wire, *http.Request) (*http.Response, error) { return nil, errCut }

// mute lets the request through and loses the answer.
func mute(_ *wire, r *http.Request) (*http.Response, error) {
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	_, err = io.Copy(io.Discard, answer.Body)
	return nil, errors.Join(errCut, err, answer.Body.Close())
}

// say answers in the service's place.
func say(status int, body string) fate {
	return func(_ *wire, r *http.Request) (*http.Response, error) {
		return &http.Response{
			StatusCode: status,
			Status:     http.StatusText(status),
			ProtoMajor: 1,
			ProtoMinor: 1,
			Request:    r,
			Header:     http.Header{"Content-Type": {"application/x-amz-json-1.0"}},
			Body:       io.NopCloser(strings.NewReader(body)),
		}, nil
	}
}

// refuse answers with an error; more is the rest of the JSON object.
func refuse(code, more string) fate {
	return say(http.StatusBadRequest, `{"__type":"com.amazonaws.dynamodb.v20120810#`+code+`","message":"no"`+more+`}`)
}

var (
	throttle = refuse("ProvisionedThroughputExceededException", "")
	broken   = say(http.StatusInternalServerError, `{"__type":"InternalServerError"}`)
	garbage  = say(http.StatusOK, `{"Attributes":[`)
)

// cancel is a cancelled transaction, with its reasons.
func cancel(reasons ...string) fate {
	list := `{"Code":"` + strings.Join(reasons, `"},{"Code":"`) + `"}`
	return refuse("TransactionCanceledException", `,"CancellationReasons":[`+list+`]`)
}

// over returns a store on tables at an endpoint, reached by a wire.
func over(t testing.TB, endpoint, prefix string, fates ...fate) (*dynamo.Store, *wire) {
	t.Helper()
	w := &wire{fates: fates}
	cfg := config(endpoint)
	cfg.HTTPClient = w
	client := awsdynamodb.New(dynamo.NewClient(cfg).Options(), func(o *awsdynamodb.Options) {
		o.Retryer = retry.AddWithMaxBackoffDelay(o.Retryer, time.Millisecond) // no real server has to recover
	})
	return dynamo.New(dynamo.Config{Client: client, Prefix: prefix}), w
}

package lambda

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awslambda "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
)

// client returns the AWS SDK's client, pointed at the service.
func client(t *testing.T, s *Service) *awslambda.Client {
	t.Helper()
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return awslambda.New(awslambda.Options{
		Region:           "us-east-1",
		BaseEndpoint:     aws.String(server.URL),
		Credentials:      credentials.NewStaticCredentialsProvider("local", "local", ""),
		HTTPClient:       &http.Client{Transport: transport},
		RetryMaxAttempts: 1,
	})
}

func TestSDKInvokes(t *testing.T) {
	s := service(t, Function{}, Config{})
	c := client(t, s)
	for _, name := range []string{"f", "f:$LATEST", "arn:aws:lambda:us-east-1:000000000000:function:f",
		"000000000000:function:f:live"} {
		out, err := c.Invoke(t.Context(), &awslambda.InvokeInput{
			FunctionName: &name,
			Payload:      []byte(`{"do":"echo","text":"hi"}`),
		})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if out.FunctionError != nil || !strings.Contains(string(out.Payload), `"text":"hi"`) {
			t.Errorf("%s: %s", name, out.Payload)
		}
		if got := aws.ToString(out.ExecutedVersion); got != "$LATEST" {
			t.Errorf("version %q", got)
		}
	}
}

func TestSDKSeesFunctionErrors(t *testing.T) {
	c := client(t, service(t, Function{}, Config{}))
	out, err := c.Invoke(t.Context(), &awslambda.InvokeInput{
		FunctionName: aws.String("f"),
		Payload:      []byte(`{"do":"exit"}`),
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := aws.ToString(out.FunctionError); got != "Unhandled" {
		t.Errorf("function error %q", got)
	}
	// No payload is an empty object, as on AWS.
	out, err = c.Invoke(t.Context(), &awslambda.InvokeInput{FunctionName: aws.String("f")})
	if err != nil || !strings.Contains(string(out.Payload), "unknown order") {
		t.Errorf("no payload: %v %s", err, out.Payload)
	}
}

func TestSDKInvocationTypes(t *testing.T) {
	var out buffer
	s := service(t, Function{}, Config{Stdout: &out})
	c := client(t, s)
	tests := map[types.InvocationType]int32{types.InvocationTypeEvent: 202, types.InvocationTypeDryRun: 204}
	for kind, want := range tests {
		got, err := c.Invoke(t.Context(), &awslambda.InvokeInput{
			FunctionName:   aws.String("f"),
			InvocationType: kind,
			Payload:        []byte(`{"do":"print","text":"ran\n"}`),
		})
		if err != nil || got.StatusCode != want {
			t.Errorf("%s: %v, %v, want %d", kind, got, err, want)
		}
	}
	eventually(t, "the event to be handled", func() bool { return out.String() == "f | ran\n" })
}

func TestSDKErrors(t *testing.T) {
	s := service(t, Function{MaxInstances: 1}, Config{Queue: 1})
	c := client(t, s)
	invoke := func(name, payload string, kind types.InvocationType) error {
		_, err := c.Invoke(t.Context(), &awslambda.InvokeInput{
			FunctionName:   &name,
			Payload:        []byte(payload),
			InvocationType: kind,
		})
		return err
	}
	var (
		notFound *types.ResourceNotFoundException
		notJSON  *types.InvalidRequestContentException
		badType  *types.InvalidParameterValueException
		tooLarge *types.RequestTooLargeException
		throttle *types.TooManyRequestsException
	)
	if err := invoke("g", `{}`, ""); !errors.As(err, &notFound) {
		t.Errorf("unknown function: %v", err)
	}
	if err := invoke("g", `{}`, types.InvocationTypeDryRun); !errors.As(err, &notFound) {
		t.Errorf("dry run of an unknown function: %v", err)
	}
	if err := invoke("f", `{`, ""); !errors.As(err, &notJSON) {
		t.Errorf("no json: %v", err)
	}
	if err := invoke("f", `{}`, "Sometime"); !errors.As(err, &badType) {
		t.Errorf("unknown invocation type: %v", err)
	}
	if err := invoke("f", `"`+strings.Repeat("x", MaxRequest)+`"`, ""); !errors.As(err, &tooLarge) {
		t.Errorf("large payload: %v", err)
	}
	payload, release := held(t)
	defer release()
	if err := s.Warm(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := invoke("f", payload, types.InvocationTypeEvent); err != nil {
			t.Fatal(err)
		}
	}
	if err := invoke("f", `{}`, ""); !errors.As(err, &throttle) {
		t.Errorf("busy: %v", err)
	}
}

// TestErrorCodes holds that one interface identifies a throttled invocation of both this service and the SDK.
func TestErrorCodes(t *testing.T) {
	type codedError interface{ ErrorCode() string }
	for _, err := range []error{ErrThrottled, &types.TooManyRequestsException{}} {
		if c, ok := err.(codedError); !ok || c.ErrorCode() != "TooManyRequestsException" {
			t.Errorf("%T: %v", err, err)
		}
	}
}

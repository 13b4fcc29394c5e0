package remoteca

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/mastio-aws/mastio/shared/problem"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
)

// API is the part of the Lambda client that this package calls.
type API interface {
	Invoke(ctx context.Context, in *lambda.InvokeInput, options ...func(*lambda.Options)) (*lambda.InvokeOutput, error)
}

// NewClient returns a Lambda client that never retries. The SDK would retry after a lost answer, while the first
// order may still run.
func NewClient(cfg aws.Config) *lambda.Client {
	return lambda.NewFromConfig(cfg, func(o *lambda.Options) { o.Retryer = aws.NopRetryer{} })
}

// Client gives orders to a function. It is safe for concurrent use.
type Client struct {
	API      API
	Function string // name, with the alias after a colon
}

// margin is the time that Do reserves to report a missing answer.
const margin = 2 * time.Second

// Do sends an order: one call. It overwrites an uploaded CA, as rotateca.Rotator does.
//
// token belongs to the operator's session: the function derives the actor from it, and checks that the session still
// counts.
//
// Errors: the problem that the function answered; registry.ErrUnavailable if the function did not begin;
// registry.ErrUnknown if the function began, or may have begun, and its outcome is unknown. An order with an
// idempotency key can be given again then.
func (c *Client) Do(ctx context.Context, token string, req rotateca.Request) (rotateca.Result, error) {
	payload, err := json.Marshal(event{Order: new(newOrder(token, req))})
	defer clear(payload)
	req.Upload.Wipe()
	if err != nil {
		return rotateca.Result{}, fmt.Errorf("encode an order: %w", err)
	}
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline.Add(-margin))
		defer cancel()
	}
	out, err := c.API.Invoke(ctx, &lambda.InvokeInput{FunctionName: &c.Function, Payload: payload})
	if err != nil {
		return rotateca.Result{}, fmt.Errorf("invoke %s: %w", c.Function, outcome(err))
	}
	if out.FunctionError != nil { // it crashed, or ran out of time: its own words are in its log
		return rotateca.Result{}, fmt.Errorf("%w: %s ended with %q", registry.ErrUnknown, c.Function, *out.FunctionError)
	}
	return result(out.Payload)
}

// outcome separates an order that was refused from an order that may have been carried out.
func outcome(err error) error {
	_, throttled := errors.AsType[*types.TooManyRequestsException](err)
	_, cold := errors.AsType[*types.ResourceNotReadyException](err)
	if throttled || cold {
		return fmt.Errorf("%w: %w", registry.ErrUnavailable, err)
	}
	return fmt.Errorf("%w: %w", registry.ErrUnknown, err)
}

func result(payload []byte) (rotateca.Result, error) {
	var a answer
	if err := json.Unmarshal(payload, &a); err != nil || (a.Result == nil) == (a.Problem == nil) {
		return rotateca.Result{}, fmt.Errorf("%w: the answer is neither a result nor a problem", registry.ErrUnknown)
	}
	if a.Result != nil {
		return *a.Result, nil
	}
	p, err := problem.Read(a.Problem, time.Duration(a.RetryAfter)*time.Second)
	if err != nil {
		return rotateca.Result{}, fmt.Errorf("%w: %w", registry.ErrUnknown, err)
	}
	return rotateca.Result{}, p
}

package boot

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/oklog/ulid/v2"

	"github.com/mastio-aws/mastio/shared/edge/dynamo"
)

func newParts(ctx context.Context) (*Parts, error) {
	c, err := environment()
	if err != nil {
		return nil, err
	}
	cfg, err := awsconfig.LoadDefaultConfig(ctx)
	if err != nil {
		return nil, fmt.Errorf("load the AWS configuration: %w", err)
	}
	tables := dynamo.New(dynamo.Config{Client: dynamo.NewClient(cfg), Prefix: c.TablePrefix})
	p := &Parts{
		Config:  c,
		Log:     NewLog(os.Stderr),
		Metrics: os.Stdout,
		Now:     time.Now,
		NewID:   func() string { return ulid.Make().String() },
	}
	p.outside = &cloud{p, cfg, tables}
	return p, nil
}

// Function makes a function's handler out of its parts: a function that aws-lambda-go takes.
type Function func(*Parts) (any, error)

// Serve runs a function until the runtime ends it. With an unusable environment it exits at once and logs the reason:
// the deployment then fails instead of taking traffic.
func Serve(f Function) {
	fit()
	ctx := context.Background()
	p, err := newParts(ctx)
	if err == nil {
		var handler any
		if handler, err = f(p); err == nil {
			lambda.StartWithOptions(handler, lambda.WithContext(ctx))
			return
		}
	}
	NewLog(os.Stderr).Error("function does not start", "cause", err.Error())
	os.Exit(1)
}

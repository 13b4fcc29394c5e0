// Command bootstrap is a function that does what its payload says, well or badly.
package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
)

type order struct {
	Do    string `json:"do"`
	Size  int    `json:"size"`
	Text  string `json:"text"`
	Sleep string `json:"sleep"`
	File  string `json:"file"`
}

type report struct {
	PID       int       `json:"pid"`
	Text      string    `json:"text"`
	RequestID string    `json:"request_id"`
	ARN       string    `json:"arn"`
	Trace     string    `json:"trace"`
	Deadline  time.Time `json:"deadline"`
	Env       []string  `json:"env"`
}

func main() {
	switch os.Getenv("INIT") {
	case "exit":
		fmt.Println("no such setting")
		os.Exit(3)
	case "hang":
		time.Sleep(24 * time.Hour)
	case "error":
		reportInitError()
	case "stubborn":
		ignoreTerm()
	}
	lambda.Start(handle)
}

func reportInitError() {
	url := "http://" + os.Getenv("AWS_LAMBDA_RUNTIME_API") + "/2018-06-01/runtime/init/error"
	body := strings.NewReader(`{"errorType":"Function.Config","errorMessage":"no table"}`)
	if res, err := http.Post(url, "application/json", body); err == nil {
		res.Body.Close()
	}
	os.Exit(1)
}

func handle(ctx context.Context, o order) (any, error) {
	switch o.Do {
	case "echo":
		return newReport(ctx, o), nil
	case "error":
		return nil, errors.New(o.Text)
	case "panic":
		panic(o.Text)
	case "exit":
		os.Exit(o.Size)
	case "sleep":
		d, err := time.ParseDuration(o.Sleep)
		if err != nil {
			return nil, err
		}
		time.Sleep(d)
		return newReport(ctx, o), nil
	case "wait": // until the file is gone
		for {
			if _, err := os.Stat(o.File); err != nil {
				return newReport(ctx, o), nil
			}
			time.Sleep(time.Millisecond)
		}
	case "size":
		return strings.Repeat("x", o.Size), nil
	case "print":
		fmt.Print(o.Text)
		return nil, nil
	}
	return nil, fmt.Errorf("unknown order %q", o.Do)
}

func newReport(ctx context.Context, o order) report {
	lc, _ := lambdacontext.FromContext(ctx)
	deadline, _ := ctx.Deadline()
	return report{
		PID:       os.Getpid(),
		Text:      o.Text,
		RequestID: lc.AwsRequestID,
		ARN:       lc.InvokedFunctionArn,
		Trace:     os.Getenv("_X_AMZN_TRACE_ID"),
		Deadline:  deadline,
		Env:       os.Environ(),
	}
}

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/mastio-aws/mastio/localstack/cloud/deployed"
	"github.com/mastio-aws/mastio/shared/routes"
)

// logs prints what the functions have printed, function by function.
func (c *cloud) logs(ctx context.Context) error {
	r, err := c.found(ctx)
	if err != nil {
		return err
	}
	for _, name := range routes.Functions() {
		lines, err := functionLog(ctx, r.Endpoint, deployed.FunctionName(c.org, name))
		if err != nil {
			return fmt.Errorf("read the log of %s: %w", name, err)
		}
		for _, line := range lines {
			fmt.Fprintf(c.out, "%s | %s\n", name, line)
		}
	}
	return nil
}

// functionLog returns the lines of a function's log group, without those that Lambda itself writes. One call of one API
// is not worth another module of the SDK.
// Source: https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_FilterLogEvents.html
func functionLog(ctx context.Context, endpoint, function string) ([]string, error) {
	var lines []string
	for token := ""; ; {
		var page struct {
			Events    []struct{ Message string }
			NextToken string
		}
		request := map[string]any{"logGroupName": "/aws/lambda/" + function}
		if token != "" {
			request["nextToken"] = token
		}
		if err := callLogs(ctx, endpoint, "FilterLogEvents", request, &page); err != nil {
			return nil, err
		}
		for _, e := range page.Events {
			for line := range strings.Lines(e.Message) {
				if line = strings.TrimRight(line, "\n"); line != "" && !lambdaOwn(line) {
					lines = append(lines, line)
				}
			}
		}
		if page.NextToken == "" || page.NextToken == token {
			return lines, nil
		}
		token = page.NextToken
	}
}

func lambdaOwn(line string) bool {
	for _, prefix := range []string{"START RequestId:", "END RequestId:", "REPORT RequestId:"} {
		if strings.HasPrefix(line, prefix) {
			return true
		}
	}
	return false
}

func callLogs(ctx context.Context, endpoint, operation string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	r.Header.Set("X-Amz-Target", "Logs_20140328."+operation)
	// LocalStack checks no signature; it reads from here which service is meant.
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=test/20260101/"+deployed.Region+
		"/logs/aws4_request, SignedHeaders=host, Signature=0")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	if answer.StatusCode == http.StatusBadRequest && bytes.Contains(text, []byte("ResourceNotFoundException")) {
		return nil // the function has not run yet
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %d: %s", operation, answer.StatusCode, text)
	}
	return json.Unmarshal(text, out)
}

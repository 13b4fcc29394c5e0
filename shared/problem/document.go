package problem

import (
	"encoding/json"
	"fmt"
	"time"
)

// titles are the statuses that the Mastio answers errors with, as RFC 9110 section 15 names them.
var titles = map[int]string{
	400: "Bad Request",
	401: "Unauthorized",
	403: "Forbidden",
	404: "Not Found",
	405: "Method Not Allowed",
	409: "Conflict",
	413: "Request Entity Too Large",
	415: "Unsupported Media Type",
	422: "Unprocessable Entity",
	429: "Too Many Requests",
	500: "Internal Server Error",
	503: "Service Unavailable",
}

// Read takes a problem out of the document that another function answered, with its Retry-After. The error is
// ErrDocument.
func Read(document []byte, retryIn time.Duration) (*Problem, error) {
	var p Problem
	if err := json.Unmarshal(document, &p); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDocument, err)
	}
	if p.Status < 400 || p.Status > 599 || p.Code == "" {
		return nil, fmt.Errorf("%w: status %d, code %q", ErrDocument, p.Status, p.Code)
	}
	p.RetryIn = retryIn
	return &p, nil
}

package api

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// RefusedError is an answer that says no. Nothing was changed.
type RefusedError struct {
	Status    int
	Code      string // of the problem document, or OAuth's error
	Detail    string
	RequestID string
	Errors    []string // all defects of an upload
}

// Error says what the Mastio said.
func (r *RefusedError) Error() string {
	text := fmt.Sprintf("refused (%d", r.Status)
	if r.Code != "" {
		text += " " + r.Code
	}
	text += ")"
	if r.Detail != "" {
		text += ": " + r.Detail
	}
	for _, e := range r.Errors {
		text += "\n  - " + e
	}
	if r.RequestID != "" {
		text += "\nrequest " + r.RequestID
	}
	return text
}

// UnreachableError is a Mastio that did not answer. Nothing was changed.
type UnreachableError struct {
	URL   string
	Cause error
}

// Error names the host and the cause.
func (u *UnreachableError) Error() string {
	return fmt.Sprintf("%s cannot be reached: %v", u.URL, u.Cause)
}

// Unwrap returns the cause.
func (u *UnreachableError) Unwrap() error { return u.Cause }

// UnknownError is a change that may have been made: no attempt got an answer that says so or denies it.
type UnknownError struct {
	Request string
	Key     string
	Cause   error
}

// Error says how to find out.
func (u *UnknownError) Error() string {
	text := fmt.Sprintf("the outcome of %s is not known: %v", u.Request, u.Cause)
	if u.Key != "" {
		text += "\nThe change may have been made. Ask again with the same options and --idempotency-key " + u.Key
	}
	return text
}

// Unwrap returns the cause.
func (u *UnknownError) Unwrap() error { return u.Cause }

// document has the members of a problem document, and those of OAuth's errors.
type document struct {
	Detail    string          `json:"detail"`
	Code      string          `json:"code"`
	RequestID string          `json:"request_id"`
	Errors    json.RawMessage `json:"errors"`
	Error     string          `json:"error"`
	About     string          `json:"error_description"`
	Message   string          `json:"message"` // of the edge
}

func refusal(a Answer) error {
	var d document
	_ = json.Unmarshal(a.Body, &d) // what is no JSON has no members
	r := &RefusedError{Status: a.Status, Code: d.Code, Detail: d.Detail, RequestID: d.RequestID}
	if r.Code == "" {
		r.Code = d.Error
	}
	if r.Detail == "" {
		r.Detail = d.About + d.Message
	}
	if r.Detail == "" && a.Status/100 == 3 {
		r.Detail = "It answers with a redirect, which is not followed: is this the operators' host of a Mastio?"
	}
	var defects []struct {
		Code   string `json:"code"`
		Detail string `json:"detail"`
	}
	if json.Unmarshal(d.Errors, &defects) == nil {
		for _, e := range defects {
			r.Errors = append(r.Errors, strings.TrimSpace(e.Code+" "+e.Detail))
		}
	}
	return r
}

func codeOf(a Answer) string {
	var d document
	if json.Unmarshal(a.Body, &d) != nil {
		return ""
	}
	if d.Code == "" {
		return d.Error
	}
	return d.Code
}

// never reports whether a request was certainly not received: there was no connection, or no trust in its other end.
func never(err error) bool {
	var op *net.OpError
	var trust *tls.CertificateVerificationError
	return errors.As(err, &op) && op.Op == "dial" || errors.As(err, &trust)
}

// longest is how long an answer can have the client wait.
const longest = 30 * time.Second

func retryAfter(a Answer) time.Duration {
	seconds, err := strconv.Atoi(a.Header.Get("Retry-After"))
	if err != nil || seconds < 0 || a.Status == http.StatusOK {
		return 0
	}
	return min(time.Duration(seconds)*time.Second, longest)
}

package lambda

import (
	"encoding/json"
	"net/http"
)

// Errors of an invocation that does not reach a function, under AWS's names.
var (
	ErrUnknownFunction error = &refusal{http.StatusNotFound, "ResourceNotFoundException", "function not found"}
	ErrThrottled       error = &refusal{http.StatusTooManyRequests, "TooManyRequestsException", "rate exceeded"}
	ErrPayloadTooLarge error = &refusal{http.StatusRequestEntityTooLarge, "RequestTooLargeException",
		"request payload exceeds 6291456 bytes"}
	ErrClosed error = &refusal{http.StatusInternalServerError, "ServiceException", "the service is shut down"}
)

// refusal is an error of the service itself. Its ErrorCode is what the AWS SDK's errors answer too, so
// a caller recognises a throttled invocation at either of the two.
type refusal struct {
	status     int
	code, text string
}

func (r *refusal) Error() string     { return r.text }
func (r *refusal) ErrorCode() string { return r.code }

// fault is a failure of a function that the service has to report in the function's place.
type fault struct {
	kind, text string
	said       []byte // the document of a runtime that could still report the failure itself, else nil
}

// document renders the fault as AWS does. The request's id is part of the text where one was under way.
func (f fault) document(requestID string) []byte {
	if f.said != nil {
		return f.said
	}
	text := f.text
	if requestID != "" {
		text = "RequestId: " + requestID + " Error: " + text
	}
	// A struct of two strings always has a JSON form.
	doc, _ := json.Marshal(struct {
		Type    string `json:"errorType"`
		Message string `json:"errorMessage"`
	}{f.kind, text})
	return doc
}

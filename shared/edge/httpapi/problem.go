package httpapi

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/mastio-aws/mastio/shared/problem"
)

// head sets the header fields that every error answer has.
func head(w http.ResponseWriter, p *problem.Problem) {
	w.Header().Set("Cache-Control", "no-store")
	if p.RetryIn > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(p.RetryIn/time.Second)))
	}
}

// writeProblem answers with a problem document.
func writeProblem(w http.ResponseWriter, p *problem.Problem, requestID string) {
	p.RequestID = requestID
	head(w, p)
	write(w, p.Status, "application/problem+json", p)
}

// writeOAuthError answers as RFC 6749 section 5.2 asks: clients of the token endpoint understand nothing else.
func writeOAuthError(w http.ResponseWriter, p *problem.Problem) {
	head(w, p)
	code := p.OAuth
	switch {
	case code != "":
	case p.Status >= 500:
		code = "server_error"
	default:
		code = "invalid_request"
	}
	write(w, p.Status, "application/json", oauthError{code, strings.Map(describable, p.Detail)})
}

// oauthError is an error as OAuth clients read it (RFC 6749 section 5.2).
type oauthError struct {
	Error       string `json:"error"`
	Description string `json:"error_description"`
}

// writeStray answers a request that API Gateway forwards instead of refusing, in the form of API Gateway's refusals
// at the agents' REST API. It is a problem document with the members that OAuth clients look for, in the one media
// type that they read.
func writeStray(w http.ResponseWriter, p *problem.Problem, requestID string) {
	p.RequestID = requestID
	head(w, p)
	write(w, p.Status, "application/json", struct {
		*problem.Problem
		oauthError
	}{p, oauthError{"invalid_request", strings.Map(describable, p.Detail)}})
}

// describable maps a character to one that error_description may hold (RFC 6749 section 5.2: %x20-21 / %x23-5B /
// %x5D-7E).
func describable(r rune) rune {
	switch {
	case r == '"':
		return '\''
	case r == '\\':
		return '/'
	case r < 0x20 || r > 0x7e:
		return '?'
	}
	return r
}

func write(w http.ResponseWriter, status int, mediaType string, v any) {
	body, err := json.Marshal(v)
	if err != nil { // only a programming error can get here
		status, body = http.StatusInternalServerError, []byte(`{}`)
	}
	w.Header().Set("Content-Type", mediaType)
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n'))
}

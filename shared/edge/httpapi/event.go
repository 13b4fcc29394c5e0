package httpapi

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/aws/aws-lambda-go/events"

	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/problem"
)

// Lambda adapts an http.Handler to API Gateway's REST (v1) proxy events. The widely used adapter library is no longer
// kept up and brings five web frameworks along; what is needed of it is this file.
func Lambda(h http.Handler) func(context.Context, events.APIGatewayProxyRequest) (events.APIGatewayProxyResponse, error) {
	return func(ctx context.Context, e events.APIGatewayProxyRequest) (events.APIGatewayProxyResponse, error) {
		r, err := request(ctx, e)
		w := &response{header: http.Header{}, status: http.StatusOK}
		if err != nil { // the caller's error, not the function's
			writeProblem(w, problem.Of(err), call(e).RequestID)
			return w.event(), nil
		}
		h.ServeHTTP(w, r)
		return w.event(), nil
	}
}

// LambdaOr adapts a handler as Lambda does, for a function that other events run as well: job gets every event that is not
// a request. API Gateway's events always name a method, so no client can send one that passes for a schedule's or for
// another function's.
func LambdaOr(h http.Handler, job func(ctx context.Context, event json.RawMessage) (any, error)) func(context.Context, json.RawMessage) (any, error) {
	serve := Lambda(h)
	return func(ctx context.Context, event json.RawMessage) (any, error) {
		var e events.APIGatewayProxyRequest
		if err := json.Unmarshal(event, &e); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrEvent, err)
		}
		if e.HTTPMethod == "" {
			return job(ctx, event)
		}
		return serve(ctx, e)
	}
}

// request builds the http.Request that an event stands for.
func request(ctx context.Context, e events.APIGatewayProxyRequest) (*http.Request, error) {
	body := []byte(e.Body)
	if e.IsBase64Encoded {
		var err error
		if body, err = base64.StdEncoding.DecodeString(e.Body); err != nil {
			return nil, fmt.Errorf("%w: decode the body: %w", ErrEvent, err)
		}
	}
	target := &url.URL{Path: e.Path, RawQuery: query(e).Encode()}
	if decoded, err := url.PathUnescape(e.Path); err == nil && decoded != e.Path {
		target.Path, target.RawPath = decoded, e.Path
	}
	r, err := http.NewRequestWithContext(WithCall(ctx, call(e)), e.HTTPMethod, "/", bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("%w: build the request: %w", ErrEvent, err)
	}
	r.URL, r.Header, r.Host = target, header(e), e.RequestContext.DomainName
	return r, nil
}

func call(e events.APIGatewayProxyRequest) Call {
	c := Call{By: audit.By{RequestID: e.RequestContext.RequestID, SourceIP: e.RequestContext.Identity.SourceIP}}
	if cert := e.RequestContext.Identity.ClientCert; cert != nil {
		c.CertificatePEM = cert.ClientCertPem
	}
	return c
}

func query(e events.APIGatewayProxyRequest) url.Values {
	if len(e.MultiValueQueryStringParameters) > 0 {
		return e.MultiValueQueryStringParameters
	}
	values := url.Values{}
	for name, value := range e.QueryStringParameters {
		values.Set(name, value)
	}
	return values
}

func header(e events.APIGatewayProxyRequest) http.Header {
	h := http.Header{}
	for name, values := range e.MultiValueHeaders {
		for _, value := range values {
			h.Add(name, value)
		}
	}
	if len(h) > 0 {
		return h
	}
	for name, value := range e.Headers {
		h.Set(name, value)
	}
	return h
}

// response collects an answer.
type response struct {
	header http.Header
	status int
	wrote  bool
	body   bytes.Buffer
}

// Header returns the header to be sent.
func (w *response) Header() http.Header { return w.header }

// WriteHeader sets the status, once.
func (w *response) WriteHeader(status int) {
	if !w.wrote {
		w.status, w.wrote = status, true
	}
}

// Write appends to the body.
func (w *response) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(b)
}

// event renders the answer; a body that is not text goes as base64.
func (w *response) event() events.APIGatewayProxyResponse {
	out := events.APIGatewayProxyResponse{StatusCode: w.status, MultiValueHeaders: w.header}
	if utf8.Valid(w.body.Bytes()) {
		out.Body = w.body.String()
		return out
	}
	var encoded strings.Builder
	encoded.WriteString(base64.StdEncoding.EncodeToString(w.body.Bytes()))
	out.Body, out.IsBase64Encoded = encoded.String(), true
	return out
}

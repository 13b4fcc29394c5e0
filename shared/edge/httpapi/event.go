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
	"github.com/mastio-aws/mastio/shared/routes"
)

// Event is a request as API Gateway hands it to a function: a REST API's proxy event, or an HTTP API's in payload
// format 1.0, which has the same members and a version. Both put the client certificate into requestContext.identity.
// Sources: "Input format of a Lambda function for proxy integration" and "Create AWS Lambda proxy integrations for HTTP
// APIs", API Gateway developer guide.
type Event struct {
	events.APIGatewayProxyRequest
	Version        string         `json:"version"` // "1.0" from an HTTP API; a REST API sends none
	RequestContext RequestContext `json:"requestContext"`
}

// RequestContext is what API Gateway, not the client, says about a request.
type RequestContext struct {
	events.APIGatewayProxyRequestContext
	// Authentication holds the certificate in payload format 2.0. The documentation of format 1.0 has it in Identity; if
	// an edge fills both, they must be equal.
	Authentication struct {
		ClientCert *events.APIGatewayCustomAuthorizerRequestTypeRequestIdentityClientCert `json:"clientCert"`
	} `json:"authentication"`
}

// hostVariable is the stage variable in which an HTTP API names its host. There the route $default forwards requests
// for unknown paths, and each API answers only for its own paths.
const hostVariable = "host"

// Lambda adapts an http.Handler to API Gateway's events. The widely used adapter library is no longer maintained and
// depends on five web frameworks; this file replaces the part that is needed.
func Lambda(h http.Handler) func(context.Context, Event) (events.APIGatewayProxyResponse, error) {
	return func(ctx context.Context, e Event) (events.APIGatewayProxyResponse, error) {
		r, err := request(ctx, e)
		w := &response{header: http.Header{}, status: http.StatusOK}
		if err != nil { // the caller's error, not the function's
			writeProblem(w, problem.Of(err), e.RequestContext.RequestID)
			return w.event(), nil
		}
		h.ServeHTTP(w, r)
		return w.event(), nil
	}
}

// LambdaOr adapts a handler as Lambda does, for a function that other events run as well: job gets every event that is
// not a request. API Gateway's events always have a request context, in every payload format, so no client can send an
// event that passes for an event of a schedule or of another function.
func LambdaOr(
	h http.Handler, job func(ctx context.Context, event json.RawMessage) (any, error),
) func(context.Context, json.RawMessage) (any, error) {
	serve := Lambda(h)
	return func(ctx context.Context, event json.RawMessage) (any, error) {
		var e Event
		if err := json.Unmarshal(event, &e); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrEvent, err)
		}
		var asked struct {
			Context json.RawMessage `json:"requestContext"`
		}
		if err := json.Unmarshal(event, &asked); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrEvent, err)
		}
		if e.HTTPMethod == "" && asked.Context == nil {
			return job(ctx, event)
		}
		return serve(ctx, e)
	}
}

// request builds the http.Request that an event stands for.
func request(ctx context.Context, e Event) (*http.Request, error) {
	// format 2.0 has other members: its requests would look empty
	if e.HTTPMethod == "" || e.Version != "" && e.Version != "1.0" {
		return nil, fmt.Errorf("%w: payload format %.16q", ErrEvent, e.Version)
	}
	body := []byte(e.Body)
	if e.IsBase64Encoded {
		var err error
		if body, err = base64.StdEncoding.DecodeString(e.Body); err != nil {
			return nil, fmt.Errorf("%w: decode the body: %w", ErrEvent, err)
		}
	}
	c, err := call(e)
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(WithCall(ctx, c), e.HTTPMethod, "/", bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("%w: build the request: %w", ErrEvent, err)
	}
	r.URL, r.Header, r.Host = target(e), header(e), e.RequestContext.DomainName
	return r, nil
}

// target is the request's URL. A REST API leaves the path's escapes as the client sent them; an HTTP API has decoded
// the path, and to decode it again would turn %2561 into an a.
func target(e Event) *url.URL {
	u := &url.URL{Path: e.Path, RawQuery: query(e).Encode()}
	if e.Version != "" {
		return u
	}
	if decoded, err := url.PathUnescape(e.Path); err == nil && decoded != e.Path {
		u.Path, u.RawPath = decoded, e.Path
	}
	return u
}

// call takes what the edge says. Two certificates that differ are no request: one of them would be believed.
func call(e Event) (Call, error) {
	c := Call{
		By:    audit.By{RequestID: e.RequestContext.RequestID, SourceIP: e.RequestContext.Identity.SourceIP},
		Host:  routes.Host(e.StageVariables[hostVariable]),
		Mount: mount(e),
	}
	for _, cert := range []*events.APIGatewayCustomAuthorizerRequestTypeRequestIdentityClientCert{
		e.RequestContext.Identity.ClientCert, e.RequestContext.Authentication.ClientCert,
	} {
		switch {
		case cert == nil || cert.ClientCertPem == c.CertificatePEM:
		case c.CertificatePEM == "":
			c.CertificatePEM = cert.ClientCertPem
		default:
			return Call{}, fmt.Errorf("%w: the event names two client certificates", ErrEvent)
		}
	}
	return c, nil
}

// mount is the stage's part of the path, which e.Path does not contain: an API has it at the endpoint that API
// Gateway gives it, whose name begins with the API's id. Both paths have to agree on it. The stage comes from the
// deployment, never from the client. Behind any other name, a domain's or a proxy's, the stage is not part of the path.
func mount(e Event) string {
	c := e.RequestContext
	own := c.APIID != "" && strings.HasPrefix(c.DomainName, c.APIID+".")
	if at := "/" + c.Stage; own && at != "/" && c.Path == at+e.Path {
		return at
	}
	return ""
}

func query(e Event) url.Values {
	if len(e.MultiValueQueryStringParameters) > 0 {
		return e.MultiValueQueryStringParameters
	}
	values := url.Values{}
	for name, value := range e.QueryStringParameters {
		values.Set(name, value)
	}
	return values
}

func header(e Event) http.Header {
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

package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"

	"github.com/aws/aws-lambda-go/events"

	"github.com/mastio-aws/mastio/shared/boot"
	"github.com/mastio-aws/mastio/test/inmemory"
)

type (
	request  = events.APIGatewayProxyRequest
	response = events.APIGatewayProxyResponse
)

// lambda is a function as its runtime calls it, less the JSON of the event.
type lambda func(context.Context, request) (response, error)

// expect calls the function; any other status is an error.
func (l lambda) expect(ctx context.Context, r request, status int) (response, error) {
	out, err := l(ctx, r)
	if err == nil && out.StatusCode != status {
		err = fmt.Errorf("%s %s answered %d, want %d: %.300s", r.HTTPMethod, r.Path, out.StatusCode, status, out.Body)
	}
	return out, err
}

// logged writes the log that functions write on AWS.
func logged(p *boot.Parts) { p.Log = slog.New(slog.NewJSONHandler(io.Discard, nil)) }

// newRequest is the event of a request as API Gateway sends it for a client like curl.
func newRequest(method, path, body string, header ...string) request {
	multi := map[string][]string{
		"Accept": {"*/*"}, "Host": {"mastio.test:9443"}, "User-Agent": {"curl/8.5.0"}, "X-Forwarded-For": {"192.0.2.7"},
		"X-Forwarded-Port": {"9443"}, "X-Forwarded-Proto": {"https"},
		"X-Amzn-Trace-Id": {"Root=1-69247a00-1c2b3a495867768594a3b2c1"},
	}
	for i := 0; i < len(header); i += 2 {
		multi[header[i]] = []string{header[i+1]}
	}
	r := request{HTTPMethod: method, Path: path, Resource: path, Body: body, MultiValueHeaders: multi}
	r.RequestContext.RequestID = "5f3b4f2e-7a52-4d59-9d3c-0a1b2c3d4e5f"
	r.RequestContext.DomainName = "mastio.test"
	r.RequestContext.Identity.SourceIP = "192.0.2.7"
	return r
}

// asAdmin is a request with the admin secret, with a JSON body unless that is empty.
func asAdmin(method, path, body string) request {
	if body == "" {
		return newRequest(method, path, "", "X-Admin-Secret", inmemory.Secret)
	}
	return newRequest(method, path, body, "X-Admin-Secret", inmemory.Secret, "Content-Type", "application/json")
}

// asAgent is a token request over a connection with a client certificate, with a DPoP proof unless that is empty.
func asAgent(certPEM []byte, proof string) request {
	r := newRequest("POST", tokenPath, "grant_type=client_credentials", "Content-Type",
		"application/x-www-form-urlencoded")
	if proof != "" {
		r.MultiValueHeaders["Dpop"] = []string{proof}
	}
	r.RequestContext.Identity.ClientCert = &events.APIGatewayCustomAuthorizerRequestTypeRequestIdentityClientCert{
		ClientCertPem: string(certPEM),
	}
	return r
}

const tokenPath = "/v1/auth/token" //nolint:gosec // a path, no credential

func rotatePath(agentID string) string { return "/registry/agents/" + agentID + "/rotate-cert" }

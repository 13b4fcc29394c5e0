package gateway

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/aws/aws-lambda-go/events"

	"github.com/mastio-aws/mastio/shared/routes"
)

// How an HTTP API differs from a REST API. Source: "Create AWS Lambda proxy integrations for HTTP APIs"
// (payload format 1.0), API Gateway developer guide.
const (
	headerHTTPRequestID = "Apigw-Requestid"
	defaultRoute        = "$default"
	// strayFunction answers what no route of the agents' API has: infra/mastio deploys it so.
	strayFunction = "discovery"
)

// httpEvent is the proxy event of an HTTP API in payload format 1.0.
type httpEvent struct {
	Version string `json:"version"`
	events.APIGatewayProxyRequest
}

// httpTarget returns what the agents' HTTP API would call for a request; ok is false where the request is none of its
// own. On the one local port a client shows with its certificate that it means the agents' host.
func (g *Gateway) httpTarget(r *http.Request, t target, known, shown bool) (_ target, ok bool) {
	if !g.cfg.HTTPAgents || known && !t.agents || !shown && (!known || t.operators) {
		return t, false
	}
	stray := !known || !slices.ContainsFunc(routes.On(t.resource), func(r2 routes.Route) bool {
		return r2.Method == r.Method || r2.Method == http.MethodGet && r.Method == http.MethodHead
	})
	if stray {
		t.function, t.resource = strayFunction, defaultRoute
	}
	t.agents, t.resourceID = true, ""
	return t, true
}

// asHTTP turns a REST API's event into an HTTP API's: names of headers in lower case, the path decoded, the stage
// $default with the variable that names the host.
func (g *Gateway) asHTTP(c *call, e events.APIGatewayProxyRequest) ([]byte, error) {
	multi := make(map[string][]string, len(e.MultiValueHeaders))
	for name, values := range e.MultiValueHeaders {
		multi[strings.ToLower(name)] = append(multi[strings.ToLower(name)], values...)
	}
	e.MultiValueHeaders, e.Headers = multi, last(multi)
	e.Path, e.RequestContext.Path = c.URL.Path, c.URL.Path
	e.StageVariables = map[string]string{"host": string(routes.Agents)}
	e.RequestContext.Stage, e.RequestContext.ExtendedRequestID = defaultRoute, e.RequestContext.RequestID
	e.RequestContext.Authorizer = map[string]any{"claims": nil, "scopes": nil}
	return json.Marshal(httpEvent{"1.0", e})
}

// textual reports whether an HTTP API passes a body of this media type as text; all others come in base64.
func textual(contentType string) bool {
	mediaType, _, _ := strings.Cut(strings.ToLower(contentType), ";")
	mediaType = strings.TrimSpace(mediaType)
	return mediaType == "" || strings.HasPrefix(mediaType, "text/") ||
		slices.Contains([]string{"application/json", "application/javascript", "application/xml"}, mediaType)
}

// markHTTP names the request to the client in place of a REST API's two headers.
func (i ids) markHTTP(h http.Header) {
	maps.DeleteFunc(h, func(name string, _ []string) bool { return name == headerRequestID || name == headerExtendedID })
	h[headerHTTPRequestID] = []string{i.request}
}

package gateway

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-lambda-go/events"
)

var errBody = errors.New("request body cannot be read")

// call is one request that has a route.
type call struct {
	*http.Request
	target
	params map[string]string
	ids    ids
	at     time.Time
	cert   *clientCert // nil without a trusted one, and on the operators' domain

	overHTTP bool // the API is an HTTP API
}

// event returns the proxy event (JSON) of a request.
// Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html
func (g *Gateway) event(w http.ResponseWriter, c *call) ([]byte, error) {
	e := events.APIGatewayProxyRequest{
		Resource:       c.resource,
		Path:           c.URL.EscapedPath(),
		HTTPMethod:     c.Method,
		RequestContext: g.requestContext(c),
	}
	if len(c.params) > 0 {
		e.PathParameters = c.params
	}
	e.Headers, e.MultiValueHeaders = headers(c)
	if query := c.URL.Query(); len(query) > 0 {
		e.MultiValueQueryStringParameters, e.QueryStringParameters = query, last(query)
	}
	var err error
	if e.Body, e.IsBase64Encoded, err = g.body(w, c); err != nil {
		return nil, err
	}
	if c.overHTTP {
		return g.asHTTP(c, e)
	}
	return json.Marshal(e)
}

func (g *Gateway) requestContext(c *call) events.APIGatewayProxyRequestContext {
	domain := g.cfg.DomainName
	if domain == "" {
		domain = hostOnly(c.Host)
	}
	prefix, _, _ := strings.Cut(domain, ".")
	return events.APIGatewayProxyRequestContext{
		AccountID:         g.cfg.Account,
		APIID:             g.cfg.APIID,
		DomainName:        domain,
		DomainPrefix:      prefix,
		ExtendedRequestID: c.ids.extended,
		HTTPMethod:        c.Method,
		Identity: events.APIGatewayRequestIdentity{
			SourceIP:   hostOnly(c.RemoteAddr),
			UserAgent:  c.UserAgent(),
			ClientCert: c.cert,
		},
		Path:             c.URL.EscapedPath(),
		Protocol:         c.Proto,
		RequestID:        c.ids.request,
		RequestTime:      c.at.UTC().Format("02/Jan/2006:15:04:05 -0700"),
		RequestTimeEpoch: c.at.UnixMilli(),
		ResourceID:       c.resourceID,
		ResourcePath:     c.resource,
		Stage:            g.cfg.StageName,
	}
}

// headers returns what the client sent, less what concerns only its connection, plus what the edge
// says itself, whatever the client claimed. Names are lower case over HTTP/2 (RFC 9113 section 8.2), as they
// are on the wire; over HTTP/1.1 net/http has made them canonical.
func headers(c *call) (single map[string]string, multi map[string][]string) {
	multi = make(map[string][]string, len(c.Header)+5)
	for name, values := range c.Header {
		if hopByHop(name) || setByEdge(name) {
			continue
		}
		if c.ProtoMajor >= 2 {
			name = strings.ToLower(name)
		}
		multi[name] = values
	}
	proto := "http"
	if c.TLS != nil {
		proto = "https"
	}
	multi["Host"] = []string{c.Host}
	multi["X-Forwarded-For"] = []string{hostOnly(c.RemoteAddr)}
	multi["X-Forwarded-Port"] = []string{localPort(c.Request)}
	multi["X-Forwarded-Proto"] = []string{proto}
	multi["X-Amzn-Trace-Id"] = []string{c.ids.traceHeader(c.at)}
	return last(multi), multi
}

// hopByHop takes canonical names (RFC 9110 section 7.6.1). Content-Length is among them, since the body is
// not passed on as it was framed.
func hopByHop(name string) bool {
	switch name {
	case "Connection", "Content-Length", "Expect", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding",
		"Upgrade":
		return true
	}
	return false
}

func setByEdge(name string) bool {
	switch name {
	case "Host", "Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Proto",
		"X-Amzn-Trace-Id":
		return true
	}
	return false
}

// last returns the last of each name's values, as API Gateway does where an event has room for one.
func last(multi map[string][]string) map[string]string {
	single := make(map[string]string, len(multi))
	for name, values := range multi {
		if len(values) > 0 {
			single[name] = values[len(values)-1]
		}
	}
	return single
}

// body returns a request's body as an event carries it: as text, or base64 where its media type says
// that it is binary, or its octets do.
func (g *Gateway) body(w http.ResponseWriter, c *call) (body string, isBase64 bool, err error) {
	if c.ContentLength > g.cfg.MaxBody {
		return "", false, &http.MaxBytesError{Limit: g.cfg.MaxBody}
	}
	if c.ContentLength == 0 {
		return "", false, nil
	}
	// The deadline is for the body alone: a handler's own time is not counted, and the next request has its own. A
	// writer of a test knows no deadlines.
	deadline := http.NewResponseController(w)
	_ = deadline.SetReadDeadline(time.Now().Add(g.cfg.BodyWithin))
	defer func() {
		if err == nil {
			_ = deadline.SetReadDeadline(time.Time{})
		}
	}()
	buf := g.buffers.Get().(*bytes.Buffer)
	defer g.buffers.Put(buf)
	buf.Reset()
	if _, err := buf.ReadFrom(http.MaxBytesReader(w, c.Body, g.cfg.MaxBody)); err != nil {
		return "", false, fmt.Errorf("%w: %w", errBody, err)
	}
	if binary(c.Header.Get("Content-Type")) || c.overHTTP && !textual(c.Header.Get("Content-Type")) ||
		!utf8.Valid(buf.Bytes()) {
		return base64.StdEncoding.EncodeToString(buf.Bytes()), true, nil
	}
	return buf.String(), false, nil
}

// binary reports whether the deployed API lists a media type as binary.
func binary(contentType string) bool {
	mediaType, _, _ := strings.Cut(contentType, ";")
	switch strings.ToLower(strings.TrimSpace(mediaType)) {
	case "multipart/form-data", "application/pkcs10", "application/octet-stream":
		return true
	}
	return false
}

// hostOnly takes the port off an address, if it has one.
func hostOnly(address string) string {
	if host, _, err := net.SplitHostPort(address); err == nil {
		return host
	}
	return address
}

func localPort(r *http.Request) string {
	if a, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr); ok {
		return strconv.Itoa(a.Port)
	}
	return "443"
}

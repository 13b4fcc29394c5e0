// Package gateway is a local API Gateway: it serves both domains of the route table on one port, checks
// client certificates against the truststore, and turns requests into REST (v1) proxy events and back.
package gateway

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/mastio-aws/mastio/shared/routes"
)

// Config says what the gateway calls. Only Invoke and Truststore are required.
type Config struct {
	// Invoke runs a function with an event and returns its answer or, with a functionError other than
	// "", an error document. It must give up when the context ends. An error whose ErrorCode method
	// says TooManyRequestsException is answered 429, RequestTooLargeException 413, any other 500.
	Invoke func(ctx context.Context, function string, payload []byte) (answer []byte, functionError string, err error)

	// Truststore returns the truststore object and a version that changes whenever the object does. It is called at most
	// once a second, and always before a certificate is refused.
	Truststore func(ctx context.Context) (pem []byte, version string, err error)

	// Operators, if set, is the operators' domain. The agents' domain gets the paths that only it has, and paths of
	// both domains if the client shows a certificate. Operators gets every other request.
	Operators http.Handler

	// HTTPAgents makes the agents' API an HTTP API with payload format 1.0, as on AWS; false: a REST API, as on
	// LocalStack.
	HTTPAgents bool

	DomainName string        // "" means the name in each request's Host header
	StageName  string        // "" means "live"
	APIID      string        // "" means "local"
	Account    string        // "" means 000000000000
	MaxBody    int64         // of a request, in bytes; 0 means 10 MB, API Gateway's limit
	Timeout    time.Duration // of an invocation; 0 means 29 s, API Gateway's limit
	BodyWithin time.Duration // how long a request's body may take to arrive; 0 means 60 s: 10 MB at 1.4 Mbit/s
	Log        *slog.Logger  // nil discards
	Now        func() time.Time
}

// Gateway is an http.Handler, safe for concurrent use. Serve it over TLS with TLSConfig.
type Gateway struct {
	cfg     Config
	targets map[string]target // by resource path
	trust   truststore
	buffers sync.Pool
}

// target is what a resource path leads to.
type target struct {
	function   string
	resource   string
	resourceID string
	agents     bool // served on the domain with mutual TLS
	operators  bool // served on the domain without
}

// New returns a gateway for the routes of the route table as it is now.
func New(cfg Config) *Gateway {
	cfg = cfg.withDefaults()
	g := &Gateway{
		cfg:     cfg,
		targets: map[string]target{},
		trust:   truststore{fetch: cfg.Truststore, log: cfg.Log},
		buffers: sync.Pool{New: func() any { return new(bytes.Buffer) }},
	}
	for _, r := range routes.All() {
		t := g.targets[r.Path]
		t.function, t.resource, t.resourceID = r.Function, r.Path, resourceID(r.Path)
		t.agents = t.agents || slices.Contains(r.Hosts, routes.Agents)
		t.operators = t.operators || slices.Contains(r.Hosts, routes.Operators)
		g.targets[r.Path] = t
	}
	return g
}

func (c Config) withDefaults() Config {
	for field, value := range map[*string]string{
		&c.StageName: "live",
		&c.APIID:     "local",
		&c.Account:   "000000000000",
	} {
		if *field == "" {
			*field = value
		}
	}
	if c.MaxBody <= 0 {
		c.MaxBody = 10 << 20
	}
	if c.Timeout <= 0 {
		c.Timeout = 29 * time.Second
	}
	if c.BodyWithin <= 0 {
		c.BodyWithin = time.Minute
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

// TLSConfig returns what to serve the gateway with: TLS 1.2 or later, HTTP/2, 1.1 or 1.0, a client certificate
// if the client has one. The handshake proves that the client holds the certificate's key; whether
// the certificate is trusted depends on the route, so it is decided per request.
func (g *Gateway) TLSConfig(cert tls.Certificate) *tls.Config {
	return &tls.Config{
		Certificates: []tls.Certificate{cert},
		MinVersion:   tls.VersionTLS12,
		ClientAuth:   tls.RequestClientCert,
		NextProtos:   []string{"h2", "http/1.1", "http/1.0"},
	}
}

// ServeHTTP answers one request.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	resource, params, ok := routes.Match(r.URL.EscapedPath())
	t, known := g.targets[resource]
	shown := r.TLS != nil && len(r.TLS.PeerCertificates) > 0
	if g.cfg.Operators != nil && (!t.agents || t.operators && !shown) {
		g.cfg.Operators.ServeHTTP(w, r)
		return
	}
	id := newIDs()
	id.mark(w.Header())
	t, overHTTP := g.httpTarget(r, t, ok && known, shown)
	if overHTTP {
		id.request = id.extended
		id.markHTTP(w.Header())
	} else if !ok || !known {
		notFound(w, id)
		return
	}
	c := call{Request: r, target: t, params: params, ids: id, at: g.cfg.Now(), overHTTP: overHTTP}
	var err error
	if t.agents && shown {
		c.cert, err = g.trust.check(r.Context(), r.TLS.PeerCertificates, c.at)
	}
	if err == nil {
		err = g.serve(w, &c)
	}
	if err != nil {
		g.refuse(w, &c, err)
	}
}

func (g *Gateway) serve(w http.ResponseWriter, c *call) error {
	event, err := g.event(w, c)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.Context(), g.cfg.Timeout)
	defer cancel()
	payload, functionError, err := g.cfg.Invoke(ctx, c.function, event)
	if err != nil {
		return err
	}
	if functionError != "" {
		return &invocationError{kind: errorType(payload)}
	}
	a, err := decode(payload)
	if err != nil {
		return err
	}
	if !c.overHTTP {
		a = a.forREST(c.Header.Get("Accept"))
	}
	a.write(w)
	return nil
}

// invocationError is a function error. Only its type is kept: the rest is in the function's own log.
type invocationError struct{ kind string }

func (f *invocationError) Error() string { return "the function failed: " + f.kind }

func errorType(document []byte) string {
	var d struct {
		Type string `json:"errorType"`
	}
	if err := json.Unmarshal(document, &d); err != nil || d.Type == "" {
		return "unknown"
	}
	return d.Type
}

// refuse maps what went wrong to the edge's own answers.
func (g *Gateway) refuse(w http.ResponseWriter, c *call, err error) {
	var coded interface{ ErrorCode() string }
	code := ""
	if errors.As(err, &coded) {
		code = coded.ErrorCode()
	}
	var tooLarge *http.MaxBytesError
	var failed *invocationError
	e := internal
	switch {
	case c.Context().Err() != nil && !errors.Is(err, os.ErrDeadlineExceeded):
		panic(http.ErrAbortHandler) // the client is gone; to just return would be to answer 200
	case errors.Is(err, errUntrusted):
		e = forbidden
	case errors.Is(err, errTruststore):
		e = unavailable
	case errors.As(err, &tooLarge), code == "RequestTooLargeException":
		e = tooLong
	case errors.Is(err, os.ErrDeadlineExceeded) && errors.Is(err, errBody):
		e = tooSlow
	case errors.Is(err, errBody):
		e = badRequest
	case errors.Is(err, context.DeadlineExceeded):
		e = timedOut
	case code == "TooManyRequestsException":
		e = throttled
	case errors.As(err, &failed), errors.Is(err, errMalformed):
		e = badGateway
	}
	g.cfg.Log.LogAttrs(c.Context(), slog.LevelWarn, "gateway.refused",
		slog.String("request_id", c.ids.request), slog.String("function", c.function),
		slog.Int("status", e.status), slog.String("cause", err.Error()))
	e.write(w)
}

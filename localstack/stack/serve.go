package stack

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"syscall"
	"time"
)

// The services that stand behind the functions, under the names that Wrap and Endpoints use.
const (
	DynamoDB       = "dynamodb"
	KMS            = "kms"
	S3             = "s3"
	SecretsManager = "secretsmanager"
	EventBridge    = "eventbridge"
	Lambda         = "lambda"
	APIGateway     = "apigateway" // its control plane, as far as the agents' domain needs it
)

// Services lists them.
func Services() []string {
	return []string{DynamoDB, KMS, S3, SecretsManager, APIGateway, EventBridge, Lambda}
}

// scopes are the names of the services in the scope of a signature, where they differ.
var scopes = map[string]string{EventBridge: "events"}

// serveServices gives every service its endpoint, behind the check of this run's access keys. DynamoDB Local has an
// endpoint and a check of its own; it gets a proxy in front only when there is something to put between.
func (s *Stack) serveServices() error {
	s.Endpoints[DynamoDB] = s.database.Endpoint()
	if s.cfg.Wrap != nil {
		proxy, err := s.proxy(s.database.Endpoint())
		if err != nil {
			return err
		}
		s.handlers[DynamoDB] = proxy
	}
	for _, name := range Services() {
		h := s.handlers[name]
		if h == nil {
			continue
		}
		if s.cfg.Wrap != nil {
			h = s.cfg.Wrap(name, h)
		}
		h = s.Keys.Check(cmp.Or(scopes[name], name), h)
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return fmt.Errorf("listen for %s: %w", name, err)
		}
		s.serve(h, nil, l)
		s.Endpoints[name] = "http://" + l.Addr().String()
	}
	return nil
}

func (s *Stack) proxy(endpoint string) (http.Handler, error) {
	to, err := url.Parse(endpoint)
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true}
	s.onClose(func() error { transport.CloseIdleConnections(); return nil })
	return &httputil.ReverseProxy{
		Transport: transport,
		// The host is signed; the database checks the signature too.
		Rewrite:  func(r *httputil.ProxyRequest) { r.SetURL(to); r.Out.Host = r.In.Host },
		ErrorLog: log.New(s.out, "dynamodb proxy: ", 0),
	}, nil
}

// closeGrace is how long requests in progress may take to end.
const closeGrace = 3 * time.Second

// A request to a service arrives whole within readWithin, which leaves room for a function that Lambda's API waits for;
// its connection waits for the next one for idleFor.
const (
	readWithin = 2 * time.Minute
	idleFor    = 5 * time.Minute
)

// serve answers on the listeners until Close; with a TLS configuration over HTTP/2 too.
func (s *Stack) serve(h http.Handler, secure *tls.Config, listeners ...net.Listener) {
	web := &http.Server{
		Handler:           h,
		TLSConfig:         secure,
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          log.New(s.out, "http: ", 0),
	}
	if secure == nil { // the gateway has a deadline of its own for bodies
		web.ReadTimeout, web.IdleTimeout = readWithin, idleFor
	}
	var ended sync.WaitGroup
	for _, l := range listeners {
		ended.Go(func() {
			serve := web.Serve
			if secure != nil {
				serve = func(l net.Listener) error { return web.ServeTLS(l, "", "") }
			}
			if err := serve(l); !errors.Is(err, http.ErrServerClosed) {
				fmt.Fprintf(s.out, "http: %v\n", err)
			}
		})
	}
	s.onClose(func() error {
		ctx, cancel := context.WithTimeout(context.Background(), closeGrace)
		defer cancel()
		if web.Shutdown(ctx) != nil {
			web.Close()
		}
		ended.Wait()
		return nil
	})
}

func explainBind(port string, err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("port %s: %w; stop it or set PORT=", port, ErrPortInUse)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("port %s needs more rights than this user has; set PORT= to one above 1023", port)
	}
	return fmt.Errorf("listen: %w", err)
}

// direct answers a client's requests by calling the handler, without a socket and past whatever wraps it.
type direct struct{ http.Handler }

// RoundTrip implements http.RoundTripper.
func (d direct) RoundTrip(r *http.Request) (*http.Response, error) {
	in := r.Clone(r.Context())
	in.RequestURI = r.URL.RequestURI()
	if in.Body == nil {
		in.Body = http.NoBody
	}
	defer in.Body.Close()
	w := httptest.NewRecorder()
	d.ServeHTTP(w, in)
	out := w.Result()
	out.Request = r
	return out, nil
}

// lockedWriter lets functions and services share one log.
type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

// Write implements io.Writer.
func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

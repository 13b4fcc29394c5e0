// Package api calls the operators' API and the agents' API. It tells apart what a caller has to tell apart: a request
// that was refused, a Mastio that cannot be reached, and a change whose outcome is not known.
package api

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// most is the longest answer that is read, in octets: above a bundle's part.
const most = 64 << 20

// Client calls one host. It is safe for concurrent use once it is built.
type Client struct {
	URL    string // without a slash at its end
	Secret string // sent as X-Admin-Secret; empty: not sent
	HTTP   *http.Client
	// Wait waits before a request is repeated, and returns ctx's error when ctx ends first.
	Wait func(ctx context.Context, d time.Duration) error
}

// Request is a call. A request that changes something and is not safe to repeat has a Key.
type Request struct {
	Method, Path string
	Query        url.Values
	Body         []byte
	Type         string // of the body; empty: application/json
	Accept       string
	Key          string // Idempotency-Key
	Header       map[string]string
}

// Answer is what a request was answered with: a status below 300.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Transport returns a transport that trusts the certificates in roots (PEM), or the system's if roots is empty, and
// shows certificates, if there are any.
func Transport(roots []byte, certificates ...tls.Certificate) (*http.Transport, error) {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: certificates}
	if len(roots) > 0 {
		t.TLSClientConfig.RootCAs = x509.NewCertPool()
		if !t.TLSClientConfig.RootCAs.AppendCertsFromPEM(roots) {
			return nil, errors.New("there is no certificate in PEM")
		}
	}
	return t, nil
}

// New returns a client of the host at base, an https URL. It follows no redirect: the admin secret goes to the host
// that was named, and to no other.
func New(base, secret string, transport http.RoundTripper) (*Client, error) {
	u, err := url.Parse(base)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("%q is not an https URL, such as https://mastio.example.com", base)
	}
	return &Client{
		URL:    strings.TrimSuffix(base, "/"),
		Secret: secret,
		HTTP: &http.Client{
			Transport:     transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		Wait: pause,
	}, nil
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// attempts is how often a request is made before the client gives up. Between two attempts it waits twice as long as
// before, from a quarter of a second on.
const attempts = 6

// Do makes a request, and repeats it while its outcome is not known: the same request, under the same key. Errors:
// *RefusedError, *UnreachableError (nothing was changed), *UnknownError (the change may have been made).
func (c *Client) Do(ctx context.Context, r Request) (Answer, error) {
	var uncertain error // why an earlier attempt may have changed something
	for n := range attempts {
		a, err := c.once(ctx, r)
		again := c.judge(r, a, err, uncertain != nil)
		switch {
		case again == nil && err == nil && a.Status < 300:
			return a, nil
		case again == nil:
			return a, refusal(a)
		case r.changes() && !never(err):
			uncertain = again
		}
		if n == attempts-1 || never(err) && uncertain == nil {
			return a, c.end(r, again, uncertain)
		}
		if c.Wait(ctx, max(retryAfter(a), 250*time.Millisecond<<n)) != nil {
			return a, c.end(r, again, uncertain)
		}
	}
	panic("unreachable: the last attempt returns")
}

// end is the error after the last attempt.
func (c *Client) end(r Request, last, uncertain error) error {
	if uncertain != nil {
		return &UnknownError{r.Method + " " + r.Path, r.Key, uncertain}
	}
	return &UnreachableError{c.URL, last}
}

// changes reports whether a request that was repeated unknowingly would change something: it needs its key.
func (r Request) changes() bool {
	switch r.Method {
	case http.MethodPatch, http.MethodPut, http.MethodDelete:
		return true
	}
	return r.Key != ""
}

// judge returns why the request has to be made again, and nil for a final answer. An earlier attempt that is uncertain
// makes a refusal that may pass uncertain as well: it speaks of the repetition alone.
func (c *Client) judge(r Request, a Answer, err error, uncertain bool) error {
	if err != nil {
		return err
	}
	code := codeOf(a)
	switch {
	case a.Status == http.StatusInternalServerError, a.Status == http.StatusBadGateway,
		a.Status == http.StatusGatewayTimeout, code == "outcome_unknown", a.Status >= 500 && code == "":
	case uncertain && (a.Status >= 500 || a.Status == http.StatusTooManyRequests):
	case uncertain && a.Status == http.StatusConflict && a.Header.Get("Retry-After") != "": // the first is under way
	case r.Method == http.MethodGet && a.Status == http.StatusServiceUnavailable:
	default:
		return nil
	}
	return fmt.Errorf("%s answered %d %s", c.URL, a.Status, code)
}

func (c *Client) once(ctx context.Context, r Request) (Answer, error) {
	target := c.URL + r.Path
	if len(r.Query) > 0 {
		target += "?" + r.Query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, r.Method, target, bytes.NewReader(r.Body))
	if err != nil {
		return Answer{}, err
	}
	for name, value := range r.Header {
		req.Header.Set(name, value)
	}
	if c.Secret != "" {
		req.Header.Set("X-Admin-Secret", c.Secret)
	}
	if r.Key != "" {
		req.Header.Set("Idempotency-Key", r.Key)
	}
	if len(r.Body) > 0 {
		req.Header.Set("Content-Type", "application/json")
		if r.Type != "" {
			req.Header.Set("Content-Type", r.Type)
		}
	}
	if r.Accept != "" {
		req.Header.Set("Accept", r.Accept)
	}
	resp, err := c.HTTP.Do(req)
	if err != nil {
		return Answer{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, most+1))
	if err == nil && len(body) > most {
		err = fmt.Errorf("an answer of over %d octets", most)
	}
	return Answer{resp.StatusCode, resp.Header, body}, err
}

// Package sdk runs the agents' own SDK (PyPI, cullis-sdk) unmodified against a Mastio, flow by flow. It also runs the
// programs of the page for agent developers, taken from the page's text. With MASTIO_DEPLOYMENT the Mastio is one on
// LocalStack.
package sdk

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mastio-aws/mastio/localstack/cloud/deployed"
	"github.com/mastio-aws/mastio/localstack/machine"
	"github.com/mastio-aws/mastio/localstack/stack"
	"github.com/mastio-aws/mastio/shared/edge/dynamo"
	"github.com/mastio-aws/mastio/test/local"
)

// mastio is a Mastio that the flows run against.
type mastio struct {
	URL    string // under which agents and operators alike reach it
	CAPEM  []byte // what its server certificate chains to
	Secret string
	tick   func(context.Context) error
	aws    []string      // the environment of an agent's host; not on LocalStack
	store  *dynamo.Store // not on LocalStack

	http *http.Client
}

// deploymentFile is the file of a deployment on LocalStack; empty: the tests start a Mastio of their own.
func deploymentFile() string { return os.Getenv("MASTIO_DEPLOYMENT") }

// shared is the one Mastio of all flows that do not need settings of their own. TestMain closes it.
var shared struct {
	sync.Mutex
	m     *mastio
	err   error
	close func() error
}

// output is what the functions print: its end is shown when a flow fails.
var output = &log{}

func TestMain(m *testing.M) {
	code := m.Run()
	if shared.close != nil {
		if err := shared.close(); err != nil {
			fmt.Println("close the Mastio:", err)
			code = 1
		}
	}
	if code != 0 {
		fmt.Println("--- the end of the functions' log ---")
		fmt.Println(output.tail(6_000))
	}
	os.Exit(code)
}

// running returns the shared Mastio, and starts it for the first caller. Without a Python it starts nothing.
func running(t *testing.T) *mastio {
	t.Helper()
	sdkPython(t)
	shared.Lock()
	defer shared.Unlock()
	if shared.m == nil && shared.err == nil {
		if deploymentFile() != "" {
			shared.m, shared.err = attach(t.Context(), deploymentFile())
		} else {
			shared.m, shared.close, shared.err = begin(t, nil)
		}
	}
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return shared.m
}

// begin starts a Mastio out of these sources. Where a program is missing that it takes, the test is skipped, in CI
// failed.
func begin(t *testing.T, env map[string]string) (*mastio, func() error, error) {
	t.Helper()
	if err := machine.CheckTools(t.Context()); err != nil {
		missing(t, err.Error())
	}
	s, err := local.Start(t.Context(), stack.Config{Env: env, Log: output})
	if err != nil {
		return nil, nil, err
	}
	m := newMastio(s.URL, s.CAPEM, s.AdminSecret, s.Tick)
	m.store = storeOf(s)
	m.aws, err = awsOf(t.Context(), s)
	return m, s.Close, err
}

func attach(ctx context.Context, path string) (*mastio, error) {
	d, err := deployed.Read(path)
	if err != nil {
		return nil, err
	}
	ca, err := os.ReadFile(d.CAFile)
	if err != nil {
		return nil, err
	}
	c := deployed.Connect(d.Endpoint)
	secret, err := c.AdminSecret(ctx, d.AdminSecretID)
	return newMastio(d.URL, ca, secret, func(ctx context.Context) error { return c.Tick(ctx, d.OrgID) }), err
}

func newMastio(url string, ca []byte, secret string, tick func(context.Context) error) *mastio {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	return &mastio{
		URL:    url,
		CAPEM:  ca,
		Secret: secret,
		tick:   tick,
		http: &http.Client{
			Timeout:   time.Minute,
			Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}},
		},
	}
}

// missing ends the test: skipped at a desk, failed in CI.
func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatal(what)
	}
	t.Skip(what)
}

// must sends an operator's request and returns the answer's body.
func (m *mastio) must(t *testing.T, want int, method, path, mediaType string, body []byte) []byte {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, m.URL+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Admin-Secret", m.Secret)
	if mediaType != "" {
		r.Header.Set("Content-Type", mediaType)
	}
	res, err := m.http.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != want {
		t.Fatalf("%s %s answered %d, want %d: %s", method, path, res.StatusCode, want, answer)
	}
	return answer
}

// settle runs the scheduled functions: the edge learns of new CAs. A run that meets another one is repeated.
func (m *mastio) settle(t *testing.T) {
	t.Helper()
	var errs []error
	for range 3 {
		err := m.tick(t.Context())
		if err == nil {
			return
		}
		errs = append(errs, err)
	}
	t.Fatal(errors.Join(errs...))
}

// fresh is a name that no other flow uses, nor did one of an earlier run on the same deployment.
func fresh(prefix string) string {
	return prefix + "-" + strings.ToLower(rand.Text()[:8])
}

// log keeps what many processes print.
type log struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write appends.
func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *log) tail(n int) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.text.String()
	return s[max(0, len(s)-n):]
}

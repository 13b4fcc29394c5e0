// Package e2e drives the whole system from outside: HTTPS, real function processes, DynamoDB Local, the KMS-compatible
// server, and the clients that operators and agents use. With MASTIO_DEPLOYMENT it drives a Mastio that was deployed to
// LocalStack instead.
package e2e

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/test/awsmodel"
	"github.com/mastio-aws/mastio/test/permissions"
)

var (
	system *target
	faults = &injector{}
	output = &syncBuffer{}
	watch  *permissions.Watch // of the local stacks
	models awsmodel.Recorder  // of the local stacks
)

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	var err error
	if watch, err = permissions.New(); err != nil {
		fmt.Println(err)
		return 1
	}
	if system, err = start(ctx); errors.Is(err, errMissing) && os.Getenv("CI") == "" {
		fmt.Println("skipping the end-to-end tests:", err)
		return 0
	}
	if err != nil {
		fmt.Println("start the system:", err)
		fmt.Println(output.String())
		return 1
	}
	code := m.Run()
	if code == 0 {
		code = allowed()
	}
	if code == 0 {
		code = models.Report(context.Background(), os.Stdout)
	}
	if err := system.Close(); err != nil {
		fmt.Println("close the system:", err)
		return 1
	}
	if code != 0 {
		fmt.Println("--- errors in the functions' log, then its end ---")
		for line := range strings.Lines(output.String()) {
			if strings.Contains(line, `"level":"ERROR"`) {
				fmt.Print(line)
			}
		}
		fmt.Println(output.Tail(5_000))
	}
	return code
}

// allowed fails the tests for everything that a function did and would not be allowed to do on AWS. What functions do
// on LocalStack is not seen.
func allowed() int {
	refused, looked := watch.Check()
	if looked == 0 {
		return 0
	}
	for _, r := range refused {
		fmt.Println(r)
	}
	if os.Getenv("UNUSED") != "" {
		fmt.Println(strings.Join(watch.Unused(), "\n"))
	}
	fmt.Printf("%d kinds of calls held against infra/permissions.md, %d not allowed\n", looked, len(refused))
	return min(len(refused), 1)
}

// answer is an HTTP answer, read to its end.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (a answer) decode(t *testing.T) map[string]any {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal(a.body, &v); err != nil {
		t.Fatalf("answer %d is not JSON: %v\n%s", a.status, err, a.body)
	}
	return v
}

// client talks to the gateway, with a client certificate or without.
type client struct {
	http *http.Client
	base string // empty: the system's URL
}

func newClient(certs ...tls.Certificate) *client {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(system.CAPEM)
	return &client{http: &http.Client{
		Timeout: 60 * time.Second,
		Transport: &http.Transport{
			TLSClientConfig:     &tls.Config{RootCAs: pool, Certificates: certs, MinVersion: tls.VersionTLS12},
			MaxIdleConnsPerHost: 100,
		},
	}}
}

func (c *client) do(ctx context.Context, method, path string, header map[string]string, body []byte) (answer, error) {
	base := c.base
	if base == "" {
		base = system.URL
	}
	r, err := http.NewRequestWithContext(ctx, method, base+path, bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	for name, value := range header {
		r.Header.Set(name, value)
	}
	resp, err := c.http.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, data}, err
}

func (c *client) must(t *testing.T, want int, method, path string, header map[string]string, body []byte) answer {
	t.Helper()
	a, err := c.do(t.Context(), method, path, header, body)
	if err != nil {
		t.Fatal(err)
	}
	if a.status != want {
		t.Fatalf("%s %s answered %d, want %d: %s", method, path, a.status, want, a.body)
	}
	return a
}

func operator() *client {
	system.once.Do(func() { system.operator = newClient() })
	return system.operator
}

func admin() map[string]string { return map[string]string{"X-Admin-Secret": system.AdminSecret} }

// issued is the part of an enrolment's or a rotation's answer that agents use.
type issued struct {
	AgentID    string          `json:"agent_id"`
	CertPEM    string          `json:"cert_pem"`
	KeyPEM     string          `json:"key_pem"`
	DPoPJWK    json.RawMessage `json:"dpop_jwk"`
	Thumbprint string          `json:"cert_thumbprint"`
	Generation int64           `json:"generation"`
	CAChainPEM string          `json:"ca_chain_pem"`
}

func (i issued) certificate(t *testing.T) tls.Certificate {
	t.Helper()
	cert, err := tls.X509KeyPair([]byte(i.CertPEM), []byte(i.KeyPEM))
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func read(t *testing.T, a answer) issued {
	t.Helper()
	var i issued
	if err := json.Unmarshal(a.body, &i); err != nil {
		t.Fatalf("%v\n%s", err, a.body)
	}
	return i
}

var names struct {
	sync.Mutex
	n int
}

// thisRun keeps runs apart that drive the same deployment.
var thisRun = strings.ToLower(rand.Text()[:6])

// fresh is a name that no other test uses, nor did one of an earlier run.
func fresh(prefix string) string {
	names.Lock()
	defer names.Unlock()
	names.n++
	return fmt.Sprintf("%s-%s-%d", prefix, thisRun, names.n)
}

func enrol(t *testing.T, name string) issued {
	t.Helper()
	body := fmt.Sprintf(`{"agent_name": %q, "capabilities": ["kyc:read", "kyc:write"]}`, name)
	return read(t, operator().must(t, 201, "POST", "/v1/admin/agents", with(admin(), "Content-Type", "application/json"),
		[]byte(body)))
}

func rotate(t *testing.T, id string) issued {
	t.Helper()
	return read(t, operator().must(t, 200, "POST", "/registry/agents/"+id+"/rotate-cert", admin(), nil))
}

func rotateCA(t *testing.T) map[string]any {
	t.Helper()
	return operator().must(t, 200, "POST", "/pki/rotate-ca?mode=mint", admin(), nil).decode(t)
}

func with(header map[string]string, pairs ...string) map[string]string {
	for i := 0; i < len(pairs); i += 2 {
		header[pairs[i]] = pairs[i+1]
	}
	return header
}

const tokenPath = "/v1/auth/token"

// tick runs the scheduled functions. tick repeats a run that fails, as the schedule does, and logs the cause.
func tick(t *testing.T) {
	t.Helper()
	for try := 1; ; try++ {
		from := len(output.String())
		err := system.Tick(t.Context())
		if err == nil {
			return
		}
		for line := range strings.Lines(output.String()[from:]) {
			if strings.Contains(line, `"level":"ERROR"`) {
				t.Log(strings.TrimSpace(line))
			}
		}
		if try == 3 {
			t.Fatal(err)
		}
		t.Logf("run %d of the schedule: %v", try, err)
	}
}

// chain reads one subject's audit chain out of the table and verifies it.
func chain(t *testing.T, subject string) []audit.Row {
	t.Helper()
	rows, err := store().Rows(t.Context(), subject, 0, 100_000)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := audit.Verify(rows); err != nil {
		t.Errorf("chain of %s: %v", subject, err)
	}
	return rows
}

// syncBuffer collects output from many goroutines.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write appends.
func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

// String returns everything.
func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// Tail returns the last n octets.
func (b *syncBuffer) Tail(n int) string {
	s := b.String()
	return s[max(0, len(s)-n):]
}

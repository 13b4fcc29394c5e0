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
	if err := ready(ctx); errors.Is(err, errMissing) && os.Getenv("CI") == "" {
		fmt.Println("skipping the end-to-end tests:", err)
		return 0
	} else if err != nil {
		fmt.Println("find the system:", err)
		return 1
	}
	code := m.Run()
	if code == 0 {
		code = allowed()
	}
	if code == 0 {
		code = models.Report(context.Background(), os.Stdout)
	}
	if err := lent.close(); err != nil {
		fmt.Println("close the systems:", err)
		return 1
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
	base string
}

func (m *target) newClient(certs ...tls.Certificate) *client {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(m.CAPEM)
	return &client{
		base: m.URL,
		http: &http.Client{
			Timeout: 60 * time.Second,
			Transport: &http.Transport{
				TLSClientConfig:     &tls.Config{RootCAs: pool, Certificates: certs, MinVersion: tls.VersionTLS12},
				MaxIdleConnsPerHost: 100,
			},
		},
	}
}

func (c *client) do(ctx context.Context, method, path string, header map[string]string, body []byte) (answer, error) {
	r, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
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

func (m *target) operator() *client {
	m.once.Do(func() { m.withoutCert = m.newClient() })
	return m.withoutCert
}

func (m *target) admin() map[string]string { return map[string]string{"X-Admin-Secret": m.AdminSecret} }

// credential is the part of an enrolment's or a rotation's answer that agents use.
type credential struct {
	AgentID    string          `json:"agent_id"`
	CertPEM    string          `json:"cert_pem"`
	KeyPEM     string          `json:"key_pem"`
	DPoPJWK    json.RawMessage `json:"dpop_jwk"`
	Thumbprint string          `json:"cert_thumbprint"`
	Generation int64           `json:"generation"`
	CAChainPEM string          `json:"ca_chain_pem"`
}

func (i credential) certificate(t *testing.T) tls.Certificate {
	t.Helper()
	cert, err := tls.X509KeyPair([]byte(i.CertPEM), []byte(i.KeyPEM))
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func read(t *testing.T, a answer) credential {
	t.Helper()
	var i credential
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

func (m *target) enrol(t *testing.T, name string) credential {
	t.Helper()
	body := fmt.Sprintf(`{"agent_name": %q, "capabilities": ["kyc:read", "kyc:write"]}`, name)
	return read(t, m.operator().must(t, 201, "POST", "/v1/admin/agents",
		with(m.admin(), "Content-Type", "application/json"), []byte(body)))
}

func (m *target) rotate(t *testing.T, id string) credential {
	t.Helper()
	return read(t, m.operator().must(t, 200, "POST", "/registry/agents/"+id+"/rotate-cert", m.admin(), nil))
}

func (m *target) rotateCA(t *testing.T) map[string]any {
	t.Helper()
	return m.operator().must(t, 200, "POST", "/pki/rotate-ca?mode=mint", m.admin(), nil).decode(t)
}

func with(header map[string]string, pairs ...string) map[string]string {
	for i := 0; i < len(pairs); i += 2 {
		header[pairs[i]] = pairs[i+1]
	}
	return header
}

const tokenPath = "/v1/auth/token"

// tick runs the scheduled functions.
func (m *target) tick(t *testing.T) {
	t.Helper()
	m.repeat(t, m.Tick)
}

// standby runs the job that makes the next Org CA, and with it the truststore. With -short that is this job alone: the
// jobs that run after it read more with every generation that earlier tests left.
func (m *target) standby(t *testing.T) {
	t.Helper()
	if !testing.Short() || onLocalStack() {
		m.tick(t)
		return
	}
	m.repeat(t, m.runStandby)
}

func (m *target) runStandby(ctx context.Context) error {
	r, err := m.Lambda.Invoke(ctx, "standby", []byte("{}"))
	if err == nil && r.FunctionError != "" {
		err = fmt.Errorf("standby failed: %s", r.Payload)
	}
	return err
}

// repeat runs a job again if it fails, as the schedule does, and logs the cause.
func (m *target) repeat(t *testing.T, job func(context.Context) error) {
	t.Helper()
	for try := 1; ; try++ {
		from := len(m.output.String())
		err := job(t.Context())
		if err == nil {
			return
		}
		for line := range strings.Lines(m.output.String()[from:]) {
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
func (m *target) chain(t *testing.T, subject string) []audit.Row {
	t.Helper()
	rows, err := m.store().Rows(t.Context(), subject, 0, 100_000)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := audit.Verify(rows); err != nil {
		t.Errorf("chain of %s: %v", subject, err)
	}
	return rows
}

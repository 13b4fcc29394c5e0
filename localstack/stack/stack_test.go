package stack_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/google/go-cmp/cmp"

	"github.com/mastio-aws/mastio/localstack/aws/dynamodb"
	"github.com/mastio-aws/mastio/localstack/aws/dynamodb/dynamodbtest"
	"github.com/mastio-aws/mastio/localstack/aws/sigv4"
	"github.com/mastio-aws/mastio/localstack/stack"
	"github.com/mastio-aws/mastio/shared/routes"
)

const (
	root      = "../.."
	cache     = root + "/build/localstack"
	functions = root + "/build/local"
)

var build = sync.OnceValue(func() error { return stack.Build(context.Background(), root, functions) })

func start(t *testing.T, cfg stack.Config) *stack.Stack {
	t.Helper()
	for _, tool := range []string{"go", "npm", "javac", "java"} {
		if _, err := exec.LookPath(tool); err != nil {
			if os.Getenv("CI") != "" {
				t.Fatalf("%s is needed: %v", tool, err)
			}
			t.Skipf("%s is needed: %v", tool, err)
		}
	}
	if err := build(); err != nil {
		t.Fatal(err)
	}
	cfg.Cache, cfg.Functions = cache, functions
	if cfg.Addr == "" {
		cfg.Addr = "127.0.0.1:0"
	}
	log := &buffer{}
	cfg.Log = log
	s, err := stack.Start(t.Context(), cfg)
	if err != nil {
		t.Fatalf("%v\n%s", err, log)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("log:\n%s", log)
		}
	})
	return s
}

// startShared is start, with the database of other tests. Each of them enrols an agent of the same name, because the
// tables are apart.
func startShared(t *testing.T, cfg stack.Config) *stack.Stack {
	t.Helper()
	cfg.Database = dynamodbtest.Server(t, root)
	return start(t, cfg)
}

type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// client trusts the stack's own CA and nothing else, and shows a certificate if it is given one.
func client(t *testing.T, s *stack.Stack, certPEM, keyPEM string) *http.Client {
	t.Helper()
	cfg := &tls.Config{RootCAs: x509.NewCertPool()}
	if !cfg.RootCAs.AppendCertsFromPEM(s.CAPEM) {
		t.Fatal("CAPEM holds no certificate")
	}
	if certPEM != "" {
		pair, err := tls.X509KeyPair([]byte(certPEM), []byte(keyPEM))
		if err != nil {
			t.Fatal(err)
		}
		cfg.Certificates = []tls.Certificate{pair}
	}
	transport := &http.Transport{TLSClientConfig: cfg}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

type answer struct {
	Status     int    `json:"-"`
	CertPEM    string `json:"cert_pem"`
	KeyPEM     string `json:"key_pem"`
	Generation int64  `json:"generation"`
	Code       string `json:"code"`
	HealthOf   string `json:"org_id"`
	Version    string `json:"version"`
	Token      string `json:"access_token"`
	LastSeen   string `json:"last_seen"`
}

func call(t *testing.T, s *stack.Stack, c *http.Client, method, path, body string) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Admin-Secret", s.AdminSecret)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	res, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	a := answer{Status: res.StatusCode}
	if err := json.Unmarshal(text, &a); err != nil {
		t.Fatalf("%s %s: status %d, not JSON: %s", method, path, res.StatusCode, text)
	}
	return a
}

func (a answer) want(t *testing.T, what string, status int) answer {
	t.Helper()
	if a.Status != status {
		t.Fatalf("%s: status %d %s, want %d", what, a.Status, a.Code, status)
	}
	return a
}

func enrol(t *testing.T, s *stack.Stack, name string) answer {
	t.Helper()
	return call(t, s, client(t, s, "", ""), "POST", "/v1/admin/agents", `{"agent_name":"`+name+`"}`).want(t, "enrol "+name,
		201)
}

func token(t *testing.T, s *stack.Stack, a answer) answer {
	t.Helper()
	return call(t, s, client(t, s, a.CertPEM, a.KeyPEM), "POST", "/v1/auth/token", "")
}

// long is a test that make test leaves out: it starts stacks for what changes rarely, and only in this package.
func long(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("starts stacks of its own: make check does")
	}
}

func TestLife(t *testing.T) {
	t.Parallel()
	s := start(t, stack.Config{OrgID: "orga"})
	admin := client(t, s, "", "")
	if got := call(t, s, admin, "GET", "/healthz", "").want(t, "healthz", 200); got.HealthOf != "orga" ||
		got.Generation != 1 {
		t.Errorf("healthz: got organisation %q, generation %d, want orga, 1", got.HealthOf, got.Generation)
	}
	if got := call(t, s, admin, "GET", "/healthz", ""); got.Version == "dev" || got.Version == "" {
		t.Errorf("version of a built function: %q, want that of the checkout", got.Version)
	}
	first := enrol(t, s, "kyc")
	if token(t, s, first).want(t, "token of the first certificate", 200).Token == "" {
		t.Error("the token is empty")
	}
	second := call(t, s, admin, "POST", "/registry/agents/orga::kyc/rotate-cert", "").want(t, "rotate the certificate",
		200)
	token(t, s, first).want(t, "token of the rotated certificate", 401)
	token(t, s, second).want(t, "token of the new certificate", 200)
	if got := call(t, s, admin, "POST", "/pki/rotate-ca?mode=mint", "").want(t, "rotate the CA",
		200); got.Generation != 2 {
		t.Errorf("generation: got %d, want 2", got.Generation)
	}
	token(t, s, second).want(t, "token after the CA rotation", 401)
}

func TestCloseLeavesNothing(t *testing.T) {
	t.Parallel()
	s := start(t, stack.Config{})
	pids := []int{s.DatabasePID()}
	for _, of := range s.Lambda.Processes() {
		pids = append(pids, of...)
	}
	if len(pids) < 1+len(routes.Functions()) {
		t.Fatalf("processes: got %v, want one for the database and each of %d functions", pids, len(routes.Functions()))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, pid := range pids {
		if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
			t.Errorf("process %d after Close: got %v, want ESRCH", pid, err)
		}
	}
	select {
	case <-s.Done():
	default:
		t.Error("Done is not closed after Close")
	}
	if _, err := net.DialTimeout("tcp", strings.TrimPrefix(s.URL, "https://"), time.Second); err == nil {
		t.Error("something still answers at", s.URL)
	}
}

func TestStateSurvives(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	s := start(t, stack.Config{Dir: dir, AdminSecret: "first-secret"})
	a := enrol(t, s, "kyc")
	token(t, s, a).want(t, "token", 200)
	_, err := stack.Start(t.Context(), stack.Config{Dir: dir, Cache: cache, Functions: functions, Addr: "127.0.0.1:0"})
	if !errors.Is(err, stack.ErrDirInUse) {
		t.Errorf("second stack on the folder: got %v, want %v", err, stack.ErrDirInUse)
	}
	ca, url := string(s.CAPEM), s.URL
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	again := start(t, stack.Config{Dir: dir, Addr: strings.Replace(url, "https://localhost", "127.0.0.1", 1)})
	if again.AdminSecret != "first-secret" {
		t.Error("the admin secret is another one")
	}
	if string(again.CAPEM) != ca {
		t.Error("the gateway's CA is another one")
	}
	if got := call(t, again, client(t, again, "", ""), "GET", "/healthz", "").want(t, "healthz",
		200); got.Generation != 1 {
		t.Errorf("generation: got %d, want 1", got.Generation)
	}
	token(t, again, a).want(t, "token of the run before", 200)
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}

	third := start(t, stack.Config{Dir: dir, AdminSecret: "second-secret"})
	for _, secret := range []string{"second-secret", "first-secret"} {
		third.AdminSecret = secret
		call(t, third, client(t, third, "", ""), "GET", "/v1/admin/agents/orga::kyc", "").want(t, "with "+secret, 200)
	}
	third.AdminSecret = "zeroth-secret"
	call(t, third, client(t, third, "", ""), "GET", "/v1/admin/agents/orga::kyc", "").want(t, "with another secret", 403)
}

// Another user of the machine reaches every port. Without a key of this run no service answers, whatever the form of
// the request; with one each does.
func TestServicesAnswerThisRunOnly(t *testing.T) {
	t.Parallel()
	for name, wrap := range map[string]func(string, http.Handler) http.Handler{
		"as it runs": nil, "with something between": func(_ string, h http.Handler) http.Handler { return h },
	} {
		t.Run(name, func(t *testing.T) {
			if wrap != nil {
				long(t)
			}
			s := start(t, stack.Config{Wrap: wrap})
			for _, service := range stack.Services() {
				for who, status := range map[string]bool{"no signature": false, "a known id": false, "another run": false,
					"a function": true, "the stack": true} {
					if got := ask(t, s, service, who); (got.StatusCode != 403 && got.StatusCode != 400 ||
						refusal(got) == "") != status {
						t.Errorf("%s, %s: status %d %s", service, who, got.StatusCode, refusal(got))
					}
				}
			}
		})
	}
}

// refusal is the code of an answer that is about who asks; empty for every other answer.
func refusal(res *http.Response) string {
	body, err := io.ReadAll(res.Body)
	res.Body = io.NopCloser(bytes.NewReader(body))
	for _, code := range []string{"MissingAuthenticationToken", "UnrecognizedClient", "InvalidSignature", "AccessDenied"} {
		if err == nil && strings.Contains(string(body), code) {
			return code
		}
	}
	return ""
}

// requests are one for each service that it understands, so that an answer to it is worth having.
var requests = map[string]struct{ method, path, target, body, scope string }{
	stack.DynamoDB: {"POST", "/", "DynamoDB_20120810.ListTables", "{}", "dynamodb"},
	stack.KMS:      {"POST", "/", "TrentService.ListKeys", "{}", "kms"},
	stack.S3:       {"GET", "/mastio-truststore?list-type=2", "", "", "s3"},
	stack.SecretsManager: {"POST", "/", "secretsmanager.GetSecretValue", `{"SecretId":"mastio/admin-secret"}`,
		"secretsmanager"},
	stack.APIGateway:  {"GET", "/domainnames/localhost", "", "", "apigateway"},
	stack.EventBridge: {"POST", "/", "AWSEvents.PutEvents", `{"Entries":[]}`, "events"},
	stack.Lambda:      {"POST", "/2015-03-31/functions/healthz/invocations", "", "{}", "lambda"},
}

func ask(t *testing.T, s *stack.Stack, service, who string) *http.Response {
	t.Helper()
	q := requests[service]
	r, err := http.NewRequestWithContext(t.Context(), q.method, s.Endpoints[service]+q.path, strings.NewReader(q.body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	if q.target != "" {
		r.Header.Set("X-Amz-Target", q.target)
	}
	key := map[string]aws.Credentials{
		"a known id":  {AccessKeyID: stack.AccessKey, SecretAccessKey: stack.AccessKey},
		"another run": {AccessKeyID: stack.AccessKey, SecretAccessKey: sigv4.NewKeys("a")["a"]},
		"a function":  {AccessKeyID: stack.AccessKey + "token", SecretAccessKey: s.Keys[stack.AccessKey+"token"]},
		"the stack":   {AccessKeyID: stack.AccessKey, SecretAccessKey: s.Keys[stack.AccessKey]},
	}[who]
	if key.AccessKeyID != "" {
		sum := sha256.Sum256([]byte(q.body))
		if err := v4.NewSigner().SignHTTP(t.Context(), key, r, hex.EncodeToString(sum[:]), q.scope, "us-east-1",
			time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { res.Body.Close() })
	return res
}

func TestPortInUse(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	_, err = stack.Start(t.Context(), stack.Config{Cache: cache, Functions: functions, Addr: l.Addr().String()})
	if want := "port " + port + ": port is in use by another process; stop it or set PORT="; !errors.Is(err,
		stack.ErrPortInUse) || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestSharedDatabaseKeepsNoState(t *testing.T) {
	_, err := stack.Start(t.Context(), stack.Config{
		Dir:       t.TempDir(),
		Database:  &dynamodb.Server{},
		Cache:     cache,
		Functions: functions,
		Addr:      "127.0.0.1:0",
	})
	if err == nil || !strings.Contains(err.Error(), "Dir and Database") {
		t.Errorf("a state folder and a shared database: got %v, want a refusal", err)
	}
}

func TestRefusedAddresses(t *testing.T) {
	for _, addr := range []string{"0.0.0.0:0", ":9443", "localhost:9443", "127.0.0.1", "192.0.2.1:1"} {
		if _, err := stack.Start(t.Context(), stack.Config{
			Cache:     cache,
			Functions: functions,
			Addr:      addr,
		}); err == nil || !strings.Contains(err.Error(), "loopback") {
			t.Errorf("%s: got %v, want an error about loopback", addr, err)
		}
	}
}

func TestWrap(t *testing.T) {
	t.Parallel()
	var calls [7]atomic.Int64
	var broken atomic.Bool
	s := startShared(t, stack.Config{Wrap: func(service string, h http.Handler) http.Handler {
		n := slices.Index(stack.Services(), service)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			calls[n].Add(1)
			if broken.Load() && service == stack.DynamoDB {
				panic(http.ErrAbortHandler)
			}
			h.ServeHTTP(w, r)
		})
	}})
	for i, name := range stack.Services() {
		if !slices.Contains([]string{stack.SecretsManager, stack.EventBridge, stack.Lambda}, name) && calls[i].Load() == 0 {
			t.Errorf("%s was never called for the first Org CA", name)
		}
	}
	a := enrol(t, s, "kyc")
	token(t, s, a).want(t, "token", 200)
	waitSeen(t, s, "orga::kyc")
	least := [2]int64{-1}
	for range 3 { // where an hour has just begun, one token more has a note of its own
		kms, dynamo := calls[1].Load(), calls[0].Load()
		token(t, s, a).want(t, "token again", 200)
		if got := [2]int64{calls[1].Load() - kms, calls[0].Load() - dynamo}; least[0] < 0 || got[1] < least[1] {
			least = got
		}
	}
	if least != [2]int64{0, 1} {
		t.Errorf("remote calls of a token (KMS, DynamoDB): got %v, want [0 1]", least)
	}

	secret, err := s.Clients.SecretsManager.GetSecretValue(t.Context(),
		&secretsmanager.GetSecretValueInput{SecretId: aws.String(s.AdminSecretID())})
	if err != nil || aws.ToString(secret.SecretString) != s.AdminSecret {
		t.Errorf("the admin secret as stored: got an error %v, or another one", err)
	}
	broken.Store(true)
	token(t, s, a).want(t, "token without DynamoDB", 503)
	if err := s.Tick(t.Context()); err == nil || !strings.Contains(err.Error(), "standby") {
		t.Errorf("tick without DynamoDB: got %v, want an error naming the function", err)
	}
	broken.Store(false)
	token(t, s, a).want(t, "token with DynamoDB again", 200)
	if err := s.Tick(t.Context()); err != nil {
		t.Errorf("tick: %v", err)
	}
}

// waitSeen waits for the note of the hour in which the agent got a token: the token's answer does not.
func waitSeen(t *testing.T, s *stack.Stack, id string) {
	t.Helper()
	admin := client(t, s, "", "")
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if call(t, s, admin, "GET", "/v1/admin/agents/"+id, "").want(t, "get "+id, 200).LastSeen != "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the note of the hour of %s was never stored", id)
		}
	}
}

func TestTicksByItself(t *testing.T) {
	long(t)
	t.Parallel()
	var dynamo atomic.Int64
	s := start(t, stack.Config{
		Tick: 50 * time.Millisecond,
		Wrap: func(service string, h http.Handler) http.Handler {
			if service != stack.DynamoDB {
				return h
			}
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { dynamo.Add(1); h.ServeHTTP(w, r) })
		},
	})
	before := dynamo.Load()
	for deadline := time.Now().Add(30 * time.Second); dynamo.Load() == before; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the scheduled functions never ran")
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	s := startShared(t, stack.Config{Env: map[string]string{"TOKEN_SIGNER": "kms", "TOKEN_REQUIRE_DPOP": "1"}})
	a := enrol(t, s, "kyc")
	token(t, s, a).want(t, "token without a proof, which is required", 400)
}

func TestBuild(t *testing.T) {
	dir := t.TempDir()
	if err := stack.Build(t.Context(), dir, filepath.Join(dir, "out")); err == nil {
		t.Error("built the functions of a folder that has none")
	}
	if err := build(); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, name := range routes.Functions() {
		if info, err := os.Stat(filepath.Join(functions, name, "bootstrap")); err == nil && info.Mode()&0o111 != 0 {
			got = append(got, name)
		}
	}
	if diff := cmp.Diff(routes.Functions(), got); diff != "" {
		t.Errorf("programs (-want +got):\n%s", diff)
	}
}

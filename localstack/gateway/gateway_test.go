package gateway

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var now = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

func clock() time.Time { return now }

// authority signs test certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// sign makes a certificate for a new key; the zero authority signs it with that key itself.
func (a authority) sign(t testing.TB, cn string, change ...func(*x509.Certificate)) authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: cn, Organization: []string{"Acme, Inc."}, Country: []string{"IT"}},
		SerialNumber:          big.NewInt(0x1a2b3c),
		NotBefore:             now.Add(-time.Hour),
		NotAfter:              now.Add(time.Hour),
		BasicConstraintsValid: true,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		KeyUsage:              x509.KeyUsageDigitalSignature,
	}
	for _, c := range change {
		c(template)
	}
	if a.cert == nil {
		a = authority{template, key}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return authority{cert, key}
}

func isCA(c *x509.Certificate) {
	c.IsCA, c.ExtKeyUsage, c.KeyUsage = true, nil, x509.KeyUsageCertSign
}

func noPathBelow(c *x509.Certificate) { c.MaxPathLenZero = true }
func expired(c *x509.Certificate)     { c.NotAfter = now.Add(-time.Minute) }
func notYet(c *x509.Certificate)      { c.NotBefore = now.Add(time.Minute) }
func forServers(c *x509.Certificate)  { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }
func forAnything(c *x509.Certificate) { c.ExtKeyUsage = nil }
func otherSerial(c *x509.Certificate) { c.SerialNumber = big.NewInt(0x80) }
func (a authority) pem() string       { return string(encode("CERTIFICATE", a.cert.Raw)) }
func bundleOf(list ...authority) string {
	var b strings.Builder
	for _, a := range list {
		b.WriteString(a.pem())
	}
	return b.String()
}

// world is a gateway behind a real TLS listener, the function behind it, and its truststore.
type world struct {
	t      testing.TB
	server *httptest.Server
	roots  *x509.CertPool

	mu       sync.Mutex
	events   []events.APIGatewayProxyRequest
	raw      []byte
	function string

	trustPEM string
	version  string
	trustErr error
	asked    int
}

// newWorld starts one. The function answers 200 {} unless the configuration has another.
func newWorld(t testing.TB, cfg Config, anchors ...authority) *world {
	t.Helper()
	w := &world{t: t, trustPEM: bundleOf(anchors...), version: "1", roots: x509.NewCertPool()}
	invoke := cfg.Invoke
	cfg.Invoke = func(ctx context.Context, function string, payload []byte) ([]byte, string, error) {
		w.record(function, payload)
		if invoke != nil {
			return invoke(ctx, function, payload)
		}
		return []byte(`{"statusCode":200,"body":"{}"}`), "", nil
	}
	cfg.Truststore = w.truststore
	if cfg.Now == nil {
		cfg.Now = clock
	}
	g := New(cfg)
	certs, err := SelfSigned(now)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := certs.Certificate()
	if err != nil {
		t.Fatal(err)
	}
	w.roots.AppendCertsFromPEM(certs.CA)
	w.server = httptest.NewUnstartedServer(g)
	w.server.TLS = g.TLSConfig(cert)
	w.server.EnableHTTP2 = true
	w.server.StartTLS()
	t.Cleanup(w.server.Close)
	return w
}

func (w *world) record(function string, payload []byte) {
	var e events.APIGatewayProxyRequest
	if err := json.Unmarshal(payload, &e); err != nil {
		w.t.Errorf("event: %v", err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events, w.raw, w.function = append(w.events, e), payload, function
}

func (w *world) truststore(context.Context) ([]byte, string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked++
	return []byte(w.trustPEM), w.version, w.trustErr
}

// trust replaces the truststore.
func (w *world) trust(version string, anchors ...authority) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.trustPEM, w.version = bundleOf(anchors...), version
}

// last returns the last event, nil if no function ran.
func (w *world) last() *events.APIGatewayProxyRequest {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.events) == 0 {
		return nil
	}
	return &w.events[len(w.events)-1]
}

// client returns a client that speaks HTTP/1.1, or HTTP/2, and shows a certificate if it is given one.
func (w *world) client(http2 bool, chain ...authority) *http.Client {
	cert := &tls.Certificate{}
	for _, a := range chain {
		cert.Certificate = append(cert.Certificate, a.cert.Raw)
		if cert.PrivateKey == nil {
			cert.PrivateKey = a.key
		}
	}
	transport := &http.Transport{
		ForceAttemptHTTP2: http2,
		TLSClientConfig: &tls.Config{
			RootCAs: w.roots,
			Time:    clock,
			GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
				return cert, nil // with no certificate in it, none is sent
			},
		},
	}
	w.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// response is an answer that was read to its end.
type response struct {
	*http.Response
	body string
}

func (w *world) do(c *http.Client, method, path, body string, header http.Header) response {
	w.t.Helper()
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	req, err := http.NewRequest(method, w.server.URL+path, reader)
	if err != nil {
		w.t.Fatal(err)
	}
	if header != nil {
		req.Header = header
	}
	res, err := c.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return response{res, string(text)}
}

func (w *world) port() string {
	u, err := url.Parse(w.server.URL)
	if err != nil {
		w.t.Fatal(err)
	}
	return u.Port()
}

// answering returns an Invoke that always says the same.
func answering(payload, functionError string, err error) func(context.Context, string, []byte) ([]byte, string, error) {
	return func(context.Context, string, []byte) ([]byte, string, error) {
		return []byte(payload), functionError, err
	}
}

func decodePEM(t testing.TB, text string) []byte {
	t.Helper()
	block, rest := pem.Decode([]byte(text))
	if block == nil || len(rest) > 0 {
		t.Fatalf("not one PEM block: %q", text)
	}
	return block.Bytes
}

// serveOnce is one request of an agent without a network.
func serveOnce(t testing.TB, g *Gateway, agent authority) {
	req := httptest.NewRequest("POST", tokenPath, strings.NewReader("grant_type=client_credentials"))
	req.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{agent.cert}}
	rec := httptest.NewRecorder()
	if g.ServeHTTP(rec, req); rec.Code != http.StatusOK {
		t.Fatal(rec.Code, rec.Body)
	}
}

// A body that never ends is answered after BodyWithin, over either protocol, and one that is merely slow is not.
func TestSlowBodies(t *testing.T) {
	for _, proto := range []string{"HTTP/1.1", "HTTP/2.0"} {
		t.Run(proto, func(t *testing.T) {
			const within = 300 * time.Millisecond
			g := New(Config{
				BodyWithin: within,
				Truststore: func(context.Context) ([]byte, string, error) { return nil, "", nil },
				Invoke: func(context.Context, string, []byte) ([]byte, string, error) {
					time.Sleep(2 * within) // longer than a body may take: the deadline is the body's alone
					return []byte(`{"statusCode":200,"body":"{}"}`), "", nil
				},
			})
			web := httptest.NewUnstartedServer(g)
			web.EnableHTTP2 = proto == "HTTP/2.0"
			web.StartTLS()
			defer web.Close()
			for what, tt := range map[string]struct {
				body   io.Reader
				status int
			}{
				"slow":    {&drip{left: 3, every: within / 20}, http.StatusOK},
				"endless": {&drip{left: 1 << 30, every: within / 20}, http.StatusRequestTimeout},
			} {
				began := time.Now()
				r, err := http.NewRequestWithContext(t.Context(), "POST", web.URL+"/v1/admin/agents", tt.body)
				if err != nil {
					t.Fatal(err)
				}
				res, err := web.Client().Do(r)
				if err != nil {
					t.Fatalf("%s: %v after %v", what, err, time.Since(began))
				}
				res.Body.Close()
				if res.Proto != proto || res.StatusCode != tt.status {
					t.Errorf("%s: %s %d after %v, want %s %d", what, res.Proto, res.StatusCode, time.Since(began), proto, tt.status)
				}
			}
		})
	}
}

// drip is a body of single octets.
type drip struct {
	left  int
	every time.Duration
}

func (d *drip) Read(p []byte) (int, error) {
	if d.left == 0 {
		return 0, io.EOF
	}
	time.Sleep(d.every)
	d.left--
	return copy(p, " "), nil
}

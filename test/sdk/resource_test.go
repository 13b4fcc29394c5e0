package sdk

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mastio-aws/mastio/shared/verifier"
)

// resourceName is the audience of both resource servers.
const resourceName = "https://api.example"

// Resource servers in Go and the examples in Python, one of them behind a proxy that ends TLS, follow a Mastio: a token
// is good until the rotation of its certificate, and refused at most 5 s after the answer.
func TestResourceServers(t *testing.T) {
	program, path := verifierPython(t)
	m := running(t)
	servers := map[string]string{
		"Go":   m.resourceInGo(t),
		"WSGI": m.resourceInPython(t, program, path),
		"ASGI": m.resourceBehindProxy(t, program, path),
	}
	first := m.mint(t)
	token := m.token(t, first)
	for name, at := range servers {
		if status, body := call(t, at, first, token); status != 200 || body != "hello "+first.AgentID+"\n" {
			t.Fatalf("%s answered %d %s", name, status, body)
		}
		if status, body := call(t, at, m.mint(t), token); status != 401 || !strings.Contains(body, "bound_elsewhere") {
			t.Errorf("%s answered another agent %d %s", name, status, body)
		}
	}
	second := m.rotate(t, first.AgentID)
	rotated := time.Now()
	for name, at := range servers {
		for ticks := time.NewTicker(50 * time.Millisecond); ; <-ticks.C {
			asked := time.Since(rotated)
			status, body := call(t, at, first, token)
			if status == 401 && strings.Contains(body, "access_token_revoked") {
				t.Logf("%s refuses after %s", name, asked)
				break
			}
			if status != 200 || asked > 5*time.Second {
				t.Fatalf("%s answered %d %s, %s after the rotation", name, status, body, asked)
			}
		}
	}
	token = m.token(t, second)
	for name, at := range servers {
		if status, body := call(t, at, second, token); status != 200 {
			t.Errorf("%s answered a token of the new certificate %d %s", name, status, body)
		}
	}
}

// resourceInGo is a resource server with the Go verifier, at the strictest setting.
func (m *mastio) resourceInGo(t *testing.T) string {
	t.Helper()
	v, err := verifier.New(verifier.Config{
		Issuer:    m.URL,
		Audience:  resourceName,
		MaxStale:  verifier.LeastStale,
		Transport: m.http.Transport,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.Close)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := v.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(v.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got, _ := verifier.FromContext(r.Context())
		_, _ = io.WriteString(w, "hello "+got.Claims.Subject+"\n")
	})))
	server.TLS = &tls.Config{ClientAuth: tls.RequestClientCert, MinVersion: tls.VersionTLS12}
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.URL
}

// resourceInPython starts the example of the standard library, which answers its URL.
func (m *mastio) resourceInPython(t *testing.T, program, path string) string {
	t.Helper()
	folder := t.TempDir()
	cert, key := selfSigned(t)
	for name, text := range map[string][]byte{
		"agents.pem": m.must(t, 200, "GET", "/pki/ca.crt", "", nil),
		"cert.pem":   cert,
		"key.pem":    key,
	} {
		if err := os.WriteFile(filepath.Join(folder, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), program, filepath.Join(verifierFolder, "examples", "wsgi.py"))
	cmd.Env = append(m.settings(t, path), "PORT=0", "AGENTS_CA="+filepath.Join(folder, "agents.pem"),
		"SERVER_CERT="+filepath.Join(folder, "cert.pem"), "SERVER_KEY="+filepath.Join(folder, "key.pem"))
	return started(t, cmd)
}

// resourceBehindProxy starts the example for a server behind a proxy, on uvicorn, and such a proxy.
func (m *mastio) resourceBehindProxy(t *testing.T, program, path string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, "-m", "uvicorn", "asgi:app", "--host", "127.0.0.1", "--port", "0",
		"--no-proxy-headers", "--no-use-colors")
	cmd.Dir = filepath.Join(verifierFolder, "examples")
	cmd.Env = m.settings(t, path)
	behind, err := url.Parse(started(t, cmd))
	if err != nil {
		t.Fatal(err)
	}
	proxy := httptest.NewUnstartedServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(behind)
		r.Out.Header.Del("Client-Cert") // a client's own
		if certs := r.In.TLS.PeerCertificates; len(certs) > 0 {
			text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certs[0].Raw})
			r.Out.Header.Set("Client-Cert", url.PathEscape(string(text)))
		}
	}})
	proxy.TLS = &tls.Config{ClientAuth: tls.RequestClientCert, MinVersion: tls.VersionTLS12}
	proxy.StartTLS()
	t.Cleanup(proxy.Close)
	return proxy.URL
}

// settings are the environment of an example, at the strictest setting.
func (m *mastio) settings(t *testing.T, path string) []string {
	t.Helper()
	ca := filepath.Join(t.TempDir(), "mastio.pem")
	if err := os.WriteFile(ca, m.CAPEM, 0o600); err != nil {
		t.Fatal(err)
	}
	return append(clean(os.Environ()), "PYTHONPATH="+path, "PYTHONDONTWRITEBYTECODE=1", "MAX_STALE=5",
		"MASTIO_ISSUER="+m.URL, "AUDIENCE="+resourceName, "MASTIO_CA="+ca)
}

var printedURL = regexp.MustCompile(`https?://(?:localhost|127[.]0[.]0[.]1):[0-9]+`)

// started starts a server, which ends with the test, and returns the URL that it prints.
func started(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = in, in
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	in.Close()
	said, at := &log{}, make(chan string, 1)
	var read sync.WaitGroup
	read.Go(func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			_, _ = said.Write(append(lines.Bytes(), '\n'))
			if found := printedURL.FindString(lines.Text()); found != "" {
				select {
				case at <- found:
				default:
				}
			}
		}
		close(at)
	})
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		read.Wait()
		out.Close()
		t.Log(said.tail(2000))
	})
	found, ok := <-at
	if !ok {
		t.Fatalf("the example did not start: %s", said.tail(2000))
	}
	return found
}

// selfSigned is the certificate of a server on this machine, and its key, PEM.
func selfSigned(t *testing.T) (cert, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		DNSNames:     []string{"localhost"},
		NotAfter:     time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded})
}

// as is a client with an agent's certificate. Whom it talks to it does not check.
func as(t *testing.T, i credential) *http.Client {
	t.Helper()
	pair, err := tls.X509KeyPair([]byte(i.CertPEM), []byte(i.KeyPEM))
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{
		DisableKeepAlives: true,
		TLSClientConfig:   &tls.Config{Certificates: []tls.Certificate{pair}, InsecureSkipVerify: true},
	}
	return &http.Client{Timeout: 20 * time.Second, Transport: transport}
}

// token gets a token for the resource, bound to the certificate alone.
func (m *mastio) token(t *testing.T, i credential) string {
	t.Helper()
	res, err := as(t, i).PostForm(m.URL+"/v1/auth/token",
		url.Values{"grant_type": {"client_credentials"}, "resource": {resourceName}})
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body)
	var answer struct {
		Token string `json:"access_token"`
	}
	if err := json.Unmarshal(body, &answer); err != nil || res.StatusCode != 200 {
		t.Fatalf("the token endpoint answered %d: %s", res.StatusCode, body)
	}
	return answer.Token
}

func call(t *testing.T, at string, i credential, token string) (status int, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "GET", at+"/v1/orders", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	res, err := as(t, i).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(text)
}

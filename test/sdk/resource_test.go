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
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mastio-aws/mastio/shared/verifier"
)

// resourceName is the audience of both resource servers.
const resourceName = "https://api.example"

// Two resource servers, one in Go and the example in Python, follow a Mastio: a token is good until the rotation of its
// certificate, and refused at most 5 s after the answer.
func TestResourceServers(t *testing.T) {
	program, path := verifierPython(t)
	m := running(t)
	servers := map[string]string{"Go": m.resourceInGo(t), "Python": m.resourceInPython(t, program, path)}
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

// resourceInPython starts the example, which answers its URL.
func (m *mastio) resourceInPython(t *testing.T, program, path string) string {
	t.Helper()
	folder := t.TempDir()
	cert, key := selfSigned(t)
	for name, text := range map[string][]byte{
		"mastio.pem": m.CAPEM,
		"agents.pem": m.must(t, 200, "GET", "/pki/ca.crt", "", nil),
		"cert.pem":   cert,
		"key.pem":    key,
	} {
		if err := os.WriteFile(filepath.Join(folder, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), program, filepath.Join(verifierFolder, "examples", "wsgi.py"))
	cmd.Env = append(clean(os.Environ()), "PYTHONPATH="+path, "PYTHONDONTWRITEBYTECODE=1", "PORT=0", "MAX_STALE=5",
		"MASTIO_ISSUER="+m.URL, "AUDIENCE="+resourceName, "MASTIO_CA="+filepath.Join(folder, "mastio.pem"),
		"AGENTS_CA="+filepath.Join(folder, "agents.pem"), "SERVER_CERT="+filepath.Join(folder, "cert.pem"),
		"SERVER_KEY="+filepath.Join(folder, "key.pem"))
	said := &log{}
	cmd.Stderr = said
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		t.Log(said.tail(2000))
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the example did not start: %v\n%s", err, said.tail(2000))
	}
	return strings.TrimSpace(line)
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
func as(t *testing.T, i issued) *http.Client {
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
func (m *mastio) token(t *testing.T, i issued) string {
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

func call(t *testing.T, at string, i issued, token string) (status int, body string) {
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

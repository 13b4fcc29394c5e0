package e2e

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	resource "github.com/mastio-aws/mastio/shared/verifier"
)

const (
	drillResource = "https://ledger.example"
	drillPace     = 50 * time.Millisecond
	// drillBound is when the last call of a thief is refused at the latest, after the answer of the rotation.
	drillBound = 5 * time.Second
)

// A key leaks on purpose, and the thief calls a resource server that follows the status. The operator rotates the
// certificate: how long do the thief's calls go on?
func TestCompromiseDrill(t *testing.T) {
	m := ownSystem(t)
	agent := m.enrol(t, fresh("leaked"))
	server := m.resourceServer(t)

	t.Log("1. the agent's key leaks: certificate, key and access token are the thief's too")
	token := m.tokenOf(t, agent)
	thief := caller(t, server, agent)
	if got := thief(token); got != http.StatusOK {
		t.Fatalf("the thief's first call: %d", got)
	}
	calls := 0
	for until := time.Now().Add(time.Second); time.Now().Before(until); calls++ {
		if got := thief(token); got != http.StatusOK {
			t.Fatalf("before the rotation: %d", got)
		}
		<-time.After(drillPace)
	}
	t.Logf("2. the thief calls the resource server: %d calls in a second, all answered", calls)

	body := []byte(`{"reason": "keyCompromise"}`)
	next := read(t, m.operator().must(t, 200, "POST", "/registry/agents/"+agent.AgentID+"/rotate-cert",
		with(m.admin(), "Content-Type", "application/json"), body))
	rotated := time.Now()
	t.Log("3. the operator rotates the certificate, with the reason keyCompromise")

	last, late := rotated, 0
	for thief(token) == http.StatusOK {
		last = time.Now()
		if late++; last.Sub(rotated) > drillBound {
			t.Fatalf("a call is answered %s after the rotation", last.Sub(rotated))
		}
		<-time.After(drillPace)
	}
	t.Logf("4. %.1f seconds after the rotation the thief's last call was answered (%d in all); then every one is refused",
		last.Sub(rotated).Seconds(), late)
	m.newClient(agent.certificate(t)).must(t, http.StatusUnauthorized, "POST", tokenPath, nil, nil)
	t.Log("5. the thief gets no new token")
	if got := caller(t, server, next)(m.tokenOf(t, next)); got != http.StatusOK {
		t.Errorf("the agent with its new certificate: %d", got)
	}
	t.Log("6. the agent works on with its new certificate")
}

// tokenOf is an access token for the resource server.
func (m *target) tokenOf(t *testing.T, agent issued) string {
	t.Helper()
	form := url.Values{"resource": {drillResource}}.Encode()
	a := m.newClient(agent.certificate(t)).must(t, http.StatusOK, "POST", tokenPath,
		map[string]string{"Content-Type": "application/x-www-form-urlencoded"}, []byte(form))
	var got struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.Unmarshal(a.body, &got); err != nil {
		t.Fatal(err)
	}
	return got.AccessToken
}

// resourceServer is one that follows the status, and takes the certificate from the connection.
func (m *target) resourceServer(t *testing.T) *httptest.Server {
	t.Helper()
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(m.CAPEM)
	v, err := resource.New(resource.Config{
		Issuer:    m.URL,
		Audience:  drillResource,
		MaxStale:  resource.LeastStale,
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.Close)
	if err := v.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(v.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})))
	server.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert, MinVersion: tls.VersionTLS12}
	server.StartTLS()
	t.Cleanup(server.Close)
	return server
}

// caller calls the resource server with the agent's certificate and key, and returns the status.
func caller(t *testing.T, server *httptest.Server, agent issued) func(token string) int {
	t.Helper()
	client := server.Client()
	transport, ok := client.Transport.(*http.Transport)
	if !ok {
		t.Fatalf("transport is a %T", client.Transport)
	}
	transport = transport.Clone()
	transport.TLSClientConfig.Certificates = []tls.Certificate{agent.certificate(t)}
	t.Cleanup(transport.CloseIdleConnections)
	return func(token string) int {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), "GET", server.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+token)
		resp, err := (&http.Client{Transport: transport}).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
}

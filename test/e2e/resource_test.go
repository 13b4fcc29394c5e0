package e2e

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	resource "github.com/mastio-aws/mastio/shared/verifier"
)

const (
	ledger   = "https://ledger.example" // a resource server
	callPace = 50 * time.Millisecond
	// callBound is when the last call with a dead token is refused at the latest, after the answer of what ended it.
	callBound = 5 * time.Second
)

// A rotation, a deactivation and a rotation of the Org CA each end the calls with the tokens before, within the bound.
// Agents that did nothing wrong are not refused meanwhile: neither while others are rotated and deactivated, nor with
// the first token under a new Org CA.
func TestResourceServerFollowsTheMastio(t *testing.T) {
	m := ownSystem(t)
	strict, usual := m.resourceServer(t, resource.LeastStale), m.resourceServer(t, resource.DefaultStale)
	honest := m.enrol(t, fresh("honest"))
	over := m.works(t, honest, caller(t, usual, honest))

	rotated, gone := m.enrol(t, fresh("rotated")), m.enrol(t, fresh("gone"))
	var next credential
	m.ends(t, "a rotation", strict, rotated, func() { next = m.rotate(t, rotated.AgentID) }, nil)
	m.ends(t, "a deactivation", strict, gone, func() {
		m.operator().must(t, 204, "DELETE", "/v1/admin/agents/"+gone.AgentID, m.admin(), nil)
	}, nil)
	if calls := over(); calls < 20 {
		t.Errorf("another agent made %d calls meanwhile", calls)
	}
	m.ends(t, "a rotation of the Org CA", strict, next, func() { m.rotateCA(t) }, func() {
		honest = m.rotate(t, honest.AgentID)
		token, call := m.tokenOf(t, honest), caller(t, usual, honest)
		began := time.Now()
		for range 20 {
			if got := call(token); got != http.StatusOK {
				t.Errorf("a token under the new Org CA: %d, %s after it was issued", got, time.Since(began))
			}
		}
		t.Logf("20 calls with a token under the new Org CA: all are answered, in %.1f s", time.Since(began).Seconds())
	})
}

// works lets an agent call a resource server until the returned function is called, which returns how many calls there
// were: each was answered.
func (m *target) works(t *testing.T, agent credential, call func(token string) int) (over func() int) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	token, calls := m.tokenOf(t, agent), 0
	var wg sync.WaitGroup
	wg.Go(func() {
		for ; ctx.Err() == nil; calls++ {
			if got := call(token); got != http.StatusOK {
				t.Errorf("a call of an agent that did nothing wrong: %d", got)
			}
			<-time.After(callPace)
		}
	})
	over = func() int {
		stop()
		wg.Wait()
		return calls
	}
	t.Cleanup(func() { over() })
	return over
}

// ends sees that the calls of an agent end with what is done. Meanwhile, if there is anything, is done while they do.
func (m *target) ends(t *testing.T, what string, server *httptest.Server, agent credential, do, meanwhile func()) {
	t.Helper()
	token, call := m.tokenOf(t, agent), caller(t, server, agent)
	if got := call(token); got != http.StatusOK {
		t.Fatalf("before %s: %d", what, got)
	}
	do()
	answered := time.Now()
	var wg sync.WaitGroup
	wg.Go(func() {
		last, late := untilRefused(t, call, token, answered)
		t.Logf("%s: the last call is answered %.1f s after it, %d in all", what, last.Seconds(), late)
	})
	if meanwhile != nil {
		meanwhile()
	}
	wg.Wait()
}

// untilRefused calls until the first call is refused, and returns how long after an instant the last one was answered,
// and how many were. None may be answered later than the bound, and none behind the first refusal.
func untilRefused(
	t *testing.T, call func(token string) int, token string, since time.Time,
) (last time.Duration, late int) {
	t.Helper()
	for call(token) == http.StatusOK {
		late++
		if last = time.Since(since); last > callBound {
			t.Errorf("a call is answered %s after the token has ended", last)
			return last, late
		}
		<-time.After(callPace)
	}
	for range 10 {
		if got := call(token); got == http.StatusOK {
			t.Error("a call is answered behind the first that was refused")
		}
	}
	return last, late
}

// tokenOf is an access token for the resource server.
func (m *target) tokenOf(t *testing.T, agent credential) string {
	t.Helper()
	form := url.Values{"resource": {ledger}}.Encode()
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
func (m *target) resourceServer(t *testing.T, maxStale time.Duration) *httptest.Server {
	t.Helper()
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(m.CAPEM)
	v, err := resource.New(resource.Config{
		Issuer:    m.URL,
		Audience:  ledger,
		MaxStale:  maxStale,
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

// caller calls the resource server with the agent's certificate and key, and returns the status; 0: none.
func caller(t *testing.T, server *httptest.Server, agent credential) func(token string) int {
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
			t.Error(err)
			return 0
		}
		r.Header.Set("Authorization", "Bearer "+token)
		resp, err := (&http.Client{Transport: transport}).Do(r)
		if err != nil {
			t.Error(err)
			return 0
		}
		resp.Body.Close()
		return resp.StatusCode
	}
}

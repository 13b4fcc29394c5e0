package e2e

import (
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"

	"github.com/globalsign/est"
	"github.com/google/go-cmp/cmp"

	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/pki"
	"github.com/mastio-aws/mastio/test/pkitest"
)

// renewalOf makes a request for an agent's own names, and the key that goes with it.
func renewalOf(t *testing.T, i credential) (csr *x509.CertificateRequest, key *pkitest.Signer) {
	t.Helper()
	cert, err := x509.ParseCertificate(i.certificate(t).Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	key = pkitest.Key(t)
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		RawSubject: cert.RawSubject,
		URIs:       cert.URIs,
	}, key)
	if err != nil {
		t.Fatal(err)
	}
	if csr, err = x509.ParseCertificateRequest(der); err != nil {
		t.Fatal(err)
	}
	return csr, key
}

// renewWith asks with the present certificate and returns the answer.
func (m *target) renewWith(t *testing.T, i credential, csr *x509.CertificateRequest) answer {
	t.Helper()
	body, err := json.Marshal(map[string]string{"csr_pem": string(pem.EncodeToMemory(&pem.Block{
		Type:  "CERTIFICATE REQUEST",
		Bytes: csr.Raw,
	}))})
	if err != nil {
		t.Fatal(err)
	}
	a, err := m.newClient(i.certificate(t)).do(t.Context(), "POST", "/v1/agent/renew",
		map[string]string{"Content-Type": "application/json"}, body)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// renewed renews and returns the agent with its new material.
func (m *target) renewed(t *testing.T, i credential) credential {
	t.Helper()
	csr, key := renewalOf(t, i)
	a := m.renewWith(t, i, csr)
	if a.status != 200 {
		t.Fatalf("renewal answered %d: %s", a.status, a.body)
	}
	next := read(t, a)
	keyPEM, err := pki.EncodePrivateKey(key.Signer)
	if err != nil {
		t.Fatal(err)
	}
	next.KeyPEM = string(keyPEM)
	return next
}

func (m *target) token(t *testing.T, i credential, want int) answer {
	t.Helper()
	return m.newClient(i.certificate(t)).must(t, want, "POST", tokenPath, nil, nil)
}

func TestRenewal(t *testing.T) {
	m := borrow(t)
	first := m.enrol(t, fresh("renew"))
	second := m.renewed(t, first)
	m.token(t, first, 200)
	m.token(t, second, 200)
	m.token(t, first, 401)
	m.token(t, second, 200)
	var events []audit.Event
	for _, r := range m.chain(t, first.AgentID) {
		events = append(events, r.EventType)
	}
	if diff := cmp.Diff([]audit.Event{audit.AgentEnrolled, audit.AgentCertRenewed, audit.AgentCertActivated},
		events); diff != "" {
		t.Errorf("audit chain (-want +got):\n%s", diff)
	}
	info := m.newClient(second.certificate(t)).must(t, 200, "GET", "/v1/agent/renewal-info", nil, nil)
	if info.header.Get("Retry-After") == "" || !strings.Contains(string(info.body), `"suggestedWindow":{"start":"`) {
		t.Errorf("renewal-info: %v %s", info.header, info.body)
	}
}

// An agent moves to the new Org CA without an operator: it renews its certificate in an overlap.
func TestRenewalMovesInAnOverlap(t *testing.T) {
	m := borrow(t)
	m.forget(t)
	m.standby(t)
	first := m.enrol(t, fresh("mover"))
	moved := m.change(t, "mode=mint&overlap=600")
	if a := m.token(t, first, 200); !strings.Contains(string(a.body), `"renew_after":"`) {
		t.Errorf("no reminder in the overlap: %s", a.body)
	}
	second := m.renewed(t, first)
	// Numbers are not consecutive: a generation that failed keeps its own.
	if want := moved["generation"]; float64(second.Generation) != want || second.Generation == first.Generation {
		t.Errorf("renewed under generation %d, want %v; was %d", second.Generation, want, first.Generation)
	}
	m.token(t, second, 200)
	m.change(t, "mode=finalise")
	m.token(t, first, 401)
	m.token(t, second, 200)
	if a := m.newClient(second.certificate(t)).must(t, 200, "GET", "/v1/agent/renewal-info", nil,
		nil); a.header.Get("Retry-After") != "21600" {
		t.Errorf("Retry-After after the move: %v", a.header)
	}
	m.standby(t)
}

// A client of EST's own (RFC 7030): GlobalSign's.
func TestRenewalByESTClient(t *testing.T) {
	m := borrow(t)
	first := m.enrol(t, fresh("est"))
	cert := first.certificate(t)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(m.CAPEM)
	leaf, err := x509.ParseCertificate(cert.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	c := est.Client{
		Host:           strings.TrimPrefix(m.URL, "https://"),
		ExplicitAnchor: roots,
		Certificates:   []*x509.Certificate{leaf},
		PrivateKey:     cert.PrivateKey,
	}
	cas, err := c.CACerts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	csr, key := renewalOf(t, first)
	next, err := c.Reenroll(t.Context(), csr)
	if err != nil {
		t.Fatal(err)
	}
	anchors, between := x509.NewCertPool(), x509.NewCertPool()
	anchors.AddCert(cas[len(cas)-1])
	for _, ca := range cas[:len(cas)-1] {
		between.AddCert(ca)
	}
	if _, err := next.Verify(x509.VerifyOptions{
		Roots:         anchors,
		Intermediates: between,
		KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}); err != nil {
		t.Errorf("the certificate does not chain to cacerts: %v", err)
	}
	m.newClient(tls.Certificate{
		Certificate: [][]byte{next.Raw},
		PrivateKey:  key.Signer,
	}).must(t, 200, "POST", tokenPath, nil, nil)
	m.token(t, first, 401)
	if _, err := c.Reenroll(t.Context(), csr); err == nil {
		t.Error("the old certificate renews again")
	}
}

// Whatever call a renewal dies at, before it or after: the certificate in use works, asking again with it works, and
// the first use of what is answered then ends it.
func TestRenewalKilledAtEveryStep(t *testing.T) {
	needsFaults(t)
	m := borrow(t)
	for _, call := range []string{"dynamodb.BatchGetItem", "kms.Sign", "dynamodb.TransactWriteItems", "dynamodb.GetItem"} {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, carried out %v", call, after), func(t *testing.T) {
				agent := m.enrol(t, fresh("crash"))
				csr, _ := renewalOf(t, agent)
				m.faults.set(&rule{call: call, nth: 1, after: after, strike: func() { m.Lambda.Kill("renew") }})
				a := m.renewWith(t, agent, csr)
				struck := m.faults.struck()
				m.faults.set(nil)
				if !struck || a.status != 502 {
					t.Fatalf("struck %v, status %d: %s", struck, a.status, a.body)
				}
				m.token(t, agent, 200)
				if a := m.renewWith(t, agent, csr); a.status != 200 {
					t.Errorf("the same request again: %d %s", a.status, a.body)
				}
				m.token(t, agent, 200)
				next := m.renewed(t, agent)
				m.token(t, next, 200)
				m.token(t, agent, 401)
				m.chain(t, agent.AgentID)
			})
		}
	}
}

// A token function that dies at the commit of a first use has ended the old certificate or has not; the next use ends
// it.
func TestFirstUseKilledAtItsCommit(t *testing.T) {
	needsFaults(t)
	m := borrow(t)
	for _, after := range []bool{false, true} {
		agent := m.enrol(t, fresh("crash"))
		next := m.renewed(t, agent)
		m.faults.set(&rule{
			call:   "dynamodb.TransactWriteItems",
			nth:    1,
			after:  after,
			strike: func() { m.Lambda.Kill("token") },
		})
		m.token(t, next, 502)
		m.faults.set(nil)
		m.token(t, agent, map[bool]int{true: 401, false: 200}[after])
		m.token(t, next, 200)
		m.token(t, agent, 401)
		m.chain(t, agent.AgentID)
	}
}

// What a renewal, a first use and a use cost.
func TestCallsOfARenewal(t *testing.T) {
	needsFaults(t)
	m := borrow(t)
	agent := m.enrol(t, fresh("cost"))
	m.token(t, agent, 200)
	var next credential
	for _, c := range []struct {
		name string
		do   func()
		want map[string]int
	}{
		// The agent's keys and the new key's holder are read, and the renewal is reserved, before anything is signed.
		{"renewal", func() { next = m.renewed(t, agent) },
			map[string]int{"dynamodb.BatchGetItem": 2, "kms.Sign": 1, "dynamodb.TransactWriteItems": 2, "dynamodb.GetItem": 2}},
		{"first use", func() { m.token(t, next, 200) },
			map[string]int{"dynamodb.BatchGetItem": 1, "dynamodb.TransactWriteItems": 1}},
		{"use", func() { m.token(t, next, 200) }, map[string]int{"dynamodb.BatchGetItem": 1}},
	} {
		got := m.faults.count(c.do)
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

package fleet

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mastio-aws/mastio/localstack/stack"
	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/edge/dynamo"
	"github.com/mastio-aws/mastio/shared/pki"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/test/pkitest"
)

// fleet is a running Mastio with its agents.
type fleet struct {
	*testing.T
	system   *stack.Stack
	made     *deliveries
	store    *dynamo.Store
	roots    *x509.CertPool
	operator *http.Client
	places   [kinds]chan struct{} // requests of a kind of agents at once
	members  []*member

	began         time.Time
	first, next   int64 // generations of the Org CA before the rotation and after it
	asked, failed atomic.Int64
	seen          [kinds]atomic.Int64
}

// atOnce is how many requests of a kind of agents are under way: agents are many, the machine is one. Those that renew
// have slots, which they would miss behind others: nothing but a bound for the slowest machine holds them back.
const (
	atOnce    = 8
	inSlotMax = 64
)

func open(t *testing.T, s *stack.Stack, made *deliveries) *fleet {
	f := &fleet{
		T:      t,
		system: s,
		made:   made,
		store:  dynamo.New(dynamo.Config{Client: s.Clients.DynamoDB, Prefix: s.TablePrefix()}),
		roots:  x509.NewCertPool(),
	}
	for k := range f.places {
		f.places[k] = make(chan struct{}, atOnce)
	}
	f.places[renews] = make(chan struct{}, inSlotMax)
	f.roots.AppendCertsFromPEM(s.CAPEM)
	f.operator = f.client(nil)
	return f
}

// client is an agent's, or the operator's. The agents' own work is on the same machine, so they exchange keys in the
// cheapest way.
func (f *fleet) client(cert *tls.Certificate) *http.Client {
	config := &tls.Config{
		RootCAs:          f.roots,
		MinVersion:       tls.VersionTLS13,
		CurvePreferences: []tls.CurveID{tls.X25519},
	}
	if cert != nil {
		config.Certificates = []tls.Certificate{*cert}
	}
	return &http.Client{
		Timeout: time.Minute,
		Transport: &http.Transport{
			TLSClientConfig:     config,
			MaxIdleConnsPerHost: atOnce,
		},
	}
}

// enrolAnswer is what an enrolment or a renewal answers.
type enrolAnswer struct {
	ID      agent.ID `json:"agent_id"`
	CertPEM string   `json:"cert_pem"`
}

// enrol makes a fleet under an Org CA of the operator's, which issues for the BYOCA agents at home.
func (f *fleet) enrol(count int) {
	org, spire := operatorCA(f.T, "Operator's CA"), operatorCA(f.T, "SPIRE")
	keyPEM, err := pki.EncodePrivateKey(org.Key.(*pkitest.Signer).Signer)
	if err != nil {
		f.Fatal(err)
	}
	body := append(pki.EncodeCertificates(org.Chain...), keyPEM...)
	f.first = f.rotate("upload", body)
	f.members = make([]*member, count)
	f.each(func(n int) error {
		m, err := f.enrolOne(n, org, spire)
		if f.members[n] = m; err != nil {
			return err
		}
		if f.token(context.Background(), m, m.cert); f.failed.Load() > 0 {
			return fmt.Errorf("no token for %s", m.id)
		}
		return nil
	})
}

// each does something for every agent, some at a time.
func (f *fleet) each(do func(n int) error) {
	numbers := make(chan int)
	var all sync.WaitGroup
	for range atOnce {
		all.Go(func() {
			for n := range numbers {
				if err := do(n); err != nil {
					f.Errorf("agent %d: %v", n, err)
				}
			}
		})
	}
	for n := range f.members {
		if f.Failed() {
			break
		}
		numbers <- n
	}
	close(numbers)
	all.Wait()
	if f.Failed() {
		f.FailNow()
	}
}

func (f *fleet) enrolOne(n int, org, spire pki.Authority) (*member, error) {
	m, name := &member{kind: kindOf(n)}, fmt.Sprintf("agent-%05d", n)
	key, err := pki.NewKey()
	if err != nil {
		return m, err
	}
	body, path := map[string]any{"agent_name": name, "capabilities": []string{"kyc:read"}, "owner": "team-a"},
		"/v1/admin/agents"
	switch m.kind {
	case inSecret, renews:
		body["csr_pem"] = csrOf(&x509.CertificateRequest{}, key)["csr_pem"]
		if m.kind == inSecret {
			body["hygiene"] = map[string]string{"deliver": "secretsmanager"}
		}
	case byoca:
		path += "/enroll/byoca"
		m.cert = leafOf(f.T, org, pkix.Name{CommonName: "orga::" + name}, "", key)
		body["cert_pem"], body["private_key_pem"] = pemOf(m.cert)
	case spiffe:
		path += "/enroll/spiffe"
		m.cert = leafOf(f.T, spire, pkix.Name{Organization: []string{"SPIRE"}}, "spiffe://orga.local/"+name, key)
		body["svid_pem"], body["svid_key_pem"] = pemOf(m.cert)
		body["trust_bundle_pem"] = string(pki.EncodeCertificates(spire.Chain...))
	case kinds:
	}
	var out enrolAnswer
	if err := f.call(context.Background(), f.operator, http.MethodPost, path, body, &out); err != nil {
		return m, err
	}
	if m.id = out.ID; len(m.cert.Certificate) == 0 {
		m.cert = pairOf(out.CertPEM, key)
	}
	if m.kind == renews {
		return m, f.hasRenewed(m.id)
	}
	return m, nil
}

// hasRenewed marks an agent's certificate as one that came by a renewal.
func (f *fleet) hasRenewed(id agent.ID) error {
	v, err := f.store.View(context.Background(), id)
	if err != nil {
		return err
	}
	v.Agent.Pins[0].Renewed = time.Now().Add(-time.Hour)
	return f.store.Apply(context.Background(), registry.Change{ID: rand.Text(), Agent: v.Agent})
}

func (f *fleet) of(k kind) (all []*member) {
	for _, m := range f.members {
		if m.kind == k {
			all = append(all, m)
		}
	}
	return all
}

// rotate rotates the Org CA, and returns the generation that is current then.
func (f *fleet) rotate(mode string, body []byte) int64 {
	f.Helper()
	var out struct {
		Generation int64 `json:"generation"`
	}
	var in any
	if body != nil {
		in = body
	}
	if err := f.call(f.Context(), f.operator, http.MethodPost, "/pki/rotate-ca?mode="+mode, in, &out); err != nil {
		f.Fatal(err)
	}
	return out.Generation
}

// call sends octets as PEM, all else as JSON. The admin secret goes with the operator's requests alone.
func (f *fleet) call(ctx context.Context, c *http.Client, method, path string, in, out any) error {
	body, raw := in.([]byte)
	if in != nil && !raw {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return err
		}
	}
	r, err := http.NewRequestWithContext(ctx, method, f.system.URL+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	if c == f.operator {
		r.Header.Set("X-Admin-Secret", f.system.AdminSecret)
	}
	if in != nil {
		r.Header.Set("Content-Type", map[bool]string{true: "application/x-pem-file", false: "application/json"}[raw])
	}
	a, err := c.Do(r)
	if err != nil {
		return err
	}
	defer a.Body.Close()
	got, err := io.ReadAll(a.Body)
	if err != nil || a.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s: %s: %.300s %w", method, path, a.Status, got, err)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(got, out)
}

func operatorCA(t *testing.T, name string) pki.Authority {
	key := pkitest.Key(t)
	ca := pki.Authority{Key: key}
	ca.Chain = []*x509.Certificate{pkitest.Sign(t, pkitest.CATemplate(name, 1, time.Now()), ca, key.Public())}
	return ca
}

// leafOf is a certificate of a foreign PKI; id is a SPIFFE ID, or empty.
func leafOf(t *testing.T, ca pki.Authority, name pkix.Name, id string, key crypto.Signer) tls.Certificate {
	template := &x509.Certificate{
		Subject:               name,
		NotBefore:             time.Now().Add(-time.Minute),
		NotAfter:              time.Now().Add(24 * time.Hour),
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	if uri, err := url.Parse(id); err == nil && id != "" {
		template.URIs = []*url.URL{uri}
	}
	cert := pkitest.Sign(t, template, ca, key.Public())
	return tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key, Leaf: cert}
}

func pemOf(c tls.Certificate) (cert, key string) {
	text, err := pki.EncodePrivateKey(c.PrivateKey.(crypto.Signer))
	if err != nil {
		panic(err) // it was made here
	}
	return string(pki.EncodeCertificates(c.Leaf)), string(text)
}

// pairOf is a certificate that was answered, with its key; without one, the requests that follow fail.
func pairOf(certPEM string, key crypto.Signer) tls.Certificate {
	chain, err := pki.ParseCertificates([]byte(certPEM))
	if err != nil {
		return tls.Certificate{}
	}
	c := tls.Certificate{PrivateKey: key, Leaf: chain[0]}
	for _, cert := range chain {
		c.Certificate = append(c.Certificate, cert.Raw)
	}
	return c
}

func csrOf(names *x509.CertificateRequest, key crypto.Signer) map[string]string {
	der, err := x509.CreateCertificateRequest(rand.Reader, names, key)
	if err != nil {
		panic(err) // the key was made here
	}
	return map[string]string{"csr_pem": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))}
}

package e2e

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/mastio-aws/mastio/shared/pki"
	"github.com/mastio-aws/mastio/test/pkitest"
)

// uploadCA makes a CA of the operator's own the current Org CA, and returns it with its key: the operator's PKI has
// that.
func (m *target) uploadCA(t *testing.T, query string) pki.Authority {
	t.Helper()
	m.forget(t)
	now := time.Now()
	key := pkitest.Key(t)
	ca := pki.Authority{Key: key}
	ca.Chain = []*x509.Certificate{pkitest.Sign(t, pkitest.CATemplate(fresh("Operator's CA"), 1, now), ca, key.Public())}
	keyPEM, err := pki.EncodePrivateKey(key.Signer)
	if err != nil {
		t.Fatal(err)
	}
	body := append(pki.EncodeCertificates(ca.Chain...), keyPEM...)
	m.operator().must(t, 200, "POST", "/pki/rotate-ca?mode=upload"+query,
		with(m.admin(), "Content-Type", "application/x-pem-file"), body)
	return ca
}

// outsider is a certificate of a foreign PKI, with the intermediates between it and its CA.
type outsider struct {
	chain []*x509.Certificate
	key   crypto.Signer
}

func (o outsider) certPEM() string { return string(pki.EncodeCertificates(o.chain...)) }

func (o outsider) keyPEM(t *testing.T) string {
	t.Helper()
	text, err := pki.EncodePrivateKey(o.key)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func (o outsider) client(m *target) *client {
	c := tls.Certificate{PrivateKey: o.key}
	for _, cert := range o.chain {
		c.Certificate = append(c.Certificate, cert.Raw)
	}
	return m.newClient(c)
}

// pipelineLeaf is what a pipeline issues under the operator's CA: a name of its own, and no SPIFFE ID.
func pipelineLeaf(t *testing.T, ca pki.Authority) outsider {
	t.Helper()
	key := pkitest.Key(t)
	cert := pkitest.Sign(t, &x509.Certificate{
		Subject:               pkix.Name{CommonName: "kyc.prod.internal"},
		NotBefore:             time.Now().Add(-time.Minute),
		NotAfter:              time.Now().Add(24 * time.Hour),
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, ca, key.Public())
	return outsider{[]*x509.Certificate{cert}, key.Signer}
}

// svid is an X.509-SVID as SPIRE issues it: an hour, subject C=US,O=SPIRE, and the intermediate behind it.
func svid(t *testing.T, ca pki.Authority, id string) outsider {
	t.Helper()
	uri, err := url.Parse(id)
	if err != nil {
		t.Fatal(err)
	}
	key := pkitest.Key(t)
	cert := pkitest.Sign(t, &x509.Certificate{
		Subject:               pkix.Name{Country: []string{"US"}, Organization: []string{"SPIRE"}},
		NotBefore:             time.Now().Add(-10 * time.Second),
		NotAfter:              time.Now().Add(time.Hour),
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		URIs:                  []*url.URL{uri},
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, ca, key.Public())
	chain := []*x509.Certificate{cert}
	if len(ca.Chain) > 1 {
		chain = append(chain, ca.Chain[:len(ca.Chain)-1]...)
	}
	return outsider{chain, key.Signer}
}

// spireServer is SPIRE's CA, under an upstream authority or on its own.
func spireServer(t *testing.T, upstream *pki.Authority) pki.Authority {
	t.Helper()
	key := pkitest.Key(t)
	template := pkitest.CATemplate("", 0, time.Now())
	template.Subject = pkix.Name{Country: []string{"US"}, Organization: []string{"SPIFFE"}, CommonName: fresh("SPIRE")}
	template.URIs = []*url.URL{{Scheme: "spiffe", Host: "orga.local"}}
	if upstream == nil {
		self := pki.Authority{Key: key}
		return pki.Authority{Chain: []*x509.Certificate{pkitest.Sign(t, template, self, key.Public())}, Key: key}
	}
	return pki.Authority{
		Chain: append([]*x509.Certificate{pkitest.Sign(t, template, *upstream, key.Public())}, upstream.Chain...),
		Key:   key,
	}
}

func (m *target) postJSON(t *testing.T, want int, path string, members map[string]any) answer {
	t.Helper()
	body, err := json.Marshal(members)
	if err != nil {
		t.Fatal(err)
	}
	return m.operator().must(t, want, "POST", path, with(m.admin(), "Content-Type", "application/json"), body)
}

const (
	byocaPath  = "/v1/admin/agents/enroll/byoca"
	spiffePath = "/v1/admin/agents/enroll/spiffe"
)

// The guide's "After" for BYOCA callers: issue again under the new Org CA, enrol again to pin the thumbprint anew.
func TestBYOCAAfterARotation(t *testing.T) {
	m := borrow(t)
	leaf := pipelineLeaf(t, m.uploadCA(t, ""))
	members := map[string]any{"agent_name": fresh("byo"), "capabilities": []string{"kyc:read"}, "cert_pem": leaf.certPEM(),
		"private_key_pem": leaf.keyPEM(t)}
	m.postJSON(t, 201, byocaPath, members)
	leaf.client(m).must(t, 200, "POST", tokenPath, nil, nil)

	next := pipelineLeaf(t, m.uploadCA(t, ""))
	leaf.client(m).must(t, 401, "POST", tokenPath, nil, nil)
	// as the agents' SDK does
	members["federated"], members["display_name"], members["capabilities"] = false, "", []string{}
	if a := m.postJSON(t, 400, byocaPath, members); a.code() != "cert_not_signed_by_org_ca" {
		t.Errorf("the old certificate again: %s", a.body)
	}
	members["cert_pem"], members["private_key_pem"] = next.certPEM(), next.keyPEM(t)
	m.postJSON(t, 200, byocaPath, members)
	m.postJSON(t, 200, byocaPath, members)
	next.client(m).must(t, 200, "POST", tokenPath, nil, nil)
	leaf.client(m).must(t, 401, "POST", tokenPath, nil, nil)
	members["cert_pem"], members["private_key_pem"] = leaf.certPEM(), leaf.keyPEM(t)
	if a := m.postJSON(t, 409, byocaPath, members); a.code() != "agent_already_enrolled" {
		t.Errorf("another certificate while one counts: %s", a.body)
	}
	m.rotateCA(t) // back to one that the Mastio makes
	next.client(m).must(t, 401, "POST", tokenPath, nil, nil)
}

// A pipeline proves that it has the key, with the commands of shared/OPERATING.md, and keeps it.
func TestPossessionProofByOpenSSL(t *testing.T) {
	m := borrow(t)
	for _, tool := range []string{"openssl", "sha256sum", "basenc", "bash"} {
		if _, err := exec.LookPath(tool); err != nil {
			if os.Getenv("CI") != "" {
				t.Fatal(err)
			}
			t.Skip(err)
		}
	}
	leaf := pipelineLeaf(t, m.uploadCA(t, ""))
	dir, name := t.TempDir(), fresh("byo")
	for file, text := range map[string]string{"cert.pem": leaf.certPEM(), "key.pem": leaf.keyPEM(t)} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	script := fmt.Sprintf(`printf 'mastio-byoca:v1|orga::%s|%%s' "$(openssl x509 -in cert.pem -outform der | sha256sum | cut -d' ' -f1)" \
  | openssl dgst -sha256 -sign key.pem | basenc --base64url -w0 | tr -d =`, name)
	cmd := exec.CommandContext(t.Context(), "bash", "-ec", script)
	cmd.Dir = dir
	proof, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	m.postJSON(t, 201, byocaPath, map[string]any{"agent_name": name, "cert_pem": leaf.certPEM(),
		"possession_proof": string(proof)})
	leaf.client(m).must(t, 200, "POST", tokenPath, nil, nil)
	m.rotateCA(t)
}

// The guide's "After" for SPIRE callers: the next SVID handles it, and a bundle of their own does not even notice.
func TestSPIREAfterARotation(t *testing.T) {
	m := borrow(t)
	upstream := spireServer(t, nil)
	template := pkitest.CATemplate(fresh("SPIRE root"), -1, time.Now())
	upstream.Chain = []*x509.Certificate{pkitest.Sign(t, template, pki.Authority{Key: upstream.Key},
		upstream.Key.Public())}
	server := spireServer(t, &upstream)
	id := "spiffe://orga.local/ns/prod/sa/" + fresh("kyc")
	first := svid(t, server, id)
	m.postJSON(t, 201, spiffePath, map[string]any{
		"agent_name": fresh("workload"), "svid_pem": first.certPEM(), "svid_key_pem": first.keyPEM(t),
		"trust_bundle_pem": string(pki.EncodeCertificates(upstream.Chain...)),
	})
	m.tick(t) // the edge learns of the bundle
	first.client(m).must(t, 200, "POST", tokenPath, nil, nil)
	m.rotateCA(t)
	first.client(m).must(t, 200, "POST", tokenPath, nil, nil)
	svid(t, server, id).client(m).must(t, 200, "POST", tokenPath, nil, nil)

	// SPIRE's own CA rotates too; the agent sends what the edge does not pass on.
	next := svid(t, spireServer(t, &upstream), id)
	next.client(m).must(t, 401, "POST", tokenPath, nil, nil)
	form := url.Values{"grant_type": {"client_credentials"},
		"svid_chain_pem": {string(pki.EncodeCertificates(next.chain[1:]...))}}
	next.client(m).must(t, 200, "POST", tokenPath, map[string]string{"Content-Type": "application/x-www-form-urlencoded"},
		[]byte(form.Encode()))
	next.client(m).must(t, 200, "POST", tokenPath, nil, nil) // the intermediate is remembered
	svid(t, server, id+"-other").client(m).must(t, 401, "POST", tokenPath, nil, nil)
}

// SVIDs under the Org CA, as SPIRE's upstream authority, follow its generations.
func TestSPIREUnderTheOrgCA(t *testing.T) {
	m := borrow(t)
	ca := m.uploadCA(t, "")
	id := "spiffe://orga.local/ns/prod/sa/" + fresh("kyc")
	old := svid(t, spireServer(t, &ca), id)
	m.postJSON(t, 201, spiffePath, map[string]any{"agent_name": fresh("workload"), "svid_pem": old.certPEM(),
		"svid_key_pem": old.keyPEM(t)})
	old.client(m).must(t, 200, "POST", tokenPath, nil, nil)

	next := m.uploadCA(t, "&overlap=600")
	server := spireServer(t, &next)
	moved := svid(t, server, id)
	form := url.Values{"svid_chain_pem": {string(pki.EncodeCertificates(server.Chain[0]))}}
	header := map[string]string{"Content-Type": "application/x-www-form-urlencoded"}
	old.client(m).must(t, 200, "POST", tokenPath, nil, nil)
	moved.client(m).must(t, 200, "POST", tokenPath, header, []byte(form.Encode()))
	m.change(t, "mode=finalise")
	old.client(m).must(t, 401, "POST", tokenPath, nil, nil)
	moved.client(m).must(t, 200, "POST", tokenPath, header, []byte(form.Encode()))
	m.rotateCA(t)
	moved.client(m).must(t, 401, "POST", tokenPath, header, []byte(form.Encode()))
}

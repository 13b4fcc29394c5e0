package httpapi_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mastio-aws/mastio/shared/pki"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
	"github.com/mastio-aws/mastio/test/inmemory"
	"github.com/mastio-aws/mastio/test/pkitest"
)

// issuedElsewhere is a certificate of a foreign PKI and its key.
type issuedElsewhere struct {
	cert *x509.Certificate
	key  crypto.Signer
}

func (i issuedElsewhere) certPEM() string { return string(pki.EncodeCertificates(i.cert)) }

func (i issuedElsewhere) keyPEM(t testing.TB) string {
	t.Helper()
	out, err := pki.EncodePrivateKey(i.key)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// leafTemplate is what a pipeline's PKI issues: a subject that says nothing, and no SPIFFE ID.
func leafTemplate(now time.Time) *x509.Certificate {
	return &x509.Certificate{
		Subject:               pkix.Name{CommonName: "kyc.prod.internal"},
		NotBefore:             now.Add(-time.Minute),
		NotAfter:              now.Add(24 * time.Hour),
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
}

func sign(t testing.TB, ca pki.Authority, template *x509.Certificate, key crypto.Signer) issuedElsewhere {
	t.Helper()
	return issuedElsewhere{pkitest.Sign(t, template, ca, key.Public()), key}
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := pki.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (w *world) orgCA(t testing.TB) pki.Authority {
	t.Helper()
	ca, err := w.OrgCA(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

// spire is a SPIRE server of its own: a root, an intermediate of an upstream authority, and the SVIDs under it.
type spire struct{ root, intermediate pki.Authority }

func newSPIRE(t testing.TB, domain string, now time.Time) spire {
	t.Helper()
	root := pki.Authority{Key: newKey(t)}
	template := pkitest.CATemplate("", -1, now)
	template.Subject = pkix.Name{Country: []string{"US"}, Organization: []string{"SPIFFE"}}
	template.URIs = []*url.URL{{Scheme: "spiffe", Host: domain}}
	root.Chain = []*x509.Certificate{pkitest.Sign(t, template, root, root.Key.Public())}
	below := pkitest.CATemplate("", 0, now)
	below.Subject = pkix.Name{Country: []string{"US"}, Organization: []string{"SPIRE"}}
	below.URIs = template.URIs
	key := newKey(t)
	return spire{root, pki.Authority{
		Chain: []*x509.Certificate{pkitest.Sign(t, below, root, key.Public()), root.Chain[0]},
		Key:   key,
	}}
}

// svid is an X.509-SVID as SPIRE makes it: an hour long, its subject C=US,O=SPIRE for everybody.
func svid(t testing.TB, ca pki.Authority, id string, now time.Time) issuedElsewhere {
	t.Helper()
	return sign(t, ca, svidTemplate(t, id, now), newKey(t))
}

func svidTemplate(t testing.TB, id string, now time.Time) *x509.Certificate {
	t.Helper()
	uri, err := url.Parse(id)
	if err != nil {
		t.Fatal(err)
	}
	return &x509.Certificate{
		Subject:               pkix.Name{Country: []string{"US"}, Organization: []string{"SPIRE"}},
		NotBefore:             now.Add(-10 * time.Second),
		NotAfter:              now.Add(time.Hour),
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		URIs:                  []*url.URL{uri},
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
}

type members map[string]any

func (m members) with(pairs ...any) members {
	out := members{}
	for k, v := range m {
		out[k] = v
	}
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] == nil {
			delete(out, pairs[i].(string))
			continue
		}
		out[pairs[i].(string)] = pairs[i+1]
	}
	return out
}

func (m members) text(t testing.TB) string {
	t.Helper()
	out, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func (w *world) postBYOCA(t testing.TB, m members) answer {
	t.Helper()
	return w.send(t, event("POST", "/v1/admin/agents/enroll/byoca", admin, jsonBody(m.text(t))))
}

func (w *world) postSPIFFE(t testing.TB, m members) answer {
	t.Helper()
	return w.send(t, event("POST", "/v1/admin/agents/enroll/spiffe", admin, jsonBody(m.text(t))))
}

func byocaRequest(t testing.TB, name string, i issuedElsewhere) members {
	return members{"agent_name": name, "cert_pem": i.certPEM(), "private_key_pem": i.keyPEM(t),
		"capabilities": []string{"kyc:read"}}
}

// outsideShapes are requests that succeed, for the test of every route.
func (w *world) outsideShapes(t testing.TB) map[string]shape {
	t.Helper()
	leaf := sign(t, w.orgCA(t), leafTemplate(w.Now()), newKey(t))
	server := newSPIRE(t, inmemory.ForeignDomain, w.Now())
	id := svid(t, server.root, "spiffe://prod.example/ns/default/sa/kyc", w.Now())
	return map[string]shape{
		"POST /v1/admin/agents/enroll/byoca": {
			request:   event("POST", "/v1/admin/agents/enroll/byoca", admin, jsonBody(byocaRequest(t, "outside", leaf).text(t))),
			status:    201,
			takesJSON: true,
		},
		"POST /v1/admin/agents/enroll/spiffe": {
			request: event("POST", "/v1/admin/agents/enroll/spiffe", admin, jsonBody(members{
				"agent_name": "workload", "svid_pem": id.certPEM(), "svid_key_pem": id.keyPEM(t),
				"trust_bundle_pem": string(pki.EncodeCertificates(server.root.Chain...)),
			}.text(t))),
			status:    201,
			takesJSON: true,
		},
	}
}

// enrolAnswer is the answer to both enrolments.
type enrolAnswer struct {
	ID           string    `json:"agent_id"`
	DisplayName  string    `json:"display_name"`
	Capabilities []string  `json:"capabilities"`
	Thumbprint   string    `json:"cert_thumbprint"`
	SPIFFEID     *string   `json:"spiffe_id"`
	JKT          *string   `json:"dpop_jkt"`
	Generation   *int64    `json:"generation"`
	EnrolledAt   time.Time `json:"enrolled_at"`
}

func TestBYOCAEnrolment(t *testing.T) {
	w := open(t, memstore.Config{})
	leaf := sign(t, w.orgCA(t), leafTemplate(w.Now()), newKey(t))
	var got enrolAnswer
	w.postBYOCA(t, byocaRequest(t, "byo", leaf)).into(t, 201, &got)
	one := int64(1)
	want := enrolAnswer{
		ID:           "orga::byo",
		DisplayName:  "byo",
		Capabilities: []string{"kyc:read"},
		Thumbprint:   pki.Thumbprint(leaf.cert.Raw),
		Generation:   &one,
		EnrolledAt:   w.Now(),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("answer (-want +got):\n%s", diff)
	}
	if a := w.send(t, tokenRequest(leaf.certPEM())); a.status != 200 {
		t.Errorf("token, the certificate names nobody: %d %s", a.status, a.body)
	}
	w.refuse(t, "/v1/admin/agents/enroll/byoca",
		refusal{"duplicate", event("POST", "/v1/admin/agents/enroll/byoca", admin,
			jsonBody(byocaRequest(t, "byo", sign(t, w.orgCA(t), leafTemplate(w.Now()), newKey(t))).text(t))), 409,
			"agent_already_enrolled"})
	w.refuse(t, "/registry/agents/{agent_id}/rotate-cert",
		refusal{"rotation here", event("POST", "/registry/agents/orga::byo/rotate-cert", admin), 409, "rotate_at_your_ca"})
}

// The guide's "After": issue the certificate again under the new Org CA, then pin it anew.
func TestBYOCAAfterARotation(t *testing.T) {
	w := open(t, memstore.Config{})
	key := newKey(t)
	old := sign(t, w.orgCA(t), leafTemplate(w.Now()), key)
	w.postBYOCA(t, byocaRequest(t, "byo", old)).into(t, 201, &enrolAnswer{})
	if a := w.send(t, event("POST", "/pki/rotate-ca", admin, query("mode", "mint"))); a.status != 200 {
		t.Fatalf("rotate: %s", a.body)
	}
	w.refuse(t, "/v1/auth/token", refusal{"superseded", tokenRequest(old.certPEM()), 401, "invalid_client"})
	update := byocaRequest(t, "byo", old).with("update_existing", true, "capabilities", nil)
	w.refuse(t, "/v1/admin/agents/enroll/byoca",
		refusal{"of the old CA", event("POST", "/v1/admin/agents/enroll/byoca", admin, jsonBody(update.text(t))), 400,
			"cert_not_signed_by_org_ca"})

	next := sign(t, w.orgCA(t), leafTemplate(w.Now()), key)
	var got enrolAnswer
	w.postBYOCA(t, update.with("cert_pem", next.certPEM())).into(t, 201, &got)
	if *got.Generation != 2 || !slices.Equal(got.Capabilities, []string{"kyc:read"}) {
		t.Errorf("pinned anew: %+v", got)
	}
	for certPEM, status := range map[string]int{old.certPEM(): 401, next.certPEM(): 200} {
		if a := w.send(t, tokenRequest(certPEM)); a.status != status {
			t.Errorf("token: %d %s, want %d", a.status, a.body, status)
		}
	}
	// Doing it again changes nothing that matters, and a rollback restores the certificate of before.
	w.postBYOCA(t, update.with("cert_pem", next.certPEM())).into(t, 201, &got)
	if a := w.send(t, event("DELETE", "/v1/admin/agents/orga::byo", admin)); a.status != 204 {
		t.Fatal(a.status)
	}
	w.postBYOCA(t, byocaRequest(t, "other-name", next)).into(t, 201, &got)
}

// A PKI may sign the same request again, but only under a new generation, and not after a compromise.
func TestBYOCAKeysAreCertifiedOnce(t *testing.T) {
	for name, c := range map[string]struct {
		between []edit // parameters of a rotation of the Org CA; nil: there is none
		status  int
	}{
		"under the same generation": {nil, 400}, "under a new one": {[]edit{query("mode", "mint")}, 201},
		"the one before was compromised": {[]edit{query("mode", "mint"), query("reason", "keyCompromise")}, 400},
	} {
		w := open(t, memstore.Config{})
		key := newKey(t)
		w.postBYOCA(t, byocaRequest(t, "byo", sign(t, w.orgCA(t), leafTemplate(w.Now()), key))).into(t, 201, &enrolAnswer{})
		if c.between != nil {
			if a := w.send(t, event("POST", "/pki/rotate-ca", append(c.between, admin)...)); a.status != 200 {
				t.Fatalf("%s: %s", name, a.body)
			}
		}
		again := sign(t, w.orgCA(t), leafTemplate(w.Now()), key)
		update := byocaRequest(t, "byo", again).with("update_existing", true)
		if a := w.postBYOCA(t, update); a.status != c.status || c.status == 400 &&
			!strings.Contains(string(a.body), "key_not_fresh") {
			t.Errorf("%s: status %d: %s", name, a.status, a.body)
		}
		if a := w.send(t, event("DELETE", "/v1/admin/agents/orga::byo", admin)); a.status != 204 {
			t.Fatal(a.status)
		}
		if a := w.postBYOCA(t, byocaRequest(t, "byo", again)); a.status != 400 ||
			!strings.Contains(string(a.body), "key_not_fresh") {
			t.Errorf("%s, enrolled again after its deactivation: status %d: %s", name, a.status, a.body)
		}
	}
}

func TestBYOCARollbackRestores(t *testing.T) {
	w := open(t, memstore.Config{})
	old := sign(t, w.orgCA(t), leafTemplate(w.Now()), newKey(t))
	w.postBYOCA(t, byocaRequest(t, "byo", old)).into(t, 201, &enrolAnswer{})
	w.send(t, event("POST", "/pki/rotate-ca", admin, query("mode", "mint")))
	next := sign(t, w.orgCA(t), leafTemplate(w.Now()), newKey(t))
	w.postBYOCA(t, byocaRequest(t, "byo", next).with("update_existing", true)).into(t, 201, &enrolAnswer{})
	w.send(t, event("POST", "/pki/rotate-ca", admin, query("mode", "rollback")))
	for certPEM, status := range map[string]int{old.certPEM(): 200, next.certPEM(): 401} {
		if a := w.send(t, tokenRequest(certPEM)); a.status != status {
			t.Errorf("token after the rollback: %d %s, want %d", a.status, a.body, status)
		}
	}
}

func proofBy(t testing.TB, key crypto.Signer, message string) string {
	t.Helper()
	digest := sha256.Sum256([]byte(message))
	var opts crypto.SignerOpts = crypto.SHA256
	if _, ok := key.(*rsa.PrivateKey); ok {
		opts = &rsa.PSSOptions{SaltLength: 32, Hash: crypto.SHA256}
	}
	signature, err := key.Sign(rand.Reader, digest[:], opts)
	if err != nil {
		t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(signature)
}

func TestPossessionProof(t *testing.T) {
	w := open(t, memstore.Config{})
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string]crypto.Signer{"p256": newKey(t), "p384": p384, "rsa": rsaKey} {
		leaf := sign(t, w.orgCA(t), leafTemplate(w.Now()), key)
		message := "mastio-byoca:v1|orga::" + name + "|" + pki.Thumbprint(leaf.cert.Raw)
		request := byocaRequest(t, name, leaf).with("private_key_pem", nil, "possession_proof", proofBy(t, key, message))
		good := request["possession_proof"].(string)
		raw, _ := base64.RawURLEncoding.DecodeString(good)
		for what, proof := range map[string]string{
			"another key":   proofBy(t, newKey(t), message),
			"another agent": proofBy(t, key, strings.Replace(message, name, "x"+name, 1)),
			"another kind":  proofBy(t, key, strings.Replace(message, "byoca", "spiffe", 1)), "padded": good + "=",
			"line":           good[:10] + "\n" + good[10:],
			"other alphabet": base64.RawStdEncoding.EncodeToString(append([]byte{0xff, 0xff}, raw...)), "nothing in it": "AA",
			"trailing bits": good[:len(good)-1] + "_",
		} {
			if proof == good {
				continue
			}
			w.refuse(t, "/v1/admin/agents/enroll/byoca",
				refusal{name + " " + what, event("POST", "/v1/admin/agents/enroll/byoca", admin,
					jsonBody(request.with("possession_proof", proof).text(t))), 400, "possession_proof_invalid"})
		}
		for what, m := range map[string]members{"both": request.with("private_key_pem", leaf.keyPEM(t)),
			"neither": request.with("possession_proof", nil)} {
			w.refuse(t, "/v1/admin/agents/enroll/byoca",
				refusal{name + " " + what, event("POST", "/v1/admin/agents/enroll/byoca", admin, jsonBody(m.text(t))), 400,
					"possession_unproven"})
		}
		w.postBYOCA(t, request).into(t, 201, &enrolAnswer{})
	}
}

func TestBYOCARefusals(t *testing.T) {
	w := open(t, memstore.Config{})
	w.enrol(t, "minted")
	ca, key := w.orgCA(t), newKey(t)
	weak, err := rsa.GenerateKey(rand.Reader, 1024) //nolint:gosec // weak on purpose
	if err != nil {
		t.Fatal(err)
	}
	changed := func(change func(*x509.Certificate)) issuedElsewhere {
		template := leafTemplate(w.Now())
		change(template)
		return sign(t, ca, template, key)
	}
	uri := func(text string) func(*x509.Certificate) {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		return func(c *x509.Certificate) { c.URIs = []*url.URL{u} }
	}
	good := changed(func(*x509.Certificate) {})
	foreign := pkitest.Authority(t, "orga", 1, w.Now())
	request := func(i issuedElsewhere) members { return byocaRequest(t, "byo", i) }
	chain := string(pki.EncodeCertificates(ca.Chain...))
	for _, c := range []struct {
		name, code string
		members
	}{
		{"foreign CA of the same name", "cert_not_signed_by_org_ca", request(sign(t, foreign, leafTemplate(w.Now()), key))},
		{"self-signed", "cert_not_signed_by_org_ca", request(sign(t, pki.Authority{Key: key}, leafTemplate(w.Now()), key))},
		{"below an agent's certificate", "cert_not_signed_by_org_ca", request(sign(t, pki.Authority{
			Chain: []*x509.Certificate{good.cert},
			Key:   key,
		}, leafTemplate(w.Now()), key)).with("cert_pem",
			sign(t, pki.Authority{
				Chain: []*x509.Certificate{good.cert},
				Key:   key,
			}, leafTemplate(w.Now()), key).certPEM()+good.certPEM()+chain)},
		{"another key", "key_does_not_match_cert",
			request(good).with("private_key_pem", issuedElsewhere{good.cert, newKey(t)}.keyPEM(t))},
		{"no key at all", "private_key_invalid", request(good).with("private_key_pem", "x")},
		{"a certificate for a key", "private_key_invalid", request(good).with("private_key_pem", good.certPEM())},
		{"expired", "cert_expired", request(changed(func(c *x509.Certificate) { c.NotAfter = w.Now().Add(-time.Second) }))},
		{"not yet valid", "cert_not_yet_valid",
			request(changed(func(c *x509.Certificate) { c.NotBefore = w.Now().Add(time.Minute) }))},
		{"CA", "cert_is_ca", request(changed(func(c *x509.Certificate) { c.IsCA, c.MaxPathLen = true, -1 }))},
		{"signs certificates", "cert_is_ca",
			request(changed(func(c *x509.Certificate) { c.KeyUsage |= x509.KeyUsageCRLSign }))},
		{"server", "cert_eku_not_client_auth",
			request(changed(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }))},
		{"no signatures", "cert_eku_not_client_auth",
			request(changed(func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyEncipherment }))},
		{"weak key", "cert_weak_key", request(sign(t, ca, leafTemplate(w.Now()), weak))},
		{"foreign trust domain", "spiffe_uri_wrong_trust_domain", request(changed(uri("spiffe://elsewhere.example/a")))},
		{"malformed SPIFFE ID", "spiffe_uri_wrong_trust_domain", request(changed(uri("spiffe://mastio.test")))},
		{"another agent's SPIFFE ID", "cert_names_another_agent", request(changed(uri("spiffe://mastio.test/orga/minted")))},
		{"another agent's name", "cert_names_another_agent",
			request(changed(func(c *x509.Certificate) { c.Subject.CommonName = "orga::minted" }))},
		{"private DPoP key", "dpop_jwk_invalid",
			request(good).with("dpop_jwk", json.RawMessage(`{"kty":"EC","crv":"P-256","x":"AA","y":"AA","d":"AA"}`))},
		{"no certificate", "cert_pem_invalid", request(good).with("cert_pem", "")},
		{"key in the certificate's place", "cert_pem_invalid", request(good).with("cert_pem", good.keyPEM(t))},
		{"damaged block before", "cert_pem_invalid",
			request(good).with("cert_pem", good.certPEM()[:100]+"\n"+good.certPEM())},
		{"17 certificates", "cert_pem_invalid", request(good).with("cert_pem", strings.Repeat(good.certPEM(), 17))},
		{"malformed name", "agent_id_invalid", request(good).with("agent_name", "a b")},
		{"malformed capability", "agent_profile_invalid", request(good).with("capabilities", []string{""})},
		{"SPIRE's member", "json_invalid", request(good).with("trust_bundle_pem", chain)},
	} {
		t.Run(c.name, func(t *testing.T) {
			w.refuse(t, "/v1/admin/agents/enroll/byoca",
				refusal{c.name, event("POST", "/v1/admin/agents/enroll/byoca", admin, jsonBody(c.text(t))), 400, c.code})
		})
	}
	for name, m := range map[string]members{"minted": request(good).with("agent_name", "minted", "update_existing",
		true)} {
		w.refuse(t, "/v1/admin/agents/enroll/byoca",
			refusal{name, event("POST", "/v1/admin/agents/enroll/byoca", admin, jsonBody(m.text(t))), 409,
				"agent_method_differs"})
	}
	w.postBYOCA(t, request(good)).into(t, 201, &enrolAnswer{})
	w.refuse(t, "/v1/admin/agents/enroll/byoca",
		refusal{"one certificate for two",
			event("POST", "/v1/admin/agents/enroll/byoca", admin, jsonBody(request(good).with("agent_name", "two").text(t))),
			409, "certificate_in_use"})
	// The Org CA allows one CA below itself, not two.
	middle := ca
	for n := range 2 {
		below, key := pkitest.CATemplate("pipeline", 1-n, w.Now()), newKey(t)
		below.SerialNumber = big.NewInt(int64(7 + n))
		middle = pki.Authority{
			Chain: append([]*x509.Certificate{pkitest.Sign(t, below, middle, key.Public())}, middle.Chain...),
			Key:   key,
		}
	}
	leaf := sign(t, middle, leafTemplate(w.Now()), newKey(t))
	w.refuse(t, "/v1/admin/agents/enroll/byoca",
		refusal{"path length", event("POST", "/v1/admin/agents/enroll/byoca", admin,
			jsonBody(request(leaf).with("agent_name", "three", "cert_pem",
				leaf.certPEM()+string(pki.EncodeCertificates(middle.Chain...))).text(t))), 400, "cert_not_signed_by_org_ca"})
}

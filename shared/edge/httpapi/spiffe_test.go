package httpapi_test

import (
	"crypto/x509"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mastio-aws/mastio/shared/pki"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
	"github.com/mastio-aws/mastio/test/inmemory"
	"github.com/mastio-aws/mastio/test/pkitest"
)

const workload = "spiffe://prod.example/ns/default/sa/kyc"

func spiffeRequest(t testing.TB, name string, i issuedElsewhere, bundle ...*x509.Certificate) members {
	m := members{"agent_name": name, "svid_pem": i.certPEM(), "svid_key_pem": i.keyPEM(t),
		"capabilities": []string{"kyc:read"}}
	if len(bundle) > 0 {
		m["trust_bundle_pem"] = string(pki.EncodeCertificates(bundle...))
	}
	return m
}

func (w *world) tokenStatus(t testing.TB, what, certPEM string, want int, edits ...edit) {
	t.Helper()
	if a := w.send(t, tokenRequest(certPEM, edits...)); a.status != want {
		t.Errorf("%s: token %d %.200s, want %d", what, a.status, a.body, want)
	}
}

// SVIDs rotate every hour, and the Org CA whenever it likes: an agent with a bundle of its own notices neither.
func TestSPIFFEAgentNeedsNothing(t *testing.T) {
	w := open(t, memstore.Config{})
	server, other := newSPIRE(t, inmemory.ForeignDomain, w.Now()), newSPIRE(t, inmemory.ForeignDomain, w.Now())
	first := svid(t, server.root, workload, w.Now())
	var got enrolAnswer
	w.postSPIFFE(t, spiffeRequest(t, "kyc", first, other.root.Chain[0], server.root.Chain[0])).into(t, 201, &got)
	id := workload
	want := enrolAnswer{
		ID:           "orga::kyc",
		DisplayName:  "kyc",
		Capabilities: []string{"kyc:read"},
		Thumbprint:   pki.Thumbprint(first.cert.Raw),
		SPIFFEID:     &id,
		EnrolledAt:   w.Now(),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("answer (-want +got):\n%s", diff)
	}
	w.tokenStatus(t, "first SVID", first.certPEM(), 200)
	w.Advance(time.Hour + time.Minute)
	w.tokenStatus(t, "an hour later", first.certPEM(), 401)
	next := svid(t, server.root, workload, w.Now())
	w.tokenStatus(t, "next SVID", next.certPEM(), 200)
	w.tokenStatus(t, "next SVID, by client_id", next.certPEM(), 200, body(formType, "client_id=orga::kyc"))
	if a := w.send(t, event("POST", "/pki/rotate-ca", admin, query("mode", "mint"))); a.status != 200 {
		t.Fatalf("rotate: %s", a.body)
	}
	w.tokenStatus(t, "after a rotation of the Org CA", next.certPEM(), 200)
	w.tokenStatus(t, "of the other root", svid(t, other.root, workload, w.Now()).certPEM(), 200)

	w.tokenStatus(t, "of a foreign root",
		svid(t, newSPIRE(t, inmemory.ForeignDomain, w.Now()).root, workload, w.Now()).certPEM(), 401)
	w.tokenStatus(t, "of the Org CA", svid(t, w.orgCA(t), workload, w.Now()).certPEM(), 401)
	w.tokenStatus(t, "another workload's", svid(t, server.root, workload+"2", w.Now()).certPEM(), 401)
	w.tokenStatus(t, "another workload's, by client_id", svid(t, server.root, workload+"2", w.Now()).certPEM(), 401,
		body(formType, "client_id=orga::kyc"))
	w.tokenStatus(t, "an agent of the Mastio's", svid(t, server.root, "spiffe://mastio.test/orga/kyc", w.Now()).certPEM(),
		401)
	if a := w.send(t, event("DELETE", "/v1/admin/agents/orga::kyc", admin)); a.status != 204 {
		t.Fatal(a.status)
	}
	w.tokenStatus(t, "after the deactivation", next.certPEM(), 401)
}

// Only the leaf may reach the token function: what stands between it and the bundle is known from the enrolment, or
// sent.
func TestSPIFFEIntermediates(t *testing.T) {
	w := open(t, memstore.Config{})
	server := newSPIRE(t, inmemory.ForeignDomain, w.Now())
	first := svid(t, server.intermediate, workload, w.Now())
	between := string(pki.EncodeCertificates(server.intermediate.Chain[0]))
	request := spiffeRequest(t, "kyc", first, server.root.Chain[0])
	w.refuse(t, "/v1/admin/agents/enroll/spiffe",
		refusal{"intermediate missing", event("POST", "/v1/admin/agents/enroll/spiffe", admin, jsonBody(request.text(t))),
			400, "svid_not_signed_by_trust_bundle"})
	w.postSPIFFE(t, request.with("svid_pem", first.certPEM()+between)).into(t, 201, &enrolAnswer{})
	w.tokenStatus(t, "leaf alone", first.certPEM(), 200)

	below := pkitest.CATemplate("next intermediate", 0, w.Now())
	key := newKey(t)
	rotated := pki.Authority{Chain: []*x509.Certificate{pkitest.Sign(t, below, server.root, key.Public())}, Key: key}
	next := svid(t, rotated, workload, w.Now())
	chain := string(pki.EncodeCertificates(rotated.Chain...))
	w.tokenStatus(t, "of an intermediate that nobody knows", next.certPEM(), 401)
	w.tokenStatus(t, "with the edge's chain", next.certPEM()+chain, 200)
	w.tokenStatus(t, "with the chain in the form", next.certPEM(), 200,
		body(formType, url.Values{"svid_chain_pem": {chain}}.Encode()))
	w.tokenStatus(t, "with a chain that is none", next.certPEM(), 400, body(formType, "svid_chain_pem=x"))
	w.tokenStatus(t, "with nine certificates", next.certPEM(), 400,
		body(formType, url.Values{"svid_chain_pem": {strings.Repeat(chain, 9)}}.Encode()))
}

// SPIRE's intermediate renews, with the Org CA or without: one request that sends it is enough for all that follow with
// the leaf alone, and one that lacks it hears what to send.
func TestIntermediatesAreRemembered(t *testing.T) {
	w := open(t, memstore.Config{})
	server := newSPIRE(t, inmemory.ForeignDomain, w.Now())
	const own = "spiffe://mastio.test/ns/default/sa/own"
	intermediate := func(ca pki.Authority) pki.Authority { return below(t, ca, newKey(t), w.Now(), nil) }
	pem := func(ca pki.Authority) string { return string(pki.EncodeCertificates(ca.Chain[0])) }
	one, two := intermediate(server.root), intermediate(w.orgCA(t))
	a, b := svid(t, one, workload, w.Now()), svid(t, two, own, w.Now())
	w.postSPIFFE(t, spiffeRequest(t, "a", a, server.root.Chain[0]).with("svid_pem", a.certPEM()+pem(one))).into(t, 201,
		&enrolAnswer{})
	w.postSPIFFE(t, spiffeRequest(t, "b", b).with("svid_pem", b.certPEM()+pem(two))).into(t, 201, &enrolAnswer{})
	w.change(t, query("mode", "mint"))
	for what, c := range map[string]struct {
		ca pki.Authority
		id string
	}{"a bundle": {intermediate(server.root), workload}, "the Org CA": {intermediate(w.orgCA(t)), own}} {
		next := svid(t, c.ca, c.id, w.Now())
		if a := w.send(t, tokenRequest(next.certPEM())); a.status != 401 ||
			!strings.Contains(string(a.body), "svid_chain_pem") || strings.Contains(string(a.body), "revoked") {
			t.Errorf("%s: without the intermediate: %d %s", what, a.status, a.body)
		}
		form := body(formType, url.Values{"svid_chain_pem": {pem(c.ca)}}.Encode())
		w.tokenStatus(t, what+": with it", next.certPEM(), 200, form)
		before := w.Store.Calls()["Apply"]
		w.tokenStatus(t, what+": with it again", next.certPEM(), 200, form)
		w.tokenStatus(t, what+": the leaf alone", next.certPEM(), 200)
		w.tokenStatus(t, what+": the next leaf alone", svid(t, c.ca, c.id, w.Now()).certPEM(), 200)
		if n := w.Store.Calls()["Apply"] - before; n != 0 {
			t.Errorf("%s: %d commits where nothing is new", what, n)
		}
		other := intermediate(newSPIRE(t, inmemory.ForeignDomain, w.Now()).root)
		w.tokenStatus(t, what+": of a forged one", svid(t, other, c.id, w.Now()).certPEM(), 401,
			body(formType, url.Values{"svid_chain_pem": {pem(other)}}.Encode()))
		w.tokenStatus(t, what+": a forged one is not remembered", svid(t, other, c.id, w.Now()).certPEM(), 401)
	}
	w.tokenStatus(t, "of the superseded Org CA", b.certPEM(), 401)
	for range 20 {
		ca := intermediate(server.root)
		w.tokenStatus(t, "one of many", svid(t, ca, workload, w.Now()).certPEM(), 200,
			body(formType, url.Values{"svid_chain_pem": {pem(ca)}}.Encode()))
	}
	if n := len(w.state(t).Agents["orga::a"].Intermediates); n > 8 {
		t.Errorf("%d intermediates are remembered", n)
	}
}

// An agent whose SVIDs are under the Org CA follows its generations, as pins do.
func TestSPIFFEUnderTheOrgCA(t *testing.T) {
	w := open(t, memstore.Config{})
	id := "spiffe://mastio.test/ns/default/sa/kyc"
	one := svid(t, w.orgCA(t), id, w.Now())
	var got enrolAnswer
	w.postSPIFFE(t, spiffeRequest(t, "kyc", one)).into(t, 201, &got)
	if *got.Generation != 1 {
		t.Errorf("generation %d", *got.Generation)
	}
	w.tokenStatus(t, "current", one.certPEM(), 200)
	rotate := func(edits ...edit) {
		t.Helper()
		if a := w.send(t, event("POST", "/pki/rotate-ca", append([]edit{admin}, edits...)...)); a.status != 200 {
			t.Fatalf("rotate: %s", a.body)
		}
	}
	rotate(query("mode", "mint"), query("overlap", "600"))
	two := svid(t, w.orgCA(t), id, w.Now())
	w.tokenStatus(t, "superseded, in the overlap", one.certPEM(), 200)
	w.tokenStatus(t, "the next SVID", two.certPEM(), 200)
	w.Advance(10 * time.Minute)
	w.tokenStatus(t, "superseded, after the overlap", one.certPEM(), 401)
	w.tokenStatus(t, "the next SVID", two.certPEM(), 200)
	rotate(query("mode", "rollback"))
	w.tokenStatus(t, "restored", one.certPEM(), 200)
	w.tokenStatus(t, "undone", two.certPEM(), 401)
}

func TestSPIFFEUpdate(t *testing.T) {
	w := open(t, memstore.Config{})
	old, next := newSPIRE(t, inmemory.ForeignDomain, w.Now()), newSPIRE(t, inmemory.ForeignDomain, w.Now())
	w.postSPIFFE(t, spiffeRequest(t, "kyc", svid(t, old.root, workload, w.Now()), old.root.Chain[0])).into(t, 201,
		&enrolAnswer{})
	moved := svid(t, next.root, workload+"-moved", w.Now())
	request := spiffeRequest(t, "kyc", moved, next.root.Chain[0])
	w.refuse(t, "/v1/admin/agents/enroll/spiffe",
		refusal{"duplicate", event("POST", "/v1/admin/agents/enroll/spiffe", admin, jsonBody(request.text(t))), 409,
			"agent_already_enrolled"})
	w.postSPIFFE(t, request.with("update_existing", true)).into(t, 201, &enrolAnswer{})
	w.tokenStatus(t, "new bundle and SPIFFE ID", moved.certPEM(), 200)
	w.tokenStatus(t, "old ones", svid(t, old.root, workload, w.Now()).certPEM(), 401)
	w.tokenStatus(t, "old bundle", svid(t, old.root, workload+"-moved", w.Now()).certPEM(), 401)
	// The SPIFFE ID that it left is free, the one that it has is not.
	w.postSPIFFE(t, spiffeRequest(t, "two", svid(t, next.root, workload, w.Now()), next.root.Chain[0])).into(t, 201,
		&enrolAnswer{})
	third := spiffeRequest(t, "three", moved, next.root.Chain[0])
	w.refuse(t, "/v1/admin/agents/enroll/spiffe",
		refusal{"one SPIFFE ID for two", event("POST", "/v1/admin/agents/enroll/spiffe", admin, jsonBody(third.text(t))), 409,
			"certificate_in_use"})
}

// The edge lets in what is under the bundles of its agents; each CA stands in the truststore once.
func TestSPIFFEBundlesAreInTheTruststore(t *testing.T) {
	w := open(t, memstore.Config{})
	server := newSPIRE(t, inmemory.ForeignDomain, w.Now())
	for n := range 3 {
		name := "kyc-" + strconv.Itoa(n)
		var got struct {
			Truststore struct{ Status string }
			EnrolledAt time.Time `json:"enrolled_at"`
		}
		w.Advance(123_456)
		w.postSPIFFE(t, spiffeRequest(t, name, svid(t, server.root, workload+name, w.Now()), server.root.Chain[0])).into(t,
			201, &got)
		if got.Truststore.Status != "current" {
			t.Errorf("the answer says of the edge: %+v", got.Truststore)
		}
		if !got.EnrolledAt.Equal(got.EnrolledAt.Truncate(time.Millisecond)) {
			t.Errorf("enrolled at %s: a later answer says another time", got.EnrolledAt)
		}
	}
	object, err := w.Objects.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(object.PEM), string(pki.EncodeCertificates(server.root.Chain[0]))); n != 1 {
		t.Errorf("the bundle's CA stands in the truststore %d times", n)
	}
	state, err := w.Health.Check(t.Context())
	if err != nil || len(state.Warnings) > 0 {
		t.Errorf("health = %+v, %v", state, err)
	}
}

func TestSPIFFERefusals(t *testing.T) {
	w := open(t, memstore.Config{})
	w.enrol(t, "minted")
	server := newSPIRE(t, inmemory.ForeignDomain, w.Now())
	key := newKey(t)
	good := sign(t, server.root, svidTemplate(t, workload, w.Now()), key)
	changed := func(change func(*x509.Certificate)) members {
		template := svidTemplate(t, workload, w.Now())
		change(template)
		return spiffeRequest(t, "kyc", sign(t, server.root, template, key), server.root.Chain[0])
	}
	uris := func(texts ...string) func(*x509.Certificate) {
		return func(c *x509.Certificate) {
			c.URIs = nil
			for _, text := range texts {
				u, err := url.Parse(text)
				if err != nil {
					t.Fatal(err)
				}
				c.URIs = append(c.URIs, u)
			}
		}
	}
	request := spiffeRequest(t, "kyc", good, server.root.Chain[0])
	for _, c := range []struct {
		name, code string
		members
	}{
		{"no URI", "svid_missing_spiffe_uri", changed(uris())},
		{"two URIs", "svid_missing_spiffe_uri", changed(uris(workload, workload+"2"))},
		{"a URI beside", "svid_missing_spiffe_uri", changed(uris(workload, "https://prod.example"))},
		{"another scheme", "svid_missing_spiffe_uri", changed(uris("https://prod.example/a"))},
		{"a trust domain's ID", "svid_missing_spiffe_uri", changed(uris("spiffe://prod.example"))},
		{"foreign trust domain", "spiffe_uri_wrong_trust_domain", changed(uris("spiffe://elsewhere.example/a"))},
		{"an agent of the Mastio's", "cert_names_another_agent", changed(uris("spiffe://mastio.test/orga/minted"))},
		{"expired", "cert_expired", changed(func(c *x509.Certificate) { c.NotAfter = w.Now().Add(-time.Second) })},
		{"not yet valid", "cert_not_yet_valid",
			changed(func(c *x509.Certificate) { c.NotBefore = w.Now().Add(time.Second) })},
		{"CA", "cert_is_ca", changed(func(c *x509.Certificate) { c.IsCA, c.MaxPathLen = true, -1 })},
		{"no digital signatures", "cert_eku_not_client_auth", changed(func(c *x509.Certificate) { c.KeyUsage = 0 })},
		{"server alone", "cert_eku_not_client_auth",
			changed(func(c *x509.Certificate) { c.ExtKeyUsage = c.ExtKeyUsage[:1] })},
		{"under the bundle, without it", "cert_not_signed_by_org_ca", request.with("trust_bundle_pem", nil)},
		{"foreign bundle", "svid_not_signed_by_trust_bundle",
			request.with("trust_bundle_pem",
				string(pki.EncodeCertificates(newSPIRE(t, inmemory.ForeignDomain, w.Now()).root.Chain...)))},
		{"empty bundle", "trust_bundle_invalid", request.with("trust_bundle_pem", "")},
		{"bundle of leaves", "trust_bundle_invalid", request.with("trust_bundle_pem", good.certPEM())},
		{"another key", "key_does_not_match_cert",
			request.with("svid_key_pem", issuedElsewhere{good.cert, newKey(t)}.keyPEM(t))},
		{"proof for BYOCA", "possession_proof_invalid",
			request.with("svid_key_pem", nil, "possession_proof",
				proofBy(t, key, "mastio-byoca:v1|orga::kyc|"+pki.Thumbprint(good.cert.Raw)))},
		{"BYOCA's member", "json_invalid", request.with("cert_pem", good.certPEM())},
	} {
		t.Run(c.name, func(t *testing.T) {
			w.refuse(t, "/v1/admin/agents/enroll/spiffe",
				refusal{c.name, event("POST", "/v1/admin/agents/enroll/spiffe", admin, jsonBody(c.text(t))), 400, c.code})
		})
	}
	proof := proofBy(t, key, "mastio-spiffe:v1|orga::kyc|"+pki.Thumbprint(good.cert.Raw))
	w.postSPIFFE(t, request.with("svid_key_pem", nil, "possession_proof", proof)).into(t, 201, &enrolAnswer{})
	w.refuse(t, "/registry/agents/{agent_id}/rotate-cert",
		refusal{"rotation here", event("POST", "/registry/agents/orga::kyc/rotate-cert", admin), 409, "rotate_at_your_ca"})
}

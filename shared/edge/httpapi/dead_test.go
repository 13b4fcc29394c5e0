package httpapi_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/mastio-aws/mastio/shared/pki"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
	"github.com/mastio-aws/mastio/test/inmemory"
	"github.com/mastio-aws/mastio/test/pkitest"
)

func (w *world) remove(t testing.TB, id string) {
	t.Helper()
	if a := w.send(t, event("DELETE", "/v1/admin/agents/"+id, admin)); a.status != 204 {
		t.Fatal(a.status)
	}
}

func (w *world) refusedWith(t *testing.T, path, what string, m members, status int, code string) {
	t.Helper()
	w.refuse(t, path, refusal{what, event("POST", path, admin, jsonBody(m.text(t))), status, code})
}

// held is a certificate that the Mastio issued, as its agent has it.
func held(t testing.TB, h holder) members {
	t.Helper()
	return members{"agent_name": strings.TrimPrefix(h.ID, "orga::"), "svid_pem": h.CertPEM, "svid_key_pem": h.KeyPEM}
}

// ownID is the SPIFFE ID that the Mastio gives an agent.
func ownID(name string) string { return "spiffe://mastio.test/orga/" + name }

// A certificate that the Mastio issued counts by its pin only, whatever becomes of its agent.
func TestAnIssuedCertificateIsNoSVID(t *testing.T) {
	w := open(t, memstore.Config{})
	stolen := w.enrol(t, "x")
	next := w.rotate(t, stolen.ID, `{"reason":"keyCompromise"}`)
	w.remove(t, stolen.ID)
	w.refusedWith(t, spiffeRoute, "the newest one as SVID", held(t, next), 400, "cert_issued_by_mastio")
	byo := members{"agent_name": "x", "cert_pem": next.CertPEM, "private_key_pem": next.KeyPEM}
	w.refusedWith(t, byocaRoute, "the newest one as BYOCA", byo, 400, "cert_issued_by_mastio")
	w.refusedWith(t, byocaRoute, "of another name", byo.with("agent_name", "y"), 400, "cert_names_another_agent")

	w.Advance(time.Minute)
	genuine := svid(t, w.orgCA(t), ownID("x"), w.Now())
	w.postSPIFFE(t, spiffeRequest(t, "x", genuine)).into(t, 201, &enrolAnswer{})
	w.tokenStatus(t, "the genuine SVID", genuine.certPEM(), 200)
	for what, h := range map[string]holder{"stolen": stolen, "deactivated": next} {
		w.tokenStatus(t, what, h.CertPEM, 401)
		chain := url.Values{"svid_chain_pem": {h.CertPEM}}.Encode() // with the CA that issued it
		w.tokenStatus(t, what+", with its chain", h.CertPEM, 401, body(formType, chain))
	}
	// One that the record never knew: the answer to a renewal that was lost, say.
	lost, err := w.OrgCA(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	pointer, err := w.Store.Pointer(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	issuing, err := x509.ParseCertificate(pointer.Chain[0])
	if err != nil {
		t.Fatal(err)
	}
	lost = pki.Authority{
		Chain: append([]*x509.Certificate{issuing}, lost.Chain...),
		Key:   w.Keys.Signer(t.Context(), pointer.SigningKey, issuing.PublicKey),
	}
	w.tokenStatus(t, "issued and never pinned", svid(t, lost, ownID("x"), w.Now().Add(time.Hour-time.Minute)).certPEM(),
		401)
}

// An agent that was rotated while a clock was ahead, and deactivated, can be enrolled by another method once the clock
// is right.
func TestEnrolmentAfterAClockThatWasAhead(t *testing.T) {
	const ahead = 300 * 24 * time.Hour
	for name, wrong := range map[string]time.Duration{"deactivated with the clock put right": 0,
		"deactivated while it was ahead": ahead} {
		w := open(t, memstore.Config{})
		w.enrol(t, "x")
		w.Advance(ahead)
		if _, err := w.Rotate(t.Context(), "orga::x"); err != nil {
			t.Fatal(err)
		}
		w.Advance(wrong - ahead)
		w.remove(t, "orga::x")
		w.Advance(-wrong + time.Minute)
		fresh := svid(t, w.orgCA(t), ownID("x"), w.Now())
		w.postSPIFFE(t, spiffeRequest(t, "x", fresh)).into(t, 201, &enrolAnswer{})
		w.tokenStatus(t, name, fresh.certPEM(), 200)
	}
}

// What was replaced or deactivated under one method does not come back through another.
func TestBYOCADoesNotComeBackAsSVID(t *testing.T) {
	w := open(t, memstore.Config{})
	leaf := func(at time.Time) issuedElsewhere { return svid(t, w.orgCA(t), ownID("x"), at) }
	byo := func(i issuedElsewhere) members { return byocaRequest(t, "x", i) }
	never := leaf(w.Now())
	w.Advance(time.Minute)
	first := leaf(w.Now())
	w.postBYOCA(t, byo(first)).into(t, 201, &enrolAnswer{})
	w.Advance(time.Minute)
	last := leaf(w.Now())
	w.postBYOCA(t, byo(last).with("update_existing", true)).into(t, 201, &enrolAnswer{})
	w.remove(t, "orga::x")

	w.refusedWith(t, spiffeRoute, "the deactivated one", spiffeRequest(t, "x", last), 400, "key_not_fresh")
	w.refusedWith(t, byocaRoute, "the deactivated one, same method", byo(last), 400, "key_not_fresh")
	w.refusedWith(t, spiffeRoute, "the replaced one", spiffeRequest(t, "x", first), 400, "certificate_too_old")
	a := w.postSPIFFE(t, spiffeRequest(t, "x", never))
	if floor := last.cert.NotBefore.UTC().Format(time.RFC3339); a.status != 400 ||
		!strings.Contains(string(a.body), floor) {
		t.Errorf("one that was never shown: %d %s, want the instant %s", a.status, a.body, floor)
	}
	again := sign(t, w.orgCA(t), svidTemplate(t, ownID("x"), w.Now()), last.key)
	w.refusedWith(t, spiffeRoute, "a new certificate of the deactivated key", spiffeRequest(t, "x", again), 400,
		"key_not_fresh")

	backdated := leaf(w.Now()) // as old as the last one, of another key
	w.postSPIFFE(t, spiffeRequest(t, "x", backdated)).into(t, 201, &enrolAnswer{})
	w.tokenStatus(t, "a certificate of the same second", backdated.certPEM(), 200)
	for what, i := range map[string]issuedElsewhere{"replaced": first, "never shown": never, "deactivated": last} {
		w.tokenStatus(t, what, i.certPEM(), 401)
	}
	a = w.send(t, tokenRequest(never.certPEM()))
	if floor := last.cert.NotBefore.UTC().Format(time.RFC3339); !strings.Contains(string(a.body), floor) {
		t.Errorf("the refusal does not name the instant %s: %s", floor, a.body)
	}
}

// A compromise of a BYOCA agent is for good: no rollback, no other key, no DPoP key of the same host.
func TestBYOCACompromiseIsForGood(t *testing.T) {
	for _, word := range []string{"keyCompromise", "KEYCOMPROMISE", "cACompromise", "privilegeWithdrawn"} {
		t.Run(word, func(t *testing.T) {
			w := open(t, memstore.Config{})
			jwk := publicJWK(t, newKey(t))
			stolen := sign(t, w.orgCA(t), leafTemplate(w.Now()), newKey(t))
			w.postBYOCA(t, byocaRequest(t, "x", stolen).with("dpop_jwk", jwk)).into(t, 201, &enrolAnswer{})
			w.Advance(time.Minute)
			w.change(t, query("mode", "mint"))
			request := func(key crypto.Signer) members {
				return byocaRequest(t, "x", sign(t, w.orgCA(t), leafTemplate(w.Now()), key)).with("reason", word, "comment",
					"host lost")
			}
			if word != "privilegeWithdrawn" {
				w.refusedWith(t, byocaRoute, "the same key", request(stolen.key), 400, "key_not_fresh")
				w.refusedWith(t, byocaRoute, "the same DPoP key", request(newKey(t)).with("dpop_jwk", jwk), 400, "key_not_fresh")
			}
			var got enrolAnswer
			w.postBYOCA(t, request(newKey(t))).into(t, 200, &got)
			if word != "privilegeWithdrawn" && got.JKT != nil {
				t.Errorf("the DPoP key of the lost host is still registered: %s", *got.JKT)
			}
			if row := w.lastRow(t, "orga::x"); row.Details["comment"] != "host lost" ||
				!strings.EqualFold(row.Details["reason"].(string), word) {
				t.Errorf("row = %+v", row)
			}
			w.change(t, query("mode", "rollback"))
			w.tokenStatus(t, "stolen, after a rollback", stolen.certPEM(), 401)
			w.refusedWith(t, byocaRoute, "enrolled again", byocaRequest(t, "x", stolen), 400, "key_not_fresh")
		})
	}
	w := open(t, memstore.Config{})
	leaf := sign(t, w.orgCA(t), leafTemplate(w.Now()), newKey(t))
	w.refusedWith(t, byocaRoute, "free text", byocaRequest(t, "x", leaf).with("reason", "key_compromise"), 400,
		"reason_invalid")
	w.postBYOCA(t, byocaRequest(t, "x", leaf)).into(t, 201, &enrolAnswer{})
	other := sign(t, w.orgCA(t), leafTemplate(w.Now()), newKey(t))
	w.refusedWith(t, byocaRoute, "a pin that counts stays protected",
		byocaRequest(t, "x", other).with("reason", "keyCompromise"), 409, "agent_already_enrolled")
}

// SVIDs of before a compromise never count again, shown at an enrolment or not.
func TestSPIFFECompromiseEndsOlderSVIDs(t *testing.T) {
	w := open(t, memstore.Config{})
	server := newSPIRE(t, inmemory.ForeignDomain, w.Now())
	one := func() issuedElsewhere { return svid(t, server.root, workload, w.Now()) }
	first := one()
	w.postSPIFFE(t, spiffeRequest(t, "x", first, server.root.Chain[0])).into(t, 201, &enrolAnswer{})
	w.Advance(time.Minute)
	stolen := one()
	w.tokenStatus(t, "stolen, before", stolen.certPEM(), 200)
	w.refusedWith(t, spiffeRoute, "the one that is known",
		spiffeRequest(t, "x", first, server.root.Chain[0]).with("reason", "keyCompromise"), 400, "key_not_fresh")
	w.Advance(time.Minute)
	next := one()
	w.postSPIFFE(t, spiffeRequest(t, "x", next, server.root.Chain[0]).with("reason", "keyCompromise")).into(t, 200,
		&enrolAnswer{})
	w.tokenStatus(t, "first", first.certPEM(), 401)
	w.tokenStatus(t, "stolen", stolen.certPEM(), 401)
	w.tokenStatus(t, "the next", next.certPEM(), 200)
	w.Advance(time.Minute)
	w.tokenStatus(t, "the one after", one().certPEM(), 200)
}

// A bundle with a CA of ours would keep its agent alive when that CA is rotated away.
func TestABundleHoldsNoCAOfOurs(t *testing.T) {
	w := open(t, memstore.Config{})
	old := w.orgCA(t)
	pointer, err := w.Store.Pointer(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	issuing, err := x509.ParseCertificate(pointer.Chain[0])
	if err != nil {
		t.Fatal(err)
	}
	again := pkitest.CATemplate("The same key", 1, w.Now())
	twin := pkitest.Sign(t, again, pki.Authority{Key: old.Key}, old.Key.Public())
	w.change(t, query("mode", "mint"))
	server := newSPIRE(t, inmemory.ForeignDomain, w.Now())
	for what, ca := range map[string]*x509.Certificate{"current": w.orgCA(t).Chain[0], "superseded": old.Chain[0],
		"issuing": issuing, "twin": twin} {
		leaf := svid(t, server.root, workload, w.Now())
		m := spiffeRequest(t, "x", leaf, server.root.Chain[0], ca)
		w.refusedWith(t, spiffeRoute, what, m, 400, "trust_bundle_is_org_ca")
		if a := w.postSPIFFE(t, m); !strings.Contains(string(a.body), "leave trust_bundle_pem out") {
			t.Errorf("%s: no advice: %s", what, a.body)
		}
	}
}

// below makes a CA under another one, with any key, and what change does to it.
func below(
	t testing.TB, ca pki.Authority, key crypto.Signer, now time.Time, change func(*x509.Certificate),
) pki.Authority {
	t.Helper()
	template := pkitest.CATemplate("between", 0, now)
	template.SerialNumber = nil
	if change != nil {
		change(template)
	}
	return pki.Authority{
		Chain: append([]*x509.Certificate{pkitest.Sign(t, template, ca, key.Public())}, ca.Chain...),
		Key:   key,
	}
}

// The policy is the same for the whole chain, for both methods and for what a token request sends.
func TestWeakIssuersAreRefused(t *testing.T) {
	w := open(t, memstore.Config{})
	server := newSPIRE(t, inmemory.ForeignDomain, w.Now())
	weak, err := rsa.GenerateKey(rand.Reader, 1024) //nolint:gosec // weak on purpose
	if err != nil {
		t.Fatal(err)
	}
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	noBits := func(c *x509.Certificate) {
		c.KeyUsage = 0
		c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{
			Id:       asn1.ObjectIdentifier{2, 5, 29, 15},
			Critical: true,
			Value:    []byte{3, 1, 0},
		})
	}
	good := below(t, server.root, newKey(t), w.Now(), nil)
	first := svid(t, good, workload, w.Now())
	between := func(a pki.Authority) string { return string(pki.EncodeCertificates(a.Chain[0])) }
	spire := spiffeRequest(t, "good", first, server.root.Chain[0])
	w.postSPIFFE(t, spire.with("svid_pem", first.certPEM()+between(good))).into(t, 201, &enrolAnswer{})
	for what, c := range map[string]struct {
		key    crypto.Signer
		change func(*x509.Certificate)
	}{"RSA-1024": {weak, nil}, "P-224": {p224, nil}, "keyUsage without a bit": {newKey(t), noBits}} {
		t.Run(what, func(t *testing.T) {
			ca := below(t, server.root, c.key, w.Now(), c.change)
			leaf := svid(t, ca, workload, w.Now())
			w.refusedWith(t, spiffeRoute, "SPIFFE",
				spiffeRequest(t, "x", leaf, server.root.Chain[0]).with("svid_pem", leaf.certPEM()+between(ca)), 400,
				"issuer_ca_unacceptable")
			w.tokenStatus(t, "sent with the token request", leaf.certPEM(), 401,
				body(formType, url.Values{"svid_chain_pem": {between(ca)}}.Encode()))
			org := below(t, w.orgCA(t), c.key, w.Now(), c.change)
			byo := sign(t, org, leafTemplate(w.Now()), newKey(t))
			w.refusedWith(t, byocaRoute, "BYOCA", byocaRequest(t, "y", byo).with("cert_pem", byo.certPEM()+between(org)), 400,
				"issuer_ca_unacceptable")
			root := pki.Authority{Key: c.key}
			template := pkitest.CATemplate("root", 1, w.Now())
			if c.change != nil {
				c.change(template)
			}
			root.Chain = []*x509.Certificate{pkitest.Sign(t, template, root, c.key.Public())}
			under := svid(t, root, workload, w.Now())
			w.refusedWith(t, spiffeRoute, "as root of the bundle", spiffeRequest(t, "x", under, root.Chain[0]), 400,
				"trust_bundle_invalid")
		})
	}
	purposes := pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 37}, Value: []byte{0x30, 0}}
	template := leafTemplate(w.Now())
	template.ExtKeyUsage, template.ExtraExtensions = nil, []pkix.Extension{purposes}
	leaf := sign(t, w.orgCA(t), template, newKey(t))
	w.refusedWith(t, byocaRoute, "a leaf with an empty extendedKeyUsage", byocaRequest(t, "y", leaf), 400,
		"cert_extension_malformed")
}

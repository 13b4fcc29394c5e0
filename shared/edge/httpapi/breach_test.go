package httpapi_test

import (
	"crypto/x509"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mastio-aws/mastio/shared/edge/httpapi"
	"github.com/mastio-aws/mastio/shared/pki"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
	"github.com/mastio-aws/mastio/test/inmemory"
	"github.com/mastio-aws/mastio/test/pkitest"
)

// crossed is a former Org CA below the present one: what operators make to ease a change of roots (RFC 4210 section
// 4.4).
func crossed(t testing.TB, old, present pki.Authority, now time.Time) pki.Authority {
	t.Helper()
	template := pkitest.CATemplate("old with new", 0, now)
	template.RawSubject, template.SubjectKeyId = old.Chain[0].RawSubject, old.Chain[0].SubjectKeyId
	return pki.Authority{Chain: []*x509.Certificate{pkitest.Sign(t, template, present, old.Key.Public())}, Key: old.Key}
}

// The key of a former Org CA counts no more, whatever certificates of it there are.
func TestAFormerOrgCADoesNotCountByACrossCertificate(t *testing.T) {
	const id = "spiffe://mastio.test/ns/default/sa/kyc"
	for _, reason := range []string{"keyCompromise", "superseded"} {
		w := open(t, memstore.Config{})
		old := w.orgCA(t)
		w.postSPIFFE(t, spiffeRequest(t, "x", svid(t, old, id, w.Now()))).into(t, 201, &enrolAnswer{})
		stolen := sign(t, old, leafTemplate(w.Now()), newKey(t))
		w.postBYOCA(t, byocaRequest(t, "y", stolen)).into(t, 201, &enrolAnswer{})
		w.change(t, query("mode", "mint"), query("reason", reason))
		for _, when := range []string{"one generation later", "two generations later"} {
			cross := crossed(t, old, w.orgCA(t), w.Now())
			pem := string(pki.EncodeCertificates(cross.Chain[0]))
			forged := svid(t, old, id, w.Now())
			form := body(formType, url.Values{"svid_chain_pem": {pem}}.Encode())
			w.tokenStatus(t, reason+", "+when+": forged with the old key", forged.certPEM(), 401, form)
			m := spiffeRequest(t, "z", svid(t, old, id+"-2", w.Now()))
			w.refusedWith(t, spiffeRoute, when+": SPIFFE", m.with("svid_pem", m["svid_pem"].(string)+pem), 400,
				"cert_not_signed_by_org_ca")
			byo := byocaRequest(t, "y", stolen).with("cert_pem", stolen.certPEM()+pem)
			w.refusedWith(t, byocaRoute, when+": BYOCA", byo, 400, "cert_not_signed_by_org_ca")

			between := below(t, w.orgCA(t), newKey(t), w.Now(), nil)
			good := svid(t, between, id, w.Now())
			w.tokenStatus(t, when+": another CA below the present one", good.certPEM(), 200,
				body(formType, url.Values{"svid_chain_pem": {string(pki.EncodeCertificates(between.Chain[0]))}}.Encode()))
			w.change(t, query("mode", "mint"))
		}
	}
}

// SVIDs that only the token endpoint saw do not come back when their agent is enrolled again.
func TestADeactivationEndsSVIDsThatOnlyTokensSaw(t *testing.T) {
	for _, reason := range []string{"keyCompromise", "cessationOfOperation"} {
		for what, own := range map[string]bool{"a bundle": false, "the Org CA": true} {
			w := open(t, memstore.Config{})
			ca, id, bundle := w.orgCA(t), "spiffe://mastio.test/ns/default/sa/kyc", []*x509.Certificate(nil)
			if !own {
				ca, id = newSPIRE(t, inmemory.ForeignDomain, w.Now()).root, workload
				bundle = ca.Chain
			}
			w.postSPIFFE(t, spiffeRequest(t, "x", svid(t, ca, id, w.Now()), bundle...)).into(t, 201, &enrolAnswer{})
			w.Advance(time.Minute)
			stolen := svid(t, ca, id, w.Now())
			w.tokenStatus(t, "before", stolen.certPEM(), 200)
			w.Advance(time.Minute)
			if a := w.send(t, event("DELETE", "/v1/admin/agents/orga::x", admin, query("reason", reason))); a.status != 204 {
				t.Fatal(a.status)
			}
			fresh := svid(t, ca, id, w.Now())
			w.postSPIFFE(t, spiffeRequest(t, "x", fresh, bundle...)).into(t, 201, &enrolAnswer{})
			w.tokenStatus(t, reason+", "+what+": the stolen SVID", stolen.certPEM(), 401)
			w.tokenStatus(t, reason+", "+what+": the fresh SVID", fresh.certPEM(), 200)
			w.Advance(time.Minute)
			w.tokenStatus(t, reason+", "+what+": the next SVID", svid(t, ca, id, w.Now()).certPEM(), 200)
		}
	}
}

// A payload format that is not read is no request, and no identity.
func TestOtherPayloadFormatsAreNoRequests(t *testing.T) {
	w := open(t, memstore.Config{})
	h := w.enrol(t, "kyc")
	for _, version := range []string{"2.0", "1.1", "0"} {
		var e httpapi.Event
		e.APIGatewayProxyRequest = tokenRequest(h.CertPEM)
		e.RequestContext.APIGatewayProxyRequestContext = e.APIGatewayProxyRequest.RequestContext
		e.Version = version
		out, err := httpapi.Lambda(http.HandlerFunc(func(http.ResponseWriter,
			*http.Request) {
			t.Errorf("%s: carried out", version)
		}))(t.Context(), e)
		if err != nil || out.StatusCode != 400 {
			t.Errorf("%s: %d, %v", version, out.StatusCode, err)
		}
	}
}

// A key that no reader would find again, or that two readers would read differently, is refused before anything
// happens.
func TestHostileIdempotencyKeys(t *testing.T) {
	w := open(t, memstore.Config{})
	for name, key := range map[string]edit{
		"empty": keyed(""), "long": keyed(strings.Repeat("k", 256)), "blank": keyed("a b"), "unicode": keyed("schlüssel"),
		"line": keyed("a\nb"),
		"NUL":  keyed("a\x00"), "twice": header("Idempotency-Key", "a", "b"),
		"twice the same": header("Idempotency-Key", "a", "a"),
	} {
		w.refuse(t, "", refusal{name, event("POST", enrolRoute, admin, jsonBody(`{"agent_name":"kyc"}`), key), 400,
			"idempotency_key_invalid"})
		w.refuse(t, "", refusal{name, event("POST", "/pki/rotate-ca", admin, query("mode", "mint"), key), 400,
			"idempotency_key_invalid"})
	}
	w.enrolKeyed(t, strings.Repeat("~", 255), `{"agent_name":"kyc"}`, 201)
}

func (w *world) enrolKeyed(t testing.TB, key, request string, want int) answer {
	t.Helper()
	a := w.send(t, event("POST", enrolRoute, admin, keyed(key), jsonBody(request)))
	if a.status != want {
		t.Errorf("key %.20s: %d %.300s, want %d", key, a.status, a.body, want)
	}
	return a
}

// An answer of an agent's earlier life changes nothing of its present one, and a key names one request on all routes.
func TestAKeyOutlivesItsAgent(t *testing.T) {
	w := open(t, memstore.Config{})
	first := w.enrolKeyed(t, "one", `{"agent_name":"kyc"}`, 201)
	w.remove(t, "orga::kyc")
	second := w.enrolKeyed(t, "two", `{"agent_name":"kyc"}`, 201)
	before := w.state(t)
	wantDone(t, first, w.enrolKeyed(t, "one", `{"agent_name":"kyc"}`, 409))
	wantDone(t, second, w.enrolKeyed(t, "two", `{ "agent_name" : "kyc" }`, 409))
	w.enrolKeyed(t, "one", `{"agent_name":"kyc","dpop_bound_access_tokens":true}`, 422)
	for _, e := range []string{"/registry/agents/orga::kyc/rotate-cert", "/v1/admin/audit/checkpoint"} {
		w.refuse(t, "", refusal{e, event("POST", e, admin, keyed("one")), 422, "idempotency_key_reused"})
	}
	w.refuse(t, "", refusal{"mint", event("POST", "/pki/rotate-ca", admin, query("mode", "mint"), keyed("one")), 422,
		"idempotency_key_reused"})
	if got := w.state(t); len(got.Keys) != len(before.Keys) ||
		len(got.Rows["orga::kyc"]) != len(before.Rows["orga::kyc"]) {
		t.Error("a repetition changed something")
	}
	var h holder
	second.into(t, 201, &h)
	w.tokenStatus(t, "the present certificate", h.CertPEM, 200)
}

// Of eight requests at once under one key, one is carried out.
func TestOneKeyEightRequests(t *testing.T) {
	w := open(t, memstore.Config{})
	w.enrol(t, "kyc")
	for path, request := range map[string]string{
		enrolRoute: `{"agent_name":"new"}`, "/registry/agents/orga::kyc/rotate-cert": `{"reason":"keyCompromise"}`,
	} {
		var all sync.WaitGroup
		answers := make([]answer, 8)
		for i := range answers {
			all.Go(func() { answers[i] = w.send(t, event("POST", path, admin, keyed("k"+path), jsonBody(request))) })
		}
		all.Wait()
		var done, keys int
		for _, a := range answers {
			var p struct{ Code string }
			_ = json.Unmarshal(a.body, &p)
			switch {
			case a.status < 300:
				keys++
			case a.status == 409 && p.Code == "already_done":
				done++
			default:
				t.Errorf("%s: %d %.200s", path, a.status, a.body)
			}
		}
		if keys != 1 || done != 7 {
			t.Errorf("%s: %d carried out, %d answered already_done", path, keys, done)
		}
	}
}

// A rollback away from a compromised Org CA binds as a rotation does: neither its certificates nor their keys count
// again.
func TestARollbackForACompromiseIsForGood(t *testing.T) {
	w := open(t, memstore.Config{})
	w.change(t, query("mode", "mint"), query("overlap", "3600"))
	lost := w.orgCA(t)
	stolen := sign(t, lost, leafTemplate(w.Now()), newKey(t))
	w.postBYOCA(t, byocaRequest(t, "x", stolen)).into(t, 201, &enrolAnswer{})
	minted := w.enrol(t, "m")
	w.Advance(time.Minute)
	w.change(t, query("mode", "rollback"), query("reason", "keyCompromise"))
	w.tokenStatus(t, "BYOCA", stolen.certPEM(), 401)
	w.tokenStatus(t, "minted", minted.CertPEM, 401)
	again := sign(t, w.orgCA(t), leafTemplate(w.Now()), stolen.key)
	w.refusedWith(t, byocaRoute, "the same key under the restored CA", byocaRequest(t, "x", again), 400, "key_not_fresh")
	if a := w.send(t, event("GET", "/pki/bundle.pem")); strings.Contains(string(a.body),
		string(pki.EncodeCertificates(lost.Chain[0]))) {
		t.Error("the compromised CA is still in the bundle")
	}
	w.change(t, query("mode", "mint"))
	w.tokenStatus(t, "minted, a generation later", minted.CertPEM, 401)
	w.tokenStatus(t, "forged, a generation later", svid(t, lost, "spiffe://mastio.test/orga/m", w.Now()).certPEM(), 401)
}

// What a rotation declared compromised stays so when a later one is rolled back.
func TestARollbackForgetsNoCompromise(t *testing.T) {
	w := open(t, memstore.Config{})
	leaf := sign(t, w.orgCA(t), leafTemplate(w.Now()), newKey(t))
	w.postBYOCA(t, byocaRequest(t, "x", leaf)).into(t, 201, &enrolAnswer{})
	for _, edits := range [][]edit{{query("mode", "mint"), query("reason", "keyCompromise")}, {query("mode", "mint")},
		{query("mode", "rollback")}} {
		w.Advance(time.Minute)
		w.change(t, edits...)
		again := sign(t, w.orgCA(t), leafTemplate(w.Now()), leaf.key)
		w.refusedWith(t, byocaRoute, "the key that it had under the compromised CA", byocaRequest(t, "x", again), 400,
			"key_not_fresh")
	}
}

// A rollback brings back no way around the proof.
func TestBoundOutlastsARollback(t *testing.T) {
	w := open(t, memstore.Config{})
	key := newKey(t)
	leaf := sign(t, w.orgCA(t), leafTemplate(w.Now()), newKey(t))
	w.postBYOCA(t, byocaRequest(t, "x", leaf)).into(t, 201, &enrolAnswer{})
	w.tokenStatus(t, "before", leaf.certPEM(), 200)
	w.change(t, query("mode", "mint"))
	next := sign(t, w.orgCA(t), leafTemplate(w.Now()), newKey(t))
	w.postBYOCA(t, byocaRequest(t, "x", next).with(bound, true, "update_existing", true, "dpop_jwk",
		publicJWK(t, key))).into(t, 201, &enrolAnswer{})
	w.change(t, query("mode", "rollback"))
	wantsProof(t, "the restored certificate", w.send(t, tokenRequest(leaf.certPEM())), "send the header DPoP")
	w.tokenStatus(t, "with a proof", leaf.certPEM(), 200, header("DPoP", prove(t, key, w.Now(), "")))
	w.tokenStatus(t, "with a proof by another key", leaf.certPEM(), 400, header("DPoP", prove(t, newKey(t), w.Now(), "")))
}

package httpapi_test

import (
	"crypto/ecdsa"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/mastio-aws/mastio/shared/registry/memstore"
	"github.com/mastio-aws/mastio/test/inmemory"
)

// A DPoP key that was declared compromised proves nothing for its agent any more, by no way to a token, whether a key
// is registered afterwards or not. Other keys do.
func TestLostProofKeysProveNothing(t *testing.T) {
	w := open(t, memstore.Config{})
	var lost []*ecdsa.PrivateKey
	check := func(when string, h holder) {
		t.Helper()
		for n, key := range lost {
			for what, way := range w.ways(t, h) {
				a := w.send(t, tokenRequest(h.CertPEM, way, header("DPoP", prove(t, key, w.Now(), ""))))
				if a.status != 400 || !strings.Contains(string(a.body), "invalid_dpop_proof") ||
					!strings.Contains(string(a.body), "compromised") {
					t.Errorf("%s, %s, lost key %d: %d %s", when, what, n+1, a.status, a.body)
				}
			}
		}
		for what, way := range w.ways(t, h) {
			if a := w.send(t, tokenRequest(h.CertPEM, way, header("DPoP", prove(t, newKey(t), w.Now(), "")))); a.status != 200 {
				t.Errorf("%s, %s, another key: %d %s", when, what, a.status, a.body)
			}
		}
	}
	compromised := func(h holder) holder {
		t.Helper()
		w.Advance(time.Minute)
		key := newKey(t)
		body, err := json.Marshal(map[string]any{"reason": "keyCompromise", "csr_pem": csr(t, key)})
		if err != nil {
			t.Fatal(err)
		}
		h = w.rotate(t, h.ID, string(body))
		h.KeyPEM = issuedElsewhere{key: key}.keyPEM(t)
		return h
	}

	var h holder
	w.send(t, event("POST", enrolRoute, admin, jsonBody(`{"agent_name":"x"}`))).into(t, 201, &h)
	lost = append(lost, h.proofKey(t))
	h = compromised(h)
	check("rotated", h)
	w.Advance(time.Minute)
	h = w.rotate(t, h.ID, `{}`) // makes and registers a key
	lost = append(lost, h.proofKey(t))
	h = compromised(h)
	check("rotated twice", h)
	if a := w.send(t, event("DELETE", "/v1/admin/agents/"+h.ID, admin)); a.status != 204 {
		t.Fatalf("deactivated: %d %s", a.status, a.body)
	}
	w.Advance(time.Minute)
	key := newKey(t)
	enrolment, err := json.Marshal(map[string]any{"agent_name": "x", "csr_pem": csr(t, key)})
	if err != nil {
		t.Fatal(err)
	}
	w.send(t, event("POST", enrolRoute, admin, jsonBody(string(enrolment)))).into(t, 201, &h)
	h.KeyPEM = issuedElsewhere{key: key}.keyPEM(t)
	check("enrolled again", h)
}

// The same for an agent whose certificates come from elsewhere.
func TestLostProofKeysOfAnSVIDProveNothing(t *testing.T) {
	w := open(t, memstore.Config{})
	server, lost := newSPIRE(t, inmemory.ForeignDomain, w.Now()), newKey(t)
	w.postSPIFFE(t, spiffeRequest(t, "s", svid(t, server.root, workload, w.Now()), server.root.Chain[0]).with("dpop_jwk",
		publicJWK(t, lost))).into(t, 201, &enrolAnswer{})
	w.Advance(time.Minute)
	next := svid(t, server.root, workload, w.Now())
	w.postSPIFFE(t, spiffeRequest(t, "s", next, server.root.Chain[0]).with("update_existing", true, "reason",
		"keyCompromise")).into(t, 201, &enrolAnswer{})
	w.tokenStatus(t, "a proof by the lost key", next.certPEM(), 400, header("DPoP", prove(t, lost, w.Now(), "")))
	w.tokenStatus(t, "a proof by another key", next.certPEM(), 200, header("DPoP", prove(t, newKey(t), w.Now(), "")))
	w.tokenStatus(t, "no proof", next.certPEM(), 200)
}

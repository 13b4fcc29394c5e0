package httpapi_test

import (
	"crypto/ecdsa"
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/mastio-aws/mastio/shared/registry/memstore"
	"github.com/mastio-aws/mastio/test/inmemory"
)

const (
	enrolRoute = "/v1/admin/agents"
	bound      = "dpop_bound_access_tokens"
)

// wantsProof wants a token request to be refused for the lack of a proof, or of a registered key.
func wantsProof(t testing.TB, what string, a answer, words string) {
	t.Helper()
	wantOAuthError(t, a, "invalid_dpop_proof")
	if a.status != 400 || !strings.Contains(string(a.body), words) {
		t.Errorf("%s: %d %s, want 400 with %q", what, a.status, a.body, words)
	}
}

// ways are all the token requests that an agent can make.
func (w *world) ways(t testing.TB, h holder) map[string]edit {
	t.Helper()
	jwt := url.Values{"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}}
	inForm := func(assertion string) edit {
		jwt.Set("client_assertion", assertion)
		return body(formType, jwt.Encode())
	}
	challenge := w.challenge(t, h)
	return map[string]edit{
		"no body": body("", ""), "form": body(formType, "grant_type=client_credentials"),
		"JSON":                            jsonBody(`{"grant_type":"client_credentials"}`),
		"assertion of the Mastio's, JSON": asserted(w.ownAssertion(t, h)),
		"assertion of the Mastio's, form": inForm(w.ownAssertion(t, h)),
		"assertion of its own, JSON":      asserted(h.assert(t, w.Now(), challenge)),
		"assertion of its own, form":      inForm(h.assert(t, w.Now(), challenge)),
	}
}

// An agent that asked for it gets no token without a proof, whatever way it came in and whatever way it asks.
func TestBoundAgentsGetNoTokenWithoutAProof(t *testing.T) {
	w := open(t, memstore.Config{})
	key := newKey(t)
	proofKey := publicJWK(t, key)
	server := newSPIRE(t, inmemory.ForeignDomain, w.Now())
	elsewhere := func(i issuedElsewhere) holder { return holder{CertPEM: i.certPEM(), KeyPEM: i.keyPEM(t)} }
	own, ownSVID := sign(t, w.orgCA(t), leafTemplate(w.Now()), newKey(t)), svid(t, server.root, workload, w.Now())
	csrKey := newKey(t)
	for name, enrolment := range map[string]struct {
		route string
		members
		holder
	}{
		"csr": {enrolRoute, members{"agent_name": "csr", "csr_pem": csr(t, csrKey)},
			holder{KeyPEM: issuedElsewhere{key: csrKey}.keyPEM(t)}},
		"minted": {enrolRoute, members{"agent_name": "minted"}, holder{}},
		"byoca":  {byocaRoute, byocaRequest(t, "byoca", own), elsewhere(own)},
		"spiffe": {spiffeRoute, spiffeRequest(t, "spiffe", ownSVID, server.root.Chain[0]), elsewhere(ownSVID)},
	} {
		t.Run(name, func(t *testing.T) {
			want := enrolment.with(bound, true)
			if name != "minted" { // for which the Mastio makes a key
				w.refusedWith(t, enrolment.route, "without a key", want, 400, "dpop_jwk_required")
			}
			w.refusedWith(t, enrolment.route, "of another type", want.with(bound, "yes"), 400, "json_invalid")
			var h holder
			a := w.send(t, event("POST", enrolment.route, admin, jsonBody(want.with("dpop_jwk", proofKey).text(t))))
			a.into(t, 201, &h)
			if !strings.Contains(string(a.body), `"dpop_bound_access_tokens":true`) {
				t.Errorf("answer %s", a.body)
			}
			if enrolment.CertPEM != "" {
				h.CertPEM, h.KeyPEM = enrolment.CertPEM, enrolment.KeyPEM
			}
			if enrolment.KeyPEM != "" {
				h.KeyPEM = enrolment.KeyPEM
			}
			w.isBound(t, h.ID, true)
			for what, way := range w.ways(t, h) {
				wantsProof(t, what, w.send(t, tokenRequest(h.CertPEM, way)), "send the header DPoP")
				w.tokenStatus(t, what+", with a proof", h.CertPEM, 200, way, header("DPoP", prove(t, key, w.Now(), "")))
			}
		})
	}
	w.tokenStatus(t, "an agent that did not ask", w.enrol(t, "plain").CertPEM, 200)
}

func (w *world) isBound(t testing.TB, id string, want bool) {
	t.Helper()
	var got struct {
		Bound bool `json:"dpop_bound_access_tokens"`
	}
	w.send(t, event("GET", "/v1/admin/agents/"+id, admin)).into(t, 200, &got)
	if got.Bound != want {
		t.Errorf("%s: dpop_bound_access_tokens %v, want %v", id, got.Bound, want)
	}
}

// It stays with the agent over rotations, renewals and re-enrolments, and ends only where an operator says so.
func TestBoundStaysWithTheAgent(t *testing.T) {
	w := open(t, memstore.Config{})
	var h holder
	enrolment := members{"agent_name": "x", bound: true}
	w.send(t, event("POST", enrolRoute, admin, jsonBody(enrolment.text(t)))).into(t, 201, &h)
	refused := func(what string, h holder) {
		t.Helper()
		wantsProof(t, what, w.send(t, tokenRequest(h.CertPEM)), "send the header DPoP")
		w.tokenStatus(t, what+", with a proof", h.CertPEM, 200, header("DPoP", prove(t, h.proofKey(t), w.Now(), "")))
	}
	refused("enrolled", h)
	h = w.rotate(t, h.ID, `{}`)
	refused("rotated", h)
	w.change(t, query("mode", "mint"))
	w.refusedWith(t, enrolRoute, "again, unbound", enrolment.with(bound, false), 409, "dpop_bound_differs")
	w.send(t, event("POST", enrolRoute, admin, jsonBody(`{"agent_name":"x"}`))).into(t, 200, &h)
	refused("enrolled again", h)
	der := request(t, h.CertPEM, newKey(t))
	next := h
	w.send(t, renewJSON(t, h.CertPEM, der)).into(t, 200, &next)
	next.JWK = h.JWK
	refused("renewed", next)
	w.remove(t, h.ID)
	w.send(t, event("POST", enrolRoute, admin, jsonBody(`{"agent_name":"x"}`))).into(t, 201, &h)
	w.isBound(t, h.ID, false)
}

// update_existing changes it both ways; enrolling again does not.
func TestBoundIsChangedByUpdate(t *testing.T) {
	w := open(t, memstore.Config{})
	key := newKey(t)
	server := newSPIRE(t, inmemory.ForeignDomain, w.Now())
	own, ownSVID := sign(t, w.orgCA(t), leafTemplate(w.Now()), newKey(t)), svid(t, server.root, workload, w.Now())
	for route, c := range map[string]struct {
		certPEM string
		members
	}{
		byocaRoute:  {own.certPEM(), byocaRequest(t, "byoca", own)},
		spiffeRoute: {ownSVID.certPEM(), spiffeRequest(t, "spiffe", ownSVID, server.root.Chain[0])},
	} {
		send := func(m members, status int) {
			t.Helper()
			w.send(t, event("POST", route, admin, jsonBody(m.text(t)))).into(t, status, &enrolAnswer{})
		}
		id := "orga::" + c.members["agent_name"].(string)
		send(c.members, 201)
		w.tokenStatus(t, "plain", c.certPEM, 200)
		w.refusedWith(t, route, "again, bound", c.with(bound, true, "dpop_jwk", publicJWK(t, key)), 409, "dpop_bound_differs")
		w.refusedWith(t, route, "update without a key", c.with(bound, true, "update_existing", true), 400,
			"dpop_jwk_required")
		send(c.with(bound, true, "update_existing", true, "dpop_jwk", publicJWK(t, key)), 201)
		w.isBound(t, id, true)
		w.tokenStatus(t, "bound, without a proof", c.certPEM, 400)
		send(c.with("update_existing", true), 201) // says nothing about it
		w.isBound(t, id, true)
		send(c.with(bound, false, "update_existing", true), 201)
		w.tokenStatus(t, "unbound again", c.certPEM, 200)
		send(c.with(bound, true, "update_existing", true), 201) // by the key that is registered
		w.tokenStatus(t, "bound again, without a proof", c.certPEM, 400)
	}
}

// A compromise takes the registered key away. Where no new one comes with it, a bound agent gets no token at all, by no
// way, until one is registered.
func TestBoundAgentsWithoutAKeyGetNoToken(t *testing.T) {
	w := open(t, memstore.Config{})
	var h holder
	w.send(t, event("POST", enrolRoute, admin, jsonBody(members{"agent_name": "x", bound: true}.text(t)))).into(t, 201, &h)
	lost := h.proofKey(t)
	key := newKey(t)
	rotation, err := json.Marshal(map[string]any{"reason": "keyCompromise", "csr_pem": csr(t, key)})
	if err != nil {
		t.Fatal(err)
	}
	h = w.rotate(t, h.ID, string(rotation))
	h.KeyPEM = issuedElsewhere{key: key}.keyPEM(t)
	w.isBound(t, h.ID, true)
	for what, way := range w.ways(t, h) {
		wantsProof(t, what, w.send(t, tokenRequest(h.CertPEM, way)), "none is registered")
		for whose, key := range map[string]*ecdsa.PrivateKey{"the lost key": lost, "another key": newKey(t)} {
			a := w.send(t, tokenRequest(h.CertPEM, way, header("DPoP", prove(t, key, w.Now(), ""))))
			wantsProof(t, what+", with a proof by "+whose, a, "none is registered")
		}
	}
	w.Advance(time.Minute)
	h = w.rotate(t, h.ID, `{}`) // makes and registers one
	w.tokenStatus(t, "without a proof", h.CertPEM, 400)
	w.tokenStatus(t, "with a proof by the new key", h.CertPEM, 200, header("DPoP", prove(t, h.proofKey(t), w.Now(), "")))

	server := newSPIRE(t, inmemory.ForeignDomain, w.Now())
	first := spiffeRequest(t, "s", svid(t, server.root, workload, w.Now()), server.root.Chain[0])
	w.postSPIFFE(t, first.with(bound, true, "dpop_jwk", publicJWK(t, lost))).into(t, 201, &enrolAnswer{})
	w.Advance(time.Minute)
	next := svid(t, server.root, workload, w.Now())
	after := spiffeRequest(t, "s", next, server.root.Chain[0]).with("update_existing", true, "reason", "keyCompromise")
	w.refusedWith(t, spiffeRoute, "a compromise that asks for it anew, without a key", after.with(bound, true), 400,
		"dpop_jwk_required")
	w.postSPIFFE(t, after).into(t, 201, &enrolAnswer{})
	wantsProof(t, "SVID after a compromise",
		w.send(t, tokenRequest(next.certPEM(), header("DPoP", prove(t, lost, w.Now(), "")))), "none is registered")
	w.postSPIFFE(t, spiffeRequest(t, "s", next, server.root.Chain[0]).with("dpop_jwk", publicJWK(t, key))).into(t, 200,
		&enrolAnswer{})
	w.tokenStatus(t, "SVID with the new key", next.certPEM(), 200, header("DPoP", prove(t, key, w.Now(), "")))
}

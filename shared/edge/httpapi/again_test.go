package httpapi_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/pki"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
	"github.com/mastio-aws/mastio/test/inmemory"
)

const (
	byocaRoute  = "/v1/admin/agents/enroll/byoca"
	spiffeRoute = "/v1/admin/agents/enroll/spiffe"
)

// asTheSDK is what enrolment tools send where their caller names neither capabilities nor a display name.
func (m members) asTheSDK() members {
	return m.with("capabilities", []string{}, "display_name", "", "federated", false)
}

func (w *world) change(t testing.TB, edits ...edit) {
	t.Helper()
	if a := w.send(t, event("POST", "/pki/rotate-ca", append([]edit{admin}, edits...)...)); a.status != 200 {
		t.Fatalf("rotate: %s", a.body)
	}
}

func (w *world) lastRow(t testing.TB, id string) audit.Row {
	t.Helper()
	rows := w.state(t).Rows[id]
	return rows[len(rows)-1]
}

// unchanged sends a request that must be answered like the last one and write nothing.
func (w *world) unchanged(t testing.TB, send func() answer, want enrolAnswer) {
	t.Helper()
	before := w.state(t)
	var got enrolAnswer
	send().into(t, 200, &got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the same once more (-first +again):\n%s", diff)
	}
	if diff := cmp.Diff(before, w.state(t)); diff != "" {
		t.Errorf("the same once more wrote something:\n%s", diff)
	}
}

// Plain enrolment pins an existing agent anew when none of its pins counts under the current Org CA, and leaves what it
// does not bring as it is.
func TestBYOCAAgain(t *testing.T) {
	for name, end := range map[string]func(t *testing.T, w *world){
		"superseded": func(t *testing.T, w *world) { w.change(t, query("mode", "mint")) },
		"overlap":    func(t *testing.T, w *world) { w.change(t, query("mode", "mint"), query("overlap", "600")) },
		"expired":    func(_ *testing.T, w *world) { w.Advance(25 * time.Hour) },
		"rolled back": func(t *testing.T, w *world) {
			if a := w.send(t, event("GET", "/v1/admin/agents/orga::byo", admin)); !strings.Contains(string(a.body),
				`"generation":2`) {
				t.Fatal(string(a.body))
			}
			w.change(t, query("mode", "rollback"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := open(t, memstore.Config{})
			if name == "rolled back" {
				w.change(t, query("mode", "mint"))
			}
			old := sign(t, w.orgCA(t), leafTemplate(w.Now()), newKey(t))
			jwk := publicJWK(t, newKey(t))
			request := byocaRequest(t, "byo", old).with("display_name", "B.Y.O.", "capabilities", []string{"b", "a"}, "dpop_jwk",
				jwk)
			var first, got enrolAnswer
			w.postBYOCA(t, request).into(t, 201, &first)
			end(t, w)

			next := sign(t, w.orgCA(t), leafTemplate(w.Now()), newKey(t))
			again := byocaRequest(t, "byo", next).asTheSDK()
			w.refuse(t, byocaRoute, refusal{"other capabilities",
				event("POST", byocaRoute, admin, jsonBody(again.with("capabilities", []string{"a"}).text(t))), 409,
				"capabilities_differ"})
			w.postBYOCA(t, again).into(t, 200, &got)
			want := first
			want.Thumbprint, want.Generation = pki.Thumbprint(next.cert.Raw), got.Generation
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("enrolled again (-want +got):\n%s", diff)
			}
			row := w.lastRow(t, "orga::byo")
			if row.EventType != audit.AgentCertRotated || row.Details["previous_thumbprint"] != first.Thumbprint ||
				row.Details["previous_dpop_jkt"] != *first.JKT || row.Details["cert_thumbprint"] != got.Thumbprint {
				t.Errorf("row = %+v", row)
			}
			w.tokenStatus(t, "old", old.certPEM(), 401)
			w.tokenStatus(t, "new", next.certPEM(), 200)
			w.unchanged(t, func() answer { return w.postBYOCA(t, again.with("capabilities", []string{"a", "b"})) }, got)
			if name == "superseded" || name == "overlap" {
				w.change(t, query("mode", "rollback"))
				w.tokenStatus(t, "old, after a rollback", old.certPEM(), 200)
				w.tokenStatus(t, "new, after a rollback", next.certPEM(), 401)
			}
		})
	}
}

// A pin that counts under the current Org CA is protected, and the refusal says what replaces it.
func TestEnrolmentProtectsWhatCounts(t *testing.T) {
	w := open(t, memstore.Config{})
	leaf := func() issuedElsewhere { return sign(t, w.orgCA(t), leafTemplate(w.Now()), newKey(t)) }
	first := leaf()
	w.postBYOCA(t, byocaRequest(t, "byo", first)).into(t, 201, &enrolAnswer{})
	w.enrol(t, "minted")
	server := newSPIRE(t, inmemory.ForeignDomain, w.Now())
	w.postSPIFFE(t, spiffeRequest(t, "workload", svid(t, server.root, workload, w.Now()), server.root.Chain[0])).into(t,
		201, &enrolAnswer{})
	minted := func(name string) refusal {
		return refusal{"minted " + name,
			event("POST", "/v1/admin/agents", admin, jsonBody(members{"agent_name": name}.asTheSDK().text(t))), 409,
			"agent_already_enrolled"}
	}
	byoca := func(name string) refusal {
		return refusal{"byoca " + name, event("POST", byocaRoute, admin, jsonBody(byocaRequest(t, name, leaf()).text(t))),
			409, "agent_already_enrolled"}
	}
	spiffe := func(name, id string) refusal {
		return refusal{"spiffe " + name,
			event("POST", spiffeRoute, admin,
				jsonBody(spiffeRequest(t, name, svid(t, server.root, id, w.Now()), server.root.Chain[0]).text(t))), 409,
			"agent_already_enrolled"}
	}
	all := []refusal{minted("minted"), minted("byo"), minted("workload"), byoca("byo"), byoca("minted"), byoca("workload"),
		spiffe("workload", workload+"2"), spiffe("byo", workload), spiffe("minted", workload)}
	for _, r := range all {
		w.refuse(t, r.request.Path, r)
		if a := w.send(t, r.request); !strings.Contains(string(a.body), "update_existing") ||
			!strings.Contains(string(a.body), "rotate-cert") {
			t.Errorf("%s: the answer does not say what to do: %s", r.name, a.body)
		}
	}
	// Another method than the agent's is refused also when nothing of the agent counts.
	w.change(t, query("mode", "mint"))
	for _, r := range []refusal{minted("byo"), byoca("minted"), byoca("workload"), spiffe("byo", workload+"2")} {
		w.refuse(t, r.request.Path, r)
	}
	w.tokenStatus(t, "superseded", first.certPEM(), 401)
}

// What the SDK repeats after a lost answer has a DPoP key of its own: that one is registered, and nothing else changes.
func TestBYOCAAgainWithAnotherProofKey(t *testing.T) {
	w := open(t, memstore.Config{})
	leaf := sign(t, w.orgCA(t), leafTemplate(w.Now()), newKey(t))
	one := publicJWK(t, newKey(t))
	two := publicJWK(t, newKey(t))
	var first, second, third enrolAnswer
	w.postBYOCA(t, byocaRequest(t, "byo", leaf).with("dpop_jwk", one)).into(t, 201, &first)
	w.postBYOCA(t, byocaRequest(t, "byo", leaf).with("dpop_jwk", two)).into(t, 200, &second)
	if first.JKT == nil || second.JKT == nil || *first.JKT == *second.JKT {
		t.Errorf("the new DPoP key is not registered: %v, then %v", first.JKT, second.JKT)
	}
	w.unchanged(t, func() answer { return w.postBYOCA(t, byocaRequest(t, "byo", leaf).with("dpop_jwk", two)) }, second)
	w.postBYOCA(t, byocaRequest(t, "byo", leaf)).into(t, 200, &third)
	if *third.JKT != *second.JKT {
		t.Error("an enrolment without a DPoP key took the registered one away")
	}
}

func TestSPIFFEAgain(t *testing.T) {
	w := open(t, memstore.Config{})
	old, next := newSPIRE(t, inmemory.ForeignDomain, w.Now()), newSPIRE(t, inmemory.ForeignDomain, w.Now())
	var first, got enrolAnswer
	w.postSPIFFE(t, spiffeRequest(t, "kyc", svid(t, old.root, workload, w.Now()), old.root.Chain[0])).into(t, 201, &first)
	moved := spiffeRequest(t, "kyc", svid(t, next.root, workload, w.Now()), next.root.Chain[0]).asTheSDK()
	w.refuse(t, spiffeRoute, refusal{"an SVID of nobody",
		event("POST", spiffeRoute, admin,
			jsonBody(moved.with("trust_bundle_pem", string(pki.EncodeCertificates(old.root.Chain[0]))).text(t))), 400,
		"svid_not_signed_by_trust_bundle"})
	w.postSPIFFE(t, moved).into(t, 200, &got)
	row := w.lastRow(t, "orga::kyc")
	before, _ := row.Details["previous_trust_bundle"].([]any)
	if row.EventType != audit.AgentCertRotated || !slices.Equal(before, []any{pki.Thumbprint(old.root.Chain[0].Raw)}) ||
		row.Details["previous_spiffe_id"] != workload {
		t.Errorf("row = %+v", row)
	}
	w.tokenStatus(t, "new bundle", svid(t, next.root, workload, w.Now()).certPEM(), 200)
	w.tokenStatus(t, "old bundle", svid(t, old.root, workload, w.Now()).certPEM(), 401)
	w.unchanged(t, func() answer { return w.postSPIFFE(t, moved) }, got)
	w.refuse(t, spiffeRoute, refusal{"other capabilities",
		event("POST", spiffeRoute, admin, jsonBody(moved.with("capabilities", []string{"x"}).text(t))), 409,
		"capabilities_differ"})
}

// An agent whose SVIDs are under the Org CA gets no bundle, and enrols again after the Org CA moved as before.
func TestSPIFFEAgainUnderTheOrgCA(t *testing.T) {
	w := open(t, memstore.Config{})
	const id = "spiffe://mastio.test/ns/default/sa/kyc"
	w.postSPIFFE(t, spiffeRequest(t, "kyc", svid(t, w.orgCA(t), id, w.Now()))).into(t, 201, &enrolAnswer{})
	w.change(t, query("mode", "mint"))
	var got enrolAnswer
	next := spiffeRequest(t, "kyc", svid(t, w.orgCA(t), id, w.Now())).asTheSDK()
	w.postSPIFFE(t, next).into(t, 200, &got)
	if *got.Generation != 2 {
		t.Errorf("generation %d, want 2", *got.Generation)
	}
	w.unchanged(t, func() answer { return w.postSPIFFE(t, next) }, got)
}

// "Re-run the per-agent enrollment": an agent whose certificate the Mastio issues is issued another one.
func TestMintedAgain(t *testing.T) {
	for name, end := range map[string]func(w *world){
		"superseded": func(w *world) { w.change(t, query("mode", "mint")) },
		"overlap":    func(w *world) { w.change(t, query("mode", "mint"), query("overlap", "600")) },
		"expired":    func(w *world) { w.Advance(366 * 24 * time.Hour) },
	} {
		t.Run(name, func(t *testing.T) {
			w := open(t, memstore.Config{})
			request := members{"agent_name": "kyc", "display_name": "K.Y.C.", "capabilities": []string{"kyc:read"},
				"hygiene": members{"deliver": "secretsmanager"}}
			var old, got holder
			w.send(t, event("POST", "/v1/admin/agents", admin, jsonBody(request.text(t)))).into(t, 201, &old)
			end(w)
			again := event("POST", "/v1/admin/agents", admin, jsonBody(members{"agent_name": "kyc"}.asTheSDK().text(t)))
			w.send(t, again).into(t, 200, &got)
			if got.CertPEM == old.CertPEM || got.KeyPEM == "" || string(got.JWK) == string(old.JWK) {
				t.Errorf("enrolled again: %+v", got)
			}
			w.tokenStatus(t, "old", old.CertPEM, 401)
			w.tokenStatus(t, "new", got.CertPEM, 200)
			a := w.send(t, event("GET", "/v1/admin/agents/orga::kyc", admin))
			for _, stays := range []string{`"K.Y.C."`, `"kyc:read"`, `"deliver":"secretsmanager"`} {
				if !strings.Contains(string(a.body), stays) {
					t.Errorf("%s is gone: %s", stays, a.body)
				}
			}
			if row := w.lastRow(t, "orga::kyc"); row.EventType != audit.AgentCertRotated ||
				row.Details["previous_thumbprint"] != old.Thumbprint {
				t.Errorf("row = %+v", row)
			}
			w.refuse(t, "/v1/admin/agents", refusal{"now it counts", again, 409, "agent_already_enrolled"})
			if name != "expired" {
				w.change(t, query("mode", "rollback"))
				w.tokenStatus(t, "old, after a rollback", old.CertPEM, 200)
			}
		})
	}
	w := open(t, memstore.Config{})
	w.enrol(t, "kyc", "kyc:read")
	w.change(t, query("mode", "mint"))
	w.refuse(t, "/v1/admin/agents",
		refusal{"other capabilities", event("POST", "/v1/admin/agents", admin,
			jsonBody(`{"agent_name":"kyc","capabilities":["kyc:write"]}`)), 409, "capabilities_differ"})
}

func TestFederatedIsRefused(t *testing.T) {
	w := open(t, memstore.Config{})
	leaf := sign(t, w.orgCA(t), leafTemplate(w.Now()), newKey(t))
	server := newSPIRE(t, inmemory.ForeignDomain, w.Now())
	for path, m := range map[string]members{
		"/v1/admin/agents": {"agent_name": "minted"}, byocaRoute: byocaRequest(t, "byo", leaf),
		spiffeRoute: spiffeRequest(t, "kyc", svid(t, server.root, workload, w.Now()), server.root.Chain[0]),
	} {
		send := func(m members) answer { return w.send(t, event("POST", path, admin, jsonBody(m.text(t)))) }
		w.refuse(t, path, refusal{path, event("POST", path, admin, jsonBody(m.with("federated", true).text(t))), 400,
			"federated_unsupported"})
		w.refuse(t, path, refusal{path + " of another type",
			event("POST", path, admin, jsonBody(m.with("federated", "no").text(t))), 400, "json_invalid"})
		w.refuse(t, path, refusal{path + " unknown", event("POST", path, admin, jsonBody(m.with("federate", false).text(t))),
			400, "json_invalid"})
		if a := send(m.with("federated", false)); a.status != 201 {
			t.Errorf("%s with federated: false: %d %s", path, a.status, a.body)
		}
	}
}

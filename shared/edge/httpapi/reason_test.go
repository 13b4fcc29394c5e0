package httpapi_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/mastio-aws/mastio/shared/reason"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
)

// A reason is stored in its one spelling, and a comment as it was sent, whichever call brings them.
func TestReasonsInTheTrail(t *testing.T) {
	w := open(t, memstore.Config{})
	w.enrol(t, "kyc")
	w.rotate(t, "orga::kyc", `{"reason":"KEYcompromise","comment":"laptop <stolen>"}`)
	deactivation := event("DELETE", "/v1/admin/agents/orga::kyc", admin, query("reason", "PRIVILEGEWITHDRAWN"),
		query("comment", "left the team"))
	if a := w.send(t, deactivation); a.status != http.StatusNoContent {
		t.Fatalf("status %d: %s", a.status, a.body)
	}
	rows, err := w.Store.Rows(t.Context(), "orga::kyc", 0, 10)
	if err != nil || len(rows) != 3 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	for n, want := range map[int][2]string{1: {"keyCompromise", "laptop <stolen>"},
		2: {"privilegeWithdrawn", "left the team"}} {
		if d := rows[n].Details; d["reason"] != want[0] || d["comment"] != want[1] {
			t.Errorf("%s: reason %v, comment %v, want %v", rows[n].EventType, d["reason"], d["comment"], want)
		}
	}
}

// A word that is no reason changes nothing, and the answer lists those that are.
func TestUnknownReasons(t *testing.T) {
	w := open(t, memstore.Config{})
	w.enrol(t, "kyc")
	for _, word := range []string{"key_compromise", "keyCompromise ", "routine", "keycompromised"} {
		for name, request := range map[string]edit{
			"rotation": jsonBody(`{"grace_seconds":60,"reason":"` + word + `"}`), "deactivation": query("reason", word),
		} {
			e := event("DELETE", "/v1/admin/agents/orga::kyc", admin, request)
			if name == "rotation" {
				e = event("POST", "/registry/agents/orga::kyc/rotate-cert", admin, request)
			}
			w.refuse(t, "", refusal{name + ": " + word, e, 400, "reason_invalid"})
			text := string(w.send(t, e).body)
			for _, c := range reason.Codes() {
				if !strings.Contains(text, string(c)) {
					t.Errorf("%s with %q: the answer does not list %s: %s", name, word, c, text)
				}
			}
		}
	}
	w.refuse(t, "", refusal{"comment",
		event("DELETE", "/v1/admin/agents/orga::kyc", admin, query("comment", strings.Repeat("c", 501))), 400,
		"comment_invalid"})
}

// Every way in that takes a key refuses one that was certified before, with one code.
func TestKeysThatAreNotFresh(t *testing.T) {
	w := open(t, memstore.Config{})
	key, proofKey := mustKey(t), mustKey(t)
	members := map[string]any{"agent_name": "kyc", "csr_pem": csr(t, key), "dpop_jwk": publicJWK(t, proofKey)}
	if a := w.send(t, event("POST", "/v1/admin/agents", admin, object(t, members))); a.status != http.StatusCreated {
		t.Fatalf("status %d: %s", a.status, a.body)
	}
	rotation := func(members map[string]any) edit { return object(t, members) }
	path := "/registry/agents/orga::kyc/rotate-cert"
	w.refuse(t, "", refusal{"rotation", event("POST", path, admin, rotation(map[string]any{"csr_pem": csr(t, key)})), 400,
		"key_not_fresh"})
	w.refuse(t, "", refusal{"emergency",
		event("POST", path, admin, rotation(map[string]any{"csr_pem": csr(t, key), "reason": "keyCompromise"})), 400,
		"key_not_fresh"})
	w.refuse(t, "", refusal{"emergency with the DPoP key", event("POST", path, admin, rotation(map[string]any{
		"csr_pem": csr(t, mustKey(t)), "dpop_jwk": publicJWK(t, proofKey), "reason": "keyCompromise",
	})), 400, "key_not_fresh"})
	if a := w.send(t, event("DELETE", "/v1/admin/agents/orga::kyc", admin,
		query("reason", "keyCompromise"))); a.status != http.StatusNoContent {
		t.Fatalf("status %d: %s", a.status, a.body)
	}
	w.refuse(t, "", refusal{"enrolment again", event("POST", "/v1/admin/agents", admin, object(t, members)), 400,
		"key_not_fresh"})
	members["csr_pem"] = csr(t, mustKey(t))
	w.refuse(t, "", refusal{"enrolment again with the DPoP key",
		event("POST", "/v1/admin/agents", admin, object(t, members)), 400, "key_not_fresh"})
	members["dpop_jwk"] = nil
	if a := w.send(t, event("POST", "/v1/admin/agents", admin, object(t, members))); a.status != http.StatusCreated {
		t.Errorf("with new keys: status %d: %s", a.status, a.body)
	}
}

package httpapi_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/mastio-aws/mastio/shared/edge/memstore"
	"github.com/mastio-aws/mastio/shared/reason"
)

// A reason is stored in its one spelling, and a comment as it was sent, whichever call brings them.
func TestReasonsInTheTrail(t *testing.T) {
	w := open(t, memstore.Config{})
	w.enrol(t, "kyc")
	w.rotate(t, "orga::kyc", `{"reason":"KEYcompromise","comment":"laptop <stolen>"}`)
	deactivation := event("DELETE", "/v1/admin/agents/orga::kyc", admin, query("reason", "PRIVILEGEWITHDRAWN"), query("comment", "left the team"))
	if a := w.send(t, deactivation); a.status != http.StatusNoContent {
		t.Fatalf("status %d: %s", a.status, a.body)
	}
	rows, err := w.Store.Rows(t.Context(), "orga::kyc", 0, 10)
	if err != nil || len(rows) != 3 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	for n, want := range map[int][2]string{1: {"keyCompromise", "laptop <stolen>"}, 2: {"privilegeWithdrawn", "left the team"}} {
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
	w.refuse(t, "", refusal{"comment", event("DELETE", "/v1/admin/agents/orga::kyc", admin, query("comment", strings.Repeat("c", 501))), 400, "comment_invalid"})
}

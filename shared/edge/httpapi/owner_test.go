package httpapi_test

import (
	"strings"
	"testing"
	"time"

	"github.com/mastio-aws/mastio/shared/registry/memstore"
)

// owner is the owner in an answer about one agent; absent means none.
func owner(t *testing.T, a answer, status int) string {
	t.Helper()
	var got struct {
		Owner string `json:"owner"`
	}
	a.into(t, status, &got)
	return got.Owner
}

// ownerOf is the agent's owner, which the page of the list must show too.
func (w *world) ownerOf(t *testing.T, name string) string {
	t.Helper()
	read := owner(t, w.send(t, event("GET", "/v1/admin/agents/orga::"+name, admin)), 200)
	var page struct {
		Agents []struct {
			ID    string `json:"agent_id"`
			Owner string `json:"owner"`
		} `json:"agents"`
	}
	w.send(t, event("GET", "/v1/admin/agents", admin)).into(t, 200, &page)
	for _, a := range page.Agents {
		if a.ID == "orga::"+name && a.Owner != read {
			t.Errorf("%s has owner %q, and %q in the list", name, read, a.Owner)
		}
	}
	return read
}

// Every enrolment takes an owner, every answer about the agent has it, and an enrolment without one leaves it.
func TestOwnerOfEveryEnrolment(t *testing.T) {
	const first, second, id = "a@example.com", "Team B", "spiffe://mastio.test/ns/default/sa/kyc"
	w := open(t, memstore.Config{})
	for name, enrol := range map[string]func(pairs ...any) answer{
		"minted": func(pairs ...any) answer {
			body := members{"agent_name": "minted"}.with(pairs...)
			delete(body, "update_existing")
			return w.send(t, event("POST", "/v1/admin/agents", admin, jsonBody(body.text(t))))
		},
		"byoca": func(pairs ...any) answer {
			leaf := sign(t, w.orgCA(t), leafTemplate(w.Now()), newKey(t))
			return w.postBYOCA(t, byocaRequest(t, "byoca", leaf).with(pairs...))
		},
		"spiffe": func(pairs ...any) answer {
			return w.postSPIFFE(t, spiffeRequest(t, "spiffe", svid(t, w.orgCA(t), id, w.Now())).with(pairs...))
		},
	} {
		want := func(step string, want string, pairs ...any) {
			t.Helper()
			w.Advance(time.Minute)
			status := 201                                             // of a new agent, and of an update
			if name == "minted" && strings.HasPrefix(step, "again") { // where its certificate does not count
				w.change(t, query("mode", "mint"))
				status = 200
			}
			if got := owner(t, enrol(pairs...), status); got != want || w.ownerOf(t, name) != want {
				t.Errorf("%s, %s: answered %q, stored %q, want %q", name, step, got, w.ownerOf(t, name), want)
			}
		}
		want("enrolled", first, "owner", first)
		want("again, without an owner", first, "update_existing", true)
		want("again, as the SDK sends what it has not", first, "owner", "", "update_existing", true)
		w.send(t, event("DELETE", "/v1/admin/agents/orga::"+name, admin))
		want("after a deactivation", first)
		want("again, with another owner", second, "owner", second, "update_existing", true)
		if row := w.lastRow(t, "orga::"+name); row.Details["owner"] != second {
			t.Errorf("%s: the row has the owner %v", name, row.Details["owner"])
		}
	}
}

// A repetition of an outside enrolment, without update_existing, changes the owner where it sends another one.
func TestOwnerOfARepetition(t *testing.T) {
	w := open(t, memstore.Config{})
	request := byocaRequest(t, "byo", sign(t, w.orgCA(t), leafTemplate(w.Now()), newKey(t))).with("owner", "A")
	w.postBYOCA(t, request).into(t, 201, &enrolAnswer{})
	seq := w.lastRow(t, "orga::byo").Seq
	w.postBYOCA(t, request).into(t, 200, &enrolAnswer{})
	if row := w.lastRow(t, "orga::byo"); row.Seq != seq {
		t.Errorf("a repetition wrote row %d", row.Seq)
	}
	w.postBYOCA(t, request.with("owner", "B")).into(t, 200, &enrolAnswer{})
	if got, row := w.ownerOf(t, "byo"), w.lastRow(t, "orga::byo"); got != "B" || row.Details["owner"] != "B" {
		t.Errorf("owner %q, row %+v", got, row)
	}
}

func TestOwnerThatCannotBeStored(t *testing.T) {
	w := open(t, memstore.Config{})
	for name, bad := range map[string]string{"long": strings.Repeat("é", 201), "two lines": "a\nb"} {
		body := members{"agent_name": "a", "owner": bad}
		w.refuse(t, "/v1/admin/agents",
			refusal{name, event("POST", "/v1/admin/agents", admin, jsonBody(body.text(t))), 400, "agent_profile_invalid"})
	}
	long := strings.Repeat("é", 200)
	body := members{"agent_name": "a", "owner": long}
	if got := owner(t, w.send(t, event("POST", "/v1/admin/agents", admin, jsonBody(body.text(t)))), 201); got != long {
		t.Errorf("owner %q", got)
	}
}

package httpapi_test

import (
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
)

const (
	patchRoute = "/v1/admin/agents/{agent_id}"
	kycPath    = "/v1/admin/agents/orga::kyc"
)

// profileAnswer is the part of an agent that a patch may change.
type profileAnswer struct {
	DisplayName  string   `json:"display_name"`
	Capabilities []string `json:"capabilities"`
	Owner        string   `json:"owner"`
}

func mergePatch(text string) edit { return body("application/merge-patch+json", text) }

// Each patch builds on the one before it. No row: the patch changes nothing.
func TestPatches(t *testing.T) {
	w := open(t, memstore.Config{})
	w.enrol(t, "kyc", "kyc:read", "kyc:write")
	was := profileAnswer{DisplayName: "kyc", Capabilities: []string{"kyc:read", "kyc:write"}}
	type object = map[string]any
	for _, c := range []struct {
		patch         string
		want          profileAnswer
		before, after any
	}{
		{`{}`, was, nil, nil},
		{`{"owner":null,"display_name":"kyc"}`, was, nil, nil},
		{`{"owner":"a@example.com"}`, profileAnswer{"kyc", was.Capabilities, "a@example.com"},
			object{"owner": ""}, object{"owner": "a@example.com"}},
		{`{"owner":"a@example.com","capabilities":["kyc:read","kyc:write"]}`,
			profileAnswer{"kyc", was.Capabilities, "a@example.com"}, nil, nil},
		{`{"capabilities":["kyc:read"],"display_name":"K.Y.C."}`, profileAnswer{"K.Y.C.", []string{"kyc:read"}, "a@example.com"},
			object{"capabilities": []any{"kyc:read", "kyc:write"}, "display_name": "kyc"},
			object{"capabilities": []any{"kyc:read"}, "display_name": "K.Y.C."}},
		{`{"capabilities":null,"display_name":null,"owner":null}`, profileAnswer{"kyc", []string{}, ""},
			object{"capabilities": []any{"kyc:read"}, "display_name": "K.Y.C.", "owner": "a@example.com"},
			object{"capabilities": []any{}, "display_name": "kyc", "owner": ""}},
	} {
		for _, mediaType := range []string{"application/merge-patch+json", "application/json"} { // the second repeats
			seq := w.lastRow(t, "orga::kyc").Seq
			var got, read profileAnswer
			w.Advance(1_234_567) // the registry keeps milliseconds
			patched := w.send(t, event("PATCH", kycPath, admin, body(mediaType, c.patch)))
			patched.into(t, 200, &got)
			later := w.send(t, event("GET", kycPath, admin))
			later.into(t, 200, &read)
			if diff := cmp.Diff(string(later.body), string(patched.body)); diff != "" {
				t.Errorf("%s: the answer differs from what is read (-read +answered):\n%s", c.patch, diff)
			}
			if diff := cmp.Diff([]profileAnswer{c.want, c.want}, []profileAnswer{got, read}); diff != "" {
				t.Errorf("%s: answered and read (-want +got):\n%s", c.patch, diff)
			}
			row := w.lastRow(t, "orga::kyc")
			if c.before == nil {
				if row.Seq != seq {
					t.Errorf("%s wrote %+v", c.patch, row)
				}
				continue
			}
			if diff := cmp.Diff([]any{audit.AgentUpdated, c.before, c.after},
				[]any{row.EventType, row.Details["before"], row.Details["after"]}); diff != "" || row.Seq != seq+1 {
				t.Errorf("%s: row %d behind %d (-want +got):\n%s", c.patch, row.Seq, seq, diff)
			}
			c.before = nil
		}
	}
}

func TestPatchesThatAreRefused(t *testing.T) {
	w := open(t, memstore.Config{})
	w.enrol(t, "kyc", "kyc:read")
	w.enrol(t, "gone")
	w.send(t, event("DELETE", "/v1/admin/agents/orga::gone", admin))
	before := w.lastRow(t, "orga::kyc").Seq
	for _, c := range []struct{ name, path, patch, code string }{
		{"unknown member", kycPath, `{"owner":"a","status":"active"}`, "json_invalid"},
		{"another spelling", kycPath, `{"Owner":"a"}`, "json_invalid"},
		{"another member of the answer", kycPath, `{"spiffe_id":"spiffe://a/b"}`, "json_invalid"},
		{"type of a name", kycPath, `{"display_name":1}`, "json_invalid"},
		{"type of an owner", kycPath, `{"owner":["a"]}`, "json_invalid"},
		{"type of capabilities", kycPath, `{"capabilities":"kyc:read"}`, "json_invalid"},
		{"null as a capability", kycPath, `{"capabilities":[null]}`, "agent_profile_invalid"},
		{"not a scope", kycPath, `{"capabilities":["a b"]}`, "agent_profile_invalid"},
		{"the Mastio's own", kycPath, `{"capabilities":["mastio:admin"]}`, "agent_profile_invalid"},
		{"two lines", kycPath, `{"owner":"a\nb"}`, "agent_profile_invalid"},
		{"no id", "/v1/admin/agents/kyc", `{"owner":"a"}`, "agent_id_invalid"},
	} {
		w.refuse(t, patchRoute, refusal{c.name, event("PATCH", c.path, admin, mergePatch(c.patch)), 400, c.code})
	}
	w.refuse(t, patchRoute, refusal{"nobody", event("PATCH", "/v1/admin/agents/orga::nobody", admin,
		mergePatch(`{"owner":"a"}`)), 404, "agent_not_found"})
	w.refuse(t, patchRoute, refusal{"deactivated", event("PATCH", "/v1/admin/agents/orga::gone", admin,
		mergePatch(`{"owner":"a"}`)), 409, "agent_deactivated"})
	if row := w.lastRow(t, "orga::kyc"); row.Seq != before {
		t.Errorf("a refused patch wrote %+v", row)
	}
}

// Of the capabilities of the Mastio's own, an enrolment and a patch take those that it knows, and no other spelling.
func TestCapabilitiesOfTheMastiosOwn(t *testing.T) {
	w := open(t, memstore.Config{})
	w.enrol(t, "kyc", "kyc:read")
	leaf := sign(t, w.orgCA(t), leafTemplate(w.Now()), newKey(t))
	identity := svid(t, w.orgCA(t), "spiffe://mastio.test/ns/default/sa/kyc", w.Now())
	for _, c := range []struct {
		method, route, path string
		status              int
		body                members
	}{
		{"POST", "/v1/admin/agents", "/v1/admin/agents", 201, members{"agent_name": "a"}},
		{"POST", "/v1/admin/agents/enroll/byoca", "/v1/admin/agents/enroll/byoca", 201, byocaRequest(t, "b", leaf)},
		{"POST", "/v1/admin/agents/enroll/spiffe", "/v1/admin/agents/enroll/spiffe", 201, spiffeRequest(t, "c", identity)},
		{"PATCH", patchRoute, kycPath, 200, members{}},
	} {
		having := func(capability string) events.APIGatewayProxyRequest {
			text := c.body.with("capabilities", []string{"kyc:read", capability}).text(t)
			return event(c.method, c.path, admin, jsonBody(text))
		}
		for _, unknown := range []string{"mastio:admin", "mastio:", "mastio:introspect:all", "mastio:Introspect",
			"MASTIO:introspect", "Mastio:admin"} {
			w.refuse(t, c.route, refusal{c.path + " with " + unknown, having(unknown), 400, "agent_profile_invalid"})
		}
		var got profileAnswer
		w.send(t, having("mastio:introspect")).into(t, c.status, &got)
		if diff := cmp.Diff([]string{"kyc:read", "mastio:introspect"}, got.Capabilities); diff != "" {
			t.Errorf("%s %s (-want +got):\n%s", c.method, c.path, diff)
		}
	}
}

// What is taken away is in the next token no more, by default or asked for.
func TestCapabilityThatIsTakenAway(t *testing.T) {
	w := open(t, memstore.Config{})
	kyc := w.enrol(t, "kyc", "kyc:read", "kyc:write")
	scope := func(asked string) (int, string) {
		a := w.send(t, tokenRequest(kyc.CertPEM, jsonBody(`{"grant_type":"client_credentials"`+asked+`}`)))
		var got struct {
			Scope string `json:"scope"`
		}
		if a.status == 200 {
			a.into(t, 200, &got)
		}
		return a.status, got.Scope
	}
	if status, got := scope(""); status != 200 || got != "kyc:read kyc:write" {
		t.Fatalf("before: %d %q", status, got)
	}
	w.send(t, event("PATCH", kycPath, admin, mergePatch(`{"capabilities":["kyc:read"]}`))).into(t, 200, &profileAnswer{})
	if status, got := scope(""); status != 200 || got != "kyc:read" {
		t.Errorf("after: %d %q", status, got)
	}
	if status, _ := scope(`,"scope":"kyc:write"`); status != 400 {
		t.Errorf("asked for what is gone: %d", status)
	}
}

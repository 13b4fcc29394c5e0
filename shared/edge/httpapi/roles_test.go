package httpapi_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	admins "github.com/mastio-aws/mastio/shared/admin"
	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
	"github.com/mastio-aws/mastio/shared/routes"
	"github.com/mastio-aws/mastio/shared/session"
	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
	"github.com/mastio-aws/mastio/test/inmemory"
)

// code is the code of a problem.
func (a answer) code() string {
	var p struct{ Code string }
	_ = json.Unmarshal(a.body, &p)
	return p.Code
}

func shows(secret string) edit { return header("X-Admin-Secret", secret) }

// Every route, with a request that succeeds: a role that the table does not give it is refused by name before anything
// is done, and one that it gives is not refused for its role.
func TestEveryRouteTakesItsRole(t *testing.T) {
	w, agents := openWithCast(t)
	all := everyShape(t, w, agents)
	for _, role := range admins.Roles() {
		named := w.Admins.Name("named-"+string(role), role)
		if role == admins.Enroller {
			named = w.Admins.Name("named-enroller", role, "kyc:read")
		}
		for _, r := range api() {
			if r.Least() == "" || isDelete(r) && role != admins.Viewer && role != admins.Enroller {
				continue // a deletion would end the agent of the requests that follow
			}
			key := r.Method + " " + r.Path
			before := w.state(t)
			a := w.send(t, with(all[key].request, shows(named), stranger()))
			if may := role.Includes(r.Least()); may == (a.code() == "role_insufficient") {
				t.Errorf("%s as %s: %d %.200s", key, role, a.status, a.body)
			}
			if role.Includes(r.Least()) {
				continue
			}
			if a.status != http.StatusForbidden || !strings.Contains(string(a.body), string(r.Least())) {
				t.Errorf("%s as %s: the refusal does not name %s: %s", key, role, r.Least(), a.body)
			}
			if diff := cmp.Diff(before, w.state(t)); diff != "" {
				t.Errorf("something changed (-before +after):\n%s", diff)
			}
		}
	}
}

// An admin learns the own role from /healthz; an anonymous caller reads of none.
func TestHealthzNamesTheRole(t *testing.T) {
	w := open(t, memstore.Config{})
	for secret, want := range map[string]string{"": "", inmemory.Secret: "ca-officer",
		w.Admins.Name("vic", admins.Viewer): "viewer", w.Admins.Name("enr", admins.Enroller): "enroller"} {
		e := event("GET", "/healthz")
		if secret != "" {
			e = with(e, shows(secret))
		}
		var got struct{ Role string }
		if w.send(t, e).into(t, http.StatusOK, &got); got.Role != want {
			t.Errorf("%.3s: role %q, want %q", secret, got.Role, want)
		}
	}
}

// The trail names the admin; of a refusal for the role too.
func TestTheActorIsTheAdmin(t *testing.T) {
	w := open(t, memstore.Config{})
	alice, bob := w.Admins.Name("alice", admins.Operator), w.Admins.Name("bob", admins.Viewer)
	if a := w.send(t, event("POST", "/v1/admin/agents", shows(alice), jsonBody(`{"agent_name":"kyc"}`))); a.status != 201 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if rows := w.state(t).Rows["orga::kyc"]; len(rows) != 1 || rows[0].Actor != "admin:alice" {
		t.Errorf("rows %+v", rows)
	}
	if a := w.send(t, event("DELETE", "/v1/admin/agents/orga::kyc", shows(bob))); a.code() != "role_insufficient" {
		t.Errorf("%d %s", a.status, a.body)
	}
	last, err := w.Store.LastRow(t.Context(), inmemory.OrgID+"/"+string(audit.AdminLoginRefused))
	if err != nil || last == nil || last.Actor != "admin:bob" || last.Details["reason"] != "role" {
		t.Errorf("%+v, %v", last, err)
	}
}

// A wrong secret is answered, counted and recorded in the same way whether or not the name exists, and costs the same
// calls.
func TestGuessesOfNamedSecrets(t *testing.T) {
	w := open(t, memstore.Config{})
	alice := w.Admins.Name("alice", admins.CAOfficer)
	ask := func(secret, address string) answer {
		t.Helper()
		e := event("GET", "/v1/admin/agents", shows(secret))
		e.RequestContext.Identity.SourceIP = address
		return w.send(t, e)
	}
	guess := strings.Repeat("x", 43)
	for n, name := range []string{"alice", "nobody"} {
		address := fmt.Sprintf("192.0.2.%d", 10+n)
		w.Admins.Calls()
		for range session.PerSource.Free {
			if a := ask(name+":"+guess, address); a.code() != "admin_secret_invalid" || a.status != 403 {
				t.Fatalf("%s: %d %s", name, a.status, a.body)
			}
		}
		if a := ask(name+":"+guess, address); a.code() != "too_many_attempts" || a.header.Get("Retry-After") == "" {
			t.Errorf("%s, one guess more: %d %s", name, a.status, a.body)
		}
		if calls := w.Admins.Calls(); len(calls) != 1 {
			t.Errorf("%s: calls %v", name, calls)
		}
		w.Advance(2e9)
	}
	if a := ask(alice, "192.0.2.10"); a.status != 200 {
		t.Errorf("the right one, which cannot be guessed, from the locked address: %d %s", a.status, a.body)
	}
	for _, name := range []string{"../admin-secret", "alice/", "*", "Alice", strings.Repeat("a", 32)} {
		w.Admins.Calls()
		if a := ask(name+":"+guess, "192.0.2.99"); a.status != 403 && a.status != 429 || len(w.Admins.Calls()) != 0 {
			t.Errorf("%s: %d, or Secrets Manager was asked", name, a.status)
		}
	}
}

func TestANamedSecretStops(t *testing.T) {
	w := open(t, memstore.Config{})
	alice := w.Admins.Name("alice", admins.Viewer)
	e := event("GET", "/v1/admin/agents", shows(alice))
	if a := w.send(t, e); a.status != 200 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	w.Admins.Delete("alice")
	w.Advance(60e9)
	if a := w.send(t, e); a.code() != "admin_secret_invalid" {
		t.Errorf("a minute after its deletion: %d %s", a.status, a.body)
	}
}

// An enroller enrols new names with the capabilities of its entry, and nothing else: no second certificate, no update,
// no deactivated name, by none of the three ways.
func TestAnEnrollerEnrolsNewNames(t *testing.T) {
	w := open(t, memstore.Config{})
	pipeline := shows(w.Admins.Name("pipeline", admins.Enroller, "kyc:read", "kyc:write"))
	enrol := func(body string) answer {
		return w.send(t, event("POST", "/v1/admin/agents", pipeline, jsonBody(body)))
	}
	for body, want := range map[string]int{
		`{"agent_name":"a1","capabilities":["kyc:read"]}`:             201,
		`{"agent_name":"a2"}`:                                         201,
		`{"agent_name":"a3","capabilities":["kyc:write","kyc:read"]}`: 201,
		`{"agent_name":"b1","capabilities":["kyc:read","pay:write"]}`: 403,
		`{"agent_name":"b2","capabilities":["mastio:introspect"]}`:    403,
	} {
		if a := enrol(body); a.status != want || want == 403 && a.code() != "role_insufficient" {
			t.Errorf("%s: %d %s", body, a.status, a.body)
		}
	}
	w.enrol(t, "old", "kyc:read")
	w.enrol(t, "gone", "kyc:read")
	w.send(t, event("DELETE", "/v1/admin/agents/orga::gone", admin))
	w.Do(t, rotateca.Request{Mode: rotateca.Mint}) // so that old could be enrolled again by an operator
	before := w.state(t)
	for _, body := range []string{`{"agent_name":"old"}`, `{"agent_name":"old","capabilities":["kyc:read"]}`,
		`{"agent_name":"gone","capabilities":["kyc:read"]}`, `{"agent_name":"a1"}`} {
		if a := enrol(body); a.code() != "role_insufficient" || !strings.Contains(string(a.body), "operator") {
			t.Errorf("%s: %d %s", body, a.status, a.body)
		}
	}
	if diff := cmp.Diff(before, w.state(t)); diff != "" {
		t.Errorf("something changed (-before +after):\n%s", diff)
	}
	for key, s := range w.outsideShapes(t) {
		if a := w.send(t, with(s.request, pipeline, member("update_existing", true))); a.code() != "role_insufficient" {
			t.Errorf("%s with an update: %d %s", key, a.status, a.body)
		}
		if a := w.send(t, with(s.request, pipeline, member("capabilities", []string{"pay:write"}))); a.code() !=
			"role_insufficient" {
			t.Errorf("%s with another capability: %d %s", key, a.status, a.body)
		}
		if a := w.send(t, with(s.request, pipeline)); a.status != 201 {
			t.Errorf("%s: %d %s", key, a.status, a.body)
		}
		if a := w.send(t, with(s.request, pipeline)); a.code() != "role_insufficient" {
			t.Errorf("%s once more: %d %s", key, a.status, a.body)
		}
	}
}

// member sets a member of a request's JSON.
func member(name string, value any) edit {
	return func(e *events.APIGatewayProxyRequest) {
		body := map[string]any{}
		if err := json.Unmarshal([]byte(e.Body), &body); err != nil {
			panic(err)
		}
		body[name] = value
		text, _ := json.Marshal(body)
		e.Body = string(text)
	}
}

// The metrics token reads the metrics, and nothing else.
func TestTheMetricsToken(t *testing.T) {
	w, agents := openWithCast(t)
	bearer := func(token string) edit { return header("Authorization", token) }
	none := header("X-Admin-Secret")
	for _, good := range []string{"Bearer " + inmemory.MetricsToken, "bearer " + inmemory.MetricsToken} {
		if a := w.send(t, event("GET", "/metrics", bearer(good))); a.status != 200 ||
			!strings.Contains(string(a.body), "mastio_org_ca_generation ") {
			t.Errorf("%s: %d %s", good, a.status, a.body)
		}
	}
	for name, edits := range map[string][]edit{
		"wrong":            {bearer("Bearer " + inmemory.MetricsToken + "x")},
		"a prefix":         {bearer("Bearer " + inmemory.MetricsToken[:20])},
		"empty":            {bearer("Bearer ")},
		"the admin secret": {bearer("Bearer " + inmemory.Secret)},
	} {
		a := w.send(t, event("GET", "/metrics", append(edits, stranger())...))
		if a.status != 401 || a.code() != "metrics_token_invalid" ||
			!strings.HasPrefix(a.header.Get("WWW-Authenticate"), "Bearer") {
			t.Errorf("%s: %d %v %s", name, a.status, a.header, a.body)
		}
	}
	for name, edits := range map[string][]edit{
		"nothing":                {},
		"another scheme":         {bearer("Basic " + inmemory.MetricsToken)},
		"two":                    {header("Authorization", "Bearer "+inmemory.MetricsToken, "Bearer x")},
		"as an admin secret":     {shows(inmemory.MetricsToken)},
		"beside a wrong secret":  {bearer("Bearer " + inmemory.MetricsToken), shows("wrong")},
		"beside an empty secret": {bearer("Bearer " + inmemory.MetricsToken), shows("")},
	} {
		if a := w.send(t, event("GET", "/metrics", append(edits, stranger())...)); a.code() != "admin_secret_invalid" {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	for key, s := range everyShape(t, w, agents) {
		method, path, _ := strings.Cut(key, " ")
		if r := find(method, path); r.Auth != routes.Admin {
			continue
		}
		a := w.send(t, with(s.request, none, bearer("Bearer "+inmemory.MetricsToken), stranger()))
		if a.code() != "admin_secret_invalid" {
			t.Errorf("%s: %d %.200s", key, a.status, a.body)
		}
	}
}

func find(method, path string) routes.Route {
	for _, r := range routes.On(path) {
		if r.Method == method {
			return r
		}
	}
	return routes.Route{}
}

// Guessed metrics tokens are counted for their address, as admin secrets are.
func TestGuessesOfTheMetricsTokenAreCounted(t *testing.T) {
	w := open(t, memstore.Config{})
	e := event("GET", "/metrics", header("Authorization", "Bearer guess"))
	for range session.PerSource.Free {
		if a := w.send(t, e); a.status != 401 {
			t.Fatalf("%d %s", a.status, a.body)
		}
	}
	if a := w.send(t, e); a.status != 429 {
		t.Errorf("one guess more: %d %s", a.status, a.body)
	}
}

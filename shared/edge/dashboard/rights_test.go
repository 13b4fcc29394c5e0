package dashboard_test

import (
	"cmp"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/mastio-aws/mastio/shared/admin"
	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
	"github.com/mastio-aws/mastio/shared/routes"
	"github.com/mastio-aws/mastio/shared/session"
	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
	"github.com/mastio-aws/mastio/test/inmemory"
)

// as signs a named admin in.
func (w *world) as(t *testing.T, role admin.Role) *browser {
	t.Helper()
	b := w.browser()
	secret := w.Admins.Name("a-"+string(role), role, enrollerMay(role)...)
	if a := b.send(t, "POST", "/proxy/login", url.Values{"secret": {secret}}); a.status != http.StatusSeeOther {
		t.Fatalf("%s: sign in: %d %s", role, a.status, a.body)
	}
	return b
}

func enrollerMay(role admin.Role) []string {
	if role == admin.Enroller {
		return []string{"kyc:read"}
	}
	return nil
}

// roleWorld has something of everything that a page can offer: an agent, an overlap, a staged Org CA.
func roleWorld(t *testing.T) *world {
	t.Helper()
	w := open(t, memstore.Config{})
	if _, err := w.Admit(t.Context(), "kyc", "kyc:read"); err != nil {
		t.Fatal(err)
	}
	w.Do(t, rotateca.Request{Mode: rotateca.Mint, Overlap: 3600e9})
	w.Do(t, rotateca.Request{Mode: rotateca.Stage})
	return w
}

// Each route of the dashboard, sent by each role: what the table does not give the role is a page that names the roles
// that may, changes nothing, and is on record.
func TestEveryPageTakesItsRole(t *testing.T) {
	w := roleWorld(t)
	for _, role := range admin.Roles() {
		b := w.as(t, role)
		for _, r := range routes.All() {
			if r.Auth != routes.Session || r.Path == "/proxy/logout" {
				continue
			}
			target := strings.ReplaceAll(r.Path, "{agent_id}", "orga::kyc")
			var form url.Values
			if r.Method == "POST" {
				form = url.Values{"form_token": {"of another page"}} // refused either way; for the role only beyond it
			}
			a := b.send(t, r.Method, target, form)
			if refused := strings.Contains(a.body, "may not make this request"); refused == role.Includes(r.Least()) {
				t.Errorf("%s %s as %s: %d, refused for the role: %t", r.Method, r.Path, role, a.status, refused)
			} else if refused && (a.status != http.StatusForbidden || !strings.Contains(a.body, string(r.Least()))) {
				t.Errorf("%s %s as %s: %d, and the page does not name %s", r.Method, r.Path, role, a.status, r.Least())
			}
		}
	}
	row, err := w.Store.LastRow(t.Context(), inmemory.OrgID+"/"+string(audit.AdminLoginRefused))
	if err != nil || row == nil || row.Actor != "admin:a-viewer" || row.Details["reason"] != "role" {
		t.Errorf("%+v, %v", row, err)
	}
}

// From page to page, a role meets no link and no form that leads to a route which it may not use; the ca-officer meets
// one to each route that has a form.
func TestPagesOfferWhatTheRoleMay(t *testing.T) {
	w := roleWorld(t)
	for _, role := range admin.Roles() {
		offered := crawl(t, w.as(t, role))
		for _, key := range slices.Sorted(maps.Keys(offered)) {
			method, path, _ := strings.Cut(key, " ")
			for _, r := range routes.On(path) {
				if r.Method == method && r.Auth == routes.Session && !role.Includes(r.Least()) {
					t.Errorf("%s is offered %s", role, key)
				}
			}
		}
		for key, least := range map[string]admin.Role{
			"GET /proxy/enrol":                         admin.Enroller,
			"POST /proxy/enrol":                        admin.Enroller,
			"GET /proxy/agents/{agent_id}/rotate-cert": admin.Operator,
			"GET /proxy/pki/rotate-ca":                 admin.CAOfficer,
			"POST /proxy/pki/rotate-ca":                admin.CAOfficer, "GET /proxy/agents": admin.Viewer,
			"POST /proxy/logout": admin.Viewer} {
			if offered[key] != role.Includes(least) {
				t.Errorf("%s is offered %s: %t", role, key, offered[key])
			}
		}
	}
}

// crawl follows all links from the overview, and returns what is offered, by method and resource.
func crawl(t *testing.T, b *browser) map[string]bool {
	t.Helper()
	offered, seen, next := map[string]bool{}, map[string]bool{}, []string{"/proxy/overview"}
	offer := func(method, address string) {
		u, err := url.Parse(address)
		if err != nil || u.Host != "" || u.Path == "" {
			return
		}
		if resource, _, ok := routes.Match(u.EscapedPath()); ok {
			offered[method+" "+resource] = true
			if method == "GET" && strings.HasPrefix(resource, "/proxy") && !strings.Contains(resource, "/assets/") {
				next = append(next, u.Path)
			}
		}
	}
	for len(next) > 0 {
		path := next[0]
		if next = next[1:]; seen[path] {
			continue
		}
		seen[path] = true
		a := b.send(t, "GET", path, nil)
		root, err := html.Parse(strings.NewReader(a.body))
		if err != nil {
			t.Fatal(err)
		}
		form := ""
		for n := range root.Descendants() {
			at := map[string]string{}
			for _, v := range n.Attr {
				at[v.Key] = v.Val
			}
			_, off := at["disabled"]
			switch {
			case n.Data == "a" && at["href"] != "":
				offer("GET", at["href"])
			case n.Data == "form":
				form = strings.ToUpper(at["method"]) + " " + at["action"]
			case n.Data == "button" && !off && at["type"] != "button":
				if method, action, ok := strings.Cut(form, " "); ok && action != "" {
					offer(cmp.Or(method, "GET"), action)
				}
			}
		}
	}
	return offered
}

// A session of a named admin is the admin's in the trail, and ends with the admin's secret.
func TestASessionOfANamedAdminEndsWithItsSecret(t *testing.T) {
	w := roleWorld(t)
	b := w.as(t, admin.Viewer)
	if a := b.send(t, "GET", "/proxy/agents", nil); a.status != http.StatusOK || !strings.Contains(a.body, "viewer") {
		t.Fatalf("%d", a.status)
	}
	w.Admins.Delete("a-viewer")
	w.Advance(60e9)
	if a := b.send(t, "GET", "/proxy/agents", nil); a.status != http.StatusSeeOther {
		t.Errorf("a minute after the secret was deleted: %d", a.status)
	}
}

// Ending the sessions of others takes the highest role.
func TestOnlyTheCAOfficerEndsAllSessions(t *testing.T) {
	w := roleWorld(t)
	viewer, other := w.as(t, admin.Viewer), w.as(t, admin.Operator)
	token := session.FormToken(viewer.cookies["__Host-mastio-session"].Value)
	form := url.Values{"form_token": {token}, "everywhere": {"1"}}
	if a := viewer.send(t, "POST", "/proxy/logout", form); a.status != http.StatusForbidden {
		t.Errorf("%d", a.status)
	}
	if a := other.send(t, "GET", "/proxy/overview", nil); a.status != http.StatusOK {
		t.Errorf("the other session: %d", a.status)
	}
}

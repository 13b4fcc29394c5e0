package e2e

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/mastio-aws/mastio/shared/routes"
)

// The operators' API that was deployed has the operators' routes, asks for the admin secret, and has no agents' route.
func TestDeployedOperatorsAPI(t *testing.T) {
	if !onLocalStack() {
		t.Skip("only on LocalStack: the local run has one gateway for both domains")
	}
	m := borrow(t)
	api := &client{http: http.DefaultClient, base: m.operators}
	ask := func(method, path string, header map[string]string) answer {
		t.Helper()
		a, err := api.do(t.Context(), method, path, header, nil)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	for _, r := range routes.All() {
		if r.Method != http.MethodGet || strings.Contains(r.Path, "{") || r.Path == "/" { // which leads to the dashboard
			continue
		}
		on := slices.Contains(r.Hosts, routes.Operators)
		a := ask(r.Method, r.Path, nil)
		switch {
		case !on && a.status != 404: // with a problem document on AWS; LocalStack ignores the body of a gateway response
			t.Errorf("%s %s, which is the agents' alone: %d %s", r.Method, r.Path, a.status, a.body)
		case on && r.Auth == routes.None && a.status != 200:
			t.Errorf("%s %s: %d %s, want 200", r.Method, r.Path, a.status, a.body)
		case on && r.Auth == routes.Admin && (a.status != 403 || a.code() != "admin_secret_invalid"):
			t.Errorf("%s %s without the admin secret: %d %s", r.Method, r.Path, a.status, a.body)
		}
	}
	if a := ask("GET", "/pki/rotate-ca", map[string]string{"X-Admin-Secret": m.AdminSecret}); a.status != 200 {
		t.Errorf("with the admin secret: %d %s", a.status, a.body)
	}
	if a := ask("POST", tokenPath, nil); a.status != 404 {
		t.Errorf("a token on the operators' API: %d %s", a.status, a.body)
	}
	if a := ask("GET", "/nowhere", nil); a.status != 404 {
		t.Errorf("no route: %d %s", a.status, a.body)
	}
	if a := ask("DELETE", "/pki/rotate-ca", nil); a.status != 405 || a.header.Get("Allow") == "" {
		t.Errorf("a method that the path lacks: %d %s, Allow %q", a.status, a.body, a.header.Get("Allow"))
	}
}

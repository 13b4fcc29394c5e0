package routes_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/mastio-aws/mastio/shared/admin"
	"github.com/mastio-aws/mastio/shared/routes"
)

// rule is the role that a route takes, by what the roles mean.
func rule(r routes.Route) admin.Role {
	write := r.Method != "GET"
	switch {
	case r.Path == "/proxy/logout", strings.HasSuffix(r.Path, "/audit/bundle"), strings.HasSuffix(r.Path, "/audit/verify"):
		return admin.Viewer
	case strings.HasPrefix(r.Path, "/v1/admin/agents/enroll/"), r.Path == "/v1/admin/agents", r.Path == "/proxy/enrol":
		if write || r.Path == "/proxy/enrol" {
			return admin.Enroller
		}
	case write && (strings.Contains(r.Path, "/agents") || r.Path == "/proxy/rotate"):
		return admin.Operator
	case write:
		return admin.CAOfficer
	}
	return admin.Viewer
}

// Every route that admits admins is in the table, and no other one is. What changes something takes more than a viewer.
func TestEveryRouteHasItsRole(t *testing.T) {
	for _, r := range routes.All() {
		key := r.Method + " " + r.Path
		admits := r.Auth == routes.Admin || r.Auth == routes.Scrape || r.Auth == routes.Session || key == "GET /healthz"
		switch got := r.Least(); {
		case !admits && got != "":
			t.Errorf("%s admits no admin, and has the role %s", key, got)
		case admits && got == "":
			t.Errorf("%s is open to no role: add it to shared/routes/routes.go", key)
		case admits && !got.Includes(rule(r)):
			t.Errorf("%s takes %s, want %s at the least", key, got, rule(r))
		case admits && r.Method != "GET" && got != rule(r):
			t.Errorf("%s takes %s, want %s", key, got, rule(r))
		}
	}
	// A page with a form takes what its form takes.
	for _, r := range routes.All() {
		for _, other := range routes.On(r.Path) {
			if strings.HasPrefix(r.Path, "/proxy") && r.Auth == routes.Session && other.Least() != r.Least() {
				t.Errorf("%s takes %s as %s, and %s as %s", r.Path, r.Least(), r.Method, other.Least(), other.Method)
			}
		}
	}
}

func TestARouteThatIsNotInTheTableIsShut(t *testing.T) {
	for _, role := range append(admin.Roles(), "", "root") {
		if err := (routes.Route{Method: "POST", Path: "/new"}).Permit(role); !errors.Is(err, admin.ErrRole) {
			t.Errorf("%s: %v", role, err)
		}
	}
}

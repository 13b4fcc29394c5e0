package routes_test

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mastio-aws/mastio/shared/routes"
)

func TestMatch(t *testing.T) {
	const agent, rotate = "/v1/admin/agents/{agent_id}", "/registry/agents/{agent_id}/rotate-cert"
	for _, c := range []struct{ path, resource, id string }{
		{"/healthz", "/healthz", ""},
		{"/%68ealthz", "/healthz", ""}, // RFC 3986 section 6.2.2.2: the same path
		{"/v1/admin/agents", "/v1/admin/agents", ""},
		{"/v1/admin/agents/orga::kyc", agent, "orga::kyc"},
		{"/v1/admin/agents/orga%3A%3Akyc", agent, "orga::kyc"},
		{"/v1/admin/agents/orga%3a%3akyc", agent, "orga::kyc"},
		{"/v1/admin/agents/a%2Fb", agent, "a/b"}, // one segment: who takes it must refuse it
		{"/v1/admin/agents/%2e%2e", agent, ".."},
		{"/v1/admin/agents/orga%253A%253Akyc", agent, "orga%3A%3Akyc"}, // unescaped once
		{"/registry/agents/{agent_id}/rotate-cert", rotate, "{agent_id}"},
		{"/registry/agents/orga::kyc/rotate-cert", rotate, "orga::kyc"},
		{"/v1/admin/agents/", "", ""},
		{"/registry/agents//rotate-cert", "", ""},
		{"/v1/admin/agents/a/b", "", ""},
		{"/v1/admin/agents/%zz", "", ""},
		{"/v1%2Fadmin%2Fagents", "", ""},
		{"/healthz/", "", ""},
		{"//healthz", "", ""},
		{"/HEALTHZ", "", ""},
		{"healthz", "", ""},
		{"/", "/", ""},
		{"", "", ""},
		{"/proxy/nothing", "/proxy/{page+}", ""},
		{"/proxy/agents/orga::kyc/nothing", "/proxy/{page+}", ""},
		{"/proxy/agents/orga::kyc", "/proxy/agents/{agent_id}", "orga::kyc"},
		{"/proxy/", "", ""},
		{"/healthz?x=1", "", ""},
	} {
		resource, params, ok := routes.Match(c.path)
		if resource != c.resource || params["agent_id"] != c.id || ok != (c.resource != "") {
			t.Errorf("%q: %q with %v, %t; want %q with %q", c.path, resource, params, ok, c.resource, c.id)
		}
	}
}

func TestEveryRouteMatchesItself(t *testing.T) {
	for _, r := range routes.All() {
		path := strings.ReplaceAll(r.Path, "{agent_id}", "orga::kyc")
		if resource, _, ok := routes.Match(path); !ok || resource != r.Path {
			t.Errorf("%s matches %q", path, resource)
		}
		if !slices.Contains(routes.Methods(r.Path), r.Method) {
			t.Errorf("%s is not among the methods of %s", r.Method, r.Path)
		}
		if !slices.ContainsFunc(routes.On(r.Path), func(o routes.Route) bool { return cmp.Equal(o, r) }) {
			t.Errorf("%s %s is not on its own path", r.Method, r.Path)
		}
	}
}

func TestMethods(t *testing.T) {
	for path, want := range map[string][]string{
		"/pki/rotate-ca": {"GET", "POST"}, "/v1/admin/agents/{agent_id}": {"DELETE", "GET", "PATCH"},
		"/v1/auth/token": {"POST"},
		"/nowhere":       nil, "": nil,
	} {
		if diff := cmp.Diff(want, routes.Methods(path)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", path, diff)
		}
	}
}

func TestFunctionsAreSortedAndNamedOnce(t *testing.T) {
	got := routes.Functions()
	if !slices.IsSorted(got) || len(slices.Compact(slices.Clone(got))) != len(got) {
		t.Errorf("functions = %v", got)
	}
	for _, name := range append(routes.Scheduled(), "token", "healthz") {
		if !slices.Contains(got, name) {
			t.Errorf("%s is not among %v", name, got)
		}
	}
}

// Each call returns a new copy of the table: no caller can change the table for the others.
func TestAllIsACopy(t *testing.T) {
	routes.All()[0] = routes.Route{}
	if routes.All()[0].Path == "" {
		t.Error("the table was changed")
	}
}

// FuzzMatch: whatever matches does so again when it is spelled out from its parts.
func FuzzMatch(f *testing.F) {
	for _, seed := range []string{"/healthz", "/v1/admin/agents/orga%3A%3Akyc", "/registry/agents/a%2Fb/rotate-cert",
		"/%zz", "//", "/v1/admin/agents/%00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, path string) {
		resource, params, ok := routes.Match(path)
		if !ok {
			if resource != "" || params != nil {
				t.Fatalf("%q is no match, but %q with %v", path, resource, params)
			}
			return
		}
		spelled := resource
		for name, value := range params {
			if value == "" {
				t.Fatalf("%q: parameter %s is empty", path, name)
			}
			spelled = strings.ReplaceAll(spelled, "{"+name+"}", url.PathEscape(value))
			spelled = strings.ReplaceAll(spelled, "{"+name+"+}", url.PathEscape(value))
		}
		again, same, ok := routes.Match(spelled)
		if diff := cmp.Diff(params, same); !ok || again != resource || diff != "" {
			t.Fatalf("%q is %s, but %q is %s:\n%s", path, resource, spelled, again, diff)
		}
	})
}

package routes_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mastio-aws/mastio/shared/routes"
)

type operation struct {
	Summary     string
	OperationID string
	Security    []map[string][]string
	Servers     []struct{ URL string }
	Parameters  []struct {
		Name, In string
		Required bool
	}
	Responses map[string]any
}

func document(t *testing.T) map[string]map[string]operation {
	t.Helper()
	b, err := routes.Document()
	if err != nil {
		t.Fatal(err) // says what to add where
	}
	var d struct {
		Paths map[string]map[string]operation
	}
	if err := json.Unmarshal(b, &d); err != nil {
		t.Fatal(err)
	}
	return d.Paths
}

// A route without an operation fails here, with what to add.
func TestEveryRouteIsDescribed(t *testing.T) {
	paths := document(t)
	described := 0
	for _, r := range routes.All() {
		o, ok := paths[r.Path][strings.ToLower(r.Method)]
		if !ok {
			t.Errorf("%s %s is not in the document", r.Method, r.Path)
			continue
		}
		described++
		if o.Summary == "" || o.Responses["default"] == nil || len(o.Responses) < 2 {
			t.Errorf("%s %s: summary %q, %d responses", r.Method, r.Path, o.Summary, len(o.Responses))
		}
		var hosts []string
		for _, s := range o.Servers {
			hosts = append(hosts, strings.Trim(strings.TrimPrefix(s.URL, "https://"), "{}"))
		}
		var want []string
		for _, h := range r.Hosts {
			want = append(want, string(h))
		}
		if diff := cmp.Diff(want, hosts); diff != "" {
			t.Errorf("%s %s: hosts (-table +document):\n%s", r.Method, r.Path, diff)
		}
		if edge := o.Responses["403"]; (r.Auth == routes.ClientCertificate) != (edge != nil) {
			t.Errorf("%s %s: the edge's refusal is %v", r.Method, r.Path, edge)
		}
		if r.Path == "/healthz" { // names more to a caller with the secret, and requires no secret
			if len(o.Security) != 2 || len(o.Security[0]) != 0 || o.Security[1][string(routes.Admin)] == nil {
				t.Errorf("%s: security %v, want none or the admin secret", r.Path, o.Security)
			}
		} else if (r.Auth == routes.None) != (len(o.Security) == 0) || r.Auth != routes.None &&
			o.Security[0][string(r.Auth)] == nil {
			t.Errorf("%s %s: security %v, want %s", r.Method, r.Path, o.Security, r.Auth)
		}
		for _, p := range o.Parameters {
			if p.In == "path" && (!strings.Contains(r.Path, "{"+p.Name+"}") || !p.Required) {
				t.Errorf("%s %s: parameter %s", r.Method, r.Path, p.Name)
			}
		}
	}
	total := 0
	for _, methods := range paths {
		total += len(methods)
	}
	if total != described {
		t.Errorf("%d operations for %d routes", total, described)
	}
}

func TestOperationIDsAreUnique(t *testing.T) {
	seen := map[string]string{}
	for path, methods := range document(t) {
		for method, o := range methods {
			if other, twice := seen[o.OperationID]; twice {
				t.Errorf("%s is %s %s and %s", o.OperationID, method, path, other)
			}
			seen[o.OperationID] = method + " " + path
		}
	}
}

func TestDemands(t *testing.T) {
	for _, c := range []struct {
		method, path string
		query        []string
		required     []string // members of the body; nil: no model
	}{
		{"POST", "/pki/rotate-ca", []string{"mode"}, nil},
		{"POST", "/v1/admin/agents", nil, []string{"agent_name"}},
		{"POST", "/v1/admin/agents/enroll/byoca", nil, []string{"agent_name", "cert_pem"}},
		{"POST", "/registry/agents/{agent_id}/rotate-cert", nil, nil}, // its body may be left out
		{"POST", "/v1/auth/token", nil, nil},                          // forms too
		{"GET", "/healthz", nil, nil},
	} {
		d, err := routes.DemandOf(c.method, c.path)
		if err != nil {
			t.Fatal(err)
		}
		var required []string
		if d.Body != nil {
			list, _ := d.Body["required"].([]any)
			for _, name := range list {
				required = append(required, name.(string))
			}
			slices.Sort(required)
		}
		if diff := cmp.Diff([]any{c.query, c.required}, []any{d.Query, required}); diff != "" {
			t.Errorf("%s %s (-want +got):\n%s", c.method, c.path, diff)
		}
		if b, _ := json.Marshal(d.Body); strings.Contains(string(b), "$ref") || strings.Contains(string(b), "const") {
			t.Errorf("%s %s: not draft 4: %s", c.method, c.path, b)
		}
	}
}

package routes_test

import (
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mastio-aws/mastio/shared/routes"
)

type operation struct {
	Summary     string
	OperationID string
	Tags        []string
	Security    []map[string][]string
	Servers     []struct{ URL string }
	Parameters  []struct {
		Name, In string
		Required bool
	}
	RequestBody *body
	Responses   map[string]body
}

type body struct {
	Description string
	Content     map[string]struct {
		Schema  map[string]any
		Example any
	}
}

type apiDocument struct {
	Tags  []struct{ Name string }
	Paths map[string]map[string]operation
}

func read(t *testing.T, write func() ([]byte, error)) apiDocument {
	t.Helper()
	b, err := write()
	if err != nil {
		t.Fatal(err) // says what to add where
	}
	var d apiDocument
	if err := json.Unmarshal(b, &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// A route without an operation fails here, with what to add. A page is in the document of pages, and in no other:
// generated clients have no method for it.
func TestEveryRouteIsDescribed(t *testing.T) {
	programs, pages := read(t, routes.Document), read(t, routes.PagesDocument)
	count := map[bool]int{}
	for _, r := range routes.All() {
		page := routes.IsPage(r)
		paths := programs.Paths
		if page {
			paths = pages.Paths
		}
		o, ok := paths[strings.Replace(r.Path, "+}", "}", 1)][strings.ToLower(r.Method)]
		if !ok {
			t.Errorf("%s %s is not in its document", r.Method, r.Path)
			continue
		}
		count[page]++
		if o.Summary == "" || len(o.Responses) < 2 {
			t.Errorf("%s %s: summary %q, %d responses", r.Method, r.Path, o.Summary, len(o.Responses))
		}
		checkAccess(t, r, o)
	}
	for page, d := range map[bool]apiDocument{false: programs, true: pages} {
		total := 0
		for _, methods := range d.Paths {
			total += len(methods)
		}
		if total != count[page] || total == 0 {
			t.Errorf("pages %t: %d operations for %d routes", page, total, count[page])
		}
	}
}

// checkAccess holds an operation to the route's hosts, to what its callers must show, and to its path.
func checkAccess(t *testing.T, r routes.Route, o operation) {
	t.Helper()
	var hosts, want []string
	for _, s := range o.Servers {
		hosts = append(hosts, strings.Trim(strings.TrimPrefix(s.URL, "https://"), "{}"))
	}
	for _, h := range r.Hosts {
		want = append(want, string(h))
	}
	if diff := cmp.Diff(want, hosts); diff != "" {
		t.Errorf("%s %s: hosts (-table +document):\n%s", r.Method, r.Path, diff)
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
		if p.In == "path" && (!strings.Contains(r.Path, "{"+p.Name) || !p.Required) {
			t.Errorf("%s %s: parameter %s", r.Method, r.Path, p.Name)
		}
	}
}

// methodNames begin with a verb: generators make a method of each.
var methodNames = regexp.MustCompile(`^(bundle|create|deactivate|enrol|export|get|introspect|issue|list|renew|rotate|` +
	`seal|set|sign|steer|update)([A-Z][A-Za-z]{1,24})$`)

func TestOperationIDs(t *testing.T) {
	seen := map[string]string{}
	d := read(t, routes.Document)
	var groups []string
	for _, tag := range d.Tags {
		groups = append(groups, tag.Name)
	}
	for path, methods := range d.Paths {
		for method, o := range methods {
			key := method + " " + path
			if other, twice := seen[o.OperationID]; twice {
				t.Errorf("%s is %s and %s", o.OperationID, key, other)
			}
			seen[o.OperationID] = key
			if !methodNames.MatchString(o.OperationID) {
				t.Errorf("%s: operationId %q is no verb with a noun", key, o.OperationID)
			}
			if len(o.Tags) != 1 || !slices.Contains(groups, o.Tags[0]) {
				t.Errorf("%s: tags %v, want one of %v", key, o.Tags, groups)
			}
		}
	}
	for path, methods := range read(t, routes.PagesDocument).Paths {
		for method, o := range methods {
			if other, twice := seen[o.OperationID]; twice {
				t.Errorf("%s is %s %s and %s", o.OperationID, method, path, other)
			}
			seen[o.OperationID] = method + " " + path
		}
	}
}

// Each operation describes what API Gateway answers in the place of the function, in a form without a required member,
// and the refusals that come of its input.
func TestEveryOperationDescribesItsRefusals(t *testing.T) {
	d := read(t, routes.Document)
	for _, r := range routes.All() {
		if routes.IsPage(r) {
			continue
		}
		o := d.Paths[r.Path][strings.ToLower(r.Method)]
		want := []string{"400", "403", "413", "429", "500", "502", "503", "504"}
		if o.RequestBody != nil {
			want = append(want, "415")
		}
		if r.Auth == routes.ClientCertificate || r.Auth == routes.Scrape {
			want = append(want, "401")
		}
		if strings.Contains(r.Path, "{agent_id}") {
			want = append(want, "404")
		}
		for _, status := range want {
			answer, ok := o.Responses[status]
			if !ok || answer.Description == "" || len(answer.Content) == 0 {
				t.Errorf("%s %s: status %s is not described", r.Method, r.Path, status)
			}
			if status == "403" && !strings.Contains(answer.Description, string(r.Least())) {
				t.Errorf("%s %s: 403 does not name the role %s: %s", r.Method, r.Path, r.Least(), answer.Description)
			}
		}
		for status, answer := range o.Responses { // no default: see refuse
			if n, err := strconv.Atoi(status); err != nil || n < 200 || n > 504 {
				t.Errorf("%s %s: status %q", r.Method, r.Path, status)
			}
			edge := slices.Contains([]string{"403", "413", "429", "500", "502", "503", "504"}, status)
			for media, c := range answer.Content {
				if ref, _ := c.Schema["$ref"].(string); status[0] != '2' && edge != strings.HasSuffix(ref, "/Refusal") {
					t.Errorf("%s %s: %s %s is %s", r.Method, r.Path, status, media, ref)
				}
			}
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

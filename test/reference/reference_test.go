// Package reference writes shared/REFERENCE.md out of the tables of the product, and holds the page to them.
//
//	go test ./test/reference -update
package reference

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mastio-aws/mastio/shared/boot"
	"github.com/mastio-aws/mastio/shared/routes"
	"github.com/mastio-aws/mastio/shared/warnings"
)

var update = flag.Bool("update", false, "write shared/REFERENCE.md anew")

const page = "../../shared/REFERENCE.md"

// The page is what the tables say. It is written by this test, with -update.
func TestReference(t *testing.T) {
	want := "# Reference\n\nWritten by `go test ./test/reference -update` out of the tables in the code. A test fails " +
		"when the two differ.\n\n" +
		routesSection(t) + settingsSection() + warningsSection() + codesSection(t)
	if *update {
		if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("the page is not what the tables say (-tables +page); go test ./test/reference -update writes it:\n%s", diff)
	}
}

// table is a Markdown table.
func table(head ...string) *strings.Builder {
	b := &strings.Builder{}
	row(b, head...)
	b.WriteString(strings.Repeat("|---", len(head)) + "|\n")
	return b
}

func row(b *strings.Builder, cells ...string) {
	for _, c := range cells {
		b.WriteString("| " + strings.ReplaceAll(c, "|", `\|`) + " ")
	}
	b.WriteString("|\n")
}

func code(s string) string { return "`" + s + "`" }

// shows is what a caller of a route must show.
var shows = map[routes.Auth]string{
	routes.None: "", routes.Admin: "admin secret", routes.ClientCertificate: "client certificate",
	routes.Session: "session", routes.Scrape: "admin secret or metrics token",
}

func routesSection(t *testing.T) string {
	summaries := summaries(t)
	b := table("method and path", "what for", "function", "host", "caller shows")
	var pages []string
	for _, r := range routes.All() {
		if r.Function == "dashboard" {
			pages = append(pages, r.Method+" "+r.Path)
			continue
		}
		s := summaries[r.Method+" "+r.Path]
		if s == "" {
			t.Errorf("%s %s has no summary in /openapi.json", r.Method, r.Path)
		}
		var hosts []string
		for _, h := range r.Hosts {
			hosts = append(hosts, string(h))
		}
		row(b, code(r.Method+" "+r.Path), s, r.Function, strings.Join(hosts, ", "), shows[r.Auth])
	}
	return "## Routes\n\n" + b.String() + fmt.Sprintf(routeNotes, len(pages))
}

const routeNotes = `
The dashboard has %d routes of its own below ` + "`/proxy`" + `, on the operators' host, for a session; ` + "`/proxy/login`" + ` and
` + "`/proxy/assets/…`" + ` need none. ` + "`GET /openapi.json`" + ` (OpenAPI 3.1) has parameters, bodies, answers and examples of all routes for
programs; ` + "`test/clients`" + ` generates a client of it in Python, Go and TypeScript. ` + "`GET /openapi-pages.json`" + ` has the dashboard's pages.

- The admin secret is the header ` + "`X-Admin-Secret`" + `. A client certificate comes with the TLS handshake.
- ` + "`GET /v1/agent/me`" + ` takes an access token as well, over mutual TLS with the certificate that the token is bound to.
- A client assertion that comes with ` + "`POST /v1/auth/token`" + ` is judged too.
- ` + "`POST /v1/admin/audit/checkpoint`" + ` runs on a schedule as well.
- The modes of ` + "`POST /pki/rotate-ca`" + ` are in [OPERATING.md](OPERATING.md#rotating-the-org-ca).

Errors are problem documents (RFC 9457) with a ` + "`code`" + ` of their own. Below ` + "`/v1/auth/`" + ` they have the form that OAuth clients
expect (RFC 6749 section 5.2). ` + "`{\"message\": \"Forbidden\"}`" + ` is neither: API Gateway sends it to a client certificate that is under
no CA of the truststore, or outside its validity, before any function sees the request.

`

func settingsSection() string {
	b := table("variable", "takes", "default", "meaning")
	for _, s := range boot.Settings() {
		row(b, code(s.Name), s.Takes, s.Default, s.Meaning)
	}
	return "## Settings of a function\n\nThe deployment's settings (`-c name=value`) are in " +
		"[infra](../infra/README.md#settings). A value that a variable does not\n" +
		"take keeps every function from starting, with all wrong variables in one message.\n\n" + b.String() + "\n"
}

func warningsSection() string {
	b := table("warning", "what is the matter", "what it means", "what to do", "shown to")
	for _, r := range warnings.All() {
		shown := "everyone"
		if !r.Public {
			shown = "a caller with the admin secret"
		}
		row(b, code(string(r.Warning)), r.Title, r.Text, r.Alarm.Todo, shown)
	}
	return "## Warnings of `/healthz`\n\nEach has a metric of its name in CloudWatch, an alarm of its own, and a place " +
		"on the dashboard.\n\n" +
		b.String() + "\n"
}

func codesSection(t *testing.T) string {
	b := table("code", "status", "OAuth", "the answer says")
	for _, p := range problems(t) {
		row(b, code(p.code), strings.Join(p.statuses, ", "), p.oauth, strings.Join(p.says, " · "))
	}
	return "## Error codes\n\nEach is declared in the code next to its rule. The column OAuth has the `error` at the " +
		"routes below `/v1/auth/`, where it is not\n" +
		"the usual one for the status. An answer often adds what is wrong with this request. What an agent does " +
		"about each:\n" +
		"[AGENTS.md](AGENTS.md#errors). The codes of a refused CA (422, `errors`): " +
		"[upload](upload/README.md#what-each-refusal-means).\n\n" + b.String()
}

// sorted is a set's members in their order.
func sorted(set map[string]bool) []string {
	var all []string
	for s := range set {
		all = append(all, s)
	}
	slices.Sort(all)
	return all
}

var root = filepath.Join("..", "..")

package house

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mastio-aws/mastio/shared/routes"
)

func TestEveryRouteHasItsFolderAndEveryFolderItsRoute(t *testing.T) {
	entries, err := os.ReadDir(filepath.Join("..", "..", "functions"))
	if err != nil {
		t.Fatal(err)
	}
	var folders []string
	for _, e := range entries {
		if e.IsDir() {
			folders = append(folders, e.Name())
		}
	}
	if diff := cmp.Diff(routes.Functions(), folders); diff != "" {
		t.Errorf("route table and functions/ differ (-table +folders):\n%s", diff)
	}
}

func TestEveryRouteHasAHandler(t *testing.T) {
	handled := map[string]bool{}
	for _, f := range sources(t) {
		if !below(f.path, []string{"shared/edge/httpapi", "shared/edge/dashboard"}) {
			continue
		}
		for _, text := range stringLiterals(f.ast) {
			handled[text] = true
		}
	}
	for _, r := range routes.All() {
		if key := r.Method + " " + r.Path; !handled[key] {
			t.Errorf("no handler is registered for %s", key)
		}
	}
}

func TestMainsAreShort(t *testing.T) {
	for _, name := range routes.Functions() {
		source, err := os.ReadFile(filepath.Join("..", "..", "functions", name, "main.go"))
		if err != nil {
			t.Error(err)
			continue
		}
		if lines := strings.Count(string(source), "\n"); lines > 25 {
			t.Errorf("functions/%s/main.go has %d lines, want at most 25", name, lines)
		}
	}
}

// Exactly one function serves a path, so that it can answer 405; no route is on no host.
func TestRouteTableIsConsistent(t *testing.T) {
	owner := map[string]string{}
	for _, r := range routes.All() {
		if other, ok := owner[r.Path]; ok && other != r.Function {
			t.Errorf("%s is served by %s and by %s", r.Path, other, r.Function)
		}
		owner[r.Path] = r.Function
		if len(r.Hosts) == 0 || r.Auth == "" {
			t.Errorf("%s %s lacks a host or an auth", r.Method, r.Path)
		}
		admits := r.Auth == routes.Admin || r.Auth == routes.Scrape || r.Auth == routes.Session
		if admits && r.Least() == "" {
			t.Errorf("%s %s is open to no role: add it to least in shared/routes/routes.go", r.Method, r.Path)
		}
		if r.Auth == routes.ClientCertificate && !slices.Equal(r.Hosts, []routes.Host{routes.Agents}) {
			t.Errorf("%s %s needs a client certificate but is not on the agents' host alone", r.Method, r.Path)
		}
		if admits && slices.Contains(r.Hosts, routes.Agents) {
			t.Errorf("%s %s is for operators but is on the agents' host", r.Method, r.Path)
		}
	}
}

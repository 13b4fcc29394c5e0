package house

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// recipes are the changes that are made most often, each with the places that an existing example touches. A place is a
// file that is written by hand. The recipes in shared/README.md name the same places.
var recipes = []struct {
	name    string
	example *regexp.Regexp
	at      []string // below the module
	most    int
}{
	{
		name:    "warning",
		example: regexp.MustCompile(`RotationLockStuck|rotation_lock_stuck`),
		at:      []string{"shared/usecase/health/health.go", "shared/warnings/table.go"},
		most:    2,
	},
	{
		name:    "field of an agent",
		example: regexp.MustCompile(`\.DisplayName\b|display_name`),
		at: []string{
			"shared/agent/profile.go",
			"shared/cmd/mastio/profile.go",
			"shared/edge/dashboard/templates/parts.html",
			"shared/edge/dynamo/agent.go",
			"shared/routes/operations.json",
			"shared/routes/schemas.json",
		},
		most: 6,
	},
	{
		name:    "route",
		example: regexp.MustCompile(`/v1/admin/audit/head\b|AuditHead|\) Head\(ctx`),
		at: []string{
			"shared/edge/httpapi/audit.go",
			"shared/routes/operations.json",
			"shared/routes/routes.go",
			"shared/routes/schemas.json",
			"shared/usecase/auditlog/trail.go",
		},
		most: 5,
	},
}

// A fact that is written in many places is forgotten in one of them.
func TestPlacesThatAChangeTouches(t *testing.T) {
	sources := writtenByHand(t)
	for _, r := range recipes {
		var at []string
		for path, text := range sources {
			if r.example.MatchString(text) {
				at = append(at, path)
			}
		}
		slices.Sort(at)
		if diff := cmp.Diff(r.at, at); diff != "" {
			t.Errorf("places of a %s (-want +got):\n%s", r.name, diff)
		}
		if len(at) > r.most {
			t.Errorf("a %s touches %d places, want at most %d", r.name, len(at), r.most)
		}
		t.Logf("a %s touches %d places", r.name, len(at))
	}
}

// The recipes lead to the places that a change touches, and to no other.
func TestRecipesNameThePlaces(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join("..", "..", "shared", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range recipes {
		for _, path := range r.at {
			name := strings.TrimPrefix(path, "shared/")
			if strings.HasPrefix(name, "usecase/auditlog") {
				name = "usecase/"
			}
			if strings.HasPrefix(name, "edge/httpapi") {
				name = "edge/httpapi"
			}
			if !strings.Contains(string(readme), "`"+name) {
				t.Errorf("the recipe for a %s does not name %s", r.name, name)
			}
		}
	}
}

// writtenByHand returns what a person writes of the product: no test, no fixture, no document, and nothing generated.
func writtenByHand(t *testing.T) map[string]string {
	t.Helper()
	root, all := filepath.Join("..", ".."), map[string]string{}
	for _, top := range []string{"functions", "infra", "shared"} {
		err := filepath.WalkDir(filepath.Join(root, top), func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if d.IsDir() {
				if slices.Contains([]string{"testdata", "node_modules", "storetest", "cdk.out", "build"}, d.Name()) {
					return filepath.SkipDir
				}
				return nil
			}
			name := d.Name()
			kind := filepath.Ext(name)
			if strings.HasSuffix(name, "_test.go") || !slices.Contains([]string{".css", ".go", ".html", ".js", ".json"}, kind) {
				return nil
			}
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			rel, err := filepath.Rel(root, path)
			all[filepath.ToSlash(rel)] = string(text)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all
}

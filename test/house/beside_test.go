package house

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

var testFile = regexp.MustCompile(`[a-z0-9_/]+_test\.go`)

// A developer who changes a use case runs the tests next to it. Where there are none, the package comment names the
// files that have them.
func TestUseCasesSayWhereTheirTestsAre(t *testing.T) {
	root := filepath.Join("..", "..")
	comments := map[string]string{}
	for _, f := range sources(t) {
		if folder := filepath.Dir(f.path); below(f.path, []string{"shared/usecase"}) && !testDouble(f.path) {
			comments[folder] += f.ast.Doc.Text()
		}
	}
	if len(comments) < 10 {
		t.Fatalf("found %d use cases: the search is broken", len(comments))
	}
	for folder, comment := range comments {
		tests, err := filepath.Glob(filepath.Join(root, folder, "*_test.go"))
		if err != nil {
			t.Fatal(err)
		}
		named := testFile.FindAllString(comment, -1)
		if len(tests) == 0 && len(named) == 0 {
			t.Errorf("%s has no test next to it, and its package comment names none", folder)
		}
		for _, path := range named {
			if _, err := os.Stat(filepath.Join(root, path)); err != nil {
				t.Errorf("%s names a test that is not there: %s", folder, path)
			}
		}
	}
}

package house

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// scaled finds tests that are shorter with -short: by a condition of their own, or because rapid makes a fifth of the
// checks.
var scaled = regexp.MustCompile(`testing\.Short\(\)|rapid\.Check\(`)

// What make test runs in short form is listed, package by package, with what make check runs whole.
func TestShortFormsAreListed(t *testing.T) {
	root := filepath.Join("..", "..")
	readme, err := os.ReadFile(filepath.Join(root, "test", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, list, _ := strings.Cut(string(readme), "| test | `make test` | `make check` |")
	list, _, _ = strings.Cut(list, "\n\n")
	found := map[string]bool{}
	for _, top := range []string{"infra", "localstack", "shared", "test"} {
		err := filepath.WalkDir(filepath.Join(root, top), func(path string, d fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, "_test.go") || filepath.Base(path) == "short_test.go" {
				return err
			}
			source, err := os.ReadFile(path)
			if err == nil && scaled.Match(source) {
				dir, _ := filepath.Rel(root, filepath.Dir(path))
				found[filepath.ToSlash(dir)] = true
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(found) < 10 {
		t.Fatalf("found %d packages: the walk is broken", len(found))
	}
	for dir := range found {
		if name := "`" + strings.TrimPrefix(dir, "test/") + "`"; !strings.Contains(list, name) {
			t.Errorf("%s has a short form, and the table of test/README.md has no %s", dir, name)
		}
	}
}

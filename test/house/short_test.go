package house

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// scaled finds tests that are shorter with -short: by a condition of their own, or because rapid makes a fifth of the
// checks.
var scaled = regexp.MustCompile(`testing\.Short\(\)|rapid\.Check\(`)

// What make test runs in short form is listed, package by package, with what make check runs whole.
func TestShortFormsAreListed(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join("..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, list, _ := strings.Cut(string(readme), "| test | `make test` | `make check` |")
	list, _, _ = strings.Cut(list, "\n\n")
	for _, dir := range shortened(t) {
		if name := "`" + strings.TrimPrefix(dir, "test/") + "`"; !strings.Contains(list, name) {
			t.Errorf("%s has a short form, and the table of test/README.md has no %s", dir, name)
		}
	}
}

// Between them, make test and make check run every test, every short form at full length as well, and the race detector
// over everything but what the Makefile says has no use for it.
func TestCheckRunsWhatTestLeavesOut(t *testing.T) {
	if _, err := exec.LookPath("make"); err != nil {
		t.Skip(err)
	}
	test, check := commands(t, "test"), commands(t, "check")
	both := append(slices.Clone(test), check...)
	noRace := []string{"infra", "infra/mastio", "infra/preflight", "infra/smoke",
		"test/e2e", "test/guide", "test/house", "test/reference"}
	for dir := range walk(t, regexp.MustCompile(`(?m)^func (Test|Fuzz)[A-Z]`)) {
		if !slices.ContainsFunc(both, func(c command) bool { return c.runs(dir) }) {
			t.Errorf("neither make test nor make check runs %s", dir)
		}
		raced := func(c command) bool { return c.race && c.runs(dir) }
		if !slices.Contains(noRace, dir) && !slices.ContainsFunc(both, raced) {
			t.Errorf("neither make test nor make check runs %s under the race detector", dir)
		}
		if !strings.HasPrefix(dir, "infra") && !slices.ContainsFunc(test, func(c command) bool { return c.runs(dir) }) {
			t.Errorf("make test does not run %s", dir)
		}
	}
	for _, dir := range shortened(t) {
		if !slices.ContainsFunc(check, func(c command) bool { return !c.short && c.runs(dir) }) {
			t.Errorf("%s has a short form, and make check does not run it without -short", dir)
		}
	}
	for dir := range walk(t, regexp.MustCompile(`(?m)^//go:build openapi$`)) {
		if !slices.ContainsFunc(check, func(c command) bool { return c.openAPI && c.runs(dir) }) {
			t.Errorf("%s has tests with the build tag openapi, and make check does not set it there", dir)
		}
	}
}

// command is one go test that a target of the Makefile runs.
type command struct {
	race, short, openAPI bool
	packages             []string // without ./
}

func (c command) runs(dir string) bool { return slices.Contains(c.packages, dir) }

// commands are those that run whole packages.
func commands(t *testing.T, target string) (all []command) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "make", "-n", target)
	cmd.Dir = filepath.Join("..", "..")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("make -n %s: %v", target, err)
	}
	for line := range strings.Lines(string(out)) {
		words := strings.Fields(line)
		if !strings.Contains(line, "go test ") || slices.Contains(words, "-run") {
			continue
		}
		c := command{
			race:    slices.Contains(words, "-race"),
			short:   slices.Contains(words, "-short"),
			openAPI: strings.Contains(line, ",openapi"),
		}
		for _, w := range words {
			if dir, ok := strings.CutPrefix(w, "./"); ok {
				c.packages = append(c.packages, dir)
			}
		}
		all = append(all, c)
	}
	return all
}

// shortened are the packages whose tests are shorter with -short. The contract of stores is a package of its own, and
// runs in the tests of those that it holds.
func shortened(t *testing.T) []string {
	t.Helper()
	found := walk(t, scaled)
	if len(found) < 10 {
		t.Fatalf("found %d packages: the walk is broken", len(found))
	}
	for dir := range walk(t, regexp.MustCompile(`storetest\.Run\(`)) {
		found[dir] = true
	}
	delete(found, "test/house") // it names what it looks for
	var all []string
	for dir := range found {
		all = append(all, dir)
	}
	slices.Sort(all)
	return all
}

// walk finds the packages with a test file that matches.
func walk(t *testing.T, what *regexp.Regexp) map[string]bool {
	t.Helper()
	root, found := filepath.Join("..", ".."), map[string]bool{}
	for _, top := range []string{"functions", "infra", "localstack", "shared", "test"} {
		err := filepath.WalkDir(filepath.Join(root, top), func(path string, d fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, "_test.go") {
				return err
			}
			dir, _ := filepath.Rel(root, filepath.Dir(path))
			source, err := os.ReadFile(path)
			if err == nil && what.Match(source) {
				found[filepath.ToSlash(dir)] = true
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return found
}

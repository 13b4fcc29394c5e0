package sdk

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// agentsFiles declare the problems that only agents meet. The page's table must have every one of them.
var agentsFiles = []string{
	"usecase/authn/authn.go", "usecase/token/*.go", "usecase/agentcert/renew.go", "agent/pace.go",
	"assertion/*.go", "verifier/errors.go",
}

// edgeCodes are of two packages that serve operators too, and belong to agents' routes by the route.
var edgeCodes = []string{"certificate_revoked", "rotate_at_your_ca", "csr_invalid", "csr_key_unacceptable",
	"csr_names_differ", "dpop_proof_replayed", "internal"}

var (
	declaration = regexp.MustCompile(`(?:problem\.New\(\s*\d+|= refuse\("[a-z_]*"),\s*"([a-z_]+)"`)
	inTable     = regexp.MustCompile("`([a-z]+(?:_[a-z]+)+|internal)`")
)

// declared finds the codes of problems that the Go files of a pattern below shared declare.
func declared(t *testing.T, pattern string) (codes []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", "..", "shared", pattern))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range declaration.FindAllSubmatch(source, -1) {
			codes = append(codes, string(m[1]))
		}
	}
	return codes
}

// The page's table of errors has every code that an agent meets, and none that no longer exists.
func TestErrorsOfThePage(t *testing.T) {
	_, section, ok := strings.Cut(page(t), "\n## Errors\n")
	if !ok {
		t.Fatal("the page has no section of errors")
	}
	var listed []string
	for line := range strings.Lines(section) {
		if !strings.HasPrefix(line, "| ") {
			continue
		}
		cells := strings.Split(line, "|")
		for _, m := range inTable.FindAllStringSubmatch(cells[3], -1) {
			listed = append(listed, m[1])
		}
	}
	want := slices.Clone(edgeCodes)
	for _, pattern := range agentsFiles {
		codes := declared(t, pattern)
		if len(codes) == 0 {
			t.Errorf("%s declares no problem", pattern)
		}
		want = append(want, codes...)
	}
	if len(want) < len(edgeCodes)+20 {
		t.Fatalf("only %d codes are declared; are they still declared by problem.New and refuse?", len(want))
	}
	for _, code := range want {
		if !slices.Contains(listed, code) {
			t.Errorf("the page does not tell agents what to do about %s", code)
		}
	}
	var all []string
	err := filepath.WalkDir(filepath.Join("..", "..", "shared"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			folder, _ := filepath.Rel(filepath.Join("..", "..", "shared"), path)
			all = append(all, declared(t, filepath.Join(folder, "*.go"))...)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, code := range listed {
		if code != "internal" && !slices.Contains(all, code) {
			t.Errorf("the page lists %s, which nothing declares", code)
		}
	}
}

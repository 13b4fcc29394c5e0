package house

import (
	"go/scanner"
	"go/token"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// parts are where lines of Go lie, and what README.md says of each before its number.
var parts = []struct{ name, said string }{
	{"product", `\| the product: [^|]*\| ([0-9,]+) \|`},
	{"deployment", `\| the CDK app [^|]*\| ([0-9,]+) \|`},
	{"stand-ins", `\| the stand-ins [^|]*\| ([0-9,]+) \|`},
	{"tests", `\| the tests: [^|]*\| ([0-9,]+) \|`},
	{"core", `the core has ([0-9,]+)`},
	{"verifier", `the verifier ([0-9,]+)`},
	{"use cases", `the use cases ([0-9,]+)`},
	{"edges", `the edges ([0-9,]+)`},
}

// The README says how large the project is and where the weight lies. It may be a little behind.
func TestReadmeSaysHowLargeItIs(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	counted := linesOfCode(t)
	for _, p := range parts {
		m := regexp.MustCompile(p.said).FindSubmatch(readme)
		if m == nil {
			t.Errorf("README.md does not say how large the part %q is", p.name)
			continue
		}
		said, err := strconv.Atoi(strings.ReplaceAll(string(m[1]), ",", ""))
		if err != nil {
			t.Fatal(err)
		}
		got := counted[p.name]
		t.Logf("%-10s %6d", p.name, got)
		if off := math.Abs(float64(said - got)); off > 0.05*float64(got)+100 {
			t.Errorf("README.md says that the part %q has %d lines of code: it has %d", p.name, said, (got+50)/100*100)
		}
	}
}

// linesOfCode counts lines that hold a token of Go, by part.
func linesOfCode(t *testing.T) map[string]int {
	t.Helper()
	root := filepath.Join("..", "..")
	counted := map[string]int{}
	for _, top := range []string{"functions", "shared", "infra", "localstack", "test"} {
		err := filepath.WalkDir(filepath.Join(root, top), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") {
				return err
			}
			source, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			rel, err := filepath.Rel(root, path)
			for _, part := range partsOf(filepath.ToSlash(rel)) {
				counted[part] += codeLines(source)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return counted
}

// partsOf returns the parts that a file counts for.
func partsOf(path string) []string {
	switch {
	case below(path, []string{"test"}), strings.HasSuffix(path, "_test.go"), testDouble(path),
		strings.Contains(path, "/memstore/"):
		return []string{"tests"}
	case below(path, []string{"infra"}):
		return []string{"deployment"}
	case below(path, []string{"localstack"}):
		return []string{"stand-ins"}
	case below(path, []string{"shared/usecase"}):
		return []string{"product", "use cases"}
	case below(path, []string{"shared/edge"}):
		return []string{"product", "edges"}
	case below(path, []string{"shared/verifier"}):
		return []string{"product", "verifier"}
	case below(path, core):
		return []string{"product", "core"}
	}
	return []string{"product"}
}

func codeLines(source []byte) int {
	set := token.NewFileSet()
	file := set.AddFile("", set.Base(), len(source))
	var s scanner.Scanner
	s.Init(file, source, nil, 0)
	var lines []int
	for {
		pos, tok, literal := s.Scan()
		if tok == token.EOF {
			break
		}
		for first := file.Line(pos); first <= file.Line(pos)+strings.Count(strings.TrimSuffix(literal, "\n"), "\n"); first++ {
			lines = append(lines, first)
		}
	}
	slices.Sort(lines)
	return len(slices.Compact(lines))
}

func TestCodeLinesAreCounted(t *testing.T) {
	const source = "// Package a is one.\npackage a\n\nvar A = `x\n\ny` // two\n\n/* no\n   code */\nfunc f() {\n}\n"
	if got := codeLines([]byte(source)); got != 6 {
		t.Errorf("got %d lines, want 6", got)
	}
}

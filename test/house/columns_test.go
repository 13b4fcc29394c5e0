package house

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// columns is the longest line of Go. A tab counts as one column.
const columns = 120

// A line that is wider than a screen is read in halves. A line that a raw string is part of may be longer: its content
// cannot be broken without another content.
func TestLinesFitTheScreen(t *testing.T) {
	var long []string
	everyGoFile(t, func(path string, set *token.FileSet, f *ast.File, source []byte) {
		raw := linesOfRawStrings(set, f)
		n := 0
		for line := range bytes.Lines(source) {
			n++
			if width := utf8.RuneCount(bytes.TrimRight(line, "\r\n")); width > columns && !raw[n] {
				long = append(long, fmt.Sprintf("%s:%d has %d columns", path, n, width))
			}
		}
	})
	t.Logf("lines above %d columns: %d", columns, len(long))
	if len(long) > 0 {
		t.Errorf("%d lines above %d columns, want none:\n%s", len(long), columns, strings.Join(long, "\n"))
	}
}

// A literal with the names of its fields is on one line, or has one field a line: a change of a field is then a change
// of one line, and no field is overlooked at the end of another.
func TestLiteralsHaveOneFieldALine(t *testing.T) {
	everyGoFile(t, func(path string, set *token.FileSet, f *ast.File, _ []byte) {
		line := func(p token.Pos) int { return set.Position(p).Line }
		ast.Inspect(f, func(n ast.Node) bool {
			lit, ok := n.(*ast.CompositeLit)
			if !ok || len(lit.Elts) < 2 || line(lit.Lbrace) == line(lit.Rbrace) || !fields(lit) {
				return true
			}
			for i, e := range lit.Elts[1:] {
				if line(e.Pos()) == line(lit.Elts[i].End()) {
					t.Errorf("%s:%d: two fields of a literal of several lines are on one line", path, line(e.Pos()))
				}
			}
			return true
		})
	})
}

func fields(lit *ast.CompositeLit) bool {
	for _, e := range lit.Elts {
		pair, ok := e.(*ast.KeyValueExpr)
		if !ok {
			return false
		}
		if _, ok := pair.Key.(*ast.Ident); !ok {
			return false
		}
	}
	return true
}

func linesOfRawStrings(set *token.FileSet, f *ast.File) map[int]bool {
	raw := map[int]bool{}
	ast.Inspect(f, func(n ast.Node) bool {
		if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING && lit.Value[0] == '`' {
			for l := set.Position(lit.Pos()).Line; l <= set.Position(lit.End()).Line; l++ {
				raw[l] = true
			}
		}
		return true
	})
	return raw
}

// everyGoFile visits every Go file of the module, tests too.
func everyGoFile(t *testing.T, visit func(path string, set *token.FileSet, f *ast.File, source []byte)) {
	t.Helper()
	root, visited := filepath.Join("..", ".."), 0
	skipped := []string{"testdata", "node_modules", "build", "cdk.out"}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() && path != root && (strings.HasPrefix(name, ".") || slices.Contains(skipped, name)) {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(name, ".go") {
			return nil
		}
		source, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		set := token.NewFileSet()
		f, err := parser.ParseFile(set, path, source, parser.ParseComments)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		visited++
		visit(filepath.ToSlash(rel), set, f, source)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if visited < 500 {
		t.Fatalf("visited %d files: the walk is broken", visited)
	}
}

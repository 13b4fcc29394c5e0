package reference

import (
	"cmp"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/mastio-aws/mastio/shared/routes"
)

// summaries returns what each route is for, by method and path, as /openapi.json says it.
func summaries(t *testing.T) map[string]string {
	t.Helper()
	text, err := routes.Document()
	if err != nil {
		t.Fatal(err)
	}
	var document struct {
		Paths map[string]map[string]json.RawMessage
	}
	if err := json.Unmarshal(text, &document); err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for path, item := range document.Paths {
		for method, raw := range item {
			var operation struct{ Summary string }
			if json.Unmarshal(raw, &operation) == nil {
				all[strings.ToUpper(method)+" "+path] = operation.Summary
			}
		}
	}
	return all
}

// codeRow is an error code with all declarations of it.
type codeRow struct {
	code     string
	statuses []string
	oauth    string
	says     []string
}

// problems finds every declared answer of the product, in the order of the codes.
func problems(t *testing.T) []codeRow {
	t.Helper()
	statuses, says, oauth := map[string]map[string]bool{}, map[string]map[string]bool{}, map[string]map[string]bool{}
	note := func(m map[string]map[string]bool, code, value string) {
		if m[code] == nil {
			m[code] = map[string]bool{}
		}
		if value != "" {
			m[code][value] = true
		}
	}
	found := 0
	for _, f := range product(t) {
		inner := map[*ast.CallExpr]bool{} // the declarations that a longer one holds
		ast.Inspect(f, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || inner[call] {
				return true
			}
			d, ok := declaration(call, inner)
			if !ok {
				return true
			}
			found++
			note(statuses, d.code, d.statuses[0])
			note(says, d.code, d.says[0])
			note(oauth, d.code, d.oauth)
			return true
		})
	}
	if found < 120 {
		t.Fatalf("found %d declarations: the search is broken", found)
	}
	var all []codeRow
	for code := range statuses {
		all = append(all, codeRow{code, sorted(statuses[code]), strings.Join(sorted(oauth[code]), ", "), sorted(says[code])})
	}
	slices.SortFunc(all, func(a, b codeRow) int { return cmp.Compare(a.code, b.code) })
	return all
}

// declaration reads problem.New(status, code, text) with what is called on it, or package verifier's refuse(challenge,
// code, text, sentence).
func declaration(call *ast.CallExpr, inner map[*ast.CallExpr]bool) (codeRow, bool) {
	if f, ok := call.Fun.(*ast.Ident); ok && f.Name == "refuse" && len(call.Args) == 4 {
		return codeRow{
			code:     text(call.Args[1]),
			statuses: []string{"401"},
			says:     []string{cmp.Or(text(call.Args[3]), text(call.Args[2]))},
		}, true
	}
	sel, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return codeRow{}, false
	}
	if pkg, ok := sel.X.(*ast.Ident); ok {
		if pkg.Name != "problem" || sel.Sel.Name != "New" || len(call.Args) != 3 {
			return codeRow{}, false
		}
		status, ok := call.Args[0].(*ast.BasicLit)
		code := text(call.Args[1])
		if !ok || code == "" {
			return codeRow{}, false
		}
		sentence := text(call.Args[2])
		return codeRow{code: code, statuses: []string{status.Value}, says: []string{sentence}}, true
	}
	below, ok := sel.X.(*ast.CallExpr)
	if !ok {
		return codeRow{}, false
	}
	d, ok := declaration(below, inner)
	if !ok {
		return codeRow{}, false
	}
	inner[below] = true
	switch sel.Sel.Name {
	case "Says":
		if s := text(call.Args[0]); s != "" {
			d.says = []string{s}
		}
	case "AtToken":
		d.oauth = text(call.Args[0])
	}
	return d, true
}

// text is the value of a string that is written out in the source; empty for any other expression.
func text(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		s, err := strconv.Unquote(e.Value)
		if err != nil {
			return ""
		}
		return s
	case *ast.BinaryExpr:
		if x, y := text(e.X), text(e.Y); e.Op == token.ADD && x != "" && y != "" {
			return x + y
		}
	}
	return ""
}

// product parses the files of shared/ that are part of a function.
func product(t *testing.T) []*ast.File {
	t.Helper()
	var files []*ast.File
	set := token.NewFileSet()
	err := filepath.WalkDir(filepath.Join(root, "shared"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		f, err := parser.ParseFile(set, path, nil, 0)
		files = append(files, f)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

package house

import (
	"go/ast"
	"go/token"
	"strconv"
	"strings"
	"testing"
)

func stringLiterals(f *ast.File) []string {
	var found []string
	ast.Inspect(f, func(n ast.Node) bool {
		if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			if s, err := strconv.Unquote(lit.Value); err == nil {
				found = append(found, s)
			}
		}
		return true
	})
	return found
}

// Every sentinel of the core and the use cases is either told to the outside with words of its own, or named as one
// that no request can cause. One that is forgotten would be a 500 that nobody understands.
func TestEveryErrorIsMapped(t *testing.T) {
	mapped := map[string]bool{}
	declared := map[string]string{}
	for _, f := range sources(t) {
		switch {
		case f.path == "shared/edge/httpapi/problem.go":
			ast.Inspect(f.ast, func(n ast.Node) bool {
				if sel, ok := n.(*ast.SelectorExpr); ok && strings.HasPrefix(sel.Sel.Name, "Err") {
					if pkg, ok := sel.X.(*ast.Ident); ok {
						mapped[pkg.Name+"."+sel.Sel.Name] = true
					}
				}
				return true
			})
		case below(f.path, []string{"shared/audit/rfc3161"}): // ends at the one who asked for a time stamp
		case below(f.path, append([]string{"shared/usecase"}, core...)):
			for _, name := range sentinels(f.ast) {
				declared[f.ast.Name.Name+"."+name] = f.path
			}
		}
	}
	if len(declared) < 30 {
		t.Fatalf("found %d sentinels: the search is broken", len(declared))
	}
	for name, path := range declared {
		if !mapped[name] {
			t.Errorf("%s (%s) has no entry in shared/edge/httpapi/problem.go", name, path)
		}
	}
}

// sentinels returns the exported error variables that a file declares.
func sentinels(f *ast.File) []string {
	var names []string
	for _, d := range f.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.VAR {
			continue
		}
		for _, spec := range g.Specs {
			for _, name := range spec.(*ast.ValueSpec).Names {
				if strings.HasPrefix(name.Name, "Err") {
					names = append(names, name.Name)
				}
			}
		}
	}
	return names
}

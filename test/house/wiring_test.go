package house

import (
	"go/ast"
	"strings"
	"testing"
)

// There is one wiring, package boot's: what tests put together is what Lambda runs. A second one would drift, and prove
// something else.
func TestOneWiring(t *testing.T) {
	made := 0
	for _, f := range sources(t) {
		if below(f.path, []string{"shared/usecase"}) {
			continue
		}
		usecases := map[string]bool{}
		for _, spec := range f.ast.Imports {
			path := strings.Trim(spec.Path.Value, `"`)
			if below(path, []string{module + "shared/usecase"}) {
				usecases[path[strings.LastIndexByte(path, '/')+1:]] = true
			}
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok || !strings.HasPrefix(sel.Sel.Name, "New") {
				return true
			}
			pkg, ok := sel.X.(*ast.Ident)
			if !ok || !usecases[pkg.Name] || strings.HasSuffix(pkg.Name, "test") {
				return true
			}
			if made++; !below(f.path, []string{"shared/boot"}) {
				t.Errorf("%s calls %s.%s: package boot does, and tests call boot", f.path, pkg.Name, sel.Sel.Name)
			}
			return true
		})
	}
	if made < 10 {
		t.Errorf("found %d use cases that are made: the search is broken", made)
	}
}

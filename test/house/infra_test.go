package house

import (
	"go/ast"
	"go/token"
	"slices"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mastio-aws/mastio/shared/routes"
)

// Synthesis would find it too, but only where Node.js is installed and a minute can be spent.
func TestEveryFunctionHasItsPermissions(t *testing.T) {
	var named []string
	for _, f := range sources(t) {
		if f.path != "infra/mastio/permissions.go" {
			continue
		}
		for _, d := range f.ast.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Name.Name != "permissions" {
				continue
			}
			ast.Inspect(fn, func(n ast.Node) bool {
				if pair, ok := n.(*ast.KeyValueExpr); ok {
					if lit, ok := pair.Key.(*ast.BasicLit); ok && lit.Kind == token.STRING {
						name, err := strconv.Unquote(lit.Value)
						if err != nil {
							t.Fatal(err)
						}
						named = append(named, name)
					}
				}
				return true
			})
		}
	}
	slices.Sort(named)
	if diff := cmp.Diff(routes.Functions(), named); diff != "" {
		t.Errorf("functions and the table in infra/mastio/permissions.go differ: name there the calls that a new function "+
			"makes (-functions +table):\n%s", diff)
	}
}

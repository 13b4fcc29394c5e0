package house

import (
	"go/ast"
	"go/token"
	"strconv"
	"testing"

	"github.com/mastio-aws/mastio/shared/usecase/health"
)

// A warning of /healthz that no alarm looks at waits for an operator who happens to ask. Synthesis would find it too, but only
// where Node.js is installed and a minute can be spent.
func TestEveryWarningHasItsAlarm(t *testing.T) {
	named := map[string]bool{}
	for _, f := range sources(t) {
		if f.path != "infra/mastio/watch.go" {
			continue
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				text, err := strconv.Unquote(lit.Value)
				if err != nil {
					t.Fatal(err)
				}
				named[text] = true
			}
			return true
		})
	}
	for _, w := range health.Warnings() {
		if !named[string(w)] {
			t.Errorf("no alarm looks at the warning %s: add it to Watch.orgCA in infra/mastio/watch.go", w)
		}
	}
}

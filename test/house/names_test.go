package house

import (
	"go/ast"
	"slices"
	"strings"
	"testing"
)

// A certificate's name is written by package dn. The library's own text of a name sorts, merges and splits the
// attributes, so that two different names can have the same text.
func TestNamesAreWrittenFromTheirEncoding(t *testing.T) {
	for _, f := range sources(t) {
		if !slices.ContainsFunc(f.ast.Imports,
			func(s *ast.ImportSpec) bool { return strings.HasPrefix(s.Path.Value, `"crypto/x509`) }) {
			continue
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			callee, ok := call.Fun.(*ast.SelectorExpr)
			switch {
			case !ok:
			case callee.Sel.Name == "String" && isName(callee.X):
				t.Errorf("%s writes a name by pkix.Name.String: use dn.String of its RawSubject", f.path)
			case strings.HasSuffix(callee.Sel.Name, "f") && slices.ContainsFunc(call.Args, isName):
				t.Errorf("%s formats a name as the library does: use dn.Brief of its RawSubject", f.path)
			}
			return true
		})
	}
}

func isName(e ast.Expr) bool {
	sel, ok := e.(*ast.SelectorExpr)
	return ok && (sel.Sel.Name == "Subject" || sel.Sel.Name == "Issuer")
}

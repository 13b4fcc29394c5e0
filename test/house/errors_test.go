package house

import (
	"go/ast"
	"go/token"
	"strconv"
	"strings"
	"testing"
)

func stringLiterals(f ast.Node) []string {
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

// plainErrors are where a sentinel need not be a problem, and why.
var plainErrors = map[string]string{
	"shared/admin":                "an unusable entry admits no admin; the log says why",
	"shared/audit/rfc3161":        "the auditor's command prints it; the function checkpoint logs it",
	"shared/cmd/mastio/settings":  "the command prints it",
	"shared/boot":                 "a function that cannot start has no answer",
	"shared/edge/awskms":          "below rotateca.ErrKeys",
	"shared/edge/remoteca":        "an event that is no order is an error of the invocation, with no answer",
	"shared/edge/eventbridge":     "only a schedule meets it",
	"shared/edge/secrets":         "below httpapi.ErrAdminUnavailable",
	"shared/edge/tsa":             "the function checkpoint logs it and goes on",
	"shared/jose":                 "below the error of the package that reads the message or the key",
	"shared/problem":              "below registry.ErrUnknown",
	"shared/verifier":             "problem.Of reads verifier.Error, and a resource server has no problems of ours",
	"shared/verifier/accesstoken": "below verifier.ErrToken",
	"shared/verifier/dpop":        "below verifier.ErrProof and token.ErrProof",
}

// Every sentinel says itself what the answer to it is: it is a problem. One that no request can cause is declared with
// problem.Internal. So an error without an answer cannot be forgotten in a table elsewhere.
func TestEveryErrorIsAProblem(t *testing.T) {
	found, used := 0, map[string]bool{}
	for _, f := range sources(t) {
		folder := f.path[:strings.LastIndexByte(f.path, '/')]
		if !below(f.path, []string{"shared"}) || testDouble(f.path) {
			continue
		}
		for name, value := range sentinels(f.ast) {
			found++
			if isProblem(value) {
				continue
			}
			if _, ok := plainErrors[folder]; !ok {
				t.Errorf("%s: %s is not declared with problem.New or problem.Internal", f.path, name)
			}
			used[folder] = true
		}
	}
	if found < 130 {
		t.Errorf("found %d sentinels: the search is broken", found)
	}
	for folder := range plainErrors {
		if !used[folder] {
			t.Errorf("%s declares no plain error: take it out of the list", folder)
		}
	}
}

// sentinels returns the exported error variables that a file declares at its top level, with what they are set to.
func sentinels(f *ast.File) map[string]ast.Expr {
	found := map[string]ast.Expr{}
	for _, d := range f.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.VAR {
			continue
		}
		for _, spec := range g.Specs {
			spec := spec.(*ast.ValueSpec)
			for i, name := range spec.Names {
				if strings.HasPrefix(name.Name, "Err") {
					found[name.Name] = nil
					if i < len(spec.Values) {
						found[name.Name] = spec.Values[i]
					}
				}
			}
		}
	}
	return found
}

// isProblem reports whether an expression is problem.New(…) or problem.Internal(…), with or without methods behind it,
// or wraps a sentinel: fmt.Errorf("%w: …", ErrX).
func isProblem(e ast.Expr) bool {
	call, ok := e.(*ast.CallExpr)
	if !ok {
		return false
	}
	sel, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	pkg, ok := sel.X.(*ast.Ident)
	if !ok {
		return isProblem(sel.X)
	}
	switch pkg.Name + "." + sel.Sel.Name {
	case "problem.New", "problem.Internal":
		return true
	case "fmt.Errorf":
		wrapped, ok := call.Args[len(call.Args)-1].(*ast.Ident)
		return ok && strings.HasPrefix(wrapped.Name, "Err")
	}
	return strings.HasPrefix(pkg.Name, "Err") // ErrX.After(…)
}

package house

import (
	"go/ast"
	"net/url"
	"regexp"
	"slices"
	"testing"

	"github.com/mastio-aws/mastio/shared/routes"
	"github.com/mastio-aws/mastio/shared/warnings"
)

// A row that lacks a member is a warning without words, without a way on, or without an alarm. A code or an alarm that
// two rows share is one warning to programs.
func TestTableOfWarningsIsWhole(t *testing.T) {
	code, id := regexp.MustCompile(`^[a-z]+(_[a-z]+)+$`), regexp.MustCompile(`^[a-z]+(-[a-z]+)+$`)
	seen := map[string]bool{}
	for _, r := range warnings.All() {
		for what, bad := range map[string]bool{
			"its code has no form of a code":        !code.MatchString(string(r.Warning)),
			"its alarm has no form of a name":       !id.MatchString(r.Alarm.ID),
			"its code is another's":                 seen[string(r.Warning)],
			"its alarm is another's":                seen[r.Alarm.ID],
			"it has no title":                       r.Title == "",
			"it does not say what it means":         r.Text == "",
			"it does not say what an operator does": r.Alarm.Todo == "",
			"it leads to no page of the dashboard":  r.Action == "" || !page(r.Page),
		} {
			if bad {
				t.Errorf("warning %s: %s", r.Warning, what)
			}
		}
		seen[string(r.Warning)], seen[r.Alarm.ID] = true, true
	}
	if len(seen) < 20 {
		t.Errorf("%d codes and alarms: the table is not read", len(seen))
	}
}

func page(address string) bool {
	u, err := url.Parse(address)
	return err == nil && slices.ContainsFunc(routes.All(), func(r routes.Route) bool {
		return r.Method == "GET" && r.Path == u.Path && r.Auth == routes.Session
	})
}

// A warning without a probe never shows; with two, it shows twice. Another place that names the code in a literal would
// have to be changed with it.
func TestEveryWarningHasOneProbe(t *testing.T) {
	probes, declared := map[string]int{}, map[string]string{}
	for _, f := range sources(t) {
		if f.path == "shared/warnings/table.go" {
			declared = declarations(f.ast)
		}
		if f.path != "shared/usecase/health/health.go" {
			continue
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			if row, ok := n.(*ast.CompositeLit); ok && row.Type == nil && len(row.Elts) == 2 {
				if s, ok := row.Elts[0].(*ast.SelectorExpr); ok && ast.Unparen(s.X).(*ast.Ident).Name == "warnings" {
					probes[s.Sel.Name]++
				}
			}
			return true
		})
	}
	if len(declared) != len(warnings.All()) {
		t.Errorf("%d names are declared, the table has %d rows", len(declared), len(warnings.All()))
	}
	for name, code := range declared {
		if probes[name] != 1 {
			t.Errorf("warning %s has %d probes in Checker.Check, want one", code, probes[name])
		}
	}
	may := []string{"shared/warnings", "shared/orgca/generation.go", "test"} // orgca has a problem of the same name
	for _, f := range sources(t) {
		for _, text := range stringLiterals(f.ast) {
			if _, ok := warnings.Warning(text).Row(); ok && !below(f.path, may) {
				t.Errorf("%s writes the code %s: use package warnings", f.path, text)
			}
		}
	}
}

// declarations are the codes that a file declares, by their names in Go.
func declarations(f *ast.File) map[string]string {
	found := map[string]string{}
	ast.Inspect(f, func(n ast.Node) bool {
		v, ok := n.(*ast.ValueSpec)
		if !ok || len(v.Values) != 1 {
			return true
		}
		if call, ok := v.Values[0].(*ast.CallExpr); ok && len(call.Args) == 2 {
			found[v.Names[0].Name] = stringLiterals(call)[0]
		}
		return false
	})
	return found
}

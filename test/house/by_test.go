package house

import (
	"go/ast"
	"slices"
	"testing"
)

// Who asks travels as one value, audit.By, so that no step on the way to the audit trail can drop a part of it. The one
// copy is the order between two functions, because its JSON is a wire format.
func TestWhoAsksIsOneType(t *testing.T) {
	var found []string
	for _, f := range sources(t) {
		if !below(f.path, []string{"shared"}) || testDouble(f.path) {
			continue
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			if s, ok := n.(*ast.StructType); ok && hasField(s, "RequestID") &&
				(hasField(s, "SourceIP") || hasField(s, "Actor")) {
				found = append(found, f.path)
			}
			return true
		})
	}
	want := []string{"shared/audit/by.go", "shared/edge/remoteca/remoteca.go"}
	if slices.Sort(found); !slices.Equal(found, want) {
		t.Errorf("declared in %v, want %v: embed audit.By", found, want)
	}
}

func hasField(s *ast.StructType, name string) bool {
	return slices.ContainsFunc(s.Fields.List, func(f *ast.Field) bool {
		return slices.ContainsFunc(f.Names, func(n *ast.Ident) bool { return n.Name == name })
	})
}

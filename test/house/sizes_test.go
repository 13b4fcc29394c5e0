package house

import (
	"fmt"
	"go/ast"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// count is one row of the table of sizes: what is counted, and the most that there may be.
type count struct {
	what string
	most int
	take func(*testing.T, []file) (n int, detail []string)
}

// counts are the sizes that keep the product small enough to hold in one's head. A row is one function.
var counts = []count{
	{"packages in shared, without shared/cmd and shared/verifier", 48, packagesInShared},
	{"packages that a token request enters, without the store", 9, packagesOfToken},
	{"use cases that handle a rotation of a certificate", 3, useCasesOfRotateCert},
	{"interfaces with one implementation and no double", 0, lonelyInterfaces},
	{"shapes of an error on a wire", 3, errorShapes},
	{"functions above 60 lines, without tests", 0, longFunctions},
}

// TestCounts prints the table with -v, and fails above a limit.
func TestCounts(t *testing.T) {
	files := sources(t)
	for _, c := range counts {
		n, detail := c.take(t, files)
		t.Logf("%-60s %3d of at most %d\n\t%s", c.what, n, c.most, strings.Join(detail, ", "))
		if n > c.most {
			t.Errorf("%s: %d, at most %d:\n\t%s", c.what, n, c.most, strings.Join(detail, "\n\t"))
		}
	}
}

// longFunctions counts the functions, declared or literal, that do not fit on a screen. Tests are tables and may.
func longFunctions(_ *testing.T, files []file) (int, []string) {
	var long []string
	for _, f := range files {
		ast.Inspect(f.ast, func(n ast.Node) bool {
			name := "a function literal"
			switch n := n.(type) {
			case *ast.FuncDecl:
				name = n.Name.Name
			case *ast.FuncLit:
			default:
				return true
			}
			start := f.set.Position(n.Pos()).Line
			if lines := f.set.Position(n.End()).Line - start + 1; lines > 60 {
				long = append(long, fmt.Sprintf("%s:%d: %s has %d lines", f.path, start, name, lines))
			}
			return true
		})
	}
	return len(long), long
}

func packagesInShared(_ *testing.T, files []file) (int, []string) {
	folders := map[string]bool{}
	for _, f := range files {
		if below(f.path, []string{"shared"}) && !below(f.path, []string{"shared/cmd", "shared/verifier"}) {
			folders[filepath.ToSlash(filepath.Dir(f.path))] = true
		}
	}
	all := slices.Sorted(maps.Keys(folders))
	return len(all), all
}

// packagesOfToken counts the packages that a request of POST /v1/auth/token enters, without the store: the edge, both
// use cases on its way, and every package whose functions these call. A type, a constant or an error of a package is a
// value that is passed on.
func packagesOfToken(_ *testing.T, files []file) (int, []string) {
	on := map[string]bool{"edge/httpapi": true}
	for _, f := range files {
		folder := strings.TrimPrefix(filepath.ToSlash(filepath.Dir(f.path)), "shared/")
		if folder != "usecase/token" && folder != "usecase/authn" {
			continue
		}
		on[folder] = true
		called := calls(f)
		for _, p := range imports(f) {
			if p != "registry" && called[path.Base(p)] {
				on[p] = true
			}
		}
	}
	all := slices.Sorted(maps.Keys(on))
	return len(all), all
}

// calls are the names of the packages whose functions a function of the file calls.
func calls(f file) map[string]bool {
	all := map[string]bool{}
	for _, d := range f.ast.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok {
			continue // what a package declares, its errors among that, is there before any request
		}
		ast.Inspect(fn, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok {
				if s, ok := call.Fun.(*ast.SelectorExpr); ok {
					if name, ok := s.X.(*ast.Ident); ok {
						all[name.Name] = true
					}
				}
			}
			return true
		})
	}
	return all
}

// useCasesOfRotateCert counts the use cases that agentcert needs, itself among them.
func useCasesOfRotateCert(_ *testing.T, files []file) (int, []string) {
	on := map[string]bool{}
	queue := []string{"usecase/agentcert"}
	for len(queue) > 0 {
		next := queue[0]
		queue = queue[1:]
		if on[next] {
			continue
		}
		on[next] = true
		for _, f := range files {
			if filepath.ToSlash(filepath.Dir(f.path)) != "shared/"+next {
				continue
			}
			for _, p := range imports(f) {
				if strings.HasPrefix(p, "usecase/") {
					queue = append(queue, p)
				}
			}
		}
	}
	all := slices.Sorted(maps.Keys(on))
	return len(all), all
}

// imports are the packages of shared that a file imports, without the folder's name.
func imports(f file) (all []string) {
	for _, spec := range f.ast.Imports {
		if own, ok := strings.CutPrefix(strings.Trim(spec.Path.Value, `"`), module+"shared/"); ok {
			all = append(all, own)
		}
	}
	return all
}

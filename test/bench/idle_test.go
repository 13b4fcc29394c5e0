package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func readmeOfInfra(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "infra", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// The table of an idle month says what each job uses, measured: units, calls, octets, and how many metrics it writes.
// infra/mastio TestIdleMonthCountsTheTemplates holds how often a job runs, and the sums.
func TestIdleMonthIsMeasured(t *testing.T) {
	s, readme := open(t, "idle-"), readmeOfInfra(t)
	all, err := s.idle(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	jobs, err := s.jobs()
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^\| (\w+) every [^|]* s, ([^|]*) \|`).FindAllStringSubmatch(readme, -1) {
		rows[m[1]] = m[2]
	}
	var metrics []string
	for _, j := range jobs {
		used := all[j.name]
		if got, want := rows[j.name], used.text(); got != want {
			t.Errorf("an idle run of %s uses %q, the table says %q", j.name, want, got)
		}
		delete(rows, j.name)
		if len(used.metrics) == 0 {
			continue
		}
		often := fmt.Sprintf("of %s (%d)", j.name, len(used.metrics))
		if j.every > time.Hour {
			often = fmt.Sprintf("of %s (%d, in one hour of each day)", j.name, len(used.metrics))
		}
		metrics = append(metrics, often)
	}
	for name := range rows {
		t.Errorf("%s is in the table and is not measured", name)
	}
	if want := "| metrics " + strings.Join(metrics, ", ") + " |"; !strings.Contains(readme, want) {
		t.Errorf("the table does not say %q", want)
	}
	if n := s.liveKeys(); !strings.Contains(readme, "2 of the current Org CA, 2 of the standby |") || n != 4 {
		t.Errorf("the Org CA and its standby have %d keys, want 4, as the table says", n)
	}
}

// No other function writes metrics than those measured above, and the one that has sent events.
func TestWritersOfMetrics(t *testing.T) {
	var got []string
	err := filepath.WalkDir(filepath.Join("..", "..", "shared"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		for _, decl := range file.Decls {
			f, ok := decl.(*ast.FuncDecl)
			if !ok {
				continue
			}
			ast.Inspect(f, func(n ast.Node) bool {
				if call, ok := n.(*ast.CallExpr); ok && strings.HasSuffix(callee(call.Fun), "WriteMetrics") {
					got = append(got, f.Name.Name)
				}
				return true
			})
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(got)
	if diff := cmp.Diff([]string{"Events", "Standby", "measureHygiene", "reportSecret"}, got); diff != "" {
		t.Errorf("these write metrics; measure a new one in idle.go, and add it to the table of an idle month:\n%s", diff)
	}
}

func callee(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return e.Sel.Name
	}
	return ""
}

// A rotation of the Org CA, and the standby job behind it, write what infra/README.md says, whatever came before.
func TestUnitsOfAnOrgCARotation(t *testing.T) {
	s, readme := open(t, "orgca-"), readmeOfInfra(t)
	var writes, most float64
	for range 3 {
		rotation, next, err := s.orgCARotation(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("rotation: %+v; the standby job behind it: %+v", rotation, next)
		writes, most = max(writes, rotation.writes), max(most, next.writes)
	}
	want := fmt.Sprintf("%.0f write units, and at most %.0f for the next standby ($%.5f)", writes, most,
		(writes+most)*priceWrite/1e6)
	if !strings.Contains(readme, want) {
		t.Errorf("infra/README.md does not say %q", want)
	}
}

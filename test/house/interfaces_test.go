package house

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// A typeName is a type of the module: its folder (with the suffix _test for a package of external tests) and its name.
type typeName struct{ folder, name string }

// A methodSet has the number of parameters and of results of each method.
type methodSet map[string][2]int

// declaredTypes knows the types of the module by their syntax, which is enough to count and takes no type checker.
type declaredTypes struct {
	methods  map[typeName]methodSet  // written for the type
	embedded map[typeName][]typeName // in the struct or the interface
	abstract map[typeName]bool       // interfaces
	clients  map[typeName]bool       // interfaces over an SDK: its client implements them, and is not of this module
	tested   map[typeName]bool       // declared in a test or a double
}

// lonelyInterfaces counts the interfaces of the product that one type implements and no double: they hide which code
// runs, and nothing is gained.
func lonelyInterfaces(t *testing.T, _ []file) (int, []string) {
	d := declaredIn(t)
	sets := map[typeName]methodSet{}
	for name := range d.methods {
		sets[name] = d.methodsOf(name, 0)
	}
	var lonely []string
	count := 0
	for name := range d.abstract {
		if d.tested[name] || !below(name.folder, []string{"functions", "shared"}) {
			continue
		}
		count++
		of := 0
		var by []string
		if d.clients[name] {
			of++
		}
		for other, set := range sets {
			if !d.abstract[other] && implements(set, sets[name]) {
				of++
				by = append(by, other.folder+"."+other.name)
			}
		}
		if of < 2 {
			lonely = append(lonely, fmt.Sprintf("%s.%s: %s", name.folder, name.name, strings.Join(by, ", ")))
		}
	}
	if count < 30 {
		t.Errorf("found %d interfaces: the search is broken", count)
	}
	slices.Sort(lonely)
	return len(lonely), lonely
}

func implements(set, wanted methodSet) bool {
	for name, arity := range wanted {
		if got, ok := set[name]; !ok || got != arity {
			return false
		}
	}
	return len(wanted) > 0
}

// methodsOf returns a type's methods with those that embedding promotes.
func (d *declaredTypes) methodsOf(name typeName, depth int) methodSet {
	all := methodSet{}
	if depth > 4 {
		return all
	}
	for _, inner := range d.embedded[name] {
		maps.Copy(all, d.methodsOf(inner, depth+1))
	}
	maps.Copy(all, d.methods[name])
	return all
}

func declaredIn(t *testing.T) *declaredTypes {
	t.Helper()
	d := &declaredTypes{map[typeName]methodSet{}, map[typeName][]typeName{}, map[typeName]bool{}, map[typeName]bool{},
		map[typeName]bool{}}
	root, set := filepath.Join("..", ".."), token.NewFileSet()
	for _, top := range []string{"functions", "infra", "localstack", "shared", "test"} {
		err := filepath.WalkDir(filepath.Join(root, top), func(at string, e fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if e.IsDir() && slices.Contains([]string{"testdata", "node_modules", "build", "cdk.out"}, e.Name()) {
				return filepath.SkipDir
			}
			if e.IsDir() || !strings.HasSuffix(at, ".go") {
				return nil
			}
			parsed, err := parser.ParseFile(set, at, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			rel, err := filepath.Rel(root, at)
			d.add(filepath.ToSlash(rel), parsed)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return d
}

func (d *declaredTypes) add(at string, f *ast.File) {
	scope := fileScope{folder: path.Dir(at), imports: importsByName(f)}
	if strings.HasSuffix(f.Name.Name, "_test") {
		scope.folder += "_test"
	}
	for _, decl := range f.Decls {
		switch decl := decl.(type) {
		case *ast.FuncDecl:
			if decl.Recv == nil {
				continue
			}
			if name, ok := scope.name(decl.Recv.List[0].Type); ok {
				d.method(name, decl.Name.Name, decl.Type)
			}
		case *ast.GenDecl:
			for _, spec := range decl.Specs {
				spec, ok := spec.(*ast.TypeSpec)
				if !ok {
					continue
				}
				name := typeName{scope.folder, spec.Name.Name}
				d.tested[name] = strings.HasSuffix(at, "_test.go") || testDouble(at) || below(at, []string{"test", "localstack"})
				d.declare(name, scope, spec.Type)
			}
		}
	}
}

func (d *declaredTypes) declare(name typeName, scope fileScope, t ast.Expr) {
	var fields *ast.FieldList
	switch t := t.(type) {
	case *ast.InterfaceType:
		d.abstract[name], fields = true, t.Methods
		d.clients[name] = scope.mentionsSDK(t)
	case *ast.StructType:
		fields = t.Fields
	default: // a name for another type has the methods that are written for it
		return
	}
	if d.methods[name] == nil {
		d.methods[name] = methodSet{}
	}
	for _, field := range fields.List {
		if signature, ok := field.Type.(*ast.FuncType); ok && d.abstract[name] && len(field.Names) == 1 {
			d.method(name, field.Names[0].Name, signature)
		}
		if inner, ok := scope.name(field.Type); ok && len(field.Names) == 0 {
			d.embedded[name] = append(d.embedded[name], inner)
		}
	}
}

func (d *declaredTypes) method(of typeName, name string, signature *ast.FuncType) {
	if d.methods[of] == nil {
		d.methods[of] = methodSet{}
	}
	d.methods[of][name] = [2]int{fieldCount(signature.Params), fieldCount(signature.Results)}
}

func fieldCount(l *ast.FieldList) int {
	if l == nil {
		return 0
	}
	return l.NumFields()
}

// A fileScope resolves the names of types that a file uses.
type fileScope struct {
	folder  string
	imports map[string]string // paths, by name
}

// name resolves a type that is named in the file, a pointer to it, or an instance of it.
func (s fileScope) name(t ast.Expr) (typeName, bool) {
	switch t := t.(type) {
	case *ast.StarExpr:
		return s.name(t.X)
	case *ast.IndexExpr:
		return s.name(t.X)
	case *ast.Ident:
		return typeName{s.folder, t.Name}, true
	case *ast.SelectorExpr:
		if pkg, ok := t.X.(*ast.Ident); ok {
			folder, own := strings.CutPrefix(s.imports[pkg.Name], module)
			return typeName{folder, t.Sel.Name}, own
		}
	}
	return typeName{}, false
}

// mentionsSDK reports whether a signature has a type of AWS's.
func (s fileScope) mentionsSDK(t ast.Node) (found bool) {
	ast.Inspect(t, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok {
			if pkg, ok := sel.X.(*ast.Ident); ok && strings.HasPrefix(s.imports[pkg.Name], "github.com/aws/") {
				found = true
			}
		}
		return true
	})
	return found
}

func importsByName(f *ast.File) map[string]string {
	all := map[string]string{}
	for _, spec := range f.Imports {
		at := strings.Trim(spec.Path.Value, `"`)
		name := path.Base(at)
		if spec.Name != nil {
			name = spec.Name.Name
		}
		all[name] = at
	}
	return all
}

// errorShapes counts the forms that an error has on a wire: structs with the JSON member code, error or
// error_description. The auditor's command reads what others wrote.
func errorShapes(_ *testing.T, files []file) (int, []string) {
	var shapes []string
	for _, f := range files {
		if !below(f.path, []string{"shared"}) || below(f.path, []string{"shared/cmd"}) {
			continue
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			s, ok := n.(*ast.StructType)
			if !ok {
				return true
			}
			for _, field := range s.Fields.List {
				if field.Tag == nil {
					continue
				}
				member, _, _ := strings.Cut(reflect.StructTag(strings.Trim(field.Tag.Value, "`")).Get("json"), ",")
				if slices.Contains([]string{"code", "error", "error_description"}, member) {
					shapes = append(shapes, fmt.Sprintf("%s: a struct with the member %s", f.path, member))
					break
				}
			}
			return true
		})
	}
	return len(shapes), shapes
}

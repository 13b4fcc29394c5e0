// Package house checks the rules of the house: which layer may import which, where the clock and the environment are
// read, and that every exported name and every public error is accounted for.
package house

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/mastio-aws/mastio/"

// layer is a set of folders and what they may import of this module and of others.
type layer struct {
	name    string
	folders []string // path prefixes below the module
	own     []string // prefixes below the module that may be imported
	foreign []string // modules that may be imported; "*" for any
	why     string
}

var core = []string{
	"shared/admin",
	"shared/agent",
	"shared/upload",
	"shared/assertion",
	"shared/audit",
	"shared/jose",
	"shared/orgca",
	"shared/pki",
	"shared/problem",
	"shared/reason",
	"shared/registry",
	"shared/routes",
	"shared/schema",
	"shared/session",
	"shared/verifier",
	"shared/version",
	"shared/warnings",
}

// layers are in the order in which a folder is looked up.
var layers = []layer{
	{
		name:    "agent's tool",
		folders: []string{"shared/cmd/agent-sync"},
		own:     []string{"shared/jose", "shared/pki", "shared/version"},
		foreign: []string{"github.com/aws/aws-sdk-go-v2", "github.com/aws/smithy-go", "github.com/kballard/go-shellquote"},
		why:     "it runs on an agent's host: it knows the form of what we deliver, and nothing else of us",
	},
	{
		name:    "operator's tool",
		folders: []string{"shared/cmd/mastio"},
		own:     []string{"shared/audit", "shared/pki/dn", "shared/version", "shared/warnings"},
		foreign: []string{"github.com/aws/aws-sdk-go-v2", "github.com/digitorus", "github.com/spf13", "golang.org/x/term"},
		why: "it runs far from us, on the public API: it knows the form of what we answer and export, and the texts of " +
			"warnings",
	},
	{
		name:    "auditor's tools",
		folders: []string{"shared/audit/rfc3161"},
		own:     []string{"shared/audit", "shared/pki/dn", "shared/version"},
		foreign: []string{"github.com/digitorus/pkcs7", "github.com/digitorus/timestamp"},
		why:     "an auditor runs it far from us: it knows the form of what we export and of names, and nothing else of us",
	},
	{
		name:    "verifier",
		folders: []string{"shared/verifier"},
		own:     []string{"shared/jose"},
		why:     "a resource server links it: it takes the standard library, and jose, and nothing else of us or of others",
	},
	{
		name:    "jose",
		folders: []string{"shared/jose"},
		why:     "the verifier imports it, and so do the tools of agents",
	},
	{
		name:    "core",
		folders: core,
		own:     core,
		foreign: []string{"github.com/gowebpki/jcs", "github.com/oklog/ulid/v2",
			"github.com/transparency-dev/merkle", "golang.org/x/crypto/cryptobyte"},
		why: "the core decides and must be testable without anything else; the libraries it may use compute and " +
			"nothing more",
	},
	{
		name:    "use cases",
		folders: []string{"shared/usecase"},
		own:     append([]string{"shared/usecase"}, core...),
		why:     "a use case orders steps over interfaces of its own; no SDK, no HTTP server",
	},
	{
		name:    "edges",
		folders: []string{"shared/edge"},
		own:     append([]string{"shared/usecase"}, core...),
		foreign: []string{"*"},
		why:     "an edge knows one thing of the outside; edges that know each other become one",
	},
	{
		name:    "boot",
		folders: []string{"shared/boot"},
		own:     append([]string{"shared/usecase", "shared/edge"}, core...),
		foreign: []string{"*"},
		why:     "the only place that sees all",
	},
	{
		name:    "functions",
		folders: []string{"functions"},
		own:     []string{"shared/boot", "shared/edge/tsa"},
		foreign: []string{"github.com/digitorus/pkcs7"},
		why:     "a function's main names its handler, and what most other functions are not to link",
	},
	{
		name:    "restore",
		folders: []string{"infra/restore"},
		own:     []string{"infra/command", "infra/restore", "localstack/aws/dynamodb", "shared/edge/dynamo", "shared/schema"},
		foreign: []string{"*"},
		why:     "the restore tool makes the tables that a copy goes into, and the entries that follow from the records",
	},
	{
		name:    "infra",
		folders: []string{"infra"},
		own: []string{"infra", "localstack/aws/dynamodb", "shared/routes", "shared/schema", "shared/version",
			"shared/warnings"},
		foreign: []string{"*"},
		why: "the deployment knows the tables of routes, of schemas and of warnings, and what the routes are said to " +
			"take not the product",
	},
	{
		name:    "stand-ins",
		folders: []string{"localstack/aws"},
		own:     []string{"localstack/aws", "localstack/machine", "shared/schema"},
		foreign: []string{"*"},
		why:     "what stands in for a service of AWS knows neither what starts it nor what it is used for",
	},
	{
		name:    "LocalStack",
		folders: []string{"localstack/cloud"},
		own:     []string{"localstack", "shared/routes"},
		foreign: []string{"*"},
		why:     "what runs LocalStack and deploys to it knows the routes that the gateway in front of it serves",
	},
	{
		name:    "local",
		folders: []string{"localstack"},
		own: []string{"localstack/aws", "localstack/fleet", "localstack/gateway", "localstack/machine",
			"localstack/stack", "shared/pki/dn", "shared/routes", "shared/schema", "shared/version"},
		foreign: []string{"*"},
		why: "what starts the product on one machine knows its routes and tables, not its code, and nothing of " +
			"LocalStack",
	},
	{
		name:    "outside view",
		folders: []string{"test"},
		own:     []string{""},
		foreign: []string{"*"},
		why:     "tests see everything",
	},
}

type file struct {
	path string // below the module, slash-separated
	ast  *ast.File
	set  *token.FileSet // of the positions in ast
}

// sources parses every Go file of the module that is neither a test nor below testdata.
func sources(t *testing.T) []file {
	t.Helper()
	return slices.DeleteFunc(withTests(t), func(f file) bool { return strings.HasSuffix(f.path, "_test.go") })
}

// withTests is sources, and the tests.
func withTests(t *testing.T) []file {
	t.Helper()
	root := filepath.Join("..", "..")
	var files []file
	set := token.NewFileSet()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() && path != root &&
			(strings.HasPrefix(name, ".") || slices.Contains([]string{"testdata", "node_modules", "build", "cdk.out"}, name)) {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(name, ".go") {
			return nil
		}
		parsed, err := parser.ParseFile(set, path, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		files = append(files, file{filepath.ToSlash(rel), parsed, set})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 50 {
		t.Fatalf("found %d source files: the walk is broken", len(files))
	}
	return files
}

func below(path string, prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool {
		return p == "" || path == p || strings.HasPrefix(path, p+"/")
	})
}

func layerOf(path string) (layer, bool) {
	for _, l := range layers {
		if below(path, l.folders) {
			return l, true
		}
	}
	return layer{}, false
}

func TestImportsPointInward(t *testing.T) {
	for _, f := range sources(t) {
		l, ok := layerOf(f.path)
		if !ok {
			t.Errorf("%s is in no layer", f.path)
			continue
		}
		for _, spec := range f.ast.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			if !allowed(l, f.path, imported) {
				t.Errorf("%s (%s) imports %s: %s", f.path, l.name, imported, l.why)
			}
		}
	}
}

func allowed(l layer, path, imported string) bool {
	if own, ok := strings.CutPrefix(imported, module); ok {
		// A package may have parts below its own folder.
		return below(own, l.own) || below(own, []string{part(path)})
	}
	if first, _, _ := strings.Cut(imported, "/"); !strings.Contains(first, ".") {
		return true // standard library
	}
	return slices.Contains(l.foreign, "*") || below(imported, l.foreign) || testDouble(path)
}

// part is the package's own top folder: shared/edge/dynamo for everything below it.
func part(path string) string {
	elements := strings.Split(path, "/")
	return strings.Join(elements[:min(3, len(elements)-1)], "/")
}

// testDouble reports whether a file is a contract suite or a set of fixtures: they import testing libraries.
func testDouble(path string) bool {
	folder := filepath.Base(filepath.Dir(path))
	return strings.HasSuffix(folder, "test") && folder != "test"
}

func TestOnlyTheOutermostReadClockAndEnvironment(t *testing.T) {
	may := []string{"shared/boot", "shared/cmd/agent-sync/main.go", "shared/cmd/mastio/main.go",
		"shared/verifier/clock.go", "localstack", "infra",
		"test"}
	for _, f := range sources(t) {
		if below(f.path, may) || testDouble(f.path) {
			continue
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			pkg, ok := sel.X.(*ast.Ident)
			if !ok {
				return true
			}
			switch name := pkg.Name + "." + sel.Sel.Name; name {
			case "time.Now", "time.Since", "time.Until", "os.Getenv", "os.LookupEnv", "os.Environ":
				t.Errorf("%s uses %s: time and settings come in as parameters", f.path, name)
			}
			return true
		})
	}
}

// What stands in for a service in tests is never part of a function.
func TestOnlyTestsImportDoubles(t *testing.T) {
	for _, f := range sources(t) {
		if below(f.path, []string{"test"}) || testDouble(f.path) {
			continue
		}
		for _, spec := range f.ast.Imports {
			imported := strings.Trim(spec.Path.Value, `"`)
			own, ok := strings.CutPrefix(imported, module+"shared/")
			if last := own[strings.LastIndexByte(own, '/')+1:]; ok && (last == "memstore" || strings.HasSuffix(last, "test")) {
				t.Errorf("%s imports %s, which only tests do", f.path, imported)
			}
		}
	}
}

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	documented := map[string]bool{}
	for _, f := range sources(t) {
		folder := filepath.Dir(f.path)
		documented[folder] = documented[folder] || f.ast.Doc != nil
		if f.ast.Doc == nil {
			continue
		}
		want := "Package " + f.ast.Name.Name + " "
		if f.ast.Name.Name == "main" {
			want = "Command "
		}
		if !strings.HasPrefix(f.ast.Doc.Text(), want) {
			t.Errorf("%s: the package comment does not begin with %q", f.path, want)
		}
	}
	for folder, ok := range documented {
		if !ok {
			t.Errorf("%s has no package comment", folder)
		}
	}
}

func TestNoDumpingGrounds(t *testing.T) {
	refused := []string{"util", "utils", "common", "helper", "helpers", "model", "models", "types", "manager", "service",
		"misc", "base"}
	for _, f := range sources(t) {
		if slices.Contains(refused, f.ast.Name.Name) {
			t.Errorf("%s: package %s: a package is named for what is in it", f.path, f.ast.Name.Name)
		}
	}
}

func TestTopLevel(t *testing.T) {
	may := []string{"functions", "infra", "shared", "localstack", "test", "go.mod", "go.sum", "Makefile", "cdk.json",
		"README.md"}
	made := []string{"build", "node_modules", "cdk.out", "proxy.env"} // git-ignored
	entries, err := os.ReadDir(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if n := e.Name(); !strings.HasPrefix(n, ".") && !slices.Contains(may, n) && !slices.Contains(made, n) {
			t.Errorf("%s does not belong at the top level", n)
		}
	}
}

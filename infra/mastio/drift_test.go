package mastio

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mastio-aws/mastio/shared/routes"
	"github.com/mastio-aws/mastio/shared/schema"
	"github.com/mastio-aws/mastio/shared/warnings"
)

func TestRoutesAreDeployed(t *testing.T) {
	each(t, func(t *testing.T, d *deployment) {
		for host, api := range map[routes.Host]string{routes.Agents: "Agents", routes.Operators: "Operators"} {
			want := map[string]string{}
			for _, r := range routes.All() {
				switch {
				case !slices.Contains(r.Hosts, host):
				case host == routes.Agents && d.http():
					want[r.Method+" "+r.Path] = r.Function
					if r.Method == "GET" {
						want["HEAD "+r.Path] = r.Function
					}
					want["$default"] = "discovery"
				default:
					want[r.Method+" "+r.Path] = r.Function
					want["ANY "+r.Path] = r.Function
				}
			}
			if diff := cmp.Diff(want, d.paths(t, api)); diff != "" {
				t.Errorf("%s (-table +template):\n%s", api, diff)
			}
		}
	})
}

func TestTablesAreDeployed(t *testing.T) {
	each(t, func(t *testing.T, d *deployment) {
		got := map[string]schema.Table{}
		for _, r := range d.all("AWS::DynamoDB::GlobalTable") {
			table := readTable(r)
			got[table.Name] = table
		}
		want := map[string]schema.Table{}
		for _, table := range schema.Tables() {
			table.Name = "mastio-acme-" + table.Name
			want[table.Name] = table
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("tables (-schema +template):\n%s", diff)
		}
	})
}

func readTable(r resource) schema.Table {
	table := schema.Table{Name: spell(r.Properties["TableName"])}
	table.PartitionKey, table.SortKey = keySchema(r.Properties["KeySchema"])
	if at(r.Properties, "TimeToLiveSpecification", "Enabled") == true {
		table.TTL = spell(at(r.Properties, "TimeToLiveSpecification", "AttributeName"))
	}
	table.Stream = at(r.Properties, "StreamSpecification", "StreamViewType") == "NEW_IMAGE"
	indexes, _ := r.Properties["GlobalSecondaryIndexes"].([]any)
	for _, i := range indexes {
		index := schema.Index{Name: spell(at(i, "IndexName")), Include: texts(at(i, "Projection", "NonKeyAttributes"))}
		index.PartitionKey, index.SortKey = keySchema(at(i, "KeySchema"))
		table.Indexes = append(table.Indexes, index)
	}
	return table
}

func keySchema(v any) (partition, sort string) {
	list, _ := v.([]any)
	for _, k := range list {
		switch name := spell(at(k, "AttributeName")); at(k, "KeyType") {
		case "HASH":
			partition = name
		case "RANGE":
			sort = name
		}
	}
	return partition, sort
}

func TestFunctionsAreDeployed(t *testing.T) {
	each(t, func(t *testing.T, d *deployment) {
		var found []string
		for _, f := range d.all("AWS::Lambda::Function") {
			if name := d.functionName(f.id); slices.Contains(routes.Functions(), name) {
				found = append(found, name)
			}
		}
		slices.Sort(found)
		if diff := cmp.Diff(routes.Functions(), found); diff != "" {
			t.Errorf("functions (-table +template):\n%s", diff)
		}
	})
}

// Every operation that an edge can call is granted to some function. IAM asks for the parts of a transaction by the
// names of the single writes.
func TestCallsAreGranted(t *testing.T) {
	allowed := map[string]bool{"dynamodb:TransactWriteItems": true}
	called := map[string]string{"ListObjectsV2": "ListBucket"} // where the permission has another name
	for _, s := range hardened.policies(t) {
		for _, a := range s.actions {
			allowed[a] = allowed[a] || s.effect == "Allow"
		}
	}
	service := map[string]string{"awskms": "kms", "dynamo": "dynamodb", "s3": "s3", "secrets": "secretsmanager"}
	calls := 0
	for edge, prefix := range service {
		for _, operation := range operations(t, filepath.Join("..", "..", "shared", "edge", edge)) {
			calls++
			if name, ok := called[operation]; ok {
				operation = name
			}
			if !allowed[prefix+":"+operation] {
				t.Errorf("shared/edge/%s calls %s, which no function may: add it to infra/mastio/permissions.go", edge, operation)
			}
		}
	}
	if calls < 20 {
		t.Errorf("%d calls found: the search is broken", calls)
	}
}

// operations are the methods of a package's interfaces whose name ends in API or is that of a client's method set.
func operations(t *testing.T, folder string) []string {
	t.Helper()
	var found []string
	for _, f := range parse(t, folder) {
		ast.Inspect(f, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			face, ok := spec.Type.(*ast.InterfaceType)
			if !ok || !strings.HasSuffix(spec.Name.Name, "API") {
				return true
			}
			for _, m := range face.Methods.List {
				for _, name := range m.Names {
					found = append(found, name.Name)
				}
			}
			return true
		})
	}
	return found
}

func parse(t *testing.T, folder string) []*ast.File {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("%s: %d files, %v", folder, len(paths), err)
	}
	var files []*ast.File
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	return files
}

// The deployment sets exactly the variables that shared/boot reads, and all that boot requires.
func TestEnvironmentIsWhatBootReads(t *testing.T) {
	source, err := os.ReadFile(filepath.Join("..", "..", "shared", "boot", "config.go"))
	if err != nil {
		t.Fatal(err)
	}
	read := map[string]bool{"MASTIO_RELEASE": true} // only there to change
	for _, m := range regexp.MustCompile(`"([A-Z]+(?:_[A-Z]+)+)"`).FindAllStringSubmatch(string(source), -1) {
		read[m[1]] = true
	}
	each(t, func(t *testing.T, d *deployment) {
		for _, f := range d.all("AWS::Lambda::Function") {
			name := d.functionName(f.id)
			if !slices.Contains(routes.Functions(), name) {
				continue
			}
			env, _ := at(f.Properties, "Environment", "Variables").(map[string]any)
			for variable := range env {
				if !read[variable] {
					t.Errorf("%s has %s in its environment, which shared/boot/config.go does not read", name, variable)
				}
			}
			for _, m := range regexp.MustCompile(`e\.(?:need|url)\("([A-Z_]+)"\)`).FindAllStringSubmatch(string(source), -1) {
				if m[1] == "MASTIO_TOKEN_SIGNING_KEY" && d != &hardened && d != &traced {
					continue // only where tokens are signed in KMS
				}
				if env[m[1]] == nil {
					t.Errorf("%s lacks %s in its environment and does not start without it", name, m[1])
				}
			}
		}
	})
}

// An alarm on a metric that no function writes would never fire, or, with missing data as bad, never stop.
func TestGaugesOfAlarmsAreWritten(t *testing.T) {
	var written strings.Builder
	for _, folder := range []string{"shared/boot", "shared/warnings"} {
		paths, err := filepath.Glob(filepath.Join("..", "..", folder, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			written.Write(b)
		}
	}
	gauges := 0
	for _, a := range hardened.all("AWS::CloudWatch::Alarm") {
		if a.Properties["Namespace"] != namespace {
			continue
		}
		gauges++
		if name := spell(a.Properties["MetricName"]); !strings.Contains(written.String(), `"`+name+`"`) {
			t.Errorf("%s looks at %s, which nothing writes", a.id, name)
		}
	}
	if gauges < 6 {
		t.Errorf("%d alarms look at gauges", gauges)
	}
}

// A warning of /healthz that no alarm looks at waits for an operator who happens to ask.
func TestWarningsHaveAlarms(t *testing.T) {
	looked := map[string]bool{}
	for _, a := range hardened.all("AWS::CloudWatch::Alarm") {
		looked[spell(a.Properties["MetricName"])] = true
	}
	for _, r := range warnings.All() {
		if !looked[string(r.Warning)] {
			t.Errorf("no alarm looks at the warning %s", r.Warning)
		}
	}
}

// What the README shows is compiled, and its table of settings is whole.
func TestReadme(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join("..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile("example_test.go")
	if err != nil {
		t.Fatal(err)
	}
	_, code, _ := strings.Cut(string(readme), "```go\n")
	code, _, _ = strings.Cut(code, "```")
	var body strings.Builder
	for line := range strings.Lines(code) {
		body.WriteString("\t" + line)
	}
	if code == "" || !strings.Contains(string(source), body.String()) {
		t.Errorf("the README's example is not ExampleNew:\n%s", code)
	}
	for name := range settings {
		if !strings.Contains(string(readme), "`"+name+"`") {
			t.Errorf("the README does not name %s", name)
		}
	}
}

// What the README has an operator type is there: targets of make, and settings.
func TestReadmeCommands(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join("..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	makefile, err := os.ReadFile(filepath.Join("..", "..", "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	targets := regexp.MustCompile("(?m)(?:^|`)make ([a-z-]+)").FindAllStringSubmatch(string(readme), -1)
	for _, m := range targets {
		if !regexp.MustCompile(`(?m)^` + m[1] + `:`).Match(makefile) {
			t.Errorf("the Makefile has no target %s", m[1])
		}
	}
	given := regexp.MustCompile(`-c ([a-zA-Z]+)=`).FindAllStringSubmatch(string(readme), -1)
	for _, m := range given {
		if settings[m[1]] == nil {
			t.Errorf("%s is no setting", m[1])
		}
	}
	if len(targets) < 10 || len(given) < 8 {
		t.Errorf("%d targets, %d settings: the search is broken", len(targets), len(given))
	}
	// The path of a first deployment, in its order.
	at := 0
	for _, step := range []string{"1. The account", "make bootstrap", "acm request-certificate", "make preflight",
		"make deploy", "TargetName", "make smoke", "8. The first agent"} {
		next := strings.Index(string(readme)[at:], step)
		if next < 0 {
			t.Fatalf("%s is not behind what comes before it", step)
		}
		at += next
	}
}

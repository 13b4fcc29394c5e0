package main

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mastio-aws/mastio/shared/routes"
)

// some is a small release: a function, and a command for this machine and for another.
func some() []binary {
	const pkg = "shared/cmd/mastio"
	return []binary{
		{"functions/healthz", "linux", "arm64", "function-healthz-arm64.zip", true},
		{pkg, runtime.GOOS, runtime.GOARCH, "here", false},
		{pkg, "windows", "amd64", "there.exe", false},
	}
}

// elsewhere is a copy of the sources in another folder, as another machine would have them.
func elsewhere(t *testing.T, root string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"go.mod", "go.sum", "functions", "shared"} {
		if out, err := exec.Command("cp", "-R", filepath.Join(root, name), dir).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	return dir
}

func TestReleaseIsReproducible(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles a release for three systems, twice: make check does")
	}
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	one := release{root: root, out: filepath.Join(t.TempDir(), "r"), version: "v1.2.3", progress: io.Discard}
	other := release{
		root:     elsewhere(t, root),
		out:      filepath.Join(t.TempDir(), "r"),
		version:  "v1.2.3",
		progress: io.Discard,
	}
	for _, r := range []release{one, other} {
		if err := r.build(t.Context(), some()); err != nil {
			t.Fatal(err)
		}
	}
	sums := read(t, one.out, sumsFile)
	if diff := cmp.Diff(string(sums), string(read(t, other.out, sumsFile))); diff != "" {
		t.Fatalf("two builds differ:\n%s", diff)
	}
	if n := strings.Count(string(sums), "\n"); n != len(some())+1 {
		t.Errorf("%d sums:\n%s", n, sums)
	}
	for _, name := range []string{"here", "there.exe"} {
		if program := read(t, one.out, name); bytes.Contains(program, []byte(root)) {
			t.Errorf("%s names the folder that it was built in", name)
		}
	}
	out, err := exec.Command(filepath.Join(one.out, "here"), "--version").CombinedOutput()
	if got := strings.TrimSpace(string(out)); err != nil || !strings.HasSuffix(got, " v1.2.3") {
		t.Errorf("--version: %q %v", got, err)
	}
	checkZip(t, filepath.Join(one.out, "function-healthz-arm64.zip"))
	checkDeployed(t, one)
	checkBill(t, read(t, one.out, "sbom.cdx.json"))
	if err := one.build(t.Context(), nil); err != nil {
		t.Errorf("over an earlier release: %v", err)
	}
}

// Lambda starts bootstrap, which has to be a program, and the version must be in it.
func checkZip(t *testing.T, path string) {
	t.Helper()
	z, err := zip.OpenReader(path)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	if len(z.File) != 1 || z.File[0].Name != "bootstrap" || z.File[0].Mode() != 0o755 {
		t.Fatalf("%d files, the first %s %v", len(z.File), z.File[0].Name, z.File[0].Mode())
	}
	f, err := z.File[0].Open()
	if err != nil {
		t.Fatal(err)
	}
	program, err := io.ReadAll(f)
	if err != nil || !bytes.Contains(program, []byte("v1.2.3")) {
		t.Errorf("the version is not in the function: %v", err)
	}
}

// checkDeployed builds a function as make deploy does: it is the one of the release.
func checkDeployed(t *testing.T, r release) {
	t.Helper()
	zipped := filepath.Join(r.out, "function-healthz-arm64.zip")
	r.out = t.TempDir()
	if err := r.functions(t.Context(), "arm64", []string{"healthz"}); err != nil {
		t.Fatal(err)
	}
	program, err := pack(read(t, r.out, "healthz/bootstrap"))
	if err != nil {
		t.Fatal(err)
	}
	released, err := os.ReadFile(zipped)
	if err != nil || !bytes.Equal(program, released) {
		t.Errorf("make deploy uploads another program than the release has: %v", err)
	}
}

func checkBill(t *testing.T, text []byte) {
	t.Helper()
	var bill struct {
		BOMFormat  string
		Components []struct{ Name, Version, PURL string }
	}
	if err := json.Unmarshal(text, &bill); err != nil || bill.BOMFormat != "CycloneDX" {
		t.Fatalf("%v %s", err, bill.BOMFormat)
	}
	var names []string
	for _, c := range bill.Components {
		if c.Version == "" || !strings.HasPrefix(c.PURL, "pkg:golang/"+c.Name+"@") {
			t.Errorf("%+v", c)
		}
		names = append(names, c.Name)
	}
	for _, want := range []string{"std", "github.com/aws/aws-lambda-go", "github.com/aws/aws-sdk-go-v2/service/kms"} {
		if !slices.Contains(names, want) {
			t.Errorf("%s is missing in %v", want, names)
		}
	}
	if slices.ContainsFunc(names, func(n string) bool { return strings.Contains(n, "awscdk") }) {
		t.Errorf("the CDK is in no program: %v", names)
	}
}

func TestEverything(t *testing.T) {
	names := map[string]bool{}
	for _, b := range everything() {
		if names[b.name] {
			t.Errorf("two files are called %s", b.name)
		}
		names[b.name] = true
	}
	for _, function := range routes.Functions() {
		if !names["function-"+function+"-arm64.zip"] || !names["function-"+function+"-amd64.zip"] {
			t.Errorf("%s is missing", function)
		}
	}
	for _, name := range []string{
		"agent-sync-linux-arm64",
		"agent-sync-darwin-amd64", "mastio-linux-arm64", "mastio-darwin-arm64", "mastio-windows-amd64.exe",
	} {
		if !names[name] {
			t.Errorf("%s is missing", name)
		}
	}
	if names["agent-sync-windows-amd64.exe"] {
		t.Error("agent-sync is not for Windows")
	}
}

// A command that is added is released.
func TestEveryCommandIsReleased(t *testing.T) {
	folders, err := filepath.Glob(filepath.Join("..", "..", "shared", "cmd", "*"))
	if err != nil {
		t.Fatal(err)
	}
	var there []string
	for _, f := range folders {
		there = append(there, "shared/cmd/"+filepath.Base(f))
	}
	if diff := cmp.Diff(there, slices.Sorted(maps.Keys(commands))); diff != "" {
		t.Errorf("(-folders +commands):\n%s", diff)
	}
}

// What is in a folder that is no release is not removed.
func TestReleaseSparesOtherFolders(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "thesis"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	r := release{root: ".", out: dir, version: "v1", progress: io.Discard}
	if err := r.build(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "-out") {
		t.Errorf("%v", err)
	}
	read(t, dir, "thesis")
}

// A release of changed files would be one of no commit.
func TestCheckout(t *testing.T) {
	t.Chdir(t.TempDir())
	ctx := t.Context()
	if _, _, err := checkout(ctx); err == nil {
		t.Error("no checkout, and no error")
	}
	for _, args := range [][]string{
		{"init", "-q"}, {"-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "-q", "--allow-empty", "-m", "a"},
		{"tag", "v7"},
	} {
		if _, err := git(ctx, ".", args...); err != nil {
			t.Fatal(err)
		}
	}
	if _, version, err := checkout(ctx); err != nil || version != "v7" {
		t.Errorf("%s %v", version, err)
	}
	if err := os.WriteFile("new", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, _, err := checkout(ctx); err == nil || !strings.Contains(err.Error(), "commit") {
		t.Errorf("a changed checkout: %v", err)
	}
}

func read(t *testing.T, parts ...string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(parts...))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

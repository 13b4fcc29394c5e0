package house

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mastio-aws/mastio/shared/version"
)

// What is deployed, what a release has and what runs on one machine are the same programs: all are built with the
// flags of version.BuildFlags, and no other file spells the linker's.
func TestBuildsUseTheSameFlags(t *testing.T) {
	const source = "shared/version/flags.go"
	stamped, root := "-"+"X github.com/", filepath.Join("..", "..")
	var spelled []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if slices.Contains([]string{".git", "build", "cdk.out", "node_modules", "target"}, d.Name()) {
				return filepath.SkipDir
			}
			return nil
		}
		if filepath.Ext(path) != ".go" && d.Name() != "Makefile" && filepath.Ext(path) != ".yml" {
			return nil
		}
		text, err := os.ReadFile(path)
		if strings.Contains(string(text), "-ld"+"flags") || strings.Contains(string(text), stamped) {
			spelled = append(spelled, filepath.ToSlash(strings.TrimPrefix(path, root+string(filepath.Separator))))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(spelled) != 1 || spelled[0] != source {
		t.Errorf("the linker's flags are in %v, want in %s alone", spelled, source)
	}
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	// Tests and functions share what is compiled.
	for _, flag := range []string{"-trimpath", "-tags=lambda.norpc", "-gcflags=all=-dwarf=false"} {
		name, value, valued := strings.Cut(flag, "=")
		if !slices.Contains(version.BuildFlags(""), name) || valued && !slices.Contains(version.BuildFlags(""), value) ||
			!strings.Contains(string(makefile), " "+flag) {
			t.Errorf("%s is in one of Makefile and version.BuildFlags alone", flag)
		}
	}
}

// The version is among the linker's flags where there is one.
func TestBuildFlags(t *testing.T) {
	for _, stamp := range []string{"", "v1.2.3"} {
		flags := version.BuildFlags(stamp, "-buildid=")
		linker := flags[len(flags)-1]
		if !strings.HasPrefix(linker, "-s -w -buildid=") ||
			strings.HasSuffix(linker, "/shared/version.Stamp=v1.2.3") != (stamp != "") {
			t.Errorf("%q: %q", stamp, linker)
		}
	}
}

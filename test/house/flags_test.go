package house

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// make build writes what make deploy uploads, infra/release what a release has: the same program, if both build alike.
func TestBuildsUseTheSameFlags(t *testing.T) {
	flags := []string{"lambda.norpc", "-trimpath", "-buildvcs=false", "-s -w -buildid= -X ", "/shared/version.Stamp="}
	for _, path := range []string{"Makefile", "infra/release/release.go"} {
		source, err := os.ReadFile(filepath.Join("..", "..", filepath.FromSlash(path)))
		if err != nil {
			t.Fatal(err)
		}
		for _, flag := range flags {
			if !strings.Contains(string(source), flag) {
				t.Errorf("%s builds without %s", path, flag)
			}
		}
	}
}

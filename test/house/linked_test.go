package house

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// linkable names the modules of others that a function may link, and which functions may; nil: all. What is linked has
// to be loaded at a start, and read for holes.
var linkable = map[string][]string{
	"github.com/aws/aws-lambda-go":       nil,
	"github.com/aws/aws-sdk-go-v2":       nil, // with its modules: the linker leaves out the clients that are not called
	"github.com/aws/smithy-go":           nil,
	"github.com/digitorus/pkcs7":         {"checkpoint", "discovery", "renew"}, // time stamps, EST
	"github.com/digitorus/timestamp":     {"checkpoint"},
	"github.com/gowebpki/jcs":            nil, // the canonical form of rows
	"github.com/oklog/ulid/v2":           nil,
	"github.com/tink-crypto/tink-go/v2":  nil, // wraps an uploaded key for KMS
	"github.com/transparency-dev/merkle": nil, // the tree of a checkpoint
	"golang.org/x/crypto":                nil, // cryptobyte
}

// A function links what it needs. What package boot imports is in all of them; what few need comes from their mains.
func TestFunctionsLinkWhatTheyNeed(t *testing.T) {
	linked := modulesOfFunctions(t)
	functions := slices.Sorted(maps.Keys(linked))
	used := map[string][]string{}
	for _, function := range functions {
		for module := range linked[function] {
			used[module] = append(used[module], function)
		}
	}
	want := map[string][]string{}
	for module, may := range linkable {
		if want[module] = may; may == nil {
			want[module] = functions
		}
	}
	if diff := cmp.Diff(want, used); diff != "" {
		t.Errorf("modules, and the functions that link them (-want +got):\n%s", diff)
	}
}

// modulesOfFunctions returns, for every function, the modules of others that have a package in it.
func modulesOfFunctions(t *testing.T) map[string]map[string]bool {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "-tags", "lambda.norpc",
		"-json=ImportPath,Name,Module,Standard,Deps", "./functions/...")
	cmd.Dir = filepath.Join("..", "..")
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH=arm64", "CGO_ENABLED=0")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v: %s", err, stderr.String())
	}
	type listing struct {
		ImportPath, Name string
		Standard         bool
		Module           struct {
			Path string
			Main bool
		}
		Deps []string
	}
	of, mains := map[string]string{}, []listing{}
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listing
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		switch {
		case p.Standard:
		case !p.Module.Main:
			of[p.ImportPath] = p.Module.Path
		case p.Name == "main":
			mains = append(mains, p)
		}
	}
	all := map[string]map[string]bool{}
	for _, m := range mains {
		modules := map[string]bool{}
		for _, dep := range m.Deps {
			if module := of[dep]; strings.HasPrefix(module, "github.com/aws/aws-sdk-go-v2/") {
				modules["github.com/aws/aws-sdk-go-v2"] = true
			} else if module != "" {
				modules[module] = true
			}
		}
		all[path.Base(m.ImportPath)] = modules
	}
	return all
}

package sdk

import (
	"context"
	_ "embed"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/mastio-aws/mastio/test/python"
)

// verifierRequirements pins what the Python verifier runs on, and what it is built with.
//
//go:embed verifier.txt
var verifierRequirements []byte

// verifierFolder is the verifier's, as a resource server's owner gives it to pip.
var verifierFolder = filepath.Join("..", "..", "shared", "verifier", "python")

// verifierPython installs the verifier from its folder and returns the Python with its requirements, and where the
// package is. Where no Python can be used the test is skipped, in CI it fails.
func verifierPython(t *testing.T) (program, path string) {
	t.Helper()
	program, err := verifierEnvironment()
	if errors.Is(err, python.ErrMissing) {
		missing(t, err.Error())
	}
	if err != nil {
		t.Fatal(err)
	}
	path = t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	pip := exec.CommandContext(ctx, program, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps",
		"--no-build-isolation", "--no-index", "--target", path, verifierFolder)
	if out, err := pip.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return program, path
}

var verifierEnvironment = sync.OnceValues(func() (string, error) {
	return python.Packages{Name: "verifier", Requirements: verifierRequirements}.Install(context.Background())
})

var vectorsRun = regexp.MustCompile(`(?m)^([0-9]+) cases, ([0-9]+) steps$`)

// The Python verifier, installed with pip from its folder, runs the vectors that the Go one runs, and tests of its own.
func TestPythonVerifier(t *testing.T) {
	program, path := verifierPython(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, "-m", "unittest", "discover", "-s", "tests")
	cmd.Dir = verifierFolder
	cmd.Env = append(clean(os.Environ()), "PYTHONPATH="+path, "PYTHONDONTWRITEBYTECODE=1", "PYTHONNOUSERSITE=1")
	out, err := cmd.CombinedOutput()
	if found := vectorsRun.FindSubmatch(out); err != nil || found == nil {
		t.Fatalf("%v\n%s", err, out)
	} else {
		t.Logf("%s cases, %s steps of the vectors", found[1], found[2])
	}
	if _, err := os.Stat(filepath.Join(path, "mastio_verifier", "py.typed")); err != nil {
		t.Errorf("the types are not installed: %v", err)
	}
}

package sdk

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/mastio-aws/mastio/localstack/filelock"
)

// requirements pins the SDK and everything below it, with hashes.
//
//go:embed requirements.txt
var requirements []byte

// usable is what a Python must get through: the SDK needs 3.10.
const usable = "import sys, venv, ensurepip, ssl; assert sys.version_info[:2] >= (3, 10)"

// environment installs the SDK once for all tests of a process.
var environment = sync.OnceValues(func() (string, error) { return install(context.Background()) })

// python returns the Python that has the SDK. Without a Python 3.10 or newer the test is skipped, in CI it fails.
func python(t *testing.T) string {
	t.Helper()
	if _, ok := findPython(t.Context()); !ok {
		missing(t, "the SDK needs Python 3.10 or newer with venv (Debian, Ubuntu: python3-venv); MASTIO_PYTHON=/path/to/python3 names one")
	}
	path, err := environment()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// findPython returns the Python that MASTIO_PYTHON names and no other, or the first usable one of the path.
func findPython(ctx context.Context) (string, bool) {
	candidates := []string{"python3", "python3.14", "python3.13", "python3.12", "python3.11", "python3.10"}
	if named := os.Getenv("MASTIO_PYTHON"); named != "" {
		candidates = []string{named}
	}
	for _, candidate := range candidates {
		cmd := exec.CommandContext(ctx, candidate, "-c", usable)
		cmd.Dir = os.TempDir() // a module of the same name in the current folder is none
		if cmd.Run() == nil {
			return candidate, true
		}
	}
	return "", false
}

// install makes a virtual environment below build, unless one of the same requirements is there. Processes take turns;
// an installation that did not reach its end leaves no stamp and is made again.
func install(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	home, err := filepath.Abs(filepath.Join("..", "..", "build", "sdk"))
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(home, 0o755); err != nil {
		return "", err
	}
	unlock, err := filelock.Lock(ctx, filepath.Join(home, "lock"))
	if err != nil {
		return "", err
	}
	defer unlock()
	found, _ := findPython(ctx)
	venv, stamp := filepath.Join(home, "venv"), filepath.Join(home, "stamp")
	program := filepath.Join(venv, "bin", "python")
	// A virtual environment does not survive a move, and not its Python.
	sum := sha256.Sum256(append([]byte(home+"\x00"+found+"\x00"), requirements...))
	want := hex.EncodeToString(sum[:])
	if got, err := os.ReadFile(stamp); err == nil && string(got) == want && exec.CommandContext(ctx, program, "-c", usable).Run() == nil {
		return program, nil
	}
	for _, path := range []string{stamp, venv} {
		if err := os.RemoveAll(path); err != nil {
			return "", err
		}
	}
	list := filepath.Join(home, "requirements.txt")
	if err := os.WriteFile(list, requirements, 0o644); err != nil {
		return "", err
	}
	for _, command := range [][]string{
		{found, "-m", "venv", venv},
		{program, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary", ":all:", "--require-hashes", "-r", list},
	} {
		if out, err := exec.CommandContext(ctx, command[0], command[1:]...).CombinedOutput(); err != nil {
			return "", fmt.Errorf("install the SDK: %v: %w\n%s", command, err, out)
		}
	}
	return program, os.WriteFile(stamp, []byte(want), 0o644)
}

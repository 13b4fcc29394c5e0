// Package python installs pinned Python packages for tests that drive a client or a checker in Python.
package python

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/mastio-aws/mastio/localstack/machine"
)

// usable is a script that a Python has to run without an error.
const usable = "import sys, venv, ensurepip, ssl; assert sys.version_info[:2] >= (3, 10)"

// ErrMissing means that no Python can be used.
var ErrMissing = errors.New(
	"no Python 3.10 or newer with venv (Debian, Ubuntu: python3-venv); MASTIO_PYTHON=/path/to/python3 names one")

// Packages are what one purpose needs: a virtual environment below build of the given name.
type Packages struct {
	Name         string
	Requirements []byte // pip's requirements.txt, each line with its hashes
}

// find returns the Python that MASTIO_PYTHON names and no other, or the first usable one of the path.
func find(ctx context.Context) (string, error) {
	candidates := []string{"python3", "python3.14", "python3.13", "python3.12", "python3.11", "python3.10"}
	if named := os.Getenv("MASTIO_PYTHON"); named != "" {
		candidates = []string{named}
	}
	for _, candidate := range candidates {
		cmd := exec.CommandContext(ctx, candidate, "-c", usable)
		cmd.Dir = os.TempDir() // a module of the same name in the current folder is none
		if cmd.Run() == nil {
			return candidate, nil
		}
	}
	return "", ErrMissing
}

// Install returns the Python that has the packages. It makes a virtual environment unless one of the same requirements
// is there. Processes take turns; an installation that did not reach its end leaves no stamp and is made again. It is
// called from a folder two levels below the project's root, as tests are.
func (p Packages) Install(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	found, err := find(ctx)
	if err != nil {
		return "", err
	}
	home, err := filepath.Abs(filepath.Join("..", "..", "build", p.Name))
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(home, 0o755); err != nil {
		return "", err
	}
	unlock, err := machine.Lock(ctx, filepath.Join(home, "lock"))
	if err != nil {
		return "", err
	}
	defer unlock()
	venv, stamp := filepath.Join(home, "venv"), filepath.Join(home, "stamp")
	program := filepath.Join(venv, "bin", "python")
	// A virtual environment survives neither a move nor the end of its Python.
	sum := sha256.Sum256(append([]byte(home+"\x00"+found+"\x00"), p.Requirements...))
	want := hex.EncodeToString(sum[:])
	if got, err := os.ReadFile(stamp); err == nil && string(got) == want &&
		exec.CommandContext(ctx, program, "-c", usable).Run() == nil {
		return program, nil
	}
	for _, path := range []string{stamp, venv} {
		if err := os.RemoveAll(path); err != nil {
			return "", err
		}
	}
	list := filepath.Join(home, "requirements.txt")
	if err := os.WriteFile(list, p.Requirements, 0o644); err != nil {
		return "", err
	}
	pip := []string{program, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps",
		"--no-compile", "--only-binary", ":all:", "--require-hashes"} // a module is compiled when it is first imported
	for _, command := range [][]string{{found, "-m", "venv", venv}, append(pip, "-r", list)} {
		if out, err := exec.CommandContext(ctx, command[0], command[1:]...).CombinedOutput(); err != nil {
			return "", fmt.Errorf("install the packages of %s: %v: %w\n%s", p.Name, command, err, out)
		}
	}
	return program, os.WriteFile(stamp, []byte(want), 0o644)
}

package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"
)

// ErrNoPython means that there is no Python that LocalStack runs on.
var ErrNoPython = errors.New("LocalStack " + Version + ` needs Python 3.12 or 3.13 with venv, and found none
  on Debian 13, Ubuntu 24.04:  sudo apt-get install python3 python3-venv
  on Fedora:                   sudo dnf install python3.13
  anywhere, with pyenv:        pyenv install 3.13
  or name one:                 MASTIO_PYTHON=/path/to/python3.13
or give a LocalStack that is up: LOCALSTACK_ENDPOINT=http://127.0.0.1:4566`)

// usable is a script that a Python has to run without an error. LocalStack 4.14.0 does not compile before 3.12,
// whatever its metadata says, and some of its dependencies have no package for 3.14.
const usable = "import sys, venv, ensurepip, ssl, sqlite3; assert (3, 12) <= sys.version_info[:2] <= (3, 13)"

// FindPython returns a Python that LocalStack runs on: the one that MASTIO_PYTHON names and no other, or the first of
// the path's and pyenv's, whether or not pyenv has it switched on.
func FindPython(ctx context.Context, getenv func(string) string) (string, error) {
	if named := getenv("MASTIO_PYTHON"); named != "" {
		if !runs(ctx, named) {
			return "", fmt.Errorf("MASTIO_PYTHON=%s is none: %w", named, ErrNoPython)
		}
		return named, nil
	}
	for _, candidate := range slices.Concat([]string{"python3.13", "python3.12", "python3"}, pyenv(getenv)) {
		if runs(ctx, candidate) {
			return candidate, nil
		}
	}
	return "", ErrNoPython
}

// pyenv lists the installed versions of the two releases, the newest first. A shim on the path runs only the version
// that is switched on.
func pyenv(getenv func(string) string) []string {
	root := getenv("PYENV_ROOT")
	if root == "" {
		root = filepath.Join(getenv("HOME"), ".pyenv")
	}
	found, _ := filepath.Glob(filepath.Join(root, "versions", "3.1[23].*", "bin", "python3"))
	slices.Sort(found)
	slices.Reverse(found)
	return found
}

func runs(ctx context.Context, python string) bool {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, python, "-c", usable)
	cmd.Dir = os.TempDir() // a module of the same name in the current folder is none
	return cmd.Run() == nil
}

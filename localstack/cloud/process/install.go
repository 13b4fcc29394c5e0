package process

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
	"time"

	"github.com/mastio-aws/mastio/localstack/aws/dynamodb"
)

//go:embed requirements.lock LoopbackDatabase.java executor/pyproject.toml executor/lambda_process_executor.py
var sources embed.FS

// step installs one thing. It runs again when one of its inputs has changed, or when it did not reach its end.
type step struct {
	name   string
	inputs []string // files of sources
	proof  string   // a file that is there when it is done
	run    func(*LocalStack, context.Context) error
}

// database is where LocalStack looks for DynamoDB Local.
const database = "root/var/lib/localstack/lib/dynamodb-local/2"

var steps = []step{
	{"LocalStack " + Version + " with pip (once, about 0.5 GB on disk)", []string{"requirements.lock"}, "venv/bin/python",
		(*LocalStack).installLocalStack},
	{"the plugins", []string{"requirements.lock", "executor/pyproject.toml", "executor/lambda_process_executor.py"},
		"venv/bin/python", (*LocalStack).installPlugins},
	{"DynamoDB Local for it", []string{"LoopbackDatabase.java"}, database + "/original/DynamoDBLocal.jar",
		(*LocalStack).installDatabase},
}

func (l *LocalStack) install(ctx context.Context) error {
	for i, s := range steps {
		stamp, want := l.path(fmt.Sprintf("step-%d.stamp", i+1)), l.digest(s.inputs)
		if got, err := os.ReadFile(stamp); err == nil && string(got) == want && exists(l.path(s.proof)) {
			continue
		}
		// Gone before the first change: a crash in the middle leaves no stamp.
		if err := os.Remove(stamp); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		l.Progress("installing " + s.name)
		began := time.Now()
		if err := s.run(l, ctx); err != nil {
			return fmt.Errorf("install %s: %w", s.name, err)
		}
		if err := os.WriteFile(stamp, []byte(want), 0o644); err != nil {
			return err
		}
		l.Progress(fmt.Sprintf("installed in %.0f s", time.Since(began).Seconds()))
	}
	return nil
}

// digest covers the folder too: a virtual environment does not survive a move.
func (l *LocalStack) digest(inputs []string) string {
	sum := sha256.New()
	fmt.Fprintf(sum, "%d:%s", len(l.cache), l.cache)
	for _, name := range inputs {
		text, err := sources.ReadFile(name)
		if err != nil {
			panic(err) // embedded, so it is there
		}
		fmt.Fprintf(sum, "%d:", len(text))
		sum.Write(text)
	}
	return hex.EncodeToString(sum.Sum(nil))
}

func (l *LocalStack) installLocalStack(ctx context.Context) error {
	python, err := FindPython(ctx, os.Getenv)
	if err != nil {
		return err
	}
	if err := os.RemoveAll(l.path("venv")); err != nil {
		return err
	}
	if err := run(ctx, l.cache, python, "-m", "venv", l.path("venv")); err != nil {
		return err
	}
	if err := l.unpack("requirements.lock"); err != nil {
		return err
	}
	// Three of the packages come as sources only. They are built with the locked setuptools, which therefore comes first,
	// and not with whatever is the newest on the day.
	setuptools, err := l.lockedSetuptools()
	if err != nil {
		return err
	}
	if err := l.pip(ctx, "--require-hashes", "--only-binary", ":all:", "-r", setuptools); err != nil {
		return err
	}
	return l.pip(ctx, "--require-hashes", "--only-binary", ":all:", "--no-binary", "airspeed-ext,crontab,jsonpath-rw",
		"--no-build-isolation", "-r", l.path("requirements.lock"))
}

func (l *LocalStack) installPlugins(ctx context.Context) error {
	for _, name := range []string{"executor/pyproject.toml", "executor/lambda_process_executor.py"} {
		if err := l.unpack(name); err != nil {
			return err
		}
	}
	// A build writes into the folder of its input, so the input is a copy.
	defer os.RemoveAll(l.path("executor"))
	return l.pip(ctx, "--no-index", "--no-build-isolation", "--force-reinstall", l.path("executor"))
}

func (l *LocalStack) pip(ctx context.Context, args ...string) error {
	quiet := []string{"-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"}
	return run(ctx, l.cache, l.path("venv", "bin", "python"), append(quiet, args...)...)
}

// installDatabase lays out DynamoDB Local and Java as LocalStack's own installer does, so that LocalStack finds both.
func (l *LocalStack) installDatabase(ctx context.Context) error {
	original, err := dynamodb.Locate(ctx, l.Database, l.Progress)
	if err != nil {
		return err
	}
	java, err := javaHome()
	if err != nil {
		return err
	}
	target := l.path(database)
	lib := filepath.Dir(filepath.Dir(target))
	if err := os.RemoveAll(lib); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(lib, "java"), 0o755); err != nil {
		return err
	}
	if err := l.compileLauncher(ctx, original, target); err != nil {
		return err
	}
	for _, link := range [][2]string{
		{original, filepath.Join(target, "original")},
		{filepath.Join(original, "DynamoDBLocal_lib"), filepath.Join(target, "DynamoDBLocal_lib")},
		{"DynamoDBLocal.jar", filepath.Join(target, "ddb-local-loader-0.1.jar")},
		{java, filepath.Join(lib, "java", "21")},
	} {
		if err := os.Symlink(link[0], link[1]); err != nil {
			return err
		}
	}
	return nil
}

// compileLauncher makes a DynamoDBLocal.jar of our own in front of the original one.
func (l *LocalStack) compileLauncher(ctx context.Context, original, target string) error {
	classes := filepath.Join(target, "classes")
	if err := os.MkdirAll(classes, 0o755); err != nil {
		return err
	}
	if err := l.unpack("LoopbackDatabase.java"); err != nil {
		return err
	}
	path := filepath.Join(original, "DynamoDBLocal.jar") + ":" + filepath.Join(original, "DynamoDBLocal_lib", "*")
	if err := run(ctx, l.cache, "javac", "-cp", path, "-d", classes, l.path("LoopbackDatabase.java")); err != nil {
		return err
	}
	manifest := "Main-Class: LoopbackDatabase\nPremain-Class: LoopbackDatabase\nClass-Path: original/DynamoDBLocal.jar\n"
	if err := os.WriteFile(filepath.Join(target, "manifest"), []byte(manifest), 0o644); err != nil {
		return err
	}
	return run(ctx, target, "jar", "cfm", "DynamoDBLocal.jar", "manifest", "-C", classes, ".")
}

func javaHome() (string, error) {
	javac, err := exec.LookPath("javac")
	if err != nil {
		return "", fmt.Errorf("a JDK, 17 or newer, is needed: %w", err)
	}
	javac, err = filepath.EvalSymlinks(javac)
	return filepath.Dir(filepath.Dir(javac)), err
}

// exists follows links: an installation may depend on a Python or a Java that was removed since.
func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// unpack writes an embedded file below the cache.
func (l *LocalStack) unpack(name string) error {
	text, err := sources.ReadFile(name)
	if err != nil {
		return err
	}
	path := l.path(filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o644)
}

func run(ctx context.Context, dir, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		const most = 3000 // the cause is at the end
		return fmt.Errorf("%s: %w\n%s", filepath.Base(name), err, out[max(0, len(out)-most):])
	}
	return nil
}

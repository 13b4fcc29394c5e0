// Command release builds a release into a folder: a zip of each function for Lambda, the commands for Linux, macOS
// and Windows, an SBOM (CycloneDX), and the SHA-256 of every file. Two builds of one commit with one version of Go
// are bit-identical.
//
// With -functions it builds the functions alone, as a deployment uploads them; with -cli the command mastio alone.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"github.com/mastio-aws/mastio/shared/routes"
)

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	flags := flag.NewFlagSet("release", flag.ContinueOnError)
	out := flags.String("out", filepath.Join("build", "release"),
		"`folder` for the files; an earlier release in it is replaced")
	functions := flags.String("functions", "", "`folder` for the functions alone, each as bootstrap in its own")
	cli := flags.String("cli", "", "`folder` for the command mastio alone, for this machine")
	arch := flags.String("arch", "arm64", "`architecture` of -functions: arm64 or amd64")
	stamp := flags.String("version", "", "`version` of -functions and -cli")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return 0
	} else if err != nil || flags.NArg() > 0 {
		return 2
	}
	if *functions != "" || *cli != "" {
		r := release{root: ".", out: *functions, version: *stamp}
		if err := r.part(ctx, *arch, *cli); err != nil {
			fmt.Fprintln(os.Stderr, "release:", err)
			return 1
		}
		return 0
	}
	root, version, err := checkout(ctx)
	if err == nil {
		r := release{root: root, out: *out, version: version, progress: os.Stderr}
		err = r.build(ctx, everything())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		return 1
	}
	fmt.Println(*out)
	return 0
}

// part builds the command mastio into a folder, or without one the functions.
func (r *release) part(ctx context.Context, arch, cli string) error {
	if cli == "" {
		return r.functions(ctx, arch, routes.Functions())
	}
	if err := os.MkdirAll(cli, 0o755); err != nil {
		return err
	}
	fmt.Println(filepath.Join(cli, "mastio"))
	return r.goBuild(ctx, runtime.GOOS, runtime.GOARCH, cli+string(filepath.Separator), "./shared/cmd/mastio")
}

// checkout returns the project's folder and its version; files with uncommitted changes would be in the release and
// in no commit.
func checkout(ctx context.Context) (root, version string, err error) {
	if root, err = git(ctx, ".", "rev-parse", "--show-toplevel"); err != nil {
		return "", "", fmt.Errorf("a release is built in a checkout: %w", err)
	}
	changed, err := git(ctx, root, "status", "--porcelain")
	if err != nil {
		return "", "", err
	}
	if changed != "" {
		return "", "", fmt.Errorf("the checkout has changes; commit them, or stash them with git stash -u:\n%s", changed)
	}
	version, err = git(ctx, root, "describe", "--tags", "--always")
	return root, version, err
}

func git(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = fmt.Errorf("git %s: %w: %s", args[0], err, strings.TrimSpace(string(exit.Stderr)))
		}
		return "", err
	}
	return strings.TrimSpace(string(out)), nil
}

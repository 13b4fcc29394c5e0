package main

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mastio-aws/mastio/shared/routes"
	"github.com/mastio-aws/mastio/shared/version"
)

// module is the project's.
const module = "github.com/mastio-aws/mastio"

// binary is one program of a release: a package, for a platform, under a name.
type binary struct {
	pkg, os, arch string
	name          string // of the file in the release
	zipped        bool   // as bootstrap, which is what Lambda's runtime starts
}

// everything lists what a release has.
func everything() []binary {
	var all []binary
	for _, arch := range []string{"arm64", "amd64"} {
		for _, function := range routes.Functions() {
			all = append(all, binary{"functions/" + function, "linux", arch, fmt.Sprintf("function-%s-%s.zip", function, arch),
				true})
		}
	}
	for _, pkg := range slices.Sorted(maps.Keys(commands)) {
		for _, platform := range commands[pkg] {
			system, arch, _ := strings.Cut(platform, "/")
			name := fmt.Sprintf("%s-%s-%s", path.Base(pkg), system, arch)
			if system == "windows" {
				name += ".exe"
			}
			all = append(all, binary{pkg, system, arch, name, false})
		}
	}
	return all
}

var unix = []string{"linux/amd64", "linux/arm64", "darwin/amd64", "darwin/arm64"}

// commands are the programs for other machines than ours, with the platforms of each. Owners, modes and signals, which
// agent-sync is about, are not those of Windows.
var commands = map[string][]string{
	"shared/cmd/agent-sync": unix,
	"shared/cmd/mastio":     append(slices.Clone(unix), "windows/amd64"),
}

// release is one that is being built.
type release struct {
	root, out, version string
	progress           io.Writer
}

// build writes everything, with a bill of materials and the sums.
func (r *release) build(ctx context.Context, all []binary) error {
	out, err := filepath.Abs(r.out)
	if err != nil {
		return err
	}
	if err := replace(out); err != nil {
		return err
	}
	sums, linked := map[string]string{}, map[string]bool{}
	for i, b := range all {
		fmt.Fprintf(r.progress, "%3d of %d  %s\n", i+1, len(all), b.name)
		program, err := r.compile(ctx, b)
		if err != nil {
			return err
		}
		if err := note(linked, program); err != nil {
			return fmt.Errorf("%s: %w", b.name, err)
		}
		if b.zipped {
			if program, err = pack(program); err != nil {
				return fmt.Errorf("%s: %w", b.name, err)
			}
		}
		if err := write(sums, out, b.name, program); err != nil {
			return err
		}
	}
	bill, err := billOfMaterials(r.version, linked)
	if err != nil {
		return err
	}
	if err := write(sums, out, "sbom.cdx.json", bill); err != nil {
		return err
	}
	var list strings.Builder // as sha256sum --check reads it
	for _, name := range slices.Sorted(maps.Keys(sums)) {
		fmt.Fprintf(&list, "%s  %s\n", sums[name], name)
	}
	return os.WriteFile(filepath.Join(out, sumsFile), []byte(list.String()), 0o644)
}

const sumsFile = "SHA256SUMS"

// replace makes an empty folder of out. A folder that is no release is not emptied.
func replace(out string) error {
	entries, err := os.ReadDir(out)
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	if len(entries) > 0 {
		if _, err := os.Stat(filepath.Join(out, sumsFile)); err != nil {
			return fmt.Errorf("%s is not empty and no earlier release: name another folder with -out, or remove it", out)
		}
		if err := os.RemoveAll(out); err != nil {
			return err
		}
	}
	return os.MkdirAll(out, 0o755)
}

func write(sums map[string]string, out, name string, content []byte) error {
	sum := sha256.Sum256(content)
	sums[name] = hex.EncodeToString(sum[:])
	return os.WriteFile(filepath.Join(out, name), content, 0o755) //nolint:gosec // programs are for running
}

// compile builds one program.
func (r *release) compile(ctx context.Context, b binary) ([]byte, error) {
	dir, err := os.MkdirTemp("", "release-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	program := filepath.Join(dir, "program")
	if err := r.goBuild(ctx, b.os, b.arch, program, "./"+b.pkg); err != nil {
		return nil, fmt.Errorf("build %s: %w", b.name, err)
	}
	return os.ReadFile(program)
}

// functions builds functions as a deployment uploads them, each as bootstrap in a folder of its own.
func (r *release) functions(ctx context.Context, arch string, names []string) error {
	dir, err := os.MkdirTemp("", "functions-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	var packages []string
	for _, name := range names {
		packages = append(packages, "./functions/"+name)
	}
	if err := r.goBuild(ctx, "linux", arch, dir+string(filepath.Separator), packages...); err != nil {
		return err
	}
	for _, name := range names {
		program, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Join(r.out, name), 0o755); err != nil {
			return err
		}
		//nolint:gosec // programs are for running
		if err := os.WriteFile(filepath.Join(r.out, name, "bootstrap"), program, 0o755); err != nil {
			return err
		}
	}
	return nil
}

// goBuild builds with flags that leave nothing of this machine in a program.
func (r *release) goBuild(ctx context.Context, system, arch, out string, packages ...string) error {
	args := append([]string{"build"}, version.BuildFlags(r.version, "-buildid=")...)
	cmd := exec.CommandContext(ctx, "go", append(append(args, "-o", out), packages...)...)
	cmd.Dir = r.root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off", "GOOS="+system, "GOARCH="+arch,
		"GOAMD64=v1", "GOARM64=v8.0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	return nil
}

// pack makes a function's zip: one program that can be run, without a time.
func pack(program []byte) ([]byte, error) {
	var buffer bytes.Buffer
	z := zip.NewWriter(&buffer)
	header := &zip.FileHeader{Name: "bootstrap", Method: zip.Deflate}
	header.SetMode(0o755)
	w, err := z.CreateHeader(header)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(program); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return buffer.Bytes(), nil
}

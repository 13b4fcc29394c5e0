// Package browser drives the dashboard in a real browser. It checks the pages for valid HTML, and for use with a
// keyboard or a screen reader.
package browser

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/mastio-aws/mastio/localstack/machine"
)

var (
	//go:embed package.json
	packageJSON []byte
	//go:embed package-lock.json
	packageLock []byte
)

// Checkers are the programs that judge a page.
type Checkers struct {
	Axe string // the source of axe-core, to be run in a page
	vnu string // path of the Nu HTML Checker
}

// Install fetches the checkers into a folder, once; the lock pins them by hash.
func Install(ctx context.Context, dir string) (Checkers, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return Checkers{}, err
	}
	unlock, err := machine.Lock(ctx, filepath.Join(dir, "install.lock"))
	if err != nil {
		return Checkers{}, err
	}
	defer unlock()
	if err := fetch(ctx, dir); err != nil {
		return Checkers{}, fmt.Errorf("install axe-core and the Nu HTML Checker: %w", err)
	}
	axe, err := os.ReadFile(filepath.Join(dir, "node_modules", "axe-core", "axe.min.js"))
	if err != nil {
		return Checkers{}, err
	}
	vnu, err := filepath.Abs(filepath.Join(dir, "node_modules", "vnu-jar", "build", "dist", "vnu.jar"))
	return Checkers{string(axe), vnu}, err
}

func fetch(ctx context.Context, dir string) error {
	stamp := filepath.Join(dir, "stamp")
	if got, err := os.ReadFile(stamp); err == nil && string(got) == string(packageLock) {
		return nil
	}
	for name, content := range map[string][]byte{"package.json": packageJSON, "package-lock.json": packageLock} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			return err
		}
	}
	cmd := exec.CommandContext(ctx, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("npm ci: %w\n%s", err, out)
	}
	return os.WriteFile(stamp, packageLock, 0o644)
}

// Finding is something that the Nu HTML Checker does not like.
type Finding struct {
	Type, URL, Message, Extract string
	LastLine                    int
}

// String names the file, the line and the reason.
func (f Finding) String() string {
	return fmt.Sprintf("%s:%d: %s: %s: %s", filepath.Base(f.URL), f.LastLine, f.Type, f.Message, f.Extract)
}

// Validate checks a folder of HTML and CSS files against the living standard.
func (c Checkers) Validate(ctx context.Context, dir string) ([]Finding, error) {
	// The checker writes what it finds to standard error, and exits with 1 if there is any.
	cmd := exec.CommandContext(ctx, "java", "-Xmx512m", "-Xss8m", "-jar", c.vnu, "--format", "json", "--exit-zero-always",
		"--also-check-css", "--stdout", dir)
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("vnu: %w", err)
	}
	var report struct{ Messages []Finding }
	if err := json.Unmarshal(out, &report); err != nil {
		return nil, fmt.Errorf("vnu: %w: %.300s", err, out)
	}
	return report.Messages, nil
}

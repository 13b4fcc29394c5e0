package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/mastio-aws/mastio/localstack/deployment"
	"github.com/mastio-aws/mastio/localstack/filelock"
)

// cdk is the CDK's command line with the Node.js that it runs on, as infra/package-lock.json pins them.
type cdk struct{ dir string }

// installCDK installs both below build/, unless they are there already.
func (c *cloud) installCDK(ctx context.Context) (cdk, error) {
	tool := cdk{filepath.Join(c.root, "build", "infra")}
	if err := os.MkdirAll(tool.dir, 0o755); err != nil {
		return tool, err
	}
	unlock, err := filelock.Lock(ctx, filepath.Join(tool.dir, "install.lock"))
	if err != nil {
		return tool, err
	}
	defer unlock()
	digest := sha256.New()
	for _, name := range []string{"package.json", "package-lock.json"} {
		text, err := os.ReadFile(filepath.Join(c.root, "infra", name))
		if err != nil {
			return tool, err
		}
		digest.Write(text)
		if err := os.WriteFile(filepath.Join(tool.dir, name), text, 0o644); err != nil {
			return tool, err
		}
	}
	stamp, want := filepath.Join(tool.dir, "cdklocal.stamp"), hex.EncodeToString(digest.Sum(nil))
	if got, err := os.ReadFile(stamp); err == nil && string(got) == want && tool.ready() {
		return tool, nil
	}
	c.say("installing the CDK's command line with npm (once)")
	cmd := exec.CommandContext(ctx, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier")
	cmd.Dir = tool.dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return tool, fmt.Errorf("install the CDK's command line: npm ci: %w\n%s", err, out)
	}
	return tool, os.WriteFile(stamp, []byte(want), 0o644)
}

func (t cdk) cdklocal() string {
	return filepath.Join(t.dir, "node_modules", "aws-cdk-local", "bin", "cdklocal")
}

func (t cdk) ready() bool {
	_, err := os.Stat(t.cdklocal())
	return err == nil
}

// path puts the pinned Node.js first. A platform that npm has no Node.js for uses its own.
func (t cdk) path() string {
	found, _ := filepath.Glob(filepath.Join(t.dir, "node_modules", "node-*", "bin"))
	return strings.Join(append(found, os.Getenv("PATH")), string(os.PathListSeparator))
}

// run runs cdklocal in dir with an endpoint; what it prints goes to out. Of this process's environment it gets what finds
// programs, and nothing that leads to a real account.
func (t cdk) run(ctx context.Context, dir, endpoint string, out io.Writer, args ...string) error {
	cmd := exec.CommandContext(ctx, "node", append([]string{t.cdklocal()}, args...)...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, out, out
	for _, setting := range os.Environ() {
		if !strings.HasPrefix(setting, "AWS_") && !strings.HasPrefix(setting, "CDK_") && !strings.HasPrefix(setting, "PATH=") {
			cmd.Env = append(cmd.Env, setting)
		}
	}
	cmd.Env = append(cmd.Env, clientEnvironment(endpoint)...)
	cmd.Env = append(cmd.Env, "PATH="+t.path(), "CDK_DISABLE_CLI_TELEMETRY=true", "AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null")
	if node, err := lookPath("node", t.path()); err == nil {
		cmd.Path = node
	}
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("cdklocal %s: %w", args[0], err)
	}
	return nil
}

// lookPath is exec.LookPath on another path than this process's own.
func lookPath(name, path string) (string, error) {
	for _, dir := range filepath.SplitList(path) {
		if found, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return found, nil
		}
	}
	return "", exec.ErrNotFound
}

// settings are the app's context for this machine's LocalStack: functions of this machine's own architecture, and the
// gateway's URL for the agents' domain, since the open LocalStack has no mutual TLS.
func (c *cloud) settings(functions string) []string {
	architecture := map[string]string{"amd64": "x86_64", "arm64": "arm64"}[runtime.GOARCH]
	var args []string
	for _, s := range []string{
		"target=localstack", "orgId=" + c.org, "trustDomain=" + c.org + ".local", "issuer=" + c.edgeURL(), "architecture=" + architecture, "buildDir=" + functions,
	} {
		args = append(args, "--context", s)
	}
	return args
}

func (c *cloud) edgeURL() string { return fmt.Sprintf("https://localhost:%d", c.edge) }

// bootstrapped is where the CDK is told to bootstrap.
const bootstrapped = "aws://" + deployment.Account + "/" + deployment.Region

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/mastio-aws/mastio/localstack/cloud/deployed"
)

// cdk is the CDK's command line with the Node.js that it runs on, as infra/package-lock.json pins them and the Makefile
// installs them.
type cdk struct{ dir string }

var errNoCDK = errors.New("the CDK's command line is not installed: run this as make localstack-deploy or make " +
	"localstack-test")

func (c *cloud) cdk() (cdk, error) {
	tool := cdk{filepath.Join(c.root, "build", "infra")}
	if _, err := os.Stat(tool.cdklocal()); err != nil {
		return tool, errNoCDK
	}
	return tool, nil
}

func (t cdk) cdklocal() string {
	return filepath.Join(t.dir, "node_modules", "aws-cdk-local", "bin", "cdklocal")
}

// path puts the pinned Node.js first. A platform that npm has no Node.js for uses its own.
func (t cdk) path() string {
	found, _ := filepath.Glob(filepath.Join(t.dir, "node_modules", "node-*", "bin"))
	return strings.Join(append(found, os.Getenv("PATH")), string(os.PathListSeparator))
}

// run runs cdklocal in dir with an endpoint; what it prints goes to out. It gets only the variables of this process's
// environment that find programs, and none that leads to a real account.
func (t cdk) run(ctx context.Context, dir, endpoint string, out io.Writer, args ...string) error {
	cmd := exec.CommandContext(ctx, "node", append([]string{t.cdklocal()}, args...)...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, out, out
	for _, setting := range os.Environ() {
		if !strings.HasPrefix(setting, "AWS_") && !strings.HasPrefix(setting, "CDK_") &&
			!strings.HasPrefix(setting, "PATH=") {
			cmd.Env = append(cmd.Env, setting)
		}
	}
	cmd.Env = append(cmd.Env, clientEnvironment(endpoint)...)
	cmd.Env = append(cmd.Env, "PATH="+t.path(), "CDK_DISABLE_CLI_TELEMETRY=true", "AWS_CONFIG_FILE=/dev/null",
		"AWS_SHARED_CREDENTIALS_FILE=/dev/null")
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
		"target=localstack", "orgId=" + c.org, "trustDomain=" + c.org + ".local", "issuer=" + c.edgeURL(),
		"architecture=" + architecture, "buildDir=" + functions,
	} {
		args = append(args, "--context", s)
	}
	return args
}

func (c *cloud) edgeURL() string { return fmt.Sprintf("https://localhost:%d", c.edge) }

// bootstrapped is the environment that the CDK bootstraps.
const bootstrapped = "aws://" + deployed.Account + "/" + deployed.Region

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/mastio-aws/mastio/localstack/cloud/process"
)

// The two ways to run LocalStack.
const (
	modeDocker = "docker"
	modeHost   = "host"
	modeGiven  = "given" // a LocalStack that another command started
)

var errNotUp = errors.New("LocalStack does not run: start it with make localstack-up")

// cloud is what the commands share.
type cloud struct {
	options
	out       io.Writer
	say       func(string)
	root      string              // folder of the checkout
	dir       string              // all that is written
	processes *process.LocalStack // nil on a system where LocalStack runs in Docker only
}

func newCloud(ctx context.Context, o options, out io.Writer) (*cloud, error) {
	root, err := moduleRoot(ctx)
	if err != nil {
		return nil, err
	}
	c := &cloud{options: o, out: out, say: progress(out), root: root, dir: filepath.Join(root, "build", "cloud")}
	c.processes, err = process.New(process.Config{
		Cache:    filepath.Join(c.dir, "host"),
		Database: filepath.Join(root, "build", "localstack"),
		Port:     o.port,
		Progress: c.say,
	})
	if errors.Is(err, process.ErrSystem) {
		err = nil // there is Docker, or a LocalStack that is given
	}
	return c, err
}

// moduleRoot is the folder of the checkout, wherever below it this was started.
func moduleRoot(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("go env GOMOD: %w", err)
	}
	mod := strings.TrimSpace(string(out))
	if mod == "" || mod == os.DevNull {
		return "", errors.New("this folder is not in the checkout: change into it and start again")
	}
	return filepath.Dir(mod), nil
}

// instance is the LocalStack that the other commands work with, as up noted it.
type instance struct {
	Mode     string `json:"mode"`
	Endpoint string `json:"endpoint"`
}

func (c *cloud) note() string { return filepath.Join(c.dir, "running.json") }

// up makes sure that there is a LocalStack and notes which.
func (c *cloud) up(ctx context.Context) error {
	r, err := c.start(ctx)
	if err != nil {
		return err
	}
	version, ok := process.Healthy(ctx, r.Endpoint)
	if !ok {
		return fmt.Errorf("LocalStack at %s does not answer", r.Endpoint)
	}
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(c.dir, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(c.note(), text, 0o644); err != nil {
		return err
	}
	c.say(fmt.Sprintf("LocalStack %s answers at %s (%s)", version, r.Endpoint, r.Mode))
	return nil
}

func (c *cloud) start(ctx context.Context) (instance, error) {
	if c.endpoint != "" {
		return instance{modeGiven, strings.TrimSuffix(c.endpoint, "/")}, nil
	}
	if c.mode == "" {
		c.mode = modeHost
		if engine(ctx) {
			c.mode = modeDocker
		}
	}
	r := instance{c.mode, fmt.Sprintf("http://127.0.0.1:%d", c.port)}
	switch {
	case c.mode == modeDocker:
		c.say("starting LocalStack in Docker")
		return r, c.compose(ctx, "up", "--detach", "--wait")
	case c.processes == nil:
		return r, process.ErrSystem
	}
	return r, c.processes.Up(ctx)
}

// engine reports whether a Docker engine answers and compose is there; a client alone is common.
func engine(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	return exec.CommandContext(ctx, "docker", "version", "--format", "{{.Server.Version}}").Run() == nil &&
		exec.CommandContext(ctx, "docker", "compose", "version").Run() == nil
}

func (c *cloud) compose(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, "docker",
		append([]string{"compose", "--file", filepath.Join(c.root, "localstack", "cloud", "compose.yaml")}, args...)...)
	cmd.Env = append(os.Environ(), fmt.Sprintf("LOCALSTACK_PORT=%d", c.port))
	cmd.Stdout, cmd.Stderr = c.out, c.out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("docker compose %s: %w", args[0], err)
	}
	return nil
}

// found returns the LocalStack that runs: the given one, or the one that up noted.
func (c *cloud) found(ctx context.Context) (instance, error) {
	r := instance{modeGiven, strings.TrimSuffix(c.endpoint, "/")}
	if c.endpoint == "" {
		text, err := os.ReadFile(c.note())
		if errors.Is(err, fs.ErrNotExist) {
			return r, errNotUp
		}
		if err == nil {
			err = json.Unmarshal(text, &r)
		}
		if err != nil {
			return r, fmt.Errorf("read %s: %w", c.note(), err)
		}
	}
	if _, ok := process.Healthy(ctx, r.Endpoint); !ok {
		return r, fmt.Errorf("%s: %w", r.Endpoint, errNotUp)
	}
	return r, nil
}

func (c *cloud) status(ctx context.Context) error {
	r, err := c.found(ctx)
	if err != nil {
		fmt.Fprintln(c.out, err)
		return err
	}
	fmt.Fprintf(c.out, "LocalStack at %s (%s)\n", r.Endpoint, r.Mode)
	if c.processes != nil && r.Mode == modeHost {
		fmt.Fprintln(c.out, c.processes.Status())
	}
	if pid := c.gateway().PID(); pid != 0 {
		fmt.Fprintf(c.out, "gateway at %s, process %d\n", c.edgeURL(), pid)
	}
	return nil
}

func (c *cloud) env(ctx context.Context) error {
	r, err := c.found(ctx)
	if err != nil {
		return err
	}
	// A CA bundle or a profile of the developer's own would lead a client elsewhere.
	fmt.Fprintln(c.out, "unset AWS_CA_BUNDLE AWS_PROFILE")
	for _, setting := range clientEnvironment(r.Endpoint) {
		fmt.Fprintln(c.out, "export "+setting)
	}
	return nil
}

func (c *cloud) python(ctx context.Context) error {
	path, err := process.FindPython(ctx, os.Getenv)
	if err != nil {
		return err
	}
	fmt.Fprintln(c.out, path)
	return nil
}

// clientEnvironment leads AWS clients and the CDK to an endpoint.
func clientEnvironment(endpoint string) []string {
	return []string{
		"AWS_ENDPOINT_URL=" + endpoint, "AWS_ENDPOINT_URL_S3=" + endpoint,
		"AWS_REGION=us-east-1", "AWS_DEFAULT_REGION=us-east-1", "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test",
		"CDK_DEFAULT_ACCOUNT=000000000000", "CDK_DEFAULT_REGION=us-east-1",
	}
}

// down stops what was started, whichever way that was. It is no error if nothing runs.
func (c *cloud) down(ctx context.Context) error {
	if c.gateway().Stop(gatewayGrace) {
		c.say("the gateway is stopped")
	}
	for _, name := range []string{"deployment.json", "proxy.env", tokenFile} { // they describe what is gone
		_ = os.Remove(filepath.Join(c.dir, name))
	}
	r, err := c.found(ctx)
	var errs []error
	if err == nil && r.Mode == modeDocker {
		errs = append(errs, c.compose(ctx, "down", "--volumes"))
	}
	stopped := false
	if c.processes != nil {
		var err error
		stopped, err = c.processes.Down(ctx)
		errs = append(errs, err)
	}
	if err := os.Remove(c.note()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		errs = append(errs, err)
	}
	switch {
	case stopped || err == nil && r.Mode == modeDocker:
		c.say("LocalStack is stopped")
	case err == nil && r.Mode == modeGiven:
		c.say("left alone: LocalStack at " + r.Endpoint)
	default:
		c.say("LocalStack does not run")
	}
	return errors.Join(errs...)
}

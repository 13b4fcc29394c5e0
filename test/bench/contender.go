package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// readyWithin bounds a start: the first of a revision installs DynamoDB Local and builds everything.
const readyWithin = 5 * time.Minute

// contender is a local stack as make run starts it, a process of its own with all that belongs to it.
type contender struct {
	name   string
	folder string // where it was started: its proxy.env and build/run
	cmd    *exec.Cmd
	target
}

// target is where a load is sent to.
type target struct {
	URL, Secret string
	CAPEM       []byte
}

// checkout puts the tree of a revision below build/against and returns its folder. One that is there is taken as it is.
func checkout(ctx context.Context, root, revision string) (string, error) {
	commit, err := output(ctx, root, "git", "rev-parse", "--short=12", "--verify", revision+"^{commit}")
	if err != nil {
		return "", err
	}
	folder := filepath.Join(root, "build", "against", strings.TrimSpace(commit))
	if _, err := os.Stat(filepath.Join(folder, "go.mod")); err == nil {
		return folder, nil
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return "", err
	}
	tree, err := output(ctx, root, "git", "archive", "--format=tar", strings.TrimSpace(commit))
	if err != nil {
		return "", err
	}
	unpack := exec.CommandContext(ctx, "tar", "-x", "-C", folder)
	unpack.Stdin = strings.NewReader(tree)
	if out, err := unpack.CombinedOutput(); err != nil {
		return "", fmt.Errorf("tar: %w: %s", err, out)
	}
	return folder, nil
}

func output(ctx context.Context, dir, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	var failed bytes.Buffer
	cmd.Stderr = &failed
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", name, args[0], err, failed.Bytes())
	}
	return string(out), nil
}

// contend builds the tree at source and starts its stack in a folder of its own below it.
func contend(ctx context.Context, name, source string) (*contender, error) {
	c := &contender{name: name, folder: filepath.Join(source, "build", "contender")}
	if err := os.MkdirAll(c.folder, 0o755); err != nil {
		return nil, err
	}
	program := filepath.Join(c.folder, "run")
	if _, err := output(ctx, source, "go", "build", "-o", program, "./localstack/run"); err != nil {
		return nil, err
	}
	if _, err := output(ctx, c.folder, program, "--setup"); err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	c.cmd = exec.CommandContext(ctx, program, "--port", strconv.Itoa(port))
	c.cmd.Dir = c.folder
	c.cmd.Cancel = func() error { return c.cmd.Process.Signal(syscall.SIGTERM) }
	c.cmd.WaitDelay = 20 * time.Second
	if err := c.start(); err != nil {
		return nil, fmt.Errorf("start the stack of %s: %w", name, err)
	}
	c.URL = "https://localhost:" + strconv.Itoa(port)
	return c, c.read()
}

// freePort finds a port that is free now. Unlike the stack, make run takes a port from its caller.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// start returns when the stack says that it is ready.
func (c *contender) start() error {
	stdout, err := c.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	var failed bytes.Buffer
	c.cmd.Stderr = &failed
	if err := c.cmd.Start(); err != nil {
		return err
	}
	ready := make(chan bool, 2)
	go func() {
		for lines := bufio.NewScanner(stdout); lines.Scan(); {
			if strings.HasPrefix(lines.Text(), "Ready.") {
				ready <- true
			}
		}
		ready <- false // the end of its output; nothing waits for it once the stack is ready
	}()
	select {
	case up := <-ready:
		if up {
			return nil
		}
		err = errors.New("it ended before it was ready")
	case <-time.After(readyWithin):
		err = fmt.Errorf("not ready within %v", readyWithin)
	}
	err = errors.Join(err, c.stop())
	return fmt.Errorf("%w: %s", err, failed.Bytes())
}

// read takes the secret and the CA from where the stack has put them.
func (c *contender) read() (err error) {
	settings, err := os.ReadFile(filepath.Join(c.folder, "proxy.env"))
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(settings)) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), "MCP_PROXY_ADMIN_SECRET="); ok {
			c.Secret = strings.Trim(v, `"'`)
		}
	}
	c.CAPEM, err = os.ReadFile(filepath.Join(c.folder, "build", "run", "ca.pem"))
	return err
}

func (c *contender) stop() error {
	if err := c.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	var exit *exec.ExitError
	if err := c.cmd.Wait(); err != nil && !errors.As(err, &exit) && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

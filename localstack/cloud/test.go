package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/mastio-aws/mastio/localstack/cloud/process"
)

// suite is a package of tests that can be pointed at a LocalStack.
type suite struct {
	name, pkg string
	args      []string
	env       []string
}

func (c *cloud) suites(endpoint, version string) []suite {
	deployed := []string{"MASTIO_DEPLOYMENT=" + c.deploymentFile()}
	kms := []string{"KMS_ENDPOINT=" + endpoint}
	if version == process.Version { // what others do differently is for them to show
		kms = append(kms, "KMS_DEVIATIONS=localstack-"+process.Version)
	}
	return []suite{
		{"end to end", "./test/e2e", nil, deployed},
		{"operator's guide", "./test/guide", nil, deployed},
		{"agents' SDK", "./test/sdk", nil, deployed},
		{"KMS contract", "./localstack/aws/kms", []string{"-run", "^TestEndpoint$"}, kms},
		{"store contract", "./shared/edge/dynamo", nil, []string{"DYNAMODB_ENDPOINT=" + endpoint}},
	}
}

var errSuites = errors.New("tests fail on LocalStack")

// test deploys and runs the suites, one after the other: LocalStack does one thing at a time. It stops at the end
// what it started.
func (c *cloud) test(ctx context.Context) (err error) {
	if _, err := c.found(ctx); err != nil {
		if err := c.up(ctx); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, c.down(context.WithoutCancel(ctx))) }()
	}
	if err := c.deploy(ctx); err != nil {
		return err
	}
	r, err := c.found(ctx)
	if err != nil {
		return err
	}
	version, _ := process.Healthy(ctx, r.Endpoint)
	var total counts
	for _, s := range c.suites(r.Endpoint, version) {
		c.say(s.name + ": " + s.pkg)
		n, err := c.runSuite(ctx, s)
		total = total.add(n)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil && n.failed == 0 {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		c.say(fmt.Sprintf("%s: %s", s.name, n))
	}
	fmt.Fprintf(c.out, "\nLocalStack: %s\n", total)
	if total.failed > 0 {
		return errors.Join(errSuites, c.errorLines(ctx))
	}
	return nil
}

// errorLines shows what the functions logged as errors, while it is still there.
func (c *cloud) errorLines(ctx context.Context) error {
	var all strings.Builder
	shown := *c
	shown.out = &all
	err := shown.logs(ctx)
	for line := range strings.Lines(all.String()) {
		if strings.Contains(line, `"level":"ERROR"`) {
			fmt.Fprint(c.out, line)
		}
	}
	return err
}

// counts are top-level tests and their cases alike.
type counts struct{ passed, failed, skipped int }

func (n counts) add(m counts) counts {
	return counts{n.passed + m.passed, n.failed + m.failed, n.skipped + m.skipped}
}

// String is in the form that test runners are read for.
func (n counts) String() string {
	return fmt.Sprintf("%d passed, %d failed, %d skipped", n.passed, n.failed, n.skipped)
}

func (c *cloud) runSuite(ctx context.Context, s suite) (counts, error) {
	args := append([]string{"test", "-json", "-count=1", "-timeout", "15m"}, s.args...)
	cmd := exec.CommandContext(ctx, "go", append(args, s.pkg)...)
	cmd.Dir, cmd.Stderr, cmd.WaitDelay = c.root, c.out, 10*time.Second
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	// AWS settings of the developer's own have no place here, a CA bundle least of all.
	for _, setting := range os.Environ() {
		if !strings.HasPrefix(setting, "AWS_") {
			cmd.Env = append(cmd.Env, setting)
		}
	}
	cmd.Env = append(cmd.Env, s.env...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return counts{}, err
	}
	log, err := os.Create(filepath.Join(c.dir, "test-"+filepath.Base(s.pkg)+".json"))
	if err != nil {
		return counts{}, err
	}
	defer log.Close()
	if err := cmd.Start(); err != nil {
		return counts{}, err
	}
	n := summarise(io.TeeReader(out, log), c.out)
	return n, cmd.Wait()
}

// summarise reads what `go test -json` prints, shows each test that ended, and of those that failed or were skipped
// what they said. Source: https://pkg.go.dev/cmd/test2json
func summarise(in io.Reader, out io.Writer) counts {
	var n counts
	said := map[string][]string{}
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 4<<20)
	for lines.Scan() {
		var e struct {
			Action, Test, Output string
			Elapsed              float64
		}
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			fmt.Fprintln(out, lines.Text()) // a build's own words
			continue
		}
		switch {
		case strings.HasSuffix(e.Action, "output"):
			said[e.Test] = append(said[e.Test], e.Output)
		case e.Test == "" && e.Action == "fail" && n.failed == 0: // the package, for a reason of its own
			n.failed++
			fmt.Fprint(out, strings.Join(said[""], ""))
		case e.Test != "" && n.count(e.Action):
			show(out, e.Action, e.Test, e.Elapsed, said[e.Test])
			delete(said, e.Test)
		}
	}
	return n
}

// count counts the end of a test, and reports whether it was one.
func (n *counts) count(action string) bool {
	for name, counter := range map[string]*int{"pass": &n.passed, "fail": &n.failed, "skip": &n.skipped} {
		if action == name {
			*counter++
			return true
		}
	}
	return false
}

func show(out io.Writer, action, test string, elapsed float64, said []string) {
	switch {
	case action == "pass" && !strings.Contains(test, "/"):
		fmt.Fprintf(out, "        ok    %-60s %5.1fs\n", test, elapsed)
	case action == "skip":
		why := ""
		for _, line := range said {
			if _, reason, ok := strings.Cut(line, ".go:"); ok {
				_, why, _ = strings.Cut(reason, ": ")
			}
		}
		fmt.Fprintf(out, "        skip  %s: %s\n", test, strings.TrimSpace(why))
	case action == "fail":
		fmt.Fprintf(out, "        FAIL  %s\n%s", test, strings.Join(said, ""))
	}
}

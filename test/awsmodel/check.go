package awsmodel

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"

	"github.com/mastio-aws/mastio/test/python"
)

var (
	//go:embed requirements.txt
	requirements []byte
	//go:embed shapes.py
	shapes string
	//go:embed exchanges.py
	exchanges string
	//go:embed commands.py
	commands string
	//go:embed policies.py
	policies string
)

// Install installs the descriptions, once for all tests of a machine, and returns the Python that reads them; it is
// python.ErrMissing where there is none.
func Install(ctx context.Context) (string, error) {
	return python.Packages{Name: "awsmodel", Requirements: requirements}.Install(ctx)
}

// finding is what a description does not allow in one exchange or statement.
type finding struct {
	of   int // its place in what was looked at
	text string
}

// Check returns everything in the recorded exchanges that a service's model does not allow, each once, and a line that
// says how much was looked at.
func (c *Recorder) Check(ctx context.Context) (wrong []string, looked string, err error) {
	c.mu.Lock()
	kept := slices.Clone(c.kept)
	c.mu.Unlock()
	found, looked, err := judge(ctx, kept)
	return texts(found), looked, err
}

// Report writes what Check returns, and returns the exit status of a suite of tests: 1 where something is wrong. Where
// no Python can be used it writes that, which is wrong in CI alone.
func (c *Recorder) Report(ctx context.Context, w io.Writer) int {
	wrong, looked, err := c.Check(ctx)
	if errors.Is(err, python.ErrMissing) && os.Getenv("CI") == "" {
		fmt.Fprintln(w, "not held against AWS's service models:", err)
		return 0
	}
	if err != nil {
		fmt.Fprintln(w, err)
		return 1
	}
	for _, text := range wrong {
		fmt.Fprintln(w, text)
	}
	fmt.Fprintf(w, "%s held against AWS's service models, %d things wrong\n", looked, len(wrong))
	return min(len(wrong), 1)
}

func judge(ctx context.Context, all []exchange) ([]finding, string, error) {
	var input bytes.Buffer
	lines := json.NewEncoder(&input)
	for _, e := range all {
		if err := lines.Encode(e); err != nil {
			return nil, "", err
		}
	}
	return run(ctx, shapes+exchanges, &input)
}

// Statement is one of an identity's policy.
type Statement struct {
	Where      string                    `json:"where"`
	Actions    []string                  `json:"actions"`
	Resources  []string                  `json:"resources"`
	Conditions map[string]map[string]any `json:"conditions"` // by operator, by key
}

// CheckPolicies returns every action, resource and condition key of statements that IAM does not know for that action,
// each once, and a line that says how much was looked at.
func CheckPolicies(ctx context.Context, statements []Statement) (wrong []string, looked string, err error) {
	found, looked, err := judgePolicies(ctx, statements)
	return texts(found), looked, err
}

func judgePolicies(ctx context.Context, statements []Statement) ([]finding, string, error) {
	text, err := json.Marshal(statements)
	if err != nil {
		return nil, "", err
	}
	return run(ctx, policies, bytes.NewReader(text))
}

// run returns what a script finds; its last line says how much it looked at.
func run(ctx context.Context, script string, input io.Reader) (found []finding, looked string, err error) {
	program, err := Install(ctx)
	if err != nil {
		return nil, "", err
	}
	var problems strings.Builder
	cmd := exec.CommandContext(ctx, program, "-c", script)
	cmd.Stdin, cmd.Stderr = input, &problems
	out, err := cmd.Output()
	if err != nil {
		return nil, "", fmt.Errorf("%w\n%s", err, problems.String())
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	for _, line := range lines[:len(lines)-1] {
		number, text, _ := strings.Cut(line, "\t")
		of, err := strconv.Atoi(number)
		if err != nil {
			return nil, "", fmt.Errorf("a line without a number: %s", line)
		}
		found = append(found, finding{of, text})
	}
	return found, lines[len(lines)-1], nil
}

// texts are what findings say, each once, in order.
func texts(found []finding) []string {
	var all []string
	for _, f := range found {
		all = append(all, f.text)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestUsage(t *testing.T) {
	tests := []struct {
		name           string
		args           []string
		status         int
		stdout, stderr string
	}{
		{"help", []string{"--help"}, 0, "Usage:", ""},
		{"no command", nil, 2, "", "the command is in or out"},
		{"no folder", []string{"out", "--prefix", "p-"}, 2, "", "name one folder"},
		{"no prefix", []string{"out", "dir"}, 2, "", "--prefix is missing"},
		{"replace what", []string{"out", "--prefix", "p-", "--replace", "dir"}, 2, "", "--replace is for in"},
		{"unknown flag", []string{"in", "--nope", "dir"}, 2, "", "Usage:"},
		{"no server", []string{"out", "--prefix", "p-", "--endpoint", "http://127.0.0.1:1", t.TempDir()}, 1, "",
			"copy table p-registry"},
	}
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} {
		t.Setenv(name, "local")
	}
	t.Setenv("AWS_REGION", "us-east-1")
	t.Setenv("AWS_CA_BUNDLE", "")
	t.Setenv("AWS_MAX_ATTEMPTS", "1")
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			if got := run(t.Context(), tt.args, &stdout, &stderr); got != tt.status {
				t.Errorf("status: got %d, want %d\n%s", got, tt.status, &stderr)
			}
			for what, c := range map[string][2]string{"stdout": {stdout.String(), tt.stdout},
				"stderr": {stderr.String(), tt.stderr}} {
				if !strings.Contains(c[0], c[1]) || (c[1] == "") != (c[0] == "") {
					t.Errorf("%s: got %q, want %q in it", what, c[0], c[1])
				}
			}
		})
	}
}

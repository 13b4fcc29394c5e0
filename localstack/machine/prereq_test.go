package machine_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mastio-aws/mastio/localstack/machine"
)

// good is what a machine that has everything answers. Java prints on standard error.
func good() map[string]string {
	return map[string]string{
		"go":      `echo "go version go1.26.8 linux/amd64"`,
		"node":    `echo v20.20.2`,
		"npm":     `echo 11.19.1`,
		"java":    `echo 'openjdk version "17.0.15" 2025-04-15' >&2`,
		"javac":   `echo "javac 17.0.15"`,
		"make":    `echo "GNU Make 4.3"`,
		"openssl": `echo "OpenSSL 3.0.16"`,
		"curl":    `echo "curl 8.0"`,
		"jq":      `echo jq-1.6`,
	}
}

// path makes a PATH that has only these programs.
func path(t *testing.T, programs map[string]string) {
	t.Helper()
	dir := t.TempDir()
	for name, script := range programs {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir)
}

func TestCheck(t *testing.T) {
	tests := []struct {
		name   string
		change map[string]string // "": the program is missing
		want   []string          // in the error; none: no error
		not    []string
	}{
		{name: "all there"},
		{
			name: "newer ones",
			change: map[string]string{"go": "echo go version go2.0 linux", "node": "echo v22.1.0",
				"java": `echo 'openjdk version "25" 2025' >&2`},
		},
		{name: "a tool of the tour", change: map[string]string{"jq": ""}},
		{
			name:   "no JDK",
			change: map[string]string{"javac": ""},
			want: []string{"javac 17 or newer: not found", "JRE", "apt-get install openjdk-17-jdk-headless", "dnf install",
				"brew install openjdk"},
			not: []string{"Node.js", "jq"},
		},
		{
			name:   "old Go",
			change: map[string]string{"go": "echo go version go1.25.9 linux/amd64"},
			want:   []string{"Go 1.26 or newer: found 1.25", "https://go.dev/doc/install"},
		},
		{
			name:   "old Node.js",
			change: map[string]string{"node": "echo v18.19.0"},
			want:   []string{"Node.js 20 or newer: found 18"},
		},
		{
			name:   "old Java",
			change: map[string]string{"java": `echo 'java version "1.8.0_402"' >&2`},
			want:   []string{"Java 17 or newer: found 1"},
		},
		{
			name:   "a program that fails",
			change: map[string]string{"make": "exit 3"},
			want:   []string{"make: not found, or it does not run"},
		},
		{
			name:   "a program without a version",
			change: map[string]string{"npm": "echo hello"},
			want:   []string{"npm 8 or newer: found, but its version cannot be read"},
		},
		{
			name:   "everything at once",
			change: map[string]string{"go": "", "node": "", "npm": "", "java": "", "javac": "", "make": "", "curl": ""},
			want: []string{"Go", "Node.js", "npm", "Java", "javac", "make", "tour", "curl", "Debian/Ubuntu", "Fedora",
				"macOS"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			programs := good()
			for name, script := range tt.change {
				programs[name] = script
				if script == "" {
					delete(programs, name)
				}
			}
			path(t, programs)
			check(t, machine.CheckTools(t.Context()), tt.want, tt.not)
		})
	}
}

func check(t *testing.T, err error, want, not []string) {
	t.Helper()
	if (err != nil) != (len(want) > 0) {
		t.Fatalf("got %v, want an error: %t", err, len(want) > 0)
	}
	for _, w := range want {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("got %v\nwant %q in it", err, w)
		}
	}
	for _, n := range not {
		if strings.Contains(err.Error(), n) {
			t.Errorf("got %v\nwant no %q in it", err, n)
		}
	}
}

func TestAWayIsNamedOnce(t *testing.T) {
	programs := good()
	delete(programs, "java")
	delete(programs, "javac")
	path(t, programs)
	err := machine.CheckTools(t.Context())
	if err == nil {
		t.Fatal("got no error without Java")
	}
	if got := strings.Count(err.Error(), "openjdk-17-jdk-headless"); got != 1 {
		t.Errorf("the package is named %d times, want once:\n%v", got, err)
	}
}

func TestOptional(t *testing.T) {
	programs := good()
	path(t, programs)
	if got := machine.MissingOptional(t.Context()); got != "" {
		t.Errorf("with everything there: got %q, want nothing", got)
	}
	delete(programs, "jq")
	path(t, programs)
	if got := machine.MissingOptional(t.Context()); !strings.Contains(got, "jq") || strings.Contains(got, "curl") {
		t.Errorf("without jq: got %q, want jq alone", got)
	}
}

func TestCheckStopsWithItsContext(t *testing.T) {
	programs := good()
	programs["node"] = "exec /bin/sleep 60"
	path(t, programs)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := machine.CheckTools(ctx); err == nil {
		t.Error("got no error after the context ended")
	}
}

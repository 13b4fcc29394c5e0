package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mastio-aws/mastio/localstack/stack"
	"github.com/mastio-aws/mastio/shared/boot"
)

func TestWriteKeepsTheRest(t *testing.T) {
	tests := []struct{ name, before, want string }{
		{"no file", "", "MCP_PROXY_ADMIN_SECRET=new\n"},
		{"the secret alone", "MCP_PROXY_ADMIN_SECRET=old\n", "MCP_PROXY_ADMIN_SECRET=new\n"},
		{"among other lines", "# mine\n\nA=1\nMCP_PROXY_ADMIN_SECRET=old\nMCP_PROXY_STRICT_PKI=1\n",
			"# mine\n\nA=1\nMCP_PROXY_ADMIN_SECRET=new\nMCP_PROXY_STRICT_PKI=1\n"},
		{"not there yet", "MCP_PROXY_STRICT_PKI=1\n", "MCP_PROXY_STRICT_PKI=1\nMCP_PROXY_ADMIN_SECRET=new\n"},
		{"twice", "MCP_PROXY_ADMIN_SECRET=a\nA=1\nMCP_PROXY_ADMIN_SECRET=b\n", "MCP_PROXY_ADMIN_SECRET=new\nA=1\n"},
		{"no end of line", "MCP_PROXY_ADMIN_SECRET=old\nA=1", "MCP_PROXY_ADMIN_SECRET=new\nA=1\n"},
		{"a name that begins alike", "MCP_PROXY_ADMIN_SECRET_OLD=x\n",
			"MCP_PROXY_ADMIN_SECRET_OLD=x\nMCP_PROXY_ADMIN_SECRET=new\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "proxy.env")
			if tt.before != "" {
				if err := os.WriteFile(path, []byte(tt.before), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			s, err := readSettings(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.write(path, "new"); err != nil {
				t.Fatal(err)
			}
			got, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, string(got)); diff != "" {
				t.Errorf("file (-want +got):\n%s", diff)
			}
			if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("mode: got %v (%v), want 0600", info.Mode().Perm(), err)
			}
		})
	}
}

func TestForFunctions(t *testing.T) {
	s := settings{strings.Split("MCP_PROXY_STRICT_PKI=0\n "+
		"MCP_PROXY_STRICT_PKI='1'\nTOKEN_SIGNER=\"kms\"\nMCP_PROXY_ADMIN_SECRET=s\n"+
		"PATH=/evil\n#TOKEN_REQUIRE_DPOP=1\nTOKEN_REQUIRE_NONCE=1", "\n")}
	getenv := func(name string) string {
		return map[string]string{"TOKEN_REQUIRE_NONCE": "0", "HOME": "/root"}[name]
	}
	want := map[string]string{"MCP_PROXY_STRICT_PKI": "1", "TOKEN_SIGNER": "kms", "TOKEN_REQUIRE_NONCE": "0"}
	if diff := cmp.Diff(want, s.forFunctions(getenv)); diff != "" {
		t.Errorf("settings (-want +got):\n%s", diff)
	}
}

// A setting that a function reads can be tried on this machine: it is the stack's own, or passes from proxy.env.
func TestEverySettingOfBootPasses(t *testing.T) {
	asked := map[string]bool{}
	for _, signer := range []string{"", "kms"} {
		_, _ = boot.Environment(func(name string) string { // that most are missing is of no matter here
			asked[name] = true
			return map[string]string{"TOKEN_SIGNER": signer}[name]
		})
	}
	own := stack.Settings()
	if len(asked) < 20 || !asked["MASTIO_TOKEN_SIGNING_KEY"] {
		t.Fatalf("boot asks for %d settings: the recorder is broken", len(asked))
	}
	for name := range asked {
		if !slices.Contains(passedOn, name) && !slices.Contains(own, name) {
			t.Errorf("%s is neither in passedOn nor set by the stack", name)
		}
	}
	for _, name := range passedOn {
		if !asked[name] || slices.Contains(own, name) {
			t.Errorf("%s is passed on, and no function reads it or the stack sets it", name)
		}
	}
}

func TestKept(t *testing.T) {
	s := settings{[]string{"MCP_PROXY_ADMIN_SECRET=s3"}}
	if got := s.kept(""); got != "" {
		t.Errorf("without a data folder: got %q, want a new one each time", got)
	}
	if got := s.kept("data"); got != "s3" {
		t.Errorf("with a data folder: got %q, want s3", got)
	}
}

package main

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestProxyEnv(t *testing.T) {
	for name, c := range map[string]struct {
		file string
		want map[string]any
	}{
		"empty":            {"", map[string]any{}},
		"the guide's line": {"MCP_PROXY_ADMIN_SECRET=s\nMCP_PROXY_STRICT_PKI=1\n", map[string]any{"strictPki": "1"}},
		"the last counts":  {"MCP_PROXY_STRICT_PKI=1\n MCP_PROXY_STRICT_PKI='0'", map[string]any{"strictPki": "0"}},
		"others": {"#TOKEN_SIGNER=kms\nTOKEN_SIGNER=\"kms\"\nPATH=/x\norgId=evil\nTOKEN_REQUIRE_DPOP",
			map[string]any{"tokenSigner": "kms"}},
	} {
		path := filepath.Join(t.TempDir(), "proxy.env")
		if err := os.WriteFile(path, []byte(c.file), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := proxyEnv(path)
		if diff := cmp.Diff(c.want, got); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
		}
	}
	if got, err := proxyEnv(filepath.Join(t.TempDir(), "none")); err != nil || len(got) != 0 {
		t.Errorf("without a file: %v, %v", got, err)
	}
	if _, err := proxyEnv(t.TempDir()); err == nil {
		t.Error("a folder passes for the file")
	}
}

func TestAnOwnOrganisationHasItsOwnTrustDomain(t *testing.T) {
	for _, c := range []struct {
		org, domain string
		want        error
	}{
		{"orga", "orga.example", nil}, {"acme", "acme.example", nil}, {"orga", "acme.example", nil},
		{"acme", "orga.example", errExample},
	} {
		if err := exampleLeft(c.org, c.domain); !errors.Is(err, c.want) {
			t.Errorf("%s in %s: %v, want %v", c.org, c.domain, err, c.want)
		}
	}
}

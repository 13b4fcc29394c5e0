package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// fromOperators are the settings of the operator's guide, which are appended to proxy.env, and what they are called
// here.
var fromOperators = map[string]string{
	"MCP_PROXY_STRICT_PKI": "strictPki", "MCP_PROXY_PKI_AUTO_MIGRATE": "autoMigrate",
	"MASTIO_ORG_CA_AUTO_ROTATE": "autoRotate",
	"TOKEN_SIGNER":              "tokenSigner", "TOKEN_REQUIRE_DPOP": "requireDpop", "TOKEN_REQUIRE_NONCE": "requireNonce",
	"TOKEN_REGISTERED_DPOP_ONLY": "registeredDpopOnly",
}

// proxyEnv reads them from the file, if there is one. Values of cdk.json and of the command line take precedence.
func proxyEnv(path string) (map[string]any, error) {
	context := map[string]any{}
	b, err := os.ReadFile(path) //nolint:gosec // main names the file
	if errors.Is(err, fs.ErrNotExist) {
		return context, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read settings: %w", err)
	}
	for line := range strings.Lines(string(b)) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if setting := fromOperators[name]; ok && setting != "" {
			context[setting] = unquote(strings.TrimSpace(value))
		}
	}
	return context, nil
}

// The example values of cdk.json.
const (
	exampleOrg         = "orga"
	exampleTrustDomain = "orga.example"
)

var errExample = errors.New("trustDomain is still the example's, " + exampleTrustDomain +
	": set it too, as in -c trustDomain=acme.example; it is in every certificate and cannot be changed later")

// exampleLeft reports an organisation of the user's own in the example's trust domain.
func exampleLeft(org, trustDomain string) error {
	if org != exampleOrg && trustDomain == exampleTrustDomain {
		return errExample
	}
	return nil
}

// unquote takes a value as a shell that reads the file would.
func unquote(v string) string {
	if len(v) >= 2 && (v[0] == '"' || v[0] == '\'') && v[len(v)-1] == v[0] {
		return v[1 : len(v)-1]
	}
	return v
}

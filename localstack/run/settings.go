package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// settingsFile is where the operator's guide has the admin secret, relative to the current folder.
const settingsFile = "proxy.env"

const adminSecret = "MCP_PROXY_ADMIN_SECRET"

// passedOn are the settings that reach the functions: all that boot reads, but those that the stack sets itself
// (stack.Settings), which a test holds. Any other line of the file is the operator's own affair.
var passedOn = []string{
	"AUDIT_TSA_URL", "CERT_MAX_AGE_DAYS", "CERT_RENEW_BEFORE_DAYS", "MASTIO_FIRST_CA", "MASTIO_ORG_CA_AUTO_ROTATE",
	"MASTIO_ORG_CA_AUTO_ROTATE_OVERLAP", "MASTIO_SPIFFE_TRUST_DOMAINS",
	"MCP_PROXY_PKI_AUTO_MIGRATE", "MCP_PROXY_PKI_AUTO_MIGRATE_OVERLAP", "MCP_PROXY_STRICT_PKI", "RENEW_OVERLAP_SECONDS",
	"TOKEN_REGISTERED_DPOP_ONLY", "TOKEN_REQUIRE_DPOP", "TOKEN_REQUIRE_NONCE", "TOKEN_SIGNER",
	"TOKEN_TTL_SECONDS",
}

// settings is the file, line by line, so that what the operator wrote comes out as it went in.
type settings struct{ lines []string }

func readSettings(path string) (settings, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return settings{}, nil
	}
	if err != nil {
		return settings{}, fmt.Errorf("read settings: %w", err)
	}
	text := strings.TrimSuffix(string(b), "\n")
	if text == "" {
		return settings{}, nil
	}
	return settings{strings.Split(text, "\n")}, nil
}

// value is what the last line that sets a name says, as a shell that reads the file would have it.
func (s settings) value(name string) (value string, set bool) {
	for _, line := range s.lines {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), name+"="); ok {
			value, set = unquote(strings.TrimSpace(v)), true
		}
	}
	return value, set
}

func unquote(v string) string {
	if len(v) >= 2 && (v[0] == '"' || v[0] == '\'') && v[len(v)-1] == v[0] {
		return v[1 : len(v)-1]
	}
	return v
}

// forFunctions takes the environment before the file: what stands on the command line is meant for this run.
func (s settings) forFunctions(getenv func(string) string) map[string]string {
	env := map[string]string{}
	for _, name := range passedOn {
		if v := getenv(name); v != "" {
			env[name] = v
		} else if v, set := s.value(name); set {
			env[name] = v
		}
	}
	return env
}

// kept returns the admin secret in the file if state is kept. Without state every start makes a new secret.
func (s settings) kept(data string) string {
	if data == "" {
		return ""
	}
	v, _ := s.value(adminSecret)
	return v
}

// write puts the secret into the file and leaves every other line alone. The file is replaced whole, mode 0600.
func (s settings) write(path, secret string) error { return replaceFile(path, s.with(secret)) }

// replaceFile replaces a file whole, mode 0600.
func replaceFile(path string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*") // created 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // gone already when the rename was done
	_, err = f.Write(content)
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// with has the secret on exactly one line, where the first one was: the guide's grep must find one.
func (s settings) with(secret string) []byte {
	var b bytes.Buffer
	line := adminSecret + "=" + secret
	written := false
	for _, old := range s.lines {
		if strings.HasPrefix(strings.TrimSpace(old), adminSecret+"=") {
			if written {
				continue
			}
			old, written = line, true
		}
		b.WriteString(old + "\n")
	}
	if !written {
		b.WriteString(line + "\n")
	}
	return b.Bytes()
}

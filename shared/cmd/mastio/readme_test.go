package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/mastio-aws/mastio/shared/routes"
	"github.com/mastio-aws/mastio/test/audittest"
)

// The README in a bundle is all that an auditor has who got nothing else. It names the fingerprint to compare, where
// another copy of it is, and the command: each is tried as it stands there.
func TestReadmeOfABundle(t *testing.T) {
	h := audittest.New()
	h.Rotate("orga::a")
	h.Seal()
	files := map[string][]byte{}
	for _, m := range audittest.Unpack(h.Bundle(0, 1)) {
		files[m.Name] = m.Data
	}
	readme := string(files["README.txt"])
	block, _ := pem.Decode(files["signing-key.pem"])
	sum := sha256.Sum256(block.Bytes)
	fingerprint := hex.EncodeToString(sum[:])
	if !regexp.MustCompile(`(?m)^\s+` + fingerprint + `$`).MatchString(readme) {
		t.Errorf("it does not name %s, the fingerprint of the key that signed:\n%s", fingerprint, readme)
	}
	for name := range files {
		if name != "README.txt" && !regexp.MustCompile(`(?m)^`+regexp.QuoteMeta(name)+` +\w`).MatchString(readme) {
			t.Errorf("it does not say what %s is", name)
		}
	}

	command := regexp.MustCompile(`(?m)^ +mastio audit verify (.+)$`).FindStringSubmatch(readme)
	if command == nil {
		t.Fatalf("it names no command:\n%s", readme)
	}
	report := filepath.Join(t.TempDir(), "report.html")
	run := func(key, bundle string) int {
		var out bytes.Buffer
		words := strings.NewReplacer("FINGERPRINT", key, "BUNDLE", bundle, "report.html", report).Replace(command[1])
		status := auditVerify(t, &out, &out, strings.Fields(words)...)
		t.Logf("exit status %d:\n%s", status, &out)
		return status
	}
	bundle := write(t, "audit.tar.gz", h.Bundle(0, 1))
	for _, c := range []struct {
		want        int
		key, bundle string
		says        string // of this exit status
	}{
		{0, fingerprint, bundle, "Exit status 0: everything holds"},
		{1, strings.Repeat("a", 64), bundle, "1: BROKEN"},
		{2, fingerprint, write(t, "x.tar.gz", []byte("no bundle")), "2: not a\nbundle"},
	} {
		if got := run(c.key, c.bundle); got != c.want || !strings.Contains(readme, c.says) {
			t.Errorf("exit status %d, want %d; the README should say %q", got, c.want, c.says)
		}
	}
	if page, err := os.ReadFile(report); err != nil || !bytes.Contains(page, []byte(fingerprint)) {
		t.Errorf("the report does not name the key: %v", err)
	}
	sameElsewhere(t, readme, files["signing-key.pem"], fingerprint)
}

// sameElsewhere runs what the README says about the Mastio's own copy of the key, with the key in the place of curl.
func sameElsewhere(t *testing.T, readme string, key []byte, fingerprint string) {
	t.Helper()
	other := regexp.MustCompile(`(?m)^ +curl https://MASTIO(/\S+) \| (.+)$`).FindStringSubmatch(readme)
	if other == nil {
		t.Fatalf("it does not say where another copy of the fingerprint is:\n%s", readme)
	}
	if len(routes.On(other[1])) == 0 {
		t.Errorf("no route has the path %s", other[1])
	}
	if _, err := exec.LookPath("openssl"); err != nil && os.Getenv("CI") == "" {
		t.Skip("no openssl")
	}
	shell := exec.CommandContext(t.Context(), "sh", "-c", other[2])
	shell.Stdin = bytes.NewReader(key)
	if out, err := shell.CombinedOutput(); err != nil || !strings.HasPrefix(string(out), fingerprint) {
		t.Errorf("%s: %s, %v; want %s", other[2], out, err, fingerprint)
	}
}

package main

import (
	"bytes"
	"compress/gzip"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mastio-aws/mastio/shared/audit/audittest"
	"github.com/mastio-aws/mastio/shared/audit/verify"
)

func write(t *testing.T, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func zip(t *testing.T, data []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestHelp(t *testing.T) {
	var stdout, stderr bytes.Buffer
	if got := run([]string{"--help"}, &stdout, &stderr); got != 0 || !strings.Contains(stdout.String(), "usage:") || stderr.Len() > 0 {
		t.Errorf("got exit status %d, %q and %q on standard error; want 0 and the usage on standard output", got, stdout.String(), stderr.String())
	}
}

func TestRun(t *testing.T) {
	h := audittest.New()
	tsa := audittest.NewAuthority(func() time.Time { return h.Now }, x509.ExtKeyUsageTimeStamping)
	h.Token = tsa.Token
	h.Rotate("orga::a")
	h.Seal()
	h.Rotate("orga::b")
	h.Seal()
	whole, first, second := write(t, "b.tar.gz", h.Bundle(0, 2)), write(t, "1.tar.gz", h.Bundle(0, 1)), write(t, "2.tar.gz", h.Bundle(1, 2))
	members := audittest.Unpack(h.Bundle(0, 2))
	rows := members[3].Data
	plain, packed := write(t, "e.ndjson", rows), write(t, "e.ndjson.gz", zip(t, rows))
	tampered := write(t, "t.ndjson", bytes.Replace(rows, []byte("192.0.2.7"), []byte("192.0.2.8"), 1))
	roots, stranger := write(t, "roots.pem", tsa.RootPEM), write(t, "other.pem", audittest.NewAuthority(time.Now).RootPEM)
	nothing, encoded := write(t, "empty", nil), write(t, "b64", []byte(base64.StdEncoding.EncodeToString(h.Bundle(0, 2))))
	refusal := write(t, "refusal", []byte(`{"type":"about:blank","title":"Forbidden","status":403}`+"\n"))
	for _, c := range []struct {
		name string
		args []string
		want int
		says string
	}{
		{"a bundle", []string{whole}, 0, "comes from the bundle itself"},
		{"its timestamps", []string{"-tsa-ca", roots, whole}, 0, "2 verified"},
		{"timestamps of a stranger", []string{"-tsa-ca", stranger, whole}, 1, "timestamp does not hold"},
		{"with the key pinned", []string{"-key", h.Public.Fingerprint, whole}, 0, "the one that you named"},
		{"with another key pinned", []string{"-key", strings.Repeat("a", 64), whole}, 1, "not by the pinned one"},
		{"in parts", []string{first, second}, 0, "checkpoints    1 to 2"},
		{"a part alone", []string{second}, 1, "begins with checkpoint 2"},
		{"a part alone, as such", []string{"-partial", second}, 0, "from checkpoint 2 on"},
		{"rows", []string{plain}, 0, "Without checkpoints"},
		{"packed rows", []string{packed}, 0, "Without checkpoints"},
		{"changed rows", []string{tampered}, 1, "does not have the hash it states"},
		{"with both of two keys pinned", []string{"-key", h.Public.Fingerprint + "," + strings.Repeat("a", 64), whole}, 0, "the one that you named"},
		{"a bundle in base64", []string{encoded}, 1, "base64 -d"},
		{"no rows", []string{nothing}, 1, "there is nothing in it"},
		{"no rows, of a filter", []string{"-partial", nothing}, 0, "0 of 0 chains"},
		{"a refusal that was saved", []string{refusal}, 1, "does not begin with a row"},
		{"no file", nil, 2, "which file?"},
		{"a file that is not there", []string{"/nowhere"}, 2, "/nowhere"},
		{"a fingerprint that is none", []string{"-key", "audit-key.pem", whole}, 2, "-key takes fingerprints"},
		{"a checkpoint that is none", []string{"-checkpoint", "2", whole}, 2, "-checkpoint takes a hash"},
		{"an unknown flag", []string{"-x", whole}, 2, "not defined: -x"},
		{"roots that are not there", []string{"-tsa-ca", "/nowhere", whole}, 2, ""},
		{"roots that are none", []string{"-tsa-ca", plain, whole}, 2, ""},
	} {
		var stdout, stderr bytes.Buffer
		if got := run(c.args, &stdout, &stderr); got != c.want || !strings.Contains(stdout.String()+stderr.String(), c.says) {
			t.Errorf("%s: exit status %d, want %d; it should say %q:\n%s%s", c.name, got, c.want, c.says, stdout.String(), stderr.String())
		}
		if c.want == 2 {
			continue
		}
		stdout.Reset()
		var report verify.Report
		if got := run(append([]string{"-json"}, c.args...), &stdout, &stderr); got != c.want || json.Unmarshal(stdout.Bytes(), &report) != nil || report.OK != (c.want == 0) {
			t.Errorf("%s as JSON: exit status %d: %s", c.name, got, stdout.String())
		}
	}
}

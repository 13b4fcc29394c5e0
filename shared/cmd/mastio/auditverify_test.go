package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mastio-aws/mastio/shared/cmd/mastio/verify"
	"github.com/mastio-aws/mastio/test/audittest"
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

func unzip(t *testing.T, data []byte) []byte {
	t.Helper()
	r, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	out, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// changed is a bundle in which one row is another, wherever its member stands.
func changed(members []audittest.Member) []audittest.Member {
	list := slices.Clone(members)
	for i, m := range list {
		if m.Name == "events.ndjson" {
			list[i].Data = bytes.Replace(m.Data, []byte("192.0.2.7"), []byte("192.0.2.8"), 1)
		}
	}
	return list
}

// tarOf is a folder as tar packs it: with the folder itself, and its name before each member's.
func tarOf(t *testing.T, folder string, members []audittest.Member) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	if err := w.WriteHeader(&tar.Header{Name: folder, Typeflag: tar.TypeDir, Mode: 0o755}); err != nil {
		t.Fatal(err)
	}
	for _, m := range members {
		if err := w.WriteHeader(&tar.Header{Name: folder + m.Name, Size: int64(len(m.Data)), Mode: 0o644}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(m.Data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return zip(t, out.Bytes())
}

// auditVerify runs the command without a Mastio, a profile or an environment, as an auditor does.
func auditVerify(t *testing.T, stdout, stderr io.Writer, args ...string) int {
	t.Helper()
	a := &app{
		env: func(string) string { return "" },
		now: func() time.Time { return noon },
		out: stdout,
		err: stderr,
	}
	return a.execute(t.Context(), append([]string{"audit", "verify"}, args...))
}

func TestAuditVerify(t *testing.T) {
	h := audittest.New()
	tsa := audittest.NewAuthority(func() time.Time { return h.Now }, x509.ExtKeyUsageTimeStamping)
	h.Token = tsa.Token
	h.Rotate("orga::a")
	h.Seal()
	h.Rotate("orga::b")
	h.Seal()
	whole, first, second := write(t, "b.tar.gz", h.Bundle(0, 2)), write(t, "1.tar.gz", h.Bundle(0, 1)),
		write(t, "2.tar.gz", h.Bundle(1, 2))
	members := audittest.Unpack(h.Bundle(0, 2))
	rows := members[3].Data
	plain, packed := write(t, "e.ndjson", rows), write(t, "e.ndjson.gz", zip(t, rows))
	tampered := write(t, "t.ndjson", bytes.Replace(rows, []byte("192.0.2.7"), []byte("192.0.2.8"), 1))
	roots, stranger := write(t, "roots.pem", tsa.RootPEM), write(t, "other.pem", audittest.NewAuthority(time.Now).RootPEM)
	nothing, encoded := write(t, "empty", nil), write(t, "b64", []byte(base64.StdEncoding.EncodeToString(h.Bundle(0, 2))))
	refusal := write(t, "refusal", []byte(`{"type":"about:blank","title":"Forbidden","status":403}`+"\n"))
	key := h.Public.Fingerprint
	otherOrder := slices.Clone(members)
	slices.Reverse(otherOrder)
	unpacked := t.TempDir()
	for _, m := range members {
		if err := os.WriteFile(filepath.Join(unpacked, m.Name), m.Data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	bare := unzip(t, h.Bundle(0, 2))
	csv := write(t, "e.csv",
		[]byte("id,timestamp,subject,seq,event_type,actor\n01J,2026-11-25T00:00:00Z,orga,1,org_ca.created,schedule\n"))
	page := write(t, "e.html", []byte("<!DOCTYPE html>\n<title>502</title>\n"))
	half := func(name string, data []byte, of float64) string {
		return write(t, name, data[:int(float64(len(data))*of)])
	}
	for _, c := range []struct {
		name string
		args []string
		want int
		says string
	}{
		{"a bundle", []string{whole}, 5, "comes from the bundle itself"},
		{"a bundle, and that is enough", []string{"--unpinned", whole}, 0, "CONSISTENT"},
		{"its timestamps", []string{"--key", key, "--tsa-ca", roots, whole}, 0, "2 verified"},
		{"timestamps of a stranger", []string{"--tsa-ca", stranger, whole}, 1, "timestamp does not hold"},
		{"with the key pinned", []string{"--key", key, whole}, 0, "the one that you named"},
		{"with another key pinned", []string{"--key", strings.Repeat("a", 64), whole}, 1, "not by the pinned one"},
		{"in parts", []string{"--key", key, first, second}, 0, "checkpoints    1 to 2"},
		{"a part alone", []string{second}, 1, "begins with checkpoint 2"},
		{"a part alone, as such", []string{"--key", key, "--partial", second}, 0, "from checkpoint 2 on"},
		{"rows", []string{plain}, 5, "Without checkpoints"},
		{"rows, and that is enough", []string{"--unpinned", plain}, 0, "Without checkpoints"},
		{"packed rows", []string{packed}, 5, "Without checkpoints"},
		{"rows with a key", []string{"--key", key, plain}, 2, "rows carry no signature"},
		{"changed rows", []string{tampered}, 1, "does not have the hash it states"},
		{"changed rows with a key", []string{"--key", key, tampered}, 1, "does not have the hash it states"},
		{"with both of two keys pinned", []string{"--key", key + "," + strings.Repeat("a", 64), whole}, 0,
			"the one that you named"},
		{"unpacked by the browser", []string{"--key", key, write(t, "b.tar", bare)}, 0, "OK"},
		{"in another order", []string{"--key", key, write(t, "o.tar.gz", audittest.Pack(otherOrder))}, 0, "OK"},
		{"in another order, not packed", []string{"--key", key, write(t, "o.tar", unzip(t, audittest.Pack(otherOrder)))}, 0,
			"OK"},
		{"below a folder, as tar makes it", []string{"--key", key, write(t, "d.tar.gz", tarOf(t, "./audit/", members))}, 0,
			"OK"},
		{"in a folder", []string{"--key", key, unpacked}, 0, "OK"},
		{"changed, in another order", []string{"--key", key, write(t, "c.tar.gz", audittest.Pack(changed(otherOrder)))}, 1,
			"does not have the hash it states"},
		{"changed, not packed", []string{write(t, "c.tar", unzip(t, audittest.Pack(changed(members))))}, 1,
			"does not have the hash it states"},
		{"a folder of something else", []string{t.TempDir()}, 2, "there is no manifest.json"},
		{"a member is missing", []string{write(t, "m.tar.gz", audittest.Pack(members[:3]))}, 2, "there is no events.ndjson"},
		{"a member too many", []string{write(t, "x.tar.gz",
			audittest.Pack(append(slices.Clone(members), audittest.Member{Name: "evil.txt"})))}, 2, "evil.txt"},
		{"a member twice", []string{write(t, "y.tar.gz", audittest.Pack(append(slices.Clone(members), members[0])))}, 2,
			"twice"},
		{"half of a bundle", []string{half("h.tar.gz", h.Bundle(0, 2), 0.5)}, 2, "not an audit bundle"},
		{"nearly all of a bundle", []string{half("n.tar.gz", h.Bundle(0, 2), 0.98)}, 2, "not an audit bundle"},
		{"half of a tar", []string{half("h.tar", bare, 0.5)}, 2, "not an audit bundle"},
		{"half of the rows", []string{half("h.ndjson", rows, 0.6)}, 2, "is cut off"},
		{"half of a row", []string{half("h1.ndjson", rows, 0.05)}, 2, "ends within the first row"},
		{"half of packed rows", []string{half("h.ndjson.gz", zip(t, rows), 0.6)}, 2, "not an audit bundle"},
		{"CSV", []string{csv}, 2, "format=ndjson"},
		{"a web page", []string{page}, 2, "web page"},
		{"a bundle in base64", []string{encoded}, 2, "base64 -d"},
		{"no rows", []string{nothing}, 2, "there is nothing in it"},
		{"no rows, of a filter", []string{"--unpinned", "--partial", nothing}, 0, "0 of 0 chains"},
		{"a refusal that was saved", []string{refusal}, 2, "refusal of a request"},
		{"a key and none", []string{"--unpinned", "--key", key, whole}, 2, "-key names one"},
		{"no file", nil, 2, "which file?"},
		{"a file that is not there", []string{"/nowhere"}, 2, "/nowhere"},
		{"a fingerprint that is none", []string{"--key", "audit-key.pem", whole}, 2, "-key takes fingerprints"},
		{"a checkpoint that is none", []string{"--checkpoint", "2", whole}, 2, "-checkpoint takes a hash"},
		{"an unknown flag", []string{"-x", whole}, 2, "unknown shorthand flag"},
		{"roots that are not there", []string{"--tsa-ca", "/nowhere", whole}, 2, ""},
		{"roots that are none", []string{"--tsa-ca", plain, whole}, 2, ""},
	} {
		var stdout, stderr bytes.Buffer
		got := auditVerify(t, &stdout, &stderr, c.args...)
		if got != c.want || !strings.Contains(stdout.String()+stderr.String(), c.says) {
			t.Errorf("%s: exit status %d, want %d; it should say %q:\n%s%s", c.name, got, c.want, c.says, stdout.String(),
				stderr.String())
		}
		if said := stdout.String() + stderr.String(); strings.Contains(said, "BROKEN") != (c.want == 1) {
			t.Errorf("%s: exit status %d, and it says BROKEN or not:\n%s", c.name, c.want, said)
		}
		if c.want == 2 {
			continue
		}
		stdout.Reset()
		var report verify.Report
		got = auditVerify(t, &stdout, &stderr, append([]string{"-o", "json"}, c.args...)...)
		if got != c.want ||
			json.Unmarshal(stdout.Bytes(), &report) != nil || report.OK == (c.want == 1) {
			t.Errorf("%s as JSON: exit status %d: %s", c.name, got, stdout.String())
		}
	}
}

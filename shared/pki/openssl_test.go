package pki_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mastio-aws/mastio/shared/pki"
	"github.com/mastio-aws/mastio/test/pkitest"
)

// openssl runs the tool and returns what it printed. A machine without it skips the test, except in CI.
func openssl(t *testing.T, args ...string) (string, error) {
	t.Helper()
	tool, err := exec.LookPath("openssl")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("openssl is not installed")
		}
		t.Skip("openssl is not installed")
	}
	out, err := exec.CommandContext(t.Context(), tool, args...).CombinedOutput()
	return string(out), err
}

// files writes a chain where openssl takes it from: the leaf, the CAs between, and the root.
func files(t *testing.T, path certs) (leaf, between, root string) {
	t.Helper()
	dir := t.TempDir()
	write := func(name string, cs certs) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, pki.EncodeCertificates(cs...), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	last := len(path) - 1
	return write("leaf.pem", path[:1]), write("between.pem", path[1:last]), write("root.pem", path[last:])
}

func opensslVerify(t *testing.T, path certs, purpose string) (string, error) {
	t.Helper()
	leaf, between, root := files(t, path)
	args := []string{
		"verify", "-x509_strict", "-check_ss_sig", "-no-CApath", "-no-CAstore", "-attime", strconv.FormatInt(noon.Unix(), 10),
		"-purpose", purpose, "-CAfile", root,
	}
	if len(path) > 2 {
		args = append(args, "-untrusted", between)
	}
	return openssl(t, append(args, leaf)...)
}

func TestOpenSSLVerifies(t *testing.T) {
	for name, path := range subjects(t) {
		if len(path) == 1 {
			continue // a root is what the others verify by
		}
		t.Run(name, func(t *testing.T) {
			purpose := "sslclient"
			if path[0].IsCA {
				purpose = "any"
			}
			if out, err := opensslVerify(t, path, purpose); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
}

func TestOpenSSLAgreesOnRefusals(t *testing.T) {
	start := bare{t: t}
	tests := map[string]struct {
		path certs
		says string
	}{
		"pathLen 0 root": {start.under(ca("old", 0)).under(ca("issuing", 0)).under(leafTemplate()).chain,
			"path length constraint exceeded"},
		"not critical": {
			start.under(with(ca("lax", 1), constraintsOf(false, 0x30, 3, 1, 1, 0xff))).under(leafTemplate()).chain,
			"not marked critical",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			out, err := opensslVerify(t, tt.path, "sslclient")
			if err == nil || !strings.Contains(strings.ToLower(out), tt.says) {
				t.Errorf("openssl: %v, %s", err, out)
			}
			if err := pki.VerifyChain(tt.path[0], tt.path[1:], noon); err == nil {
				t.Error("VerifyChain accepts what openssl refuses")
			}
		})
	}
}

func TestOpenSSLReadsTheSame(t *testing.T) {
	authority := pkitest.Authority(t, "acme", 7, noon)
	agent, _ := pkitest.Agent(t, authority, "acme::billing-bot", noon)
	leaf, between, root := files(t, append(certs{agent}, authority.Chain...))
	const text = "CA:TRUE, pathlen:"
	for file, want := range map[string][]string{
		root: {"CN = acme Org CA G7", "X509v3 Basic Constraints: critical", text + "1", "Certificate Sign, CRL Sign"},
		between: {"CN = acme Mastio CA G7", "X509v3 Basic Constraints: critical", text + "0",
			"X509v3 Authority Key Identifier"},
		leaf: {
			"CN = acme::billing-bot", "X509v3 Basic Constraints: critical", "CA:FALSE", "X509v3 Key Usage: critical",
			"Digital Signature",
			"TLS Web Client Authentication", "URI:spiffe://mastio.test/acme/billing-bot",
			noon.AddDate(1, 0, 0).Format("Jan _2 15:04:05 2006 GMT"),
		},
	} {
		// One name option, because the default's spacing differs between versions.
		out, err := openssl(t, "x509", "-in", file, "-noout", "-text", "-nameopt", "oneline")
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		for _, w := range want {
			if !strings.Contains(out, w) {
				t.Errorf("%s: no %q in\n%s", filepath.Base(file), w, out)
			}
		}
	}
}

func TestOpenSSLRequestIsRead(t *testing.T) {
	dir := t.TempDir()
	key, req := filepath.Join(dir, "key.pem"), filepath.Join(dir, "req.pem")
	if out, err := openssl(t, "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
		"-subj", "/CN=ignored/O=elsewhere", "-addext", "subjectAltName=URI:spiffe://elsewhere/x", "-keyout", key, "-out",
		req); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	text, err := os.ReadFile(req)
	if err != nil {
		t.Fatal(err)
	}
	pub, err := pki.ParseCSR(text)
	if err != nil {
		t.Fatal(err)
	}
	authority := pkitest.Authority(t, "acme", 1, noon)
	cert, err := authority.IssueAgent(pkitest.AgentParams(t, "acme::a", pub, noon.Add(time.Hour)))
	if err != nil {
		t.Fatal(err)
	}
	if uri, _ := pki.URI(cert); uri != "spiffe://mastio.test/acme/a" || cert.Subject.CommonName != "acme::a" {
		t.Errorf("issued %s with %q: the request's names got in", cert.Subject, uri)
	}
}

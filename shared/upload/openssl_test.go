package upload_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mastio-aws/mastio/shared/upload"
)

// workshop is a folder in which openssl makes what operators make.
type workshop struct {
	t   *testing.T
	dir string
}

func (w workshop) run(args ...string) {
	w.t.Helper()
	for i, a := range args {
		if filepath.Ext(a) != "" && a[0] != '/' && filepath.Base(a) == a {
			args[i] = filepath.Join(w.dir, a)
		}
	}
	if out, err := tool(w.t, "openssl", args...); err != nil {
		w.t.Fatalf("openssl %v: %v: %s", args, err, out)
	}
}

func (w workshop) file(name string) []byte {
	w.t.Helper()
	data, err := os.ReadFile(filepath.Join(w.dir, name))
	if err != nil {
		w.t.Fatal(err)
	}
	return data
}

// commands returns the shell commands of the README, one string for each block.
func commands(t *testing.T) (all []string) {
	t.Helper()
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, rest := range strings.Split(string(text), "```sh\n")[1:] {
		block, _, _ := strings.Cut(rest, "```")
		all = append(all, block)
	}
	return all
}

// The commands of the README make what Read accepts.
func TestCommandsOfTheReadme(t *testing.T) {
	w := workshop{t, t.TempDir()}
	w.run("req", "-x509", "-newkey", "rsa:3072", "-nodes", "-days", "3650", "-subj", "/CN=holding root", "-addext",
		"keyUsage=critical,keyCertSign",
		"-keyout", "root-key.pem", "-out", "root.pem")
	blocks := commands(t)
	if len(blocks) != 2 {
		t.Fatalf("%d blocks of commands, want 2", len(blocks))
	}
	for i, block := range blocks {
		cmd := exec.CommandContext(t.Context(), "bash", "-euc", block)
		cmd.Dir = w.dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s\n%s", err, block, out)
		}
		m, err := upload.Read(w.file("new-org-ca.pem"), w.file("new-org-ca-key.pem"), upload.Policy{Now: time.Now()})
		if err != nil || len(m.Chain) != i+1 {
			t.Errorf("chain of %d, %v; want %d", len(m.Chain), err, i+1)
		}
	}
}

// Every code has its row in the README, and no row is of a code that there is not.
func TestReadmeHasEveryCode(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]bool{}
	for _, line := range strings.Split(string(text), "\n") {
		first, _, _ := strings.Cut(strings.TrimPrefix(line, "| "), " |")
		for _, code := range strings.Split(first, ", ") {
			if strings.HasPrefix(code, "`ca_") && strings.HasPrefix(line, "| `ca_") && code != "`ca_cert`" {
				listed[strings.Trim(code, "`")] = true
			}
		}
	}
	for _, code := range upload.Codes() {
		if !listed[string(code)] {
			t.Errorf("%s is not in the README", code)
		}
		delete(listed, string(code))
	}
	if len(listed) > 0 {
		t.Errorf("the README lists what is no code: %v", listed)
	}
}

// Every way in which openssl writes the same down is read, or has its own answer.
func TestFilesOfOpenSSL(t *testing.T) {
	w := workshop{t, t.TempDir()}
	w.run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "3650", "-subj",
		"/O=acme/CN=acme Org CA 2027",
		"-addext", "keyUsage=critical,keyCertSign,cRLSign", "-keyout", "key.pem", "-out", "ca.pem")
	w.run("pkcs12", "-export", "-inkey", "key.pem", "-in", "ca.pem", "-name", "acme", "-passout", "pass:secret", "-out",
		"both.p12")
	w.run("pkcs12", "-in", "both.p12", "-passin", "pass:secret", "-nodes", "-nocerts", "-out", "bag-key.pem")
	w.run("pkcs12", "-in", "both.p12", "-passin", "pass:secret", "-nokeys", "-out", "bag-ca.pem")
	w.run("pkcs12", "-in", "both.p12", "-passin", "pass:secret", "-nodes", "-out", "bag-both.pem")
	w.run("x509", "-in", "ca.pem", "-text", "-out", "text-ca.pem")
	w.run("x509", "-in", "ca.pem", "-outform", "DER", "-out", "ca.der")
	w.run("x509", "-in", "ca.pem", "-trustout", "-out", "trusted-ca.pem")
	w.run("crl2pkcs7", "-nocrl", "-certfile", "ca.pem", "-out", "ca.p7b")
	w.run("ec", "-in", "key.pem", "-out", "sec1.pem")
	w.run("ec", "-in", "key.pem", "-outform", "DER", "-out", "sec1.der")
	w.run("ec", "-in", "key.pem", "-param_enc", "explicit", "-out", "explicit.pem")
	w.run("ec", "-in", "key.pem", "-aes128", "-passout", "pass:secret", "-out", "encrypted-sec1.pem")
	w.run("pkey", "-in", "key.pem", "-text", "-out", "text-key.pem")
	w.run("pkcs8", "-topk8", "-in", "key.pem", "-passout", "pass:secret", "-out", "encrypted.pem")
	w.run("pkcs8", "-topk8", "-in", "key.pem", "-passout", "pass:secret", "-outform", "DER", "-out", "encrypted.der")
	w.run("ecparam", "-name", "prime256v1", "-genkey", "-out", "params-key.pem")
	w.run("req", "-x509", "-key", "params-key.pem", "-days", "3650", "-subj", "/CN=params", "-addext",
		"keyUsage=critical,keyCertSign", "-out", "params-ca.pem")
	w.run("genrsa", "-traditional", "-out", "rsa.pem", "2048")
	w.run("req", "-x509", "-key", "rsa.pem", "-days", "3650", "-subj", "/CN=rsa", "-addext",
		"keyUsage=critical,keyCertSign", "-out", "rsa-ca.pem")
	w.run("req", "-x509", "-key", "key.pem", "-days", "3650", "-subj", "/CN=plain", "-out", "plain-ca.pem")

	w.run("pkcs12", "-export", "-inkey", "key.pem", "-in", "ca.pem", "-name", "Z\u00fcrich CA", "-passout", "pass:secret",
		"-out", "umlaut.p12")
	w.run("pkcs12", "-in", "umlaut.p12", "-passin", "pass:secret", "-nodes", "-nocerts", "-out", "umlaut-key.pem")
	w.run("pkcs12", "-in", "umlaut.p12", "-passin", "pass:secret", "-nokeys", "-out", "umlaut-ca.pem")
	w.run("ec", "-in", "key.pem", "-conv_form", "compressed", "-out", "compressed.pem")
	w.run("req", "-x509", "-key", "compressed.pem", "-days", "3650", "-subj", "/CN=compressed", "-addext",
		"keyUsage=critical,keyCertSign", "-out", "compressed-ca.pem")
	w.run("req", "-x509", "-key", "rsa.pem", "-sigopt", "rsa_padding_mode:pss", "-days", "3650", "-subj", "/CN=pss",
		"-addext", "keyUsage=critical,keyCertSign", "-out", "pss-ca.pem")

	for _, c := range []struct {
		certs, key string
		codes      []upload.Code
	}{
		{"ca.pem", "key.pem", nil},
		{"umlaut-ca.pem", "umlaut-key.pem", nil},
		{"ca.pem", "compressed.pem", nil}, // the point follows from the number
		{"compressed-ca.pem", "key.pem", []upload.Code{upload.Unparseable}},
		{"pss-ca.pem", "rsa.pem", []upload.Code{upload.WeakSignature}},
		{"text-ca.pem", "text-key.pem", nil},
		{"bag-ca.pem", "bag-key.pem", nil},
		{"ca.der", "sec1.der", nil},
		{"ca.pem", "sec1.pem", nil},
		{"params-ca.pem", "params-key.pem", nil},
		{"rsa-ca.pem", "rsa.pem", nil},
		{"plain-ca.pem", "key.pem", []upload.Code{upload.KeyUsage}}, // openssl leaves it out by default
		{"ca.pem", "explicit.pem", []upload.Code{upload.Curve}},
		{"ca.pem", "encrypted.pem", []upload.Code{upload.KeyEncrypted}},
		{"ca.pem", "encrypted.der", []upload.Code{upload.KeyEncrypted}},
		{"ca.pem", "encrypted-sec1.pem", []upload.Code{upload.KeyEncrypted}},
		{"ca.pem", "both.p12", []upload.Code{upload.KeyUnparseable}},
		{"both.p12", "key.pem", []upload.Code{upload.Unparseable}},
		{"bag-both.pem", "bag-both.pem", []upload.Code{upload.Unparseable, upload.KeyUnparseable}},
		{"trusted-ca.pem", "key.pem", []upload.Code{upload.Unparseable}},
		{"ca.p7b", "key.pem", []upload.Code{upload.Unparseable}},
		{"key.pem", "ca.pem", []upload.Code{upload.Unparseable, upload.KeyUnparseable}},
	} {
		_, err := upload.Read(w.file(c.certs), w.file(c.key), upload.Policy{Now: time.Now()})
		if got, want := words(codesOf(defectsOf(t, err))), words(c.codes); got != want {
			t.Errorf("%s and %s: %q, want %q (%v)", c.certs, c.key, got, want, err)
		}
	}
}

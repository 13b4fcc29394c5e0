package upload_test

import (
	"bytes"
	"crypto/x509"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mastio-aws/mastio/shared/pki"
	"github.com/mastio-aws/mastio/shared/upload"
)

// trial is one chain for the verifiers: a client certificate, and where its path may end.
type trial struct {
	shape string // the upload that it is about
	with  string // "alone", or whose leaf it is in an overlap
	roots []*x509.Certificate
	chain []*x509.Certificate // the leaf, then what is between it and the root

	warnings []upload.Warning // of the upload
}

// verifier is a program that reads certificates in its own way.
type verifier struct {
	name string
	// version is the one that the table of warnings was made with, and how the program says its own.
	version string
	says    []string
	// setup returns why the verifier is not there, or nothing.
	setup func() string
	// run returns what it says of each trial, "ok" or why not.
	run func(t *testing.T, dir string, trials []trial, at time.Time) []string
}

// built is where make verifiers-setup puts what it builds.
var built = filepath.Join("..", "..", "build", "verifiers")

func verifiers() []verifier {
	in := func(parts ...string) string { return filepath.Join(append([]string{built}, parts...)...) }
	batch := func(command ...string) func(*testing.T, string, []trial, time.Time) []string {
		return func(t *testing.T, dir string, trials []trial, at time.Time) []string {
			return runBatch(t, dir, len(trials), at, command...)
		}
	}
	python, webpki, mbed := in("pyca", "bin", "python"), in("webpki", "release", "verify"), in("mbedtls")
	script := filepath.Join("testdata", "verifiers", "verify.py")
	return []verifier{
		{"OpenSSL", "OpenSSL 3.0", []string{"openssl", "version"}, missing("openssl", ""), each(runOpenSSL)},
		{"GnuTLS", "certtool 3.7", []string{"certtool", "--version"}, missing("certtool", in("clock.so")), each(runGnuTLS)},
		{"NSS", "2:3.87", []string{"dpkg-query", "-W", "-f", "${Version}", "libnss3-tools"}, missing("vfychain", ""),
			each(runNSS)},
		{"mbedTLS", "mbed TLS 2.28", []string{mbed}, missing(mbed, mbed), batch(mbed)},
		{"Java PKIX", "openjdk 17", []string{"java", "--version"}, missing("java", in("java", "Verify.class")),
			batch("java", "-cp", in("java"), "Verify")},
		{"pyca/cryptography", "50.0.2", []string{python, "-c", "import cryptography; print(cryptography.__version__)"},
			missing(python, python), batch(python, script)},
		{"rustls-webpki", "rustls-webpki 0.103.4", []string{webpki}, missing(webpki, webpki), batch(webpki)},
	}
}

// versionNote says so if a verifier is of another version than the one that was pinned: then its verdicts may be news.
func (v verifier) versionNote(t *testing.T) string {
	out, err := exec.CommandContext(t.Context(), v.says[0], v.says[1:]...).CombinedOutput()
	line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	if err != nil || !strings.HasPrefix(line, v.version) {
		return fmt.Sprintf("%s is %q, the matrix was made with %s", v.name, line, v.version)
	}
	return ""
}

// missing looks for a program, and for a file that make verifiers-setup builds.
func missing(program, file string) func() string {
	return func() string {
		if _, err := exec.LookPath(program); err != nil {
			return program + " is not installed; make verifiers-setup says what it needs"
		}
		if _, err := os.Stat(file); file != "" && err != nil {
			return file + " is not built: make verifiers-setup"
		}
		return ""
	}
}

// write puts a trial where the verifiers read it: as PEM, and as DER with sizes for the programs that read many.
func (c trial) write(t *testing.T, dir string, i int) (roots, chain string) {
	t.Helper()
	roots, chain = filepath.Join(dir, fmt.Sprintf("%d-roots", i)), filepath.Join(dir, fmt.Sprintf("%d-chain", i))
	for name, certs := range map[string][]*x509.Certificate{roots: c.roots, chain: c.chain} {
		var sized []byte
		for n, cert := range certs {
			sized = append(binary.BigEndian.AppendUint32(sized, uint32(len(cert.Raw))), cert.Raw...)
			put(t, fmt.Sprintf("%s-%d.der", name, n), cert.Raw)
		}
		put(t, name+".bin", sized)
		put(t, name+".pem", pki.EncodeCertificates(certs...))
	}
	return roots, chain
}

func put(t *testing.T, file string, data []byte) {
	t.Helper()
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// runBatch gives a program the list of all trials at once.
func runBatch(t *testing.T, dir string, n int, at time.Time, command ...string) []string {
	args := append(slices.Clone(command[1:]), filepath.Join(dir, "list"), strconv.FormatInt(at.Unix(), 10))
	cmd := exec.CommandContext(t.Context(), command[0], args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v: %s", command, err, stderr.String())
	}
	said := make([]string, n)
	for _, line := range strings.Split(strings.TrimSpace(string(out)), "\n") {
		number, words, _ := strings.Cut(line, "\t")
		if i, err := strconv.Atoi(number); err == nil && i < n {
			said[i] = words
		}
	}
	return said
}

// each runs a program once for each trial.
func each(
	run func(t *testing.T, roots, chain string, c trial, at time.Time) string,
) func(*testing.T, string, []trial, time.Time) []string {
	return func(t *testing.T, dir string, trials []trial, at time.Time) []string {
		said := make([]string, len(trials))
		for i, c := range trials {
			base := filepath.Join(dir, strconv.Itoa(i))
			said[i] = run(t, base+"-roots", base+"-chain", c, at)
		}
		return said
	}
}

func outcomeOf(out []byte, err error, good string) string {
	if err == nil && strings.Contains(string(out), good) {
		return "ok"
	}
	return strings.Join(strings.Fields(string(out)), " ") + " "
}

func runOpenSSL(t *testing.T, roots, chain string, _ trial, at time.Time) string {
	out, err := exec.CommandContext(t.Context(), "openssl", "verify", "-x509_strict", "-no-CApath", "-no-CAstore",
		"-purpose", "sslclient",
		"-attime", strconv.FormatInt(at.Unix(), 10), "-CAfile", roots+".pem", "-untrusted", chain+".pem",
		chain+".pem").CombinedOutput()
	return outcomeOf(out, err, ": OK")
}

func runGnuTLS(t *testing.T, roots, chain string, _ trial, at time.Time) string {
	clock, err := filepath.Abs(filepath.Join(built, "clock.so"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "certtool", "--verify", "--verify-purpose", "1.3.6.1.5.5.7.3.2",
		"--load-ca-certificate", roots+".pem", "--infile", chain+".pem")
	cmd.Env = append(os.Environ(), "LD_PRELOAD="+clock, "VERIFY_AT="+strconv.FormatInt(at.Unix(), 10))
	out, err := cmd.CombinedOutput()
	return outcomeOf(out, err, "Chain verification output: Verified.")
}

func runNSS(t *testing.T, roots, chain string, c trial, at time.Time) string {
	args := []string{"-d", filepath.Join(filepath.Dir(roots), "nss"), "-pp", "-u", "0", "-b",
		at.UTC().Format("0601021504Z")}
	for i := range c.chain {
		args = append(args, fmt.Sprintf("%s-%d.der", chain, i))
	}
	for i := range c.roots {
		args = append(args, "-t", fmt.Sprintf("%s-%d.der", roots, i))
	}
	out, err := exec.CommandContext(t.Context(), "vfychain", args...).CombinedOutput()
	return outcomeOf(out, err, "Chain is good!")
}

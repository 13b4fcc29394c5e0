// Package guide runs the commands of the operator's guide, taken from the guide's text, against the local run, and the
// blocks of the project's own pages. With MASTIO_DEPLOYMENT it runs the guide against a deployment on LocalStack.
package guide

import (
	"bufio"
	_ "embed"
	"encoding/json"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

//go:embed operator-guide.txt
var guide string

// port is the one that the guide's commands name.
const port = "9443"

// between returns the guide's lines from the first one that begins with from, behind the heading, to the next one that
// ends with to.
func between(t *testing.T, heading, from, to string) string {
	t.Helper()
	_, rest, ok := strings.Cut(guide, heading)
	if !ok {
		t.Fatalf("the guide has no heading %q", heading)
	}
	var lines []string
	for line := range strings.Lines(rest) {
		line = strings.TrimRight(line, "\n")
		if len(lines) == 0 && !strings.HasPrefix(line, from) {
			continue
		}
		lines = append(lines, line)
		if strings.HasSuffix(line, to) {
			return strings.Join(lines, "\n")
		}
	}
	t.Fatalf("the guide has no lines from %q to %q behind %q", from, to, heading)
	return ""
}

// missing ends the test: skipped at a desk, failed in CI.
func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatal(what)
	}
	t.Skip(what)
}

// start runs the local Mastio in a folder of its own and waits until it is ready.
func start(t *testing.T) (folder string) {
	t.Helper()
	folder = prepare(t)
	if deploymentFile() != "" {
		startDeployed(t, folder)
	} else {
		await(t, folder)
	}
	return folder
}

// prepare checks what the guide's commands need and builds the local run into an empty folder.
func prepare(t *testing.T) (folder string) {
	t.Helper()
	for _, tool := range []string{"bash", "curl", "jq", "openssl", "grep", "cut"} {
		if _, err := exec.LookPath(tool); err != nil {
			missing(t, "the guide's commands need "+tool)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:"+port)
	if err != nil {
		missing(t, "port "+port+", which the guide names, is in use")
	}
	l.Close()
	folder, err = filepath.Abs(filepath.Join("..", "..", "build", "guide"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(folder); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(folder, "run")
	if out, err := exec.Command("go", "build", "-o", program, "../../localstack/run").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return folder
}

// await starts the local run and returns what stops it; the test's end does so too.
func await(t *testing.T, folder string, arguments ...string) (stop func()) {
	t.Helper()
	cmd := exec.Command(filepath.Join(folder, "run"), arguments...)
	cmd.Dir = folder
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ready := make(chan bool, 1)
	go func() {
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			if strings.HasPrefix(lines.Text(), "Ready.") {
				ready <- true
			}
		}
		_, _ = io.Copy(io.Discard, out)
		close(ready)
	}()
	stop = sync.OnceFunc(func() {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("the local run ended with %v, want exit status 0 after SIGTERM", err)
		}
	})
	t.Cleanup(stop)
	select {
	case ok := <-ready:
		if !ok {
			t.Fatal("the local run ended before it was ready")
		}
	case <-time.After(5 * time.Minute):
		t.Fatal("the local run was not ready in time")
	}
	return stop
}

// sh runs commands as an operator's shell does; each is echoed into the test's log with what it printed.
func sh(t *testing.T, folder, commands string) string {
	t.Helper()
	cmd := exec.Command("bash", "-euo", "pipefail", "-c", commands)
	cmd.Dir = folder
	var errText strings.Builder
	cmd.Stderr = &errText
	out, err := cmd.Output()
	t.Logf("$ %s\n%s%s", commands, out, errText.String())
	if err != nil {
		t.Fatalf("%v", err)
	}
	return string(out)
}

// admin is how the guide's commands begin.
const admin = `ADMIN_SECRET="$(grep ^MCP_PROXY_ADMIN_SECRET proxy.env | cut -d= -f2)"
MASTIO="https://localhost:9443"
`

// enrol enrols an agent and keeps its certificate and key.
const enrol = admin +
	`curl -sk -X POST -H "X-Admin-Secret: $ADMIN_SECRET" -H 'Content-Type: application/json' -d '{"agent_name":"kyc-screener"}' "$MASTIO/v1/admin/agents" > enrolled.json
jq -r .cert_pem enrolled.json > first-cert.pem; jq -r .key_pem enrolled.json > first-key.pem; chmod 0600 first-*.pem`

func askToken(t *testing.T, folder, cert, key string) string {
	t.Helper()
	return sh(t, folder, "curl -sk -o token.json -w '%{http_code}' --cert "+cert+" --key "+key+
		" -X POST https://localhost:9443/v1/auth/token; echo; jq -r '.error_description // .token_type' token.json")
}

func TestGuide(t *testing.T) {
	folder := start(t)
	token := func(cert, key string) string { return askToken(t, folder, cert, key) }
	want := func(got, want string) {
		t.Helper()
		if got != want {
			t.Fatalf("got %q, want %q", got, want)
		}
	}
	// What the guide takes for granted: an enrolled agent.
	sh(t, folder, enrol+enrolledBefore())
	want(token("first-cert.pem", "first-key.pem"), "200\nBearer\n")

	// Section 1, and what to verify.
	sh(t, folder, between(t, "From the API", "ADMIN_SECRET=", "chmod 0600 cert.pem agent-key.pem"))
	want(token("first-cert.pem", "first-key.pem"), "401\nCertificate has been revoked\n")
	want(token("cert.pem", "agent-key.pem"), "200\nBearer\n")
	var rotated map[string]any
	data, err := os.ReadFile(filepath.Join(folder, "rotated-cert.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &rotated); err != nil {
		t.Fatal(err)
	}
	for _, member := range []string{"cert_pem", "key_pem", "dpop_jwk"} {
		if rotated[member] == nil {
			t.Errorf("the answer has no %s", member)
		}
	}
	openssl(t, folder, "cert.pem")

	// Section 2, Mastio-minted, what to verify, and "After".
	before := sh(t, folder, "curl -sk https://localhost:9443/healthz | jq -r .fingerprint")
	mint := between(t, "API equivalent", "ADMIN_SECRET=", `"$MASTIO/pki/rotate-ca?mode=mint"`)
	answer := sh(t, folder, mint)
	var result struct {
		Fingerprint string
		Previous    struct{ Fingerprint, Status string }
	}
	if err := json.Unmarshal([]byte(answer), &result); err != nil {
		t.Fatal(err)
	}
	if result.Previous.Fingerprint != strings.TrimSpace(before) || result.Previous.Status != "superseded" {
		t.Errorf("previous = %+v, want %s, superseded", result.Previous, before)
	}
	want(sh(t, folder, "curl -sk https://localhost:9443/healthz | jq -r .fingerprint"), result.Fingerprint+"\n")
	want(sh(t, folder,
		"curl -sk https://localhost:9443/pki/ca.crt | openssl x509 -outform DER | sha256sum | cut -d' ' -f1"),
		result.Fingerprint+"\n")
	want(token("cert.pem", "agent-key.pem"), "401\nCertificate has been revoked\n")
	sh(t, folder, between(t, "From the API", "ADMIN_SECRET=", "chmod 0600 cert.pem agent-key.pem"))
	want(token("cert.pem", "agent-key.pem"), "200\nBearer\n")
	openssl(t, folder, "cert.pem")

	// Section 2, operator-supplied: a CA as operators make one.
	sh(t, folder, operatorCA("new-org-ca", "critical,CA:TRUE,pathlen:1"))
	answer = sh(t, folder, admin+between(t, "# Operator-supplied", "curl -sk", `"$MASTIO/pki/rotate-ca?mode=upload"`))
	if err := json.Unmarshal([]byte(answer), &result); err != nil {
		t.Fatal(err)
	}
	want(sh(t, folder, "openssl x509 -in new-org-ca.pem -outform DER | sha256sum | cut -d' ' -f1"),
		result.Fingerprint+"\n")
	want(sh(t, folder,
		"curl -sk https://localhost:9443/pki/ca.crt | openssl x509 -outform DER | sha256sum | cut -d' ' -f1"),
		result.Fingerprint+"\n")
	want(token("cert.pem", "agent-key.pem"), "401\nCertificate has been revoked\n")
	sh(t, folder, between(t, "From the API", "ADMIN_SECRET=", "chmod 0600 cert.pem agent-key.pem"))
	want(token("cert.pem", "agent-key.pem"), "200\nBearer\n")
	openssl(t, folder, "cert.pem")

	// Section 3, detect: a Mastio that was installed with this has nothing to remediate.
	want(sh(t, folder, between(t, "Detect", "curl -sk https://localhost:9443/healthz", "'.warnings // []'")), "[]\n")

	// Troubleshoot: the log names the rotation.
	collectLog(t, folder)
	if log := sh(t, folder, "grep pki.rotate build/run/functions.log"); !strings.Contains(log, "pki.rotate.committed") {
		t.Errorf("log lines of the rotation:\n%s", log)
	}
	secrets(t, folder)
}

// operatorCA makes a CA with openssl.
func operatorCA(name, constraints string) string {
	return "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj '/O=Acme/CN=Acme " +
		"Agents CA' " +
		"-addext basicConstraints=" + constraints + " -addext keyUsage=critical,keyCertSign,cRLSign -keyout " + name +
		"-key.pem -out " + name + ".pem 2>/dev/null"
}

// TestLegacyGuide is section 3, on the installation that it is for: a Mastio whose Org CA was made with pathLen=0.
func TestLegacyGuide(t *testing.T) {
	if deploymentFile() != "" {
		t.Skip("not on LocalStack: it needs an installation of its own")
	}
	folder := prepare(t)
	want := func(got, want string) {
		t.Helper()
		if got != want {
			t.Fatalf("got %q, want %q", got, want)
		}
	}
	detect := between(t, "Detect", "curl -sk https://localhost:9443/healthz", "'.warnings // []'")
	const legacy = "[\n  \"org_ca_legacy_pathlen_zero\"\n]\n"
	gauge := admin +
		`curl -sk -H "X-Admin-Secret: $ADMIN_SECRET" "$MASTIO/metrics" | grep ^cullis_proxy_legacy_ca_pathlen_zero | sed 's/.* //'`

	sh(t, folder, "echo MASTIO_FIRST_CA=adopt >> proxy.env")
	stop := await(t, folder, "--data", "data")
	sh(t, folder, operatorCA("old-org-ca", "critical,CA:TRUE,pathlen:0"))
	sh(t, folder,
		admin+
			`curl -sk -X POST -H "X-Admin-Secret: $ADMIN_SECRET" -F ca_cert=@old-org-ca.pem -F ca_key=@old-org-ca-key.pem "$MASTIO/pki/rotate-ca?mode=upload"`)
	want(sh(t, folder, detect), legacy)
	want(sh(t, folder, gauge), "1\n")
	sh(t, folder, enrol)
	want(askToken(t, folder, "first-cert.pem", "first-key.pem"), "200\nBearer\n")

	// Optional: fail fast. The restart stands where the guide says ./deploy.sh --pull.
	stop()
	sh(t, folder, between(t, "Optional: fail fast", "echo 'MCP_PROXY_STRICT_PKI=1'", "proxy.env"))
	await(t, folder, "--data", "data")
	line := strings.Trim(between(t, "./deploy.sh --pull", "# Logs: ", `/pki/rotate-ca."`), `"# Logs:`)
	want(askToken(t, folder, "first-cert.pem", "first-key.pem"), "503\n"+line+"\n")
	want(sh(t, folder, "grep -cF '"+line+"' build/run/functions.log | sed 's/[1-9][0-9]*/some/'"), "some\n")
	want(sh(t, folder, "curl -sk -o refused.json -w '%{http_code}' https://localhost:9443/pki/bundle.pem; jq -r .code "+
		"refused.json"), "503org_ca_legacy\n")
	want(sh(t, folder, detect), legacy)

	// Remediate, as in section 2; the warning is gone at once, and so is the refusal.
	sh(t, folder, between(t, "API equivalent", "ADMIN_SECRET=", `"$MASTIO/pki/rotate-ca?mode=mint"`))
	want(sh(t, folder, detect), "[]\n")
	want(sh(t, folder, gauge), "0\n")
	want(askToken(t, folder, "first-cert.pem", "first-key.pem"), "401\nCertificate has been revoked\n")
	sh(t, folder, between(t, "From the API", "ADMIN_SECRET=", "chmod 0600 cert.pem agent-key.pem"))
	want(askToken(t, folder, "cert.pem", "agent-key.pem"), "200\nBearer\n")
	openssl(t, folder, "cert.pem")
	secrets(t, folder)
}

// openssl has another verifier agree with the chain: root from the Mastio, issuing CA from behind the leaf.
func openssl(t *testing.T, folder, cert string) {
	t.Helper()
	out := sh(t, folder, "curl -sk https://localhost:9443/pki/ca.crt > ca.crt; openssl verify -x509_strict -purpose "+
		"sslclient -CAfile ca.crt -untrusted "+cert+" "+cert)
	if out != cert+": OK\n" {
		t.Errorf("openssl: %s", out)
	}
}

// secrets looks for what must never be in a log.
func secrets(t *testing.T, folder string) {
	t.Helper()
	log, err := os.ReadFile(filepath.Join(folder, "build", "run", "functions.log"))
	if err != nil {
		t.Fatal(err)
	}
	env, err := os.ReadFile(filepath.Join(folder, "proxy.env"))
	if err != nil {
		t.Fatal(err)
	}
	_, secret, _ := strings.Cut(strings.TrimSpace(string(env)), "=")
	for _, refused := range []string{secret, "PRIVATE KEY", `"d":`, "eyJ"} {
		if strings.Contains(string(log), refused) {
			t.Errorf("the log holds a secret that begins with %.6q", refused)
		}
	}
	if info, err := os.Stat(filepath.Join(folder, "proxy.env")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("proxy.env: %v, %v; want mode 0600", info.Mode(), err)
	}
}

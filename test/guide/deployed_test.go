package guide

import (
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"github.com/mastio-aws/mastio/localstack/cloud/deployed"
)

// deploymentFile is set to the file of a deployment on LocalStack to run the guide against it.
func deploymentFile() string { return os.Getenv("MASTIO_DEPLOYMENT") }

// startDeployed gives the deployment the port that the guide names, and leaves its admin secret where the guide looks.
func startDeployed(t *testing.T, folder string) {
	t.Helper()
	d, err := deployed.Read(deploymentFile())
	if err != nil {
		t.Fatal(err)
	}
	secret, err := deployed.Connect(d.Endpoint).AdminSecret(t.Context(), d.AdminSecretID)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "proxy.env"), []byte("MCP_PROXY_ADMIN_SECRET="+secret+"\n"),
		0o600); err != nil {
		t.Fatal(err)
	}
	to, err := url.Parse(d.URL)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:"+port)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go forward(c, net.JoinHostPort("127.0.0.1", to.Port()))
		}
	}()
}

// enrolledBefore gives the agent a new certificate where an earlier run on the same deployment has enrolled it.
func enrolledBefore() string {
	if deploymentFile() == "" {
		return ""
	}
	return `
if jq -e '.code == "agent_already_enrolled"' enrolled.json; then
  curl -sk -X POST -H "X-Admin-Secret: $ADMIN_SECRET" "$MASTIO/registry/agents/orga::kyc-screener/rotate-cert" > enrolled.json
  jq -r .cert_pem enrolled.json > first-cert.pem; jq -r .key_pem enrolled.json > first-key.pem
fi`
}

// forward joins a connection with one to another address; TLS goes through it as it is.
func forward(c net.Conn, address string) {
	defer c.Close()
	out, err := net.Dial("tcp", address)
	if err != nil {
		return
	}
	defer out.Close()
	go func() {
		_, _ = io.Copy(out, c)
		if half, ok := out.(*net.TCPConn); ok {
			_ = half.CloseWrite()
		}
	}()
	_, _ = io.Copy(c, out)
}

// collectLog writes the deployed functions' log to where the local run has its own.
func collectLog(t *testing.T, folder string) {
	t.Helper()
	if deploymentFile() == "" {
		return
	}
	if err := os.MkdirAll(filepath.Join(folder, "build", "run"), 0o755); err != nil {
		t.Fatal(err)
	}
	sh(t, folder, "make -s -C ../.. localstack-logs > build/run/functions.log")
}

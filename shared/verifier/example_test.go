package verifier_test

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/mastio-aws/mastio/shared/verifier"
)

// A resource server of its own TLS. Verifier.Ready waits for the first status and keys; before, requests are answered
// 503.
func Example() {
	api := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got, _ := verifier.FromContext(r.Context())
		fmt.Fprintln(w, "hello", got.Claims.Subject)
	})
	serve := func() error {
		v, err := verifier.New(verifier.Config{
			Issuer:   "https://agents.mastio.example",
			Audience: "https://api.example",    // the resource that agents ask tokens for
			Mastio:   "https://mastio.example", // keys and status; a host that asks for no client certificate
		})
		if err != nil {
			return err
		}
		defer v.Close()
		server := &http.Server{Handler: v.Handler(api), TLSConfig: &tls.Config{ClientAuth: tls.RequestClientCert}}
		return server.ListenAndServeTLS("server.pem", "server-key.pem")
	}
	if err := serve(); err != nil {
		fmt.Println(err)
	}
}

// Behind a proxy that ends TLS.
func ExampleProxy() {
	proxy := &verifier.Proxy{ // Config.Proxy
		Networks: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}, // the proxy's own addresses, no client's
		Header:   "Client-Cert",
		Format:   verifier.ClientCert, // RFC 9440; verifier.EscapedPEM: nginx, AWS
	}
	fmt.Println(proxy.Header)
	// Output: Client-Cert
}

// The code of the README compiles: it is that of the examples above.
func TestReadme(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile("example_test.go")
	if err != nil {
		t.Fatal(err)
	}
	flat := func(s string) string { return strings.ReplaceAll(s, "\t", "") }
	blocks := strings.Split(string(readme), "```go\n")[1:]
	if len(blocks) != 2 {
		t.Errorf("%d blocks of Go, want 2", len(blocks))
	}
	for _, rest := range blocks {
		code, _, _ := strings.Cut(rest, "```")
		if !strings.Contains(flat(string(source)), flat(code)) {
			t.Errorf("no example has this code:\n%s", code)
		}
	}
}

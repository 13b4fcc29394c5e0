package verifier

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// Format is how a proxy writes a certificate into a header.
type Format string

// The formats.
const (
	// ClientCert is that of RFC 9440: the DER in base64, between colons.
	ClientCert Format = "client-cert"
	// EscapedPEM is PEM, percent-encoded: $ssl_client_escaped_cert of nginx, X-Amzn-Mtls-Clientcert-Leaf of AWS.
	EscapedPEM Format = "escaped-pem"
)

// Proxy is one that ends TLS before this server, asks the client for its certificate, and passes it on. It has to
// remove the header that a client sends: what is in it is believed where the connection comes from one of the Networks.
// Requests from elsewhere are judged by their own connection, and the header is not looked at. All fields are required.
type Proxy struct {
	Networks []netip.Prefix // the proxy's own addresses, as this server sees them
	Header   string
	Format   Format
}

// maxHeader is how long a certificate in a header may be.
const maxHeader = 16 << 10

func (p *Proxy) check() error {
	switch {
	case p == nil:
		return nil
	case len(p.Networks) == 0:
		return errors.New("Proxy.Networks is missing")
	case p.Header == "" || strings.EqualFold(p.Header, "Authorization") || strings.EqualFold(p.Header, "DPoP"):
		return errors.New("Proxy.Header is missing, or has another purpose")
	case p.Format != ClientCert && p.Format != EscapedPEM:
		return fmt.Errorf("Proxy.Format %q is neither %q nor %q", p.Format, ClientCert, EscapedPEM)
	}
	for _, n := range p.Networks {
		if !n.IsValid() {
			return errors.New("Proxy.Networks has an invalid prefix")
		}
	}
	return nil
}

// sent reports whether a request comes from the proxy.
func (p *Proxy) sent(remote string) bool {
	if p == nil {
		return false
	}
	from, err := netip.ParseAddrPort(remote)
	if err != nil {
		return false
	}
	addr := from.Addr().Unmap().WithZone("")
	for _, n := range p.Networks {
		if n.Contains(addr) {
			return true
		}
	}
	return false
}

// certificate reads the one header; nil where there is none. Errors are ErrBinding.
func (p *Proxy) certificate(h http.Header) (*x509.Certificate, error) {
	values := h.Values(p.Header)
	if len(values) == 0 || len(values) == 1 && values[0] == "" {
		return nil, nil
	}
	if len(values) > 1 || len(values[0]) > maxHeader {
		return nil, fmt.Errorf("%w: header %s occurs twice or is too long", ErrBinding, p.Header)
	}
	der, err := p.decode(values[0])
	if err != nil {
		return nil, fmt.Errorf("%w: header %s: %w", ErrBinding, p.Header, err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("%w: header %s: %w", ErrBinding, p.Header, err)
	}
	return c, nil
}

var errFormat = errors.New("not a certificate in the format that is set")

func (p *Proxy) decode(value string) ([]byte, error) {
	if p.Format == ClientCert {
		if len(value) < 2 || value[0] != ':' || value[len(value)-1] != ':' || strings.ContainsAny(value, "\r\n") {
			return nil, errFormat
		}
		return base64.StdEncoding.Strict().DecodeString(value[1 : len(value)-1])
	}
	text, err := url.PathUnescape(value) // + stands for itself: AWS leaves it as it is
	if err != nil {
		return nil, err
	}
	block, rest := pem.Decode([]byte(text))
	if block == nil || block.Type != "CERTIFICATE" || len(block.Headers) > 0 || len(bytes.TrimSpace(rest)) > 0 ||
		!strings.HasPrefix(strings.TrimSpace(text), "-----BEGIN") {
		return nil, errFormat
	}
	return block.Bytes, nil
}

package gateway

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"net"
	"time"
)

// ServerPEM is a server certificate with its key, and the CA that clients have to trust, all PEM.
// The caller decides which parts to keep; Key is a secret.
type ServerPEM struct {
	Cert, Key, CA []byte
}

// Certificate returns the certificate to serve with.
func (p ServerPEM) Certificate() (tls.Certificate, error) { return tls.X509KeyPair(p.Cert, p.Key) }

// serverValidity is the longest validity that Apple's clients accept from any issuer.
const serverValidity = 825 * 24 * time.Hour

// SelfSigned makes a P-256 certificate for localhost, 127.0.0.1, ::1 and further host names or
// addresses, under a CA of its own. SelfSigned discards the CA's key: a client that trusts the CA
// trusts exactly this certificate. Both are valid for 825 days.
func SelfSigned(now time.Time, hosts ...string) (ServerPEM, error) {
	ca := certificate("Mastio local CA", now)
	ca.IsCA, ca.MaxPathLenZero = true, true
	ca.KeyUsage = x509.KeyUsageCertSign
	caKey, caDER, err := issue(ca, nil, nil)
	if err != nil {
		return ServerPEM{}, fmt.Errorf("make the local CA: %w", err)
	}
	leaf := certificate("localhost", now)
	leaf.KeyUsage = x509.KeyUsageDigitalSignature
	leaf.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	name(leaf, append([]string{"localhost", "127.0.0.1", "::1"}, hosts...))
	key, der, err := issue(leaf, caDER, caKey)
	if err != nil {
		return ServerPEM{}, fmt.Errorf("make the local server certificate: %w", err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return ServerPEM{}, fmt.Errorf("encode the local server key: %w", err)
	}
	return ServerPEM{
		Cert: encode("CERTIFICATE", der),
		Key:  encode("PRIVATE KEY", pkcs8),
		CA:   encode("CERTIFICATE", caDER),
	}, nil
}

func certificate(cn string, now time.Time) *x509.Certificate {
	return &x509.Certificate{
		Subject:               pkix.Name{CommonName: cn, Organization: []string{"Mastio local"}},
		NotBefore:             now.Add(-5 * time.Minute),
		NotAfter:              now.Add(-5 * time.Minute).Add(serverValidity),
		BasicConstraintsValid: true,
	}
}

func name(c *x509.Certificate, hosts []string) {
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			c.IPAddresses = append(c.IPAddresses, ip)
		} else {
			c.DNSNames = append(c.DNSNames, host)
		}
	}
}

// issue signs a certificate for a new key, with that key itself if there is no parent. The serial
// number is left to crypto/x509, which takes a random one.
func issue(template *x509.Certificate, parentDER []byte, parentKey crypto.Signer) (crypto.Signer, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	parent, signer := template, crypto.Signer(key)
	if parentDER != nil {
		if parent, err = x509.ParseCertificate(parentDER); err != nil {
			return nil, nil, err
		}
		signer = parentKey
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	return key, der, err
}

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

package soak

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"testing"

	"github.com/mastio-aws/mastio/shared/pki"
)

// keyPair is a key of an agent, which never leaves it: it only ever sends its request for a certificate.
type keyPair struct {
	private *ecdsa.PrivateKey
	csr     string
}

func newKeyPair() keyPair {
	key, err := pki.NewKey()
	if err != nil {
		panic(err) // of the generator: in a goroutine no test can be ended
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		panic(err) // of the generator: in a goroutine no test can be ended
	}
	return keyPair{key, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))}
}

func (k keyPair) certificate(t *testing.T, certPEM string) *tls.Certificate {
	chain, err := pki.ParseCertificates([]byte(certPEM))
	if err != nil {
		t.Error(err)
		return nil
	}
	c := &tls.Certificate{PrivateKey: k.private}
	for _, cert := range chain {
		c.Certificate = append(c.Certificate, cert.Raw)
	}
	return c
}

func pool(caPEM []byte) *x509.CertPool {
	p := x509.NewCertPool()
	p.AppendCertsFromPEM(caPEM)
	return p
}

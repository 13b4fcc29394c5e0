package gateway

import (
	"crypto/x509"
	"testing"
	"time"
)

func TestSelfSigned(t *testing.T) {
	made, err := SelfSigned(now, "mastio.test", "192.0.2.7")
	if err != nil {
		t.Fatal(err)
	}
	cert, err := made.Certificate()
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(made.CA) {
		t.Fatal("no CA")
	}
	for _, host := range []string{"localhost", "127.0.0.1", "::1", "mastio.test", "192.0.2.7"} {
		for _, at := range []time.Time{now, now.Add(serverValidity - time.Hour)} {
			opts := x509.VerifyOptions{
				Roots:       roots,
				DNSName:     host,
				CurrentTime: at,
				KeyUsages:   []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
			}
			if _, err := cert.Leaf.Verify(opts); err != nil {
				t.Errorf("%s at %v: %v", host, at, err)
			}
		}
	}
	if _, err := cert.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: "example.com", CurrentTime: now}); err == nil {
		t.Error("valid for any name")
	}
	if cert.Leaf.IsCA {
		t.Error("the server certificate is a CA")
	}
	if _, err := (ServerPEM{Cert: made.CA, Key: made.Key}).Certificate(); err == nil {
		t.Error("a key that does not belong to the certificate is accepted")
	}
}

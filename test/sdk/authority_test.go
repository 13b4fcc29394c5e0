package sdk

import (
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"net/url"
	"testing"
	"time"

	"github.com/mastio-aws/mastio/shared/pki"
	"github.com/mastio-aws/mastio/test/pkitest"
)

// upload makes a CA of the operator's own the current Org CA, and returns it with its key: the operator's PKI has both.
func (m *mastio) upload(t *testing.T, query string) pki.Authority {
	t.Helper()
	ca := authority(t, fresh("Operator CA"), 1, nil)
	body := append(pki.EncodeCertificates(ca.Chain...), keyPEM(t, ca.Key)...)
	m.must(t, 200, "POST", "/pki/rotate-ca?mode=upload&backup=skip"+query, "application/x-pem-file", body)
	return ca
}

// authority makes a CA below another one, or without one a root. A negative path length stands for none.
func authority(t *testing.T, name string, pathLen int, parent *pki.Authority) pki.Authority {
	t.Helper()
	key := pkitest.Key(t)
	template := pkitest.CATemplate(name, pathLen, time.Now())
	if parent == nil {
		return pki.Authority{
			Chain: []*x509.Certificate{pkitest.Sign(t, template, pki.Authority{Key: key}, key.Public())},
			Key:   key,
		}
	}
	cert := pkitest.Sign(t, template, *parent, key.Public())
	return pki.Authority{Chain: append([]*x509.Certificate{cert}, parent.Chain...), Key: key}
}

// leaf issues what agents authenticate with, and what stands between it and its root: for an id that is empty a
// certificate of a pipeline, else an SVID as SPIRE issues it.
func leaf(t *testing.T, ca pki.Authority, id string) (certPEM, key []byte) {
	t.Helper()
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: "kyc.prod.internal"},
		NotBefore:             time.Now().Add(-time.Minute),
		NotAfter:              time.Now().Add(24 * time.Hour),
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	if id != "" {
		uri, err := url.Parse(id)
		if err != nil {
			t.Fatal(err)
		}
		template.Subject, template.URIs = pkix.Name{Country: []string{"US"}, Organization: []string{"SPIRE"}}, []*url.URL{uri}
	}
	signer := pkitest.Key(t)
	cert := pkitest.Sign(t, template, ca, signer.Public())
	return pki.EncodeCertificates(append([]*x509.Certificate{cert}, ca.Chain[:len(ca.Chain)-1]...)...),
		keyPEM(t, signer.Signer)
}

func keyPEM(t *testing.T, key crypto.Signer) []byte {
	t.Helper()
	if s, ok := key.(*pkitest.Signer); ok {
		key = s.Signer
	}
	text, err := pki.EncodePrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

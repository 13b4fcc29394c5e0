// Package pkitest makes certificate authorities in memory for tests, a legacy one and a counting signer among them.
package pkitest

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mastio-aws/mastio/shared/pki"
)

// TrustDomain is the one that agents issued by this package live in.
const TrustDomain = "mastio.test"

// Key makes a P-256 key that counts its signatures.
func Key(t testing.TB) *Signer {
	t.Helper()
	key, err := pki.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	return &Signer{Signer: key}
}

// Signer counts the signatures that a key makes. It is safe for concurrent use.
// The key itself, an *ecdsa.PrivateKey where Key made it, is the field crypto.Signer.
type Signer struct {
	crypto.Signer
	calls atomic.Int64
}

// Sign signs and counts, failures too.
func (s *Signer) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	s.calls.Add(1)
	return s.Signer.Sign(random, digest, opts)
}

// Calls returns how often Sign was called.
func (s *Signer) Calls() int64 { return s.calls.Load() }

// Root makes the root of a generation, as the Mastio does, with a key of its own.
func Root(t testing.TB, org string, generation int64, now time.Time) pki.Authority {
	t.Helper()
	key := Key(t)
	cert, err := pki.NewRoot(pki.CAParams{Org: org, Generation: generation, Now: now}, key)
	if err != nil {
		t.Fatal(err)
	}
	return pki.Authority{Chain: []*x509.Certificate{cert}, Key: key}
}

// Authority makes the issuing CA of a generation and the root above it. Its Key is a *Signer.
func Authority(t testing.TB, org string, generation int64, now time.Time) pki.Authority {
	t.Helper()
	return Issuing(t, Root(t, org, generation, now), org, generation, now)
}

// Issuing makes the issuing CA of a generation under a root.
func Issuing(t testing.TB, root pki.Authority, org string, generation int64, now time.Time) pki.Authority {
	t.Helper()
	key := Key(t)
	cert, err := pki.NewIssuing(pki.CAParams{Org: org, Generation: generation, Now: now}, root, key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return pki.Authority{Chain: append([]*x509.Certificate{cert}, root.Chain...), Key: key}
}

// Legacy makes the root that a Mastio of old bootstrapped itself with: pathLenConstraint 0, so that it must issue
// leaves itself.
func Legacy(t testing.TB, org string, now time.Time) pki.Authority {
	t.Helper()
	key := Key(t)
	template := CATemplate(org+" Org CA", 0, now)
	template.Subject.Organization = []string{org}
	return pki.Authority{Chain: []*x509.Certificate{Sign(t, template, pki.Authority{Key: key}, key.Public())}, Key: key}
}

// CATemplate describes a sound CA that no profile of the Mastio made, valid ten years, for Sign.
// A negative pathLen stands for none.
func CATemplate(commonName string, pathLen int, now time.Time) *x509.Certificate {
	return &x509.Certificate{
		Subject:               pkix.Name{CommonName: commonName},
		NotBefore:             now.Add(-time.Hour),
		NotAfter:              now.AddDate(10, 0, 0),
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLen:            pathLen,
		MaxPathLenZero:        pathLen == 0,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
}

// Sign makes the certificate of a template, whatever it says, without any of package pki's checks: for chains that
// must be refused. An issuer without a chain signs itself. A template without a serial number gets one.
func Sign(t testing.TB, template *x509.Certificate, issuer pki.Authority, pub crypto.PublicKey) *x509.Certificate {
	t.Helper()
	parent := template
	if len(issuer.Chain) > 0 {
		parent = issuer.Chain[0]
	}
	if template.SerialNumber == nil {
		serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
		if err != nil {
			t.Fatal(err)
		}
		template.SerialNumber = serial.Add(serial, big.NewInt(1))
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, pub, issuer.Key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// Agent issues a certificate to `{org}::{name}`, in TrustDomain, and returns it with its key.
func Agent(t testing.TB, issuer pki.Authority, agentID string, now time.Time) (*x509.Certificate, *Signer) {
	t.Helper()
	key := Key(t)
	cert, err := issuer.IssueAgent(AgentParams(t, agentID, key.Public(), now))
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}

// AgentParams asks for the certificate of `{org}::{name}` in TrustDomain, with the default validity.
func AgentParams(t testing.TB, agentID string, pub crypto.PublicKey, now time.Time) pki.AgentParams {
	t.Helper()
	org, name, _ := strings.Cut(agentID, "::")
	id, err := pki.SPIFFEID(TrustDomain, org, name)
	if err != nil {
		t.Fatal(err)
	}
	return pki.AgentParams{AgentID: agentID, Org: org, SPIFFEID: id, PublicKey: pub, Now: now}
}

// CSR makes a PEM certification request for a key.
func CSR(t testing.TB, key crypto.Signer) []byte {
	t.Helper()
	template := &x509.CertificateRequest{Subject: pkix.Name{CommonName: "ignored"}}
	der, err := x509.CreateCertificateRequest(rand.Reader, template, key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
}

package audittest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"io"
	"math/big"
	"net/http"
	"time"

	"github.com/digitorus/timestamp"
)

// Authority is a time-stamping authority (RFC 3161). As a handler it answers requests over HTTP (section 3.4).
type Authority struct {
	Now     func() time.Time
	RootPEM []byte

	root, cert *x509.Certificate
	key        *ecdsa.PrivateKey
}

// NewAuthority returns an authority with a root of its own. Its certificate has the extended key usages given.
func NewAuthority(now func() time.Time, usages ...x509.ExtKeyUsage) *Authority {
	rootKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	root := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "Time Root"},
		NotBefore:             start,
		NotAfter:              start.AddDate(20, 0, 0),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign,
	}
	a := &Authority{Now: now, key: key, root: certify(root, root, &rootKey.PublicKey, rootKey)}
	a.cert = certify(&x509.Certificate{
		SerialNumber: big.NewInt(2),
		Subject:      pkix.Name{CommonName: "Time Authority"},
		NotBefore:    start,
		NotAfter:     start.AddDate(10, 0, 0),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  usages,
	}, a.root, &key.PublicKey, rootKey)
	a.RootPEM = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.root.Raw})
	return a
}

func certify(template, parent *x509.Certificate, pub crypto.PublicKey, key crypto.Signer) *x509.Certificate {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, pub, key)
	must(err)
	cert, err := x509.ParseCertificate(der)
	must(err)
	return cert
}

// Respond stamps a digest; nonce may be nil. withCert: the token holds the authority's certificate.
func (a *Authority) Respond(digest []byte, nonce *big.Int, withCert bool) []byte {
	stamp := timestamp.Timestamp{
		HashAlgorithm:     crypto.SHA256,
		HashedMessage:     digest,
		Time:              a.Now(),
		Nonce:             nonce,
		Policy:            asn1.ObjectIdentifier{2, 4, 5, 6},
		AddTSACertificate: withCert,
		Certificates:      []*x509.Certificate{a.root},
	}
	response, err := stamp.CreateResponseWithOpts(a.cert, a.key, crypto.SHA256)
	must(err)
	return response
}

// Token is the token of a response.
func (a *Authority) Token(digest []byte) []byte {
	parsed, err := timestamp.ParseResponse(a.Respond(digest, nil, true))
	must(err)
	return parsed.RawToken
}

// ServeHTTP answers a request.
func (a *Authority) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil || r.Header.Get("Content-Type") != "application/timestamp-query" {
		http.Error(w, "want a query", http.StatusUnsupportedMediaType)
		return
	}
	q, err := timestamp.ParseRequest(body)
	if err != nil || q.HashAlgorithm != crypto.SHA256 {
		http.Error(w, "want SHA-256", http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/timestamp-reply")
	_, _ = w.Write(a.Respond(q.HashedMessage, q.Nonce, q.Certificates))
}

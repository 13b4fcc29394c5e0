package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/mastio-aws/mastio/shared/jose"
	"github.com/mastio-aws/mastio/shared/pki"
)

// The files of an identity directory, as the agents' SDK names them.
const (
	certFile  = "cert.pem"
	keyFile   = "key.pem"
	proofFile = "dpop.jwk"
)

var fileNames = []string{certFile, keyFile, proofFile}

// material is a certificate with its keys.
type material struct {
	leaf  *x509.Certificate
	files map[string][]byte // by name
}

// agent is the id that the certificate names.
func (m material) agent() string { return m.leaf.Subject.CommonName }

// pair returns what the files hold: at least a certificate and its key.
func pair(files map[string][]byte) (material, error) {
	both, err := tls.X509KeyPair(files[certFile], files[keyFile])
	if err != nil {
		return material{}, err
	}
	return material{both.Leaf, files}, nil
}

// document is what hygiene writes into an agent's secret.
type document struct {
	AgentID    string          `json:"agent_id"`
	CertPEM    string          `json:"cert_pem"` // the leaf, then the CAs above it
	KeyPEM     string          `json:"key_pem"`
	DPoPJWK    json.RawMessage `json:"dpop_jwk"`
	Thumbprint string          `json:"cert_thumbprint"`
}

// errEmpty is the secret's first version, before anything was delivered.
var errEmpty = errors.New("the secret is empty")

// open reads a version of the secret and checks everything that can be checked without the Mastio. Its errors never
// quote the value.
func open(value []byte, now time.Time) (material, error) {
	var d document
	if err := json.Unmarshal(value, &d); err != nil {
		return material{}, errors.New("it is not the JSON that the Mastio writes")
	}
	if d.CertPEM == "" && d.KeyPEM == "" && d.AgentID == "" {
		return material{}, errEmpty
	}
	chain, err := pki.ParseCertificates([]byte(d.CertPEM))
	if err != nil {
		return material{}, fmt.Errorf("cert_pem: %w", err)
	}
	for i := range len(chain) - 1 {
		if err := chain[i].CheckSignatureFrom(chain[i+1]); err != nil {
			return material{}, fmt.Errorf("cert_pem: certificate %d is not signed by the next one: %w", i+1, err)
		}
	}
	proof, err := proofKey(d.DPoPJWK)
	if err != nil {
		return material{}, fmt.Errorf("dpop_jwk: %w", err)
	}
	m, err := pair(map[string][]byte{certFile: []byte(d.CertPEM), keyFile: []byte(d.KeyPEM), proofFile: proof})
	switch {
	case err != nil:
		return m, fmt.Errorf("cert_pem and key_pem do not belong together: %w", err)
	case m.agent() != d.AgentID:
		return m, fmt.Errorf("the certificate is that of %q, agent_id says %q", m.agent(), d.AgentID)
	case pki.Thumbprint(m.leaf.Raw) != d.Thumbprint:
		return m, errors.New("cert_thumbprint is of another certificate")
	case now.After(m.leaf.NotAfter):
		return m, fmt.Errorf("the certificate ended at %s", m.leaf.NotAfter.Format(time.RFC3339))
	}
	return m, nil
}

// proofKey checks a private JWK of P-256, and returns it as the file holds it.
func proofKey(raw json.RawMessage) ([]byte, error) {
	var members map[string]json.RawMessage
	var secret []byte
	if err := json.Unmarshal(raw, &members); err != nil {
		return nil, errors.New("no JWK")
	}
	var d string
	if json.Unmarshal(members["d"], &d) == nil {
		secret, _ = base64.RawURLEncoding.DecodeString(d) // what does not decode is no key, below
	}
	delete(members, "d")
	public, err := json.Marshal(members)
	if err != nil {
		return nil, errors.New("no JWK")
	}
	want, err := jose.ParseJWK(public)
	if err != nil {
		return nil, err
	}
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), secret)
	if err != nil || !key.PublicKey.Equal(want) {
		return nil, errors.New("the private key is missing, or is not that of x and y")
	}
	var file bytes.Buffer
	if err := json.Compact(&file, raw); err != nil {
		return nil, errors.New("no JWK")
	}
	file.WriteByte('\n')
	return file.Bytes(), nil
}

package identity

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
)

// Keys are an agent's private keys: of its certificate, and of its DPoP proofs.
type Keys struct {
	KeyPEM string          `json:"key_pem"` // PKCS #8
	Proof  json.RawMessage `json:"proof_jwk"`
}

// Offer is the public side of keys, as a request carries it.
type Offer struct {
	CSRPEM string
	Proof  json.RawMessage
}

// NewKeys makes a pair of P-256 keys.
func NewKeys() (Keys, Offer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Keys{}, Offer{}, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return Keys{}, Offer{}, err
	}
	// Only the public key of the request counts: the Mastio writes the subject.
	csr, err := x509.CreateCertificateRequest(rand.Reader,
		&x509.CertificateRequest{Subject: pkix.Name{CommonName: "agent"}}, key)
	if err != nil {
		return Keys{}, Offer{}, err
	}
	private, public, err := proofKey()
	if err != nil {
		return Keys{}, Offer{}, err
	}
	return Keys{encode("PRIVATE KEY", der), private}, Offer{encode("CERTIFICATE REQUEST", csr), public}, nil
}

func encode(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// jwk is a P-256 key (RFC 7517); D is the private half.
type jwk struct {
	Kty string `json:"kty"`
	Crv string `json:"crv"`
	X   string `json:"x"`
	Y   string `json:"y"`
	Use string `json:"use"`
	Alg string `json:"alg"`
	D   string `json:"d,omitempty"`
}

func proofKey() (private, public json.RawMessage, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	point, err := key.PublicKey.Bytes() // 4, x, y
	if err != nil {
		return nil, nil, err
	}
	secret, err := key.Bytes()
	if err != nil {
		return nil, nil, err
	}
	text := base64.RawURLEncoding.EncodeToString
	k := jwk{"EC", "P-256", text(point[1:33]), text(point[33:]), "sig", "ES256", ""}
	if public, err = json.Marshal(k); err != nil {
		return nil, nil, err
	}
	k.D = text(secret)
	private, err = json.Marshal(k)
	return private, public, err
}

// ProofKey reads the private key of a JWK file, and returns its public half as JSON.
func ProofKey(text []byte) (*ecdsa.PrivateKey, json.RawMessage, error) {
	var k jwk
	if err := json.Unmarshal(text, &k); err != nil {
		return nil, nil, err
	}
	secret, err := base64.RawURLEncoding.DecodeString(k.D)
	if err != nil || k.Crv != "P-256" {
		return nil, nil, errors.New("it is no private P-256 key in JWK form")
	}
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), secret)
	if err != nil {
		return nil, nil, err
	}
	public, err := json.Marshal(jwk{Kty: "EC", Crv: k.Crv, X: k.X, Y: k.Y, Use: k.Use, Alg: k.Alg})
	return key, public, err
}

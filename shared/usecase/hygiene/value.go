package hygiene

import (
	"crypto"
	"crypto/x509"
	"encoding/json"
	"fmt"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/jose"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/pki"
	"github.com/mastio-aws/mastio/shared/usecase/agentcert"
	"github.com/mastio-aws/mastio/shared/usecase/authn"
)

// value is what an agent's secret holds.
type value struct {
	AgentID    agent.ID        `json:"agent_id"`
	CertPEM    string          `json:"cert_pem"` // the leaf, then the CA that issued it
	KeyPEM     string          `json:"key_pem"`
	DPoPJWK    json.RawMessage `json:"dpop_jwk"`
	CAChainPEM string          `json:"ca_chain_pem"`
	Thumbprint string          `json:"cert_thumbprint"`
	Generation int64           `json:"generation"`
}

func encode(id agent.ID, m agentcert.Material, c agentcert.Certificate) ([]byte, error) {
	return json.Marshal(value{
		AgentID:    id,
		CertPEM:    string(c.CertPEM),
		KeyPEM:     string(m.KeyPEM),
		DPoPJWK:    m.DPoPJWK,
		CAChainPEM: string(c.ChainPEM),
		Thumbprint: c.Pin.Thumbprint,
		Generation: c.Pin.Generation,
	})
}

// read returns the certificate of a version that an earlier run staged: one that the registry has a note of, not older
// than the certificate in use, for this agent, under the present generation, and with its key. Another writer of
// the secret cannot bring in any other certificate, not even a former one of the agent.
func (j *Job) read(raw []byte, a agent.Agent, known agent.Keys, p orgca.Pointer) (agentcert.Certificate, error) {
	var v value
	if err := json.Unmarshal(raw, &v); err != nil {
		return agentcert.Certificate{}, fmt.Errorf("%w: not JSON", errUnusable) // the parser's words could quote a key
	}
	leaf, err := j.leaf(v, a, p)
	if err != nil {
		return agentcert.Certificate{}, err
	}
	if !known.HasStaged(a.Pin(), pki.Thumbprint(leaf.Raw)) {
		return agentcert.Certificate{}, fmt.Errorf("%w: no run has staged this certificate", errUnusable)
	}
	if leaf.NotBefore.Before(a.Pin().NotBefore) {
		return agentcert.Certificate{}, fmt.Errorf("%w: the certificate is older than the one in use", errUnusable)
	}
	jkt := ""
	if a.JKT != "" || a.ProofBound {
		if jkt, err = publicThumbprint(v.DPoPJWK); err != nil {
			return agentcert.Certificate{}, err
		}
	}
	uri, _ := pki.URI(leaf)
	return agentcert.Certificate{
		Pin:      j.Issuer.PinOf(leaf, p.Current, jkt),
		CertPEM:  []byte(v.CertPEM),
		ChainPEM: []byte(v.CAChainPEM),
		SPIFFEID: uri,
	}, nil
}

func (j *Job) leaf(v value, a agent.Agent, p orgca.Pointer) (*x509.Certificate, error) {
	certs, err := pki.ParseCertificates([]byte(v.CertPEM))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errUnusable, err)
	}
	leaf := certs[0]
	want, err := pki.SPIFFEID(j.Issuer.TrustDomain, a.ID.Org(), a.ID.Name())
	if err != nil {
		return nil, err
	}
	if uri, _ := pki.URI(leaf); uri != want || leaf.Subject.CommonName != string(a.ID) {
		return nil, fmt.Errorf("%w: the certificate is another agent's", errUnusable)
	}
	trust, err := authn.Org(p.Chain, p.Fingerprint)
	if err != nil {
		return nil, err
	}
	trust.Never = nil // the Mastio issued it itself
	if err := pki.VerifyUnder(leaf, nil, trust, j.Now()); err != nil {
		return nil, fmt.Errorf("%w: %w", errUnusable, err)
	}
	// A certificate that hygiene stages to replace a pin is younger than that pin. An older one was replaced by the pin,
	// perhaps because its key was stolen.
	if pin := a.Pin(); !leaf.NotBefore.After(pin.NotBefore) || a.Outlives(j.Issuer.PinOf(leaf, p.Current, "")) != nil {
		return nil, fmt.Errorf("%w: the certificate is not younger than the one in use", errUnusable)
	}
	blocks, err := pki.Blocks([]byte(v.KeyPEM))
	if err != nil || len(blocks) != 1 {
		return nil, fmt.Errorf("%w: no private key", errUnusable)
	}
	key, err := x509.ParsePKCS8PrivateKey(blocks[0].Bytes)
	signer, ok := key.(crypto.Signer)
	if err != nil || !ok || !pki.Matches(leaf.PublicKey, signer) {
		return nil, fmt.Errorf("%w: the private key is not the certificate's", errUnusable)
	}
	return leaf, nil
}

// publicThumbprint is the thumbprint of a private JWK.
func publicThumbprint(private json.RawMessage) (string, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(private, &members); err != nil {
		return "", fmt.Errorf("%w: no DPoP key", errUnusable)
	}
	delete(members, "d")
	public, err := json.Marshal(members)
	if err != nil {
		return "", err
	}
	pub, err := jose.ParseJWK(public)
	if err != nil {
		return "", fmt.Errorf("%w: %w", errUnusable, err)
	}
	return jose.Thumbprint(pub), nil
}

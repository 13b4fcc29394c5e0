// Package agentcert gives agents their certificates under the current Org CA: it issues and pins them, rotates them for
// operators and renews them for the agents themselves.
//
// Its tests need the whole Mastio around it: shared/edge/httpapi/agents_test.go, shared/edge/httpapi/renew_test.go
// and test/inmemory/succession_test.go.
package agentcert

import (
	"cmp"
	"context"
	"crypto"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/jose"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/pki"
	"github.com/mastio-aws/mastio/shared/problem"
	"github.com/mastio-aws/mastio/shared/usecase/authn"
)

// ErrValidity reports a validity outside 1 to 825 days.
var ErrValidity = problem.New(400, "validity_days_invalid", "validity_days takes 1 to 825")

// ErrDPoPJWK reports a DPoP key that cannot be registered.
var ErrDPoPJWK = problem.New(400, "dpop_jwk_invalid", "dpop_jwk is not a public P-256 key")

// Validity of an agent's certificate, in days.
const (
	DefaultDays = 365
	MaxDays     = 825
)

// Signers returns a KMS key as a signer whose calls end with ctx.
type Signers interface {
	Signer(ctx context.Context, id string, pub crypto.PublicKey) crypto.Signer
}

// Issuer makes certificates for the agents of one organisation. All fields are required; it is safe for concurrent use.
type Issuer struct {
	Store       PinStore
	Keys        Signers
	OrgID       string
	TrustDomain string
	Schedule    agent.Schedule // when certificates are due
	Suspects    *authn.Suspects
	Now         func() time.Time
	NewID       func() string // unique, at most 36 characters
}

// KeyRequest is what a caller may bring. Everything is optional: what is missing is made here.
type KeyRequest struct {
	CSR          []byte          // PKCS #10, PEM: only its public key is used; the private key stays with the caller
	DPoPJWK      json.RawMessage // public JWK
	ValidityDays int             // zero: DefaultDays
}

// made reports whether all keys are made here, so that none of them was ever certified or registered before.
func (r KeyRequest) made() bool { return r.CSR == nil && r.DPoPJWK == nil }

// Material is the key side of an agent: the public key to certify and, where the Mastio made it, the private halves,
// which exist only in the one answer that contains them.
type Material struct {
	Public  crypto.PublicKey
	KeyPEM  []byte          // PKCS #8, PEM; nil with a CSR
	DPoPJWK json.RawMessage // private where it was made here, public where it was given; nil with a CSR alone
	JKT     string          // RFC 7638 thumbprint of the DPoP key; empty with a CSR alone
	Days    int
}

// Private reports whether the material holds a private key. A DPoP key is made here only together with a TLS key.
func (m Material) Private() bool { return m.KeyPEM != nil }

// Prepare checks the request and makes the keys it lacks. Errors: pki.ErrCSR, pki.ErrKey, ErrDPoPJWK, ErrValidity.
func Prepare(r KeyRequest) (Material, error) {
	m := Material{Days: r.ValidityDays}
	if m.Days == 0 {
		m.Days = DefaultDays
	}
	if m.Days < 1 || m.Days > MaxDays {
		return Material{}, ErrValidity
	}
	if err := m.register(r.DPoPJWK); err != nil {
		return Material{}, err
	}
	if r.CSR != nil {
		pub, err := pki.ParseCSR(r.CSR)
		m.Public = pub
		return m, err
	}
	return m, m.mint()
}

// register takes the caller's DPoP key.
func (m *Material) register(raw json.RawMessage) (err error) {
	if raw != nil {
		m.JKT, m.DPoPJWK, err = ReadDPoPJWK(raw)
	}
	return err
}

// ReadDPoPJWK reads a DPoP key that a caller wants registered: its thumbprint (RFC 7638), and its one spelling.
// Error: ErrDPoPJWK.
func ReadDPoPJWK(raw json.RawMessage) (jkt string, public json.RawMessage, err error) {
	pub, err := jose.ParseJWK(raw)
	if err != nil {
		return "", nil, fmt.Errorf("%w: %w", ErrDPoPJWK, err)
	}
	key, err := jose.PublicJWK(pub, "")
	if err != nil {
		return "", nil, fmt.Errorf("%w: %w", ErrDPoPJWK, err)
	}
	public, err = json.Marshal(key)
	return jose.Thumbprint(pub), public, err
}

// mint makes the TLS key, and the DPoP key unless there is one.
func (m *Material) mint() error {
	key, err := pki.NewKey()
	if err != nil {
		return err
	}
	if m.KeyPEM, err = pki.EncodePrivateKey(key); err != nil {
		return err
	}
	m.Public = key.Public()
	if m.JKT != "" {
		return nil
	}
	proofKey, err := pki.NewKey()
	if err != nil {
		return err
	}
	m.JKT = jose.Thumbprint(&proofKey.PublicKey)
	m.DPoPJWK, err = jose.PrivateJWK(proofKey)
	return err
}

// Certificate is a certificate under one generation, with everything that its holder gets with it.
type Certificate struct {
	Pin      agent.Pin
	CertPEM  []byte // the leaf, then the CA that issued it
	ChainPEM []byte // from the CA that issued it up to the root
	SPIFFEID string
}

// Done returns what is kept instead of an answer with a private key; next is the call that gives the agent another
// certificate.
func (c Certificate) Done(stored agent.Agent, next string) problem.Done {
	return problem.Done{Thumbprint: c.Pin.Thumbprint, At: stored.UpdatedAt.UTC(), Next: next}
}

// Certify issues a certificate for the material's key under the generation that p points at: one signature in KMS. It
// counts for nothing before it is pinned. Error: orgca.ErrNotValid, before the signature.
func (i Issuer) Certify(ctx context.Context, p orgca.Pointer, id agent.ID, m Material) (Certificate, error) {
	return i.certify(ctx, p, id, m, i.Now())
}

// certify is Certify at a given time: Pin compares the pin with the very instant that the certificate is issued at.
func (i Issuer) certify(
	ctx context.Context, p orgca.Pointer, id agent.ID, m Material, now time.Time,
) (Certificate, error) {
	chain, err := parse(p.Chain)
	if err != nil {
		return Certificate{}, fmt.Errorf("read the chain of generation %d: %w", p.Current, err)
	}
	if !p.Validity().At(now) {
		return Certificate{}, fmt.Errorf("issue under generation %d: %w", p.Current, orgca.ErrNotValid)
	}
	uri, err := pki.SPIFFEID(i.TrustDomain, id.Org(), id.Name())
	if err != nil {
		return Certificate{}, err
	}
	authority := pki.Authority{Chain: chain, Key: i.Keys.Signer(ctx, p.SigningKey, chain[0].PublicKey)}
	leaf, err := authority.IssueAgent(pki.AgentParams{
		AgentID:   string(id),
		Org:       id.Org(),
		SPIFFEID:  uri,
		PublicKey: m.Public,
		Now:       now,
		Validity:  time.Duration(m.Days) * 24 * time.Hour,
	})
	if err != nil {
		return Certificate{}, fmt.Errorf("issue under generation %d: %w", p.Current, err)
	}
	return Certificate{
		Pin:      i.PinOf(leaf, p.Current, m.JKT),
		CertPEM:  pki.EncodeCertificates(leaf, chain[0]),
		ChainPEM: pki.EncodeCertificates(chain...),
		SPIFFEID: uri,
	}, nil
}

// PinOf is the pin of a certificate that was issued under a generation, with the DPoP key that goes with it.
func (i Issuer) PinOf(leaf *x509.Certificate, generation int64, jkt string) agent.Pin {
	p := agent.Pin{
		Thumbprint: pki.Thumbprint(leaf.Raw),
		Key:        pki.Thumbprint(leaf.RawSubjectPublicKeyInfo),
		Generation: generation,
		NotBefore:  leaf.NotBefore,
		NotAfter:   leaf.NotAfter,
		JKT:        jkt,
	}
	p.Due = cmp.Or(i.Schedule, agent.Annually).Due(p)
	return p
}

func parse(ders [][]byte) ([]*x509.Certificate, error) {
	if len(ders) == 0 {
		return nil, orgca.ErrMissing
	}
	chain := make([]*x509.Certificate, len(ders))
	for i, der := range ders {
		var err error
		if chain[i], err = x509.ParseCertificate(der); err != nil {
			return nil, err
		}
	}
	return chain, nil
}

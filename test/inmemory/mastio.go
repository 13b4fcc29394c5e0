// Package inmemory is a whole Mastio in one process: the real use cases over an in-memory store, key store and
// truststore. Its clock moves only when a test moves it.
package inmemory

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/boot"
	"github.com/mastio-aws/mastio/shared/pki"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
	"github.com/mastio-aws/mastio/shared/usecase/agentcert"
	"github.com/mastio-aws/mastio/shared/usecase/auditlog"
	"github.com/mastio-aws/mastio/shared/usecase/enroll"
	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
	"github.com/mastio-aws/mastio/shared/usecase/token"
)

// The names of this Mastio.
const (
	OrgID       = "orga"
	TrustDomain = "mastio.test"
	// ForeignDomain is the trust domain of a foreign SPIRE. The Mastio accepts its SVIDs.
	ForeignDomain = "prod.example"
	Issuer        = "https://mastio.test:9443"
	Secret        = "admin-secret-of-the-tests-32-characters"
)

// Start is where the clock begins.
var Start = time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC)

// Mastio is a Mastio: its services, its clock, and one process with every use case. The parts are safe for concurrent
// use; the fields are not to be changed while it works.
type Mastio struct {
	*Process
	Store    *memstore.Store
	Keys     *Keys
	Objects  *Objects
	Secrets  *Secrets
	Admins   *Admins
	Archive  *Archive
	AuditKey auditlog.Key
	Over     func() bool // that the time of the function hygiene is; nil: it never is

	url    string
	clock  atomic.Int64 // Unix nanoseconds
	lastID atomic.Int64
}

// New returns a Mastio over a store; it has no Org CA until Standby has run. The edits change the parts of its process.
func New(cfg memstore.Config, edits ...func(*boot.Parts)) *Mastio { return At(Issuer, cfg, edits...) }

// At returns a Mastio whose agents reach it under a URL of their own.
func At(url string, cfg memstore.Config, edits ...func(*boot.Parts)) *Mastio {
	m := &Mastio{
		Store:    memstore.New(cfg),
		Keys:     NewKeys(),
		Objects:  &Objects{},
		Secrets:  &Secrets{},
		Admins:   &Admins{},
		Archive:  &Archive{},
		AuditKey: NewSealKey(),
		url:      url,
	}
	m.clock.Store(Start.UnixNano())
	m.Process = m.Spawn(m.Now, edits...)
	return m
}

// Now is the Mastio's clock.
func (m *Mastio) Now() time.Time { return time.Unix(0, m.clock.Load()).UTC() }

// Advance moves the clock.
func (m *Mastio) Advance(d time.Duration) { m.clock.Add(int64(d)) }

// NewID returns ids in sequence.
func (m *Mastio) NewID() string { return "id-" + strconv.FormatInt(m.lastID.Add(1), 10) }

// Admit enrols an agent by name.
func (m *Mastio) Admit(ctx context.Context, name string, capabilities ...string) (enroll.Result, error) {
	return m.Enroll.Enroll(ctx, enroll.Request{
		Name:    name,
		Profile: agent.Profile{Capabilities: capabilities},
		By:      audit.By{Actor: "test"},
	})
}

// Rotate rotates an agent's certificate.
func (m *Mastio) Rotate(ctx context.Context, id agent.ID) (agentcert.RotateResult, error) {
	return m.RotateCert.Rotate(ctx, agentcert.RotateRequest{Agent: id, By: audit.By{Actor: "test"}})
}

// Mint rotates the Org CA.
func (m *Mastio) Mint(ctx context.Context) (rotateca.Result, error) {
	return m.RotateCA.Do(ctx, rotateca.Request{Mode: rotateca.Mint, By: audit.By{Actor: "test"}})
}

// TokenFor asks for a token with the first certificate in a PEM text.
func (m *Mastio) TokenFor(ctx context.Context, certPEM []byte) (token.Token, error) {
	return m.Token.Issue(ctx, token.Request{CertificatePEM: string(certPEM)})
}

// OrgCA is the current Org CA with its key, as the PKI of an operator who uploaded it has it.
func (m *Mastio) OrgCA(ctx context.Context) (pki.Authority, error) {
	org, err := m.Store.Org(ctx)
	if err != nil {
		return pki.Authority{}, err
	}
	g, _ := org.Generation(org.Pointer.Current)
	a := pki.Authority{Key: m.Keys.Private(g.RootKey)}
	for _, der := range org.Pointer.CA() {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return a, err
		}
		a.Chain = append(a.Chain, cert)
	}
	return a, nil
}

// PublicKey finds a published token key, for verifiers.
func (m *Mastio) PublicKey(ctx context.Context, kid string) *ecdsa.PublicKey {
	keys, err := m.Ring.Published(ctx, m.Now())
	if err != nil {
		return nil
	}
	for _, k := range keys {
		if k.ID == kid {
			return k.Key
		}
	}
	return nil
}

// Leaf parses the first certificate of a PEM text.
func Leaf(certPEM []byte) (*x509.Certificate, error) {
	block, _ := pem.Decode(certPEM)
	if block == nil {
		return nil, fmt.Errorf("no PEM block in %d bytes", len(certPEM))
	}
	return x509.ParseCertificate(block.Bytes)
}

// CSR makes a key, and a certification request for it (PEM).
func CSR() (string, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", err
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})), err
}

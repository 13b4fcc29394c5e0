package pki

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net/url"
	"strings"
	"time"
)

// How long an agent's certificate may be asked to be valid.
const (
	MinValidity     = 24 * time.Hour
	DefaultValidity = 365 * MinValidity
	MaxValidity     = 825 * MinValidity
)

const (
	rootYears    = 15
	issuingYears = 5
	backdate     = 5 * time.Minute // for verifiers whose clocks are behind
)

const (
	maxIdentifier = 64 // of an organisation and of an agent's name; also ub-organization-name
	maxCommonName = 64 // ub-common-name, RFC 5280 appendix A.1
)

// CAParams say which CA certificate to make.
type CAParams struct {
	Org        string // 1 to 64 letters, digits, '.', '_' and '-'
	Generation int64  // 1, 2, …
	Now        time.Time
}

func (p CAParams) check() error {
	if !isIdentifier(p.Org) {
		return fmt.Errorf("%w: malformed organisation", ErrProfile)
	}
	if p.Generation < 1 {
		return fmt.Errorf("%w: generation %d", ErrProfile, p.Generation)
	}
	return nil
}

// template returns a CA's profile without its end, which depends on its issuer. The role separates the root from the
// issuing CA and the number separates the generations, so that no two CAs share a subject.
func (p CAParams) template(role string, pathLen int) *x509.Certificate {
	title := fmt.Sprintf("%s CA G%d", role, p.Generation)
	return &x509.Certificate{
		Subject:               subject(p.Org, p.Org+" "+title, title),
		NotBefore:             moment(p.Now.Add(-backdate)),
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLen:            pathLen,
		MaxPathLenZero:        pathLen == 0,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
}

// AgentParams say which agent's certificate to make.
type AgentParams struct {
	AgentID   string // `{org}::{name}`
	Org       string
	SPIFFEID  string // `spiffe://{trust_domain}/{org}/{name}`
	PublicKey crypto.PublicKey
	Now       time.Time
	Validity  time.Duration // 1 to 825 days; 0: 365 days. Never past the issuer's, whatever is asked.
}

// check makes sure that the three ways to name the agent agree: a certificate must not say two identities.
func (p AgentParams) check() error {
	name, ok := strings.CutPrefix(p.AgentID, p.Org+"::")
	if !ok || !isIdentifier(p.Org) || !isIdentifier(name) {
		return fmt.Errorf("%w: malformed agent id, or not one of this organisation", ErrProfile)
	}
	if err := CheckSPIFFEID(p.SPIFFEID); err != nil {
		return fmt.Errorf("%w: %w", ErrProfile, err)
	}
	if _, path, _ := strings.Cut(strings.TrimPrefix(p.SPIFFEID, schemeSPIFFE), "/"); path != p.Org+"/"+name {
		return fmt.Errorf("%w: SPIFFE ID is another agent's", ErrProfile)
	}
	if p.Validity != 0 && (p.Validity < MinValidity || p.Validity > MaxValidity) {
		return fmt.Errorf("%w: validity %v, want 1 to 825 days", ErrProfile, p.Validity)
	}
	return CheckKey(p.PublicKey)
}

func (p AgentParams) template() *x509.Certificate {
	validity := p.Validity
	if validity == 0 {
		validity = DefaultValidity
	}
	_, name, _ := strings.Cut(p.AgentID, "::")
	host, path, _ := strings.Cut(strings.TrimPrefix(p.SPIFFEID, schemeSPIFFE), "/")
	return &x509.Certificate{
		Subject:               subject(p.Org, p.AgentID, name),
		NotBefore:             moment(p.Now.Add(-backdate)),
		NotAfter:              moment(p.Now.Add(validity)),
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		URIs:                  []*url.URL{{Scheme: "spiffe", Host: host, Path: "/" + path}},
	}
}

// subject returns O=org, CN=full, or CN=short where full exceeds the 64 characters that X.520 allows. The short form
// leaves the organisation out, which O holds in full: nothing is lost, no two subjects become equal, and it stays
// readable, as a truncation or a hash would not. Identity never comes from a subject but from the URI and the pin.
func subject(org, full, short string) pkix.Name {
	name := pkix.Name{Organization: []string{org}, CommonName: full}
	if len(full) > maxCommonName {
		name.CommonName = short
	}
	return name
}

func isIdentifier(s string) bool { return len(s) <= maxIdentifier && isSegment(s) }

// moment rounds down to what a certificate can hold (RFC 5280 section 4.1.2.5: UTC, whole seconds).
func moment(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }

// newSerial draws one of 2^128 serial numbers, from 1 on: positive and at most 17 octets in DER, where RFC 5280
// section 4.1.2.2 allows 20, with twice the randomness that collision attacks on the hash call for.
func newSerial() (*big.Int, error) {
	one := big.NewInt(1)
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(one, 128))
	if err != nil {
		return nil, fmt.Errorf("draw a serial number: %w", err)
	}
	return n.Add(n, one), nil
}

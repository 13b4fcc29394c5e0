package pki

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"fmt"
	"slices"
	"time"

	"github.com/mastio-aws/mastio/shared/pki/dn"
)

// Authority is a CA that can sign. It is a value; copies share the key.
type Authority struct {
	Chain []*x509.Certificate // Chain[0] signs; each is issued by the next; the last is the root
	Key   crypto.Signer       // of Chain[0]; EC P-256 or P-384, or RSA
}

// NewRoot makes the self-signed root of a generation: 15 years, pathLenConstraint 1. It calls the signer once.
// It returns ErrProfile or ErrKey for parameters it refuses, before that call, and the signer's errors wrapped.
func NewRoot(p CAParams, key crypto.Signer) (*x509.Certificate, error) {
	if err := p.check(); err != nil {
		return nil, fmt.Errorf("make a root: %w", err)
	}
	if key == nil {
		return nil, fmt.Errorf("make a root: %w: no signer", ErrKey)
	}
	template := p.template("Org", 1)
	template.NotAfter = moment(p.Now.AddDate(rootYears, 0, 0))
	root, err := create(template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("make a root: %w", err)
	}
	if err := VerifyAuthority([]*x509.Certificate{root}, p.Now); err != nil {
		return nil, fmt.Errorf("make a root: %w", err)
	}
	return root, nil
}

// NewIssuing makes the issuing CA of a generation under its root: 5 years, never past the root, pathLenConstraint 0.
// It calls the root's signer once. It returns ErrProfile, ErrKey, ErrPathLen (a legacy root allows no CA below it) or
// ErrChain for what it refuses, before that call, and the signer's errors wrapped.
func NewIssuing(p CAParams, root Authority, pub crypto.PublicKey) (*x509.Certificate, error) {
	cert, err := newIssuing(p, root, pub)
	if err != nil {
		return nil, fmt.Errorf("make an issuing CA: %w", err)
	}
	return cert, nil
}

func newIssuing(p CAParams, root Authority, pub crypto.PublicKey) (*x509.Certificate, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	if err := CheckKey(pub); err != nil {
		return nil, err
	}
	if err := root.check(p.Now, 1); err != nil {
		return nil, err
	}
	template := p.template("Mastio", 0)
	template.NotAfter = moment(p.Now.AddDate(issuingYears, 0, 0))
	cert, err := root.sign(template, pub)
	if err != nil {
		return nil, err
	}
	return cert, VerifyAuthority(slices.Concat([]*x509.Certificate{cert}, root.Chain), p.Now)
}

// IssueAgent makes an agent's certificate and verifies its chain. It calls the signer once.
// It returns ErrProfile, ErrKey, ErrPathLen or ErrChain for what it refuses, before that call where the parameters or
// the authority's own fields show it, and the signer's errors wrapped.
func (a Authority) IssueAgent(p AgentParams) (*x509.Certificate, error) {
	cert, err := a.issueAgent(p)
	if err != nil {
		return nil, fmt.Errorf("issue a certificate to %q: %w", p.AgentID, err)
	}
	return cert, nil
}

func (a Authority) issueAgent(p AgentParams) (*x509.Certificate, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	if err := a.check(p.Now, 0); err != nil {
		return nil, err
	}
	cert, err := a.sign(p.template(), p.PublicKey)
	if err != nil {
		return nil, err
	}
	return cert, VerifyChain(cert, a.Chain, p.Now)
}

// check finds, without a signature's cost, what would make whatever the authority signs useless: the signer is
// remote and its calls are counted. below is the number of CAs between Chain[0] and a leaf. Every fault is an
// ErrChain and none an ErrKey, which is for the key to be certified: that one's owner can do something about it.
func (a Authority) check(now time.Time, below int) error {
	if a.Key == nil {
		return fmt.Errorf("%w: authority without a signer", ErrChain)
	}
	if len(a.Chain) == 0 {
		return fmt.Errorf("%w: authority without a certificate", ErrChain)
	}
	if err := checkPath(a.Chain); err != nil {
		return err
	}
	if err := checkCAs(a.Chain, below); err != nil {
		return err
	}
	issuer := a.Chain[0]
	if !SameKey(issuer.PublicKey, a.Key.Public()) {
		return fmt.Errorf("%w: the signer's key is not that of %s", ErrChain, dn.Brief(issuer.RawSubject))
	}
	if err := CheckKey(issuer.PublicKey); err != nil {
		return fmt.Errorf("%w: key of %s: %s", ErrChain, dn.Brief(issuer.RawSubject), err.Error())
	}
	if len(issuer.SubjectKeyId) == 0 {
		return fmt.Errorf("%w: %s has no subject key identifier", ErrChain, dn.Brief(issuer.RawSubject))
	}
	if now.Before(issuer.NotBefore) || now.After(issuer.NotAfter) {
		return fmt.Errorf("%w: %s is valid from %s to %s only", ErrChain, dn.Brief(issuer.RawSubject),
			issuer.NotBefore.Format(time.RFC3339), issuer.NotAfter.Format(time.RFC3339))
	}
	return nil
}

// sign makes the certificate of a template. It cuts the validity to that of every CA above: an uploaded CA may outlive
// its root.
func (a Authority) sign(template *x509.Certificate, pub crypto.PublicKey) (*x509.Certificate, error) {
	for _, above := range a.Chain {
		if template.NotBefore.Before(above.NotBefore) {
			template.NotBefore = above.NotBefore
		}
		if template.NotAfter.After(above.NotAfter) {
			template.NotAfter = above.NotAfter
		}
	}
	issuer := a.Chain[0]
	// Set here, because x509 leaves out the authority key identifier where issuer and subject have the same name. An
	// uploaded CA can have the subject's name.
	template.AuthorityKeyId = issuer.SubjectKeyId
	return create(template, issuer, pub, a.Key)
}

// create completes a template and signs it. x509.CreateCertificate verifies the signature it got.
func create(template, parent *x509.Certificate, pub crypto.PublicKey, key crypto.Signer) (*x509.Certificate, error) {
	var err error
	if template.SignatureAlgorithm, err = signatureAlgorithm(key.Public()); err != nil {
		return nil, err
	}
	if template.SubjectKeyId, err = keyID(pub); err != nil {
		return nil, err
	}
	if template.SerialNumber, err = newSerial(); err != nil {
		return nil, err
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, pub, key)
	if err != nil {
		return nil, fmt.Errorf("sign as %q: %w", parent.Subject.CommonName, err)
	}
	return x509.ParseCertificate(der)
}

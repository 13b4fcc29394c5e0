package enroll

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/mastio-aws/mastio/shared/admin"
	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/pki"
	"github.com/mastio-aws/mastio/shared/pki/dn"
	"github.com/mastio-aws/mastio/shared/problem"
	"github.com/mastio-aws/mastio/shared/reason"
	"github.com/mastio-aws/mastio/shared/upload"
	"github.com/mastio-aws/mastio/shared/usecase/agentcert"
	"github.com/mastio-aws/mastio/shared/usecase/idempotency"
)

// Errors of an enrolment whose certificate was issued elsewhere.
var (
	ErrCertificatePEM = problem.New(400, "cert_pem_invalid", "certificate is not readable PEM")
	ErrBundlePEM      = problem.New(400, "trust_bundle_invalid", "trust_bundle_pem is not a bundle of CA certificates")
	ErrNotUnderOrgCA  = problem.New(400, "cert_not_signed_by_org_ca",
		"certificate is not issued under the current Org CA").
		Says("The certificate does not chain to the current Org CA (GET /pki/ca.crt). Issue it under that " +
			"CA; put the certificates between them into the PEM, after the leaf.")
	ErrNotUnderBundle = problem.New(400, "svid_not_signed_by_trust_bundle", "SVID is not issued under its trust bundle").
				Says("The SVID does not chain to any CA of trust_bundle_pem. Put the certificates between them into svid_pem, " +
			"after the leaf.")
	ErrTrustDomain = problem.New(400, "spiffe_uri_wrong_trust_domain",
		"SPIFFE ID is of a trust domain that is not accepted here")
	ErrNamesAnother = problem.New(400, "cert_names_another_agent", "certificate names another agent")
	ErrKeyPEM       = problem.New(400, "private_key_invalid", "private key cannot be read")
	ErrKeyMismatch  = problem.New(400, "key_does_not_match_cert", "private key is not the certificate's").
			Says("The private key is not the one that belongs to the certificate.")
	ErrProof = problem.New(400, "possession_unproven", "send either the private key or possession_proof").
			Says("Send the leaf's private key, or possession_proof; one of them, not both.")
	ErrTaken  = problem.New(409, "certificate_in_use", "certificate or SPIFFE ID is another agent's")
	ErrMethod = problem.New(409, "agent_method_differs", "the agent was enrolled by another method").
			Says("This agent was enrolled by another method and was not changed. To change the method, DELETE " +
			"/v1/admin/agents/{agent_id} and enrol it again.")
	ErrEdgeFull = problem.New(409, "trust_bundles_full", "the edge holds as many CAs as it can").
			Says("The edge holds as many CAs of others as it can, 100 at most. A CA that no active agent's bundle names " +
			"is removed " +
			"within half an hour: deactivate agents, or enrol them again with smaller bundles.")
	ErrIssuedHere = problem.New(400, "cert_issued_by_mastio", "certificate was issued by the Mastio itself").
			Says("The Mastio issued this certificate itself, so it counts for the agent that it was issued to, and for " +
			"nothing else. Issue one at your own CA; to have the Mastio issue certificates: POST /v1/admin/agents.")
	ErrOwnCA = problem.New(400, "trust_bundle_is_org_ca", "trust_bundle_pem holds a CA of the Mastio's own").
			Says("trust_bundle_pem holds an Org CA of this Mastio, or another certificate of its key. SVIDs under the " +
			"Org CA need no bundle: leave trust_bundle_pem out, and the agent follows the Org CA's rotations.")
)

// Outside asks for the enrolment of an agent whose certificate was issued elsewhere, for the first time or again. With
// Update it replaces what counts, display name and capabilities too.
type Outside struct {
	audit.By
	Limit *admin.Limit // as of Request
	Name  string
	// Profile: what an existing agent's update leaves out stays as it was; without Update no capabilities leave it so too.
	agent.Profile
	CertPEM    []byte // the leaf, then what stands between it and its CA
	BundlePEM  []byte // SPIFFE only: CAs; the SVID's chain ends at one of them; nil: at the Org CA
	KeyPEM     []byte // the leaf's private key: compared, then overwritten. Or:
	Proof      string // a signature by it, base64url; see ProofMessage
	DPoPJWK    json.RawMessage
	ProofBound *bool // as of Request; with Update it replaces what the agent has
	Update     bool
	Reason     reason.Statement // why an agent's certificate is replaced; a compromise ends all that is known of it
	Once       idempotency.Request[Admission]
}

// ProofMessage is what a possession proof signs: it is good for one agent and one certificate.
func ProofMessage(m agent.Method, id agent.ID, thumbprint string) string {
	return fmt.Sprintf("mastio-%s:v1|%s|%s", m, id, thumbprint)
}

// maxChain is how many certificates a chain, and a bundle, may have.
const maxChain = 16

// submission is the content of an Outside whose parts agree with each other.
type submission struct {
	id         agent.ID
	leaf       *x509.Certificate
	thumbprint string
	key        string // in the form of agent.Pin.Key, whatever the encoding in the certificate
	between    []*x509.Certificate
	bundle     []*x509.Certificate
	jkt        string
	reason     reason.Statement
	possession string // how it was shown: "key" or "proof"
}

// read checks everything that does not need the registry.
func (e *Enroller) read(m agent.Method, req Outside) (r submission, err error) {
	if r.id, err = agent.NewID(e.OrgID, req.Name); err != nil {
		return r, err
	}
	if err := req.Check(); err != nil {
		return r, err
	}
	if err := req.Limit.Allow(!req.Update, req.Capabilities); err != nil {
		return r, err
	}
	if r.reason, err = req.Reason.Check(); err != nil {
		return r, err
	}
	certs, err := certificates(req.CertPEM)
	if err != nil {
		return r, fmt.Errorf("%w: %w", ErrCertificatePEM, err)
	}
	r.leaf, r.between, r.thumbprint = certs[0], certs[1:], pki.Thumbprint(certs[0].Raw)
	if err := pki.CheckLeaf(r.leaf, e.Now()); err != nil {
		return r, explainOrder(err, certs)
	}
	if r.key, err = pki.KeyThumbprint(r.leaf.PublicKey); err != nil {
		return r, err
	}
	if req.DPoPJWK != nil {
		if r.jkt, _, err = agentcert.ReadDPoPJWK(req.DPoPJWK); err != nil {
			return r, err
		}
	}
	if req.BundlePEM != nil {
		if r.bundle, err = bundle(req.BundlePEM); err != nil {
			return r, err
		}
	}
	r.possession, err = possession(r.leaf, req, ProofMessage(m, r.id, r.thumbprint))
	return r, err
}

// explainOrder adds to a refused CA that the agent's certificate is after it, if it is: chain files may have the
// issuer first.
func explainOrder(err error, certs []*x509.Certificate) error {
	isLeaf := func(c *x509.Certificate) bool { return !c.IsCA }
	if errors.Is(err, pki.ErrLeafIsCA) && slices.ContainsFunc(certs[1:], isLeaf) {
		return fmt.Errorf("%w; the file has an issuer first: put the agent's certificate first, then what is between "+
			"it and its CA", err)
	}
	return err
}

func certificates(data []byte) ([]*x509.Certificate, error) {
	certs, err := pki.ParseCertificates(data)
	if err == nil && len(certs) > maxChain {
		err = fmt.Errorf("%d certificates, want at most %d", len(certs), maxChain)
	}
	return certs, err
}

// bundle reads CAs, each once. They are trusted because the operator named them: their signatures are not checked.
func bundle(data []byte) ([]*x509.Certificate, error) {
	all, err := certificates(data)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBundlePEM, err)
	}
	var cas []*x509.Certificate
	for _, c := range all {
		if !c.BasicConstraintsValid || !c.IsCA {
			return nil, fmt.Errorf("%w: %s is no CA", ErrBundlePEM, dn.Brief(c.RawSubject))
		}
		if err := pki.CheckIssuer(c); err != nil {
			return nil, fmt.Errorf("%w: %s", ErrBundlePEM, err.Error())
		}
		if !slices.ContainsFunc(cas, c.Equal) {
			cas = append(cas, c)
		}
	}
	return cas, nil
}

// possession checks that the caller has the leaf's private key.
func possession(leaf *x509.Certificate, req Outside, message string) (how string, err error) {
	if (len(req.KeyPEM) == 0) == (req.Proof == "") {
		return "", ErrProof
	}
	if req.Proof != "" {
		signature, err := base64.RawURLEncoding.Strict().DecodeString(req.Proof)
		if err != nil || base64.RawURLEncoding.EncodeToString(signature) != req.Proof {
			return "", fmt.Errorf("%w: it is not base64url without padding", pki.ErrPossession)
		}
		return "proof", pki.CheckPossession(leaf.PublicKey, message, signature)
	}
	defer clear(req.KeyPEM)
	key, err := upload.ReadKey(req.KeyPEM)
	if err != nil {
		return "", fmt.Errorf("%w: %s", ErrKeyPEM, problem.Of(err).Errors[0].Detail)
	}
	defer key.Zero()
	if !pki.Matches(leaf.PublicKey, key.Key) {
		return "", ErrKeyMismatch
	}
	return "key", nil
}

// checkNames refuses a certificate that names another agent than the one it is for, in any of the places where a
// certificate of the Mastio's own names its agent. Identity never comes from a name; but a name that contradicts it
// would mislead everybody else who reads the certificate.
func (e *Enroller) checkNames(r submission) error {
	uris, ok := pki.URIs(r.leaf)
	if !ok {
		return fmt.Errorf("%w: its subject alternative names cannot be read", ErrCertificatePEM)
	}
	for _, uri := range uris {
		if err := e.checkURI(uri, r.id); err != nil {
			return err
		}
	}
	if named, err := agent.ParseID(r.leaf.Subject.CommonName); err == nil && named != r.id {
		return fmt.Errorf("%w: its common name is %s", ErrNamesAnother, named)
	}
	return nil
}

// checkURI refuses SPIFFE IDs of trust domains that are not accepted; URIs of other schemes say nothing here.
func (e *Enroller) checkURI(uri string, id agent.ID) error {
	if len(uri) < len(scheme) || uri[:len(scheme)] != scheme {
		return nil
	}
	if err := pki.CheckSPIFFEID(uri); err != nil {
		return fmt.Errorf("%w: %w", ErrTrustDomain, err)
	}
	domain := pki.TrustDomain(uri)
	if !slices.Contains(e.TrustDomains, domain) {
		return fmt.Errorf("%w: %s", ErrTrustDomain, domain)
	}
	path := uri[len(scheme)+len(domain)+1:]
	if named, ok := agentOf(path); ok && domain == e.TrustDomains[0] && named.Org() == e.OrgID && named != id {
		return fmt.Errorf("%w: its SPIFFE ID is that of %s", ErrNamesAnother, named)
	}
	return nil
}

const scheme = "spiffe://"

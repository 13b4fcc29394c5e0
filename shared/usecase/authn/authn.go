// Package authn decides which agent a client certificate authenticates, and which CA must vouch for the certificate.
//
// Its tests need the whole Mastio around it: shared/edge/httpapi/token_test.go, shared/edge/httpapi/outside_test.go
// and shared/edge/httpapi/spiffe_test.go.
package authn

import (
	"context"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/pki"
	"github.com/mastio-aws/mastio/shared/problem"
	"github.com/mastio-aws/mastio/shared/registry"
)

// Why a certificate authenticates no agent. A caller sees one of these errors or agent.ErrRevoked, and no other
// reason.
var (
	ErrNoCertificate = problem.New(401, "client_certificate_required", "client certificate required").
				Says("Client certificate required").
				AtToken("invalid_client")
	ErrCertificate = problem.New(401, "client_certificate_invalid", "client certificate cannot be read").
			Says("Client certificate cannot be read").
			AtToken("invalid_client")
	ErrNotInValidity = problem.New(401, "certificate_expired", "certificate is outside its validity period").
				Says("Certificate is outside its validity period").
				AtToken("invalid_client")
	ErrUnknownAgent = problem.New(401, "agent_unknown", "unknown agent").
			Says("Unknown agent").
			AtToken("invalid_client")
	ErrUntrusted = problem.New(401, "svid_not_trusted", "SVID is not issued under the agent's trust bundle").
			Says("SVID is not issued under the agent's trust bundle").
			AtToken("invalid_client")
	ErrChain = problem.New(400, "svid_chain_invalid", "svid_chain_pem is not a chain of certificates").
			Says("svid_chain_pem takes at most 8 PEM certificates").
			AtToken("invalid_request")
	ErrForeign = problem.New(401, "certificate_of_another_agent", "certificate was issued to another agent").
			Says("Certificate was issued to another agent than client_id names").
			AtToken("invalid_client")
	ErrClientID = problem.New(400, "client_id_invalid", "client_id is malformed").
			Says("client_id is not of the form {org_id}::{name}").
			AtToken("invalid_request")
	ErrNoPath = problem.New(401, "svid_path_missing", "the issuer of the SVID is not known").
			Says("No certificate of the CA that issued this SVID is known here. Send what is between the SVID and its CA, " +
			"in svid_chain_pem of the token request: PEM, once for each new CA. An SVID under a superseded Org CA " +
			"does not count.").
		AtToken("invalid_client")
	// ErrTooOld is answered with the instant that decides.
	ErrTooOld = problem.New(401, "certificate_too_old", "SVID does not count").AtToken("invalid_client")
)

// Store is what finding out needs of the registry.
type Store interface {
	View(ctx context.Context, id agent.ID) (registry.View, error)
	Alias(ctx context.Context, names ...string) (agent.ID, error)
	Org(ctx context.Context) (registry.Org, error)
}

// Credential is what a caller shows of itself.
type Credential struct {
	Leaf       *x509.Certificate
	thumbprint string
	uri        string              // the leaf's one URI, if it has one
	sent       []*x509.Certificate // may stand between the leaf and a CA; nothing is believed of them
	behind     [][]byte            // the same, DER, from an assertion; read only where an SVID's path is looked for
}

// WithBehind returns s with the certificates, DER, that an assertion has after the leaf. For an SVID they serve as a
// chain sent with the certificate; for a pinned certificate they are ignored.
func (s Credential) WithBehind(ders [][]byte) Credential {
	s.behind = ders
	return s
}

// Thumbprint returns the lower-case hex SHA-256 of the certificate's DER.
func (s Credential) Thumbprint() string { return s.thumbprint }

// maxSent bounds what a path is looked for in.
const maxSent = 8

// Read reads the client certificate, which the edge took from the TLS connection, and the intermediates that the
// caller sends for the path from an SVID to its bundle: the edge may forward the leaf alone. Both are PEM, and may be
// empty. Errors: ErrNoCertificate, ErrCertificate, ErrChain.
func Read(certificatePEM, chainPEM string) (Credential, error) {
	if certificatePEM == "" {
		return Credential{}, ErrNoCertificate
	}
	certs, err := pki.ParseCertificates([]byte(certificatePEM))
	if err != nil {
		return Credential{}, fmt.Errorf("%w: %w", ErrCertificate, err)
	}
	s := Credential{Leaf: certs[0], thumbprint: pki.Thumbprint(certs[0].Raw), sent: certs[1:]}
	s.uri, _ = pki.URI(s.Leaf)
	if chainPEM != "" {
		more, err := pki.ParseCertificates([]byte(chainPEM))
		if err != nil {
			return Credential{}, fmt.Errorf("%w: %w", ErrChain, err)
		}
		s.sent = append(s.sent, more...)
	}
	if len(s.sent) > maxSent {
		return Credential{}, fmt.Errorf("%w: more than %d certificates", ErrChain, maxSent)
	}
	return s, nil
}

// Authenticate decides by the registry. The certificate's names, or client_id, only say which record to read. The
// pin, over every byte of the certificate, proves that the certificate is this agent's; for an SVID the agent's
// bundle proves it. The pin that stands for an SVID is no pin of the record. A caller that grants something stores
// the result of agent.Use. own may be nil.
//
// Errors: agent.ErrRevoked, those above, registry.ErrUnavailable.
func Authenticate(
	ctx context.Context, store Store, own *Own, s Credential, clientID string, now time.Time,
) (registry.View, agent.Pin, error) {
	return authenticate(ctx, store, own, s, clientID, now, judge)
}

// Recognise is Authenticate without the check of an SVID's path, for a caller that could not send the intermediates
// yet. It returns the agent that the certificate names, if the certificate may count. A caller must not grant
// anything because of its result.
//
// Errors: those of Authenticate.
func Recognise(ctx context.Context, store Store, s Credential, clientID string, now time.Time) (registry.View, error) {
	view, _, err := authenticate(ctx, store, nil, s, clientID, now, recognise)
	return view, err
}

type judgement func(
	ctx context.Context, store Store, own *Own, view registry.View, s Credential, now time.Time,
) (agent.Pin, error)

func authenticate(
	ctx context.Context, store Store, own *Own, s Credential, clientID string, now time.Time, judge judgement,
) (registry.View, agent.Pin, error) {
	view, err := find(ctx, store, s, clientID)
	if err != nil {
		return registry.View{}, agent.Pin{}, err
	}
	if view.Agent == nil || view.Pointer == nil {
		return registry.View{}, agent.Pin{}, ErrUnknownAgent
	}
	pin, err := judge(ctx, store, own, view, s, now)
	if err != nil {
		return registry.View{}, agent.Pin{}, err
	}
	if now.Before(s.Leaf.NotBefore) || now.After(s.Leaf.NotAfter) {
		return registry.View{}, agent.Pin{}, ErrNotInValidity
	}
	return view, pin, nil
}

func judge(
	ctx context.Context, store Store, own *Own, view registry.View, s Credential, now time.Time,
) (agent.Pin, error) {
	if view.Agent.Method == agent.SPIFFE {
		return judgeSVID(ctx, store, own, view, s, now)
	}
	return view.Agent.Authenticate(s.thumbprint, view.Pointer, now)
}

func recognise(
	ctx context.Context, store Store, own *Own, view registry.View, s Credential, now time.Time,
) (agent.Pin, error) {
	if view.Agent.Method == agent.SPIFFE {
		return namedSVID(*view.Agent, s, now)
	}
	return judge(ctx, store, own, view, s, now)
}

// find reads the record of the agent that the certificate or client_id names: by its SPIFFE ID of the Mastio's own
// form, else by its common name. If that record is not about this certificate, and client_id does not demand it, the
// aliases of the SPIFFE ID and of the certificate lead to the right record. So agents whose certificates name them
// cost one read, and the others three.
func find(ctx context.Context, store Store, s Credential, clientID string) (view registry.View, err error) {
	named, isNamed := namedBy(s)
	id, known := named, isNamed
	if clientID != "" {
		if id, err = agent.ParseID(clientID); err != nil {
			return view, ErrClientID
		}
		known = true
	}
	if known {
		if view, err = store.View(ctx, id); err != nil || view.Agent != nil && s.isAbout(*view.Agent) {
			return view, err
		}
	}
	if clientID != "" {
		if isNamed && named != id {
			return view, ErrForeign
		}
		return view, nil
	}
	names := []string{registry.PinAlias(s.thumbprint)}
	if s.uri != "" {
		names = append(names, registry.SPIFFEAlias(s.uri))
	}
	led, err := store.Alias(ctx, names...)
	if err != nil || led == "" || led == id && known {
		return view, err
	}
	return store.View(ctx, led)
}

// isAbout reports whether a record belongs to the agent of the certificate, even if the certificate is dead. The
// SPIFFE ID in a BYOCA agent's certificate is what its PKI wrote: nothing reserves it, and another agent may be
// enrolled by it.
func (s Credential) isAbout(a agent.Agent) bool {
	if s.uri != "" && a.SPIFFEID == s.uri && a.Method != agent.BYOCA {
		return true
	}
	return slices.ContainsFunc(a.Pins, func(p agent.Pin) bool { return p.Thumbprint == s.thumbprint })
}

func namedBy(s Credential) (agent.ID, bool) {
	if path, ok := strings.CutPrefix(s.uri, "spiffe://"); ok {
		_, path, _ = strings.Cut(path, "/")
		org, name, _ := strings.Cut(path, "/")
		if id, err := agent.NewID(org, name); err == nil {
			return id, true
		}
	}
	id, err := agent.ParseID(s.Leaf.Subject.CommonName)
	return id, err == nil
}

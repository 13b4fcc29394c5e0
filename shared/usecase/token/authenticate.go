package token

import (
	"context"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/pki"
	"github.com/mastio-aws/mastio/shared/registry"
)

// shown is what the caller shows of itself.
type shown struct {
	leaf       *x509.Certificate
	thumbprint string
	uri        string              // the leaf's one URI, if it has one
	sent       []*x509.Certificate // may stand between the leaf and a CA; nothing is believed of them
}

// maxSent bounds what a path is looked for in.
const maxSent = 8

func read(r Request) (shown, error) {
	if r.CertificatePEM == "" {
		return shown{}, ErrNoCertificate
	}
	certs, err := pki.ParseCertificates([]byte(r.CertificatePEM))
	if err != nil {
		return shown{}, fmt.Errorf("%w: %w", ErrCertificate, err)
	}
	s := shown{leaf: certs[0], thumbprint: pki.Thumbprint(certs[0].Raw), sent: certs[1:]}
	s.uri, _ = pki.URI(s.leaf)
	if r.ChainPEM != "" {
		more, err := pki.ParseCertificates([]byte(r.ChainPEM))
		if err != nil {
			return shown{}, fmt.Errorf("%w: %w", ErrChain, err)
		}
		s.sent = append(s.sent, more...)
	}
	if len(s.sent) > maxSent {
		return shown{}, fmt.Errorf("%w: more than %d certificates", ErrChain, maxSent)
	}
	return s, nil
}

// authenticate decides by the registry. The certificate's names only say whose record to read; that the certificate is
// this agent's is the pin's to say, over every byte of it, or, of an SVID, the agent's bundle.
func (i *Issuer) authenticate(ctx context.Context, s shown, clientID string, now time.Time) (registry.View, agent.Pin, error) {
	view, err := i.find(ctx, s, clientID)
	if err != nil {
		return registry.View{}, agent.Pin{}, err
	}
	if view.Agent == nil || view.Pointer == nil {
		return registry.View{}, agent.Pin{}, ErrUnknownAgent
	}
	pin, err := i.judge(ctx, view, s, now)
	if err != nil {
		return registry.View{}, agent.Pin{}, err
	}
	if now.Before(s.leaf.NotBefore) || now.After(s.leaf.NotAfter) {
		return registry.View{}, agent.Pin{}, ErrNotInValidity
	}
	return view, pin, nil
}

func (i *Issuer) judge(ctx context.Context, view registry.View, s shown, now time.Time) (agent.Pin, error) {
	if view.Agent.Method == agent.SPIFFE {
		return i.judgeSVID(ctx, view, s, now)
	}
	return view.Agent.Authenticate(s.thumbprint, view.Pointer, now)
}

// find reads the record of the agent that the certificate names, or client_id does: by its SPIFFE ID of the Mastio's own
// form, else by its common name. Where that record is not about this certificate, and nobody insists, the aliases of
// its SPIFFE ID and of itself lead to one that is. So agents whose certificates name them cost one read, and the others
// three.
func (i *Issuer) find(ctx context.Context, s shown, clientID string) (view registry.View, err error) {
	named, isNamed := namedBy(s)
	id, known := named, isNamed
	if clientID != "" {
		if id, err = agent.ParseID(clientID); err != nil {
			return view, ErrClientID
		}
		known = true
	}
	if known {
		if view, err = i.Store.View(ctx, id); err != nil || view.Agent != nil && s.isAbout(*view.Agent) {
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
	led, err := i.Store.Alias(ctx, names...)
	if err != nil || led == "" || led == id && known {
		return view, err
	}
	return i.Store.View(ctx, led)
}

// isAbout reports whether a record is that of the agent which the certificate was for, be it dead by now.
func (s shown) isAbout(a agent.Agent) bool {
	if s.uri != "" && a.SPIFFEID == s.uri {
		return true
	}
	return slices.ContainsFunc(a.Pins, func(p agent.Pin) bool { return p.Thumbprint == s.thumbprint })
}

func namedBy(s shown) (agent.ID, bool) {
	if path, ok := strings.CutPrefix(s.uri, "spiffe://"); ok {
		_, path, _ = strings.Cut(path, "/")
		org, name, _ := strings.Cut(path, "/")
		if id, err := agent.NewID(org, name); err == nil {
			return id, true
		}
	}
	id, err := agent.ParseID(s.leaf.Subject.CommonName)
	return id, err == nil
}

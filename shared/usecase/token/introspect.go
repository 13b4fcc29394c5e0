package token

import (
	"context"
	"slices"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/problem"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/usecase/authn"
	"github.com/mastio-aws/mastio/shared/verifier/accesstoken"
)

// ErrMayNotIntrospect is the one answer for every token to a caller without the right.
var ErrMayNotIntrospect = problem.New(403, "introspection_not_allowed", "the agent may not introspect tokens").
	Says("This needs the capability " + agent.Introspect + ". The operator gives it to an agent that is a resource " +
		"server: PATCH /v1/admin/agents/{agent_id}.").
	AtToken("insufficient_scope")

// Introspector answers resource servers whether a token counts now (RFC 7662). It asks the registry each time, strongly
// consistently: once a rotation or a deactivation is confirmed, no token that it ended is active. It is safe for
// concurrent use.
type Introspector struct {
	issuer    *Issuer
	keys      ResourceKeys
	published verificationKeys
}

// NewIntrospector returns an Introspector for the tokens of an Issuer.
func NewIntrospector(i *Issuer, keys ResourceKeys) *Introspector {
	return &Introspector{issuer: i, keys: keys}
}

// IntrospectionRequest is a request by a resource server, which authenticates as at the token endpoint.
type IntrospectionRequest struct {
	CertificatePEM string // from the TLS connection, by way of the edge; empty: none
	ChainPEM       string // optional: what stands between an SVID and its bundle
	ClientID       string // optional: the certificate names the agent
	Token          string
}

// Introspection is the answer. Claims are those of an active token.
type Introspection struct {
	Caller agent.ID // also with an error, once the caller is authenticated
	Active bool
	Claims accesstoken.Claims
}

// Introspect decides whether the caller may ask before it judges the token, and then judges the token by the registry.
// It costs one read of both agents and the pointer, and one write at the first use of a caller's new certificate.
// Everything that does not count is inactive, without a reason. An active token still is no proof of its holder:
// the resource server compares cnf.
//
// Errors: ErrMayNotIntrospect, those of authn.Authenticate, registry.ErrUnavailable.
func (n *Introspector) Introspect(ctx context.Context, q IntrospectionRequest) (Introspection, error) {
	shown, err := authn.Read(q.CertificatePEM, q.ChainPEM)
	if err != nil {
		return Introspection{}, err
	}
	now := n.issuer.Now()
	subject, _ := agent.ParseID(accesstoken.ClaimedSubject(q.Token)) // of no agent: only the caller is read
	reads := &pair{Store: n.issuer.Store, other: subject}
	view, pin, err := authn.Authenticate(ctx, reads, &n.issuer.own, shown, q.ClientID, now)
	if err != nil {
		return Introspection{}, err
	}
	answer := Introspection{Caller: view.Agent.ID}
	if !slices.Contains(view.Agent.Capabilities, agent.Introspect) {
		return answer, ErrMayNotIntrospect
	}
	if _, err := n.issuer.use(ctx, view, pin, now); err != nil {
		return answer, err
	}
	keys, err := n.published.lookup(ctx, n.keys, now)
	if err != nil {
		return answer, err
	}
	claims, err := accesstoken.VerifyIssued(q.Token, keys, now, n.issuer.Issuer)
	if err != nil || reads.found == nil || string(reads.found.ID) != claims.Subject {
		return answer, nil //nolint:nilerr // inactive, whatever the reason
	}
	if reads.found.Honours(grantOf(claims), *view.Pointer, now) == nil {
		answer.Active, answer.Claims = true, claims
	}
	return answer, nil
}

func grantOf(c accesstoken.Claims) agent.Grant {
	return agent.Grant{
		X5T:          c.X5T,
		Handle:       c.Handle,
		Generation:   c.Generation,
		At:           c.IssuedAt,
		Capabilities: c.Capabilities,
	}
}

// pair reads the agent that a token is about with the caller, in one call.
type pair struct {
	Store
	other agent.ID
	found *agent.Agent // with the last read; nil: there is none
}

// View reads a caller, a copy of the pointer, and the other agent.
func (p *pair) View(ctx context.Context, id agent.ID) (registry.View, error) {
	if p.other == "" {
		return p.Store.View(ctx, id)
	}
	view, err := p.Store.ViewBoth(ctx, id, p.other)
	p.found = view.Other
	return view, err
}

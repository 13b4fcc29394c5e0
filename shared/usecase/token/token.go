// Package token issues access tokens to agents that authenticate with a pinned certificate. It keeps the keys that
// sign them: one per epoch, made once, encrypted under KMS, and shared by all instances. Its Resource answers an agent
// what an access token proves.
package token

import (
	"cmp"
	"context"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/assertion"
	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/problem"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/usecase/authn"
	"github.com/mastio-aws/mastio/shared/verifier/accesstoken"
)

// Why a token is refused. With the errors of authn.Authenticate, those of a proof and registry.ErrReplayed they are all
// the answers that a client can get.
var (
	ErrGrant = problem.New(400, "grant_type_unsupported", "only the grant type client_credentials is supported").
			Says("Only grant_type=client_credentials is supported").
			AtToken("unsupported_grant_type")
	ErrScope = problem.New(400, "scope_invalid", "requested scope exceeds the agent's capabilities").
			Says("The requested scope exceeds the agent's capabilities").
			AtToken("invalid_scope")
	ErrResource = problem.New(400, "resource_invalid", "resource is not an absolute URI without fragment").
			Says("resource is not an absolute URI without fragment").
			AtToken("invalid_target")
	// ErrProofRequired is the answer of a Mastio, or of an agent, whose tokens are all bound to a DPoP key.
	ErrProofRequired = problem.New(400, "dpop_proof_required", "tokens are issued only with a DPoP proof").
				Says("A DPoP proof is required: send the header DPoP with a proof (RFC 9449 section 4.2) for this " +
			"request, signed by the agent's registered key").
		AtToken("invalid_dpop_proof")
	// ErrNoProofKey reports an agent whose tokens are all bound to its registered DPoP key, which a compromise has taken
	// away.
	ErrNoProofKey = problem.New(400, "dpop_key_missing", "the agent's tokens are bound to a DPoP key, and none "+
		"is registered").
		Says("The agent's tokens are bound to its registered DPoP key, and none is registered since that key was " +
			"declared compromised. The operator registers a new one: rotate-cert, or enrolment, with dpop_jwk").
		AtToken("invalid_dpop_proof")
	// ErrLostProofKey reports a key that never counts again for this agent, registered or not.
	ErrLostProofKey = problem.New(400, "dpop_key_compromised", "proof was made with a key that was declared compromised").
			Says("This DPoP key was declared compromised. Make a new key.").AtToken("invalid_dpop_proof")
	ErrProofKey = problem.New(400, "dpop_key_unregistered", "proof was made with another key than the registered one").
			Says("The DPoP proof was made with another key than the agent's registered one").
			AtToken("invalid_dpop_proof")
)

// Store is what issuing needs of the registry.
type Store interface {
	authn.Store
	ViewSeen(ctx context.Context, id agent.ID) (registry.View, error)
	ViewBoth(ctx context.Context, id, other agent.ID) (registry.View, error)
	Apply(ctx context.Context, c registry.Change) error
	UseProof(ctx context.Context, jkt, jti string, until, now time.Time) error
}

// Keys gives the key to sign with at now, and the one before it for as long as what it signed may still be shown.
type Keys interface {
	Signing(ctx context.Context, now time.Time) (*Key, error)
	Before(ctx context.Context, now time.Time) (*Key, error)
}

// Config is what an Issuer is made of. The switches may be false and Life zero, all else is required.
type Config struct {
	Store        Store
	Keys         Keys
	Issuer       string // issuer identifier, RFC 8414: the agents' base URL
	Endpoint     string // the token endpoint's URL, which a proof's htu must name
	RequireDPoP  bool
	RequireNonce bool
	// Life is that of a token, from accesstoken.MinLife to accesstoken.MaxLife; zero: accesstoken.DefaultLife.
	Life time.Duration
	// RegisteredKeyOnly refuses what a login by assertion may do otherwise: bind its token to another key than the
	// registered one.
	RegisteredKeyOnly bool
	Sightings         *Sightings
	Refusals          *Refusals
	Suspicions        *Suspicions
	Now               func() time.Time
	NewID             func() string
}

// Issuer issues tokens. It keeps nothing between requests that could let a certificate in: so a rotated certificate is
// dead at once. It remembers which CAs are the Mastio's own, to refuse them. It is safe for concurrent use.
type Issuer struct {
	Config
	own authn.Own
}

// New returns an Issuer.
func New(cfg Config) *Issuer {
	cfg.Life = cmp.Or(cfg.Life, accesstoken.DefaultLife)
	return &Issuer{Config: cfg}
}

// Request is a token request (RFC 6749 section 4.4, RFC 8705 section 2, RFC 9449 section 5).
type Request struct {
	audit.By                // for the row about a credential that is suspect
	CertificatePEM string   // from the TLS connection, by way of the edge; empty: none
	ChainPEM       string   // optional: what stands between an SVID and its bundle; the edge may pass on the leaf alone
	GrantType      string   // empty stands for client_credentials
	ClientID       string   // optional: the certificate names the agent
	Scope          string   // optional: all capabilities
	Resource       string   // optional, RFC 8707
	Proofs         []string // values of the DPoP header
	Assertion      *string  // optional client assertion, RFC 7523 section 2.2; one that is there is judged
}

// Token is a successful answer.
type Token struct {
	Agent       agent.ID // also with an error, once the caller is authenticated
	AccessToken string
	Type        string // "DPoP" or "Bearer"
	ExpiresIn   time.Duration
	Scope       string
	// RenewAfter is when the agent's slot for renewing its certificate begins, once the window is open; zero before.
	RenewAfter time.Time
	Nonce      string // for the DPoP-Nonce header of the answer
}

// Issue authenticates the caller and signs a token: one read, one conditional write each for a proof and an assertion,
// one KMS call per epoch, and one more write at the first use of a successor. The assertion is used up last: a refused
// request may be repeated with the same assertion. In addition, Sightings notes the hour, and Refusals a new
// certificate that is refused.
//
// The caller can correct the errors above. registry.ErrUnavailable means that a store did not answer: in doubt there
// is no token. NonceError carries the nonce to answer with.
func (i *Issuer) Issue(ctx context.Context, r Request) (Token, error) {
	shown, given, err := read(r)
	if err != nil {
		return Token{}, err
	}
	now := i.Now()
	reads := &viewer{Store: i.Store, sightings: i.Sightings, now: now}
	t, err := i.issue(ctx, r, reads, shown, given)
	if err != nil {
		i.Refusals.note(ctx, reads.last, shown.Thumbprint(), err, now)
		i.Suspicions.note(ctx, reads.last, shown, r.By, err, i.Life, now)
	}
	return t, err
}

func (i *Issuer) issue(
	ctx context.Context, r Request, reads *viewer, shown authn.Credential, given *assertion.Assertion,
) (Token, error) {
	now := reads.now
	view, pin, err := authn.Authenticate(ctx, reads, &i.own, shown, r.ClientID, now)
	if err != nil {
		return Token{}, err
	}
	known := Token{Agent: view.Agent.ID}
	if view.Agent.Contained() {
		return known, ErrContained
	}
	scope, audience, err := i.grant(r, *view.Agent)
	if err != nil {
		return known, err
	}
	key, err := i.Keys.Signing(ctx, now)
	if err != nil {
		return known, err
	}
	login, err := i.judge(ctx, given, key, i.expect(view.Agent.ID, shown, now))
	if err != nil {
		return known, err
	}
	jkt, err := i.prove(ctx, r.Proofs, i.binding(given, *view.Agent, pin), key, now)
	if err != nil {
		return known, err
	}
	handle, err := i.use(ctx, view, pin, now)
	if err != nil {
		return known, err
	}
	if err := i.useUp(ctx, given, login, shown.Thumbprint(), now); err != nil {
		return known, err
	}
	i.learn(ctx, view, shown, pin, now)
	t, err := i.sign(key, *view.Agent, handle, pin, scope, audience, jkt, now)
	if err == nil {
		registered := cmp.Or(pin.JKT, view.Agent.JKT)
		look := i.Suspicions.look(possession{*view.Agent, shown.Thumbprint(), shown.Leaf, jkt,
			given != nil && jkt != registered, r.By, now})
		i.Sightings.note(ctx, view.Seen, registry.SightingOf(view.Agent.ID, pin.Generation, now), look)
	}
	t.Agent, t.Nonce = view.Agent.ID, key.Nonces.Issue(now)
	if view.Agent.Method == agent.Minted {
		if w := agent.RenewalWindowOf(view.Agent.ID, pin, *view.Pointer, now); !now.Before(w.Open) {
			t.RenewAfter = w.Start
		}
	}
	return t, err
}

// read reads the caller's certificate and assertion.
func read(r Request) (authn.Credential, *assertion.Assertion, error) {
	shown, err := authn.Read(r.CertificatePEM, r.ChainPEM)
	if err != nil || r.Assertion == nil {
		return shown, nil, err
	}
	given, err := assertion.Parse(*r.Assertion)
	if err != nil {
		return shown, nil, err
	}
	return shown.WithBehind(given.Behind), &given, nil
}

// grant decides what the token is good for. The audience is the resource (RFC 8707), else the Mastio itself.
func (i *Issuer) grant(r Request, a agent.Agent) (scope string, audience string, err error) {
	if r.GrantType != "" && r.GrantType != "client_credentials" {
		return "", "", ErrGrant
	}
	var scopes []string                             // each once: a request of 64 KiB must not become a token of that size
	for s := range strings.SplitSeq(r.Scope, " ") { // and nothing else: RFC 6749 section 3.3 knows no other separator
		if s == "" {
			continue
		}
		if !slices.Contains(a.Capabilities, s) {
			return "", "", ErrScope
		}
		if !slices.Contains(scopes, s) {
			scopes = append(scopes, s)
		}
	}
	if len(scopes) == 0 {
		scopes = a.Capabilities
	}
	if r.Resource == "" {
		return strings.Join(scopes, " "), i.Issuer, nil
	}
	u, err := url.Parse(r.Resource)
	if err != nil || !u.IsAbs() || u.Fragment != "" || strings.Contains(r.Resource, "#") || len(r.Resource) > maxResource {
		return "", "", ErrResource
	}
	return strings.Join(scopes, " "), r.Resource, nil
}

const maxResource = 2048 // octets

func (i *Issuer) sign(
	key *Key, a agent.Agent, handle agent.Handle, pin agent.Pin, scope, audience, jkt string, now time.Time,
) (Token, error) {
	x5t, err := accesstoken.X5TFromThumbprint(pin.Thumbprint)
	if err != nil {
		return Token{}, err
	}
	end := now.Add(i.Life)
	if end.After(key.Published) {
		end = key.Published
	}
	signed, err := accesstoken.Sign(accesstoken.Claims{
		Issuer:       i.Issuer,
		Subject:      string(a.ID),
		Audience:     []string{audience},
		ClientID:     string(a.ID),
		Scope:        scope,
		JTI:          i.NewID(),
		IssuedAt:     now,
		Expires:      end,
		X5T:          x5t,
		JKT:          jkt,
		Capabilities: strings.Fields(scope),
		Generation:   pin.Generation,
		Handle:       handle.String(),
	}, key.Key)
	kind := "Bearer"
	if jkt != "" {
		kind = "DPoP"
	}
	return Token{AccessToken: signed, Type: kind, ExpiresIn: end.Sub(now), Scope: scope}, err
}

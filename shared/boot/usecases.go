package boot

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mastio-aws/mastio/shared/admin"
	"github.com/mastio-aws/mastio/shared/edge/httpapi"
	"github.com/mastio-aws/mastio/shared/session"
	"github.com/mastio-aws/mastio/shared/usecase/agentcert"
	"github.com/mastio-aws/mastio/shared/usecase/authn"
	"github.com/mastio-aws/mastio/shared/usecase/discovery"
	"github.com/mastio-aws/mastio/shared/usecase/enroll"
	"github.com/mastio-aws/mastio/shared/usecase/health"
	"github.com/mastio-aws/mastio/shared/usecase/hygiene"
	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
	"github.com/mastio-aws/mastio/shared/usecase/signin"
	"github.com/mastio-aws/mastio/shared/usecase/standby"
	"github.com/mastio-aws/mastio/shared/usecase/status"
	"github.com/mastio-aws/mastio/shared/usecase/token"
	"github.com/mastio-aws/mastio/shared/usecase/truststore"
)

// Ceremony makes generations of the Org CA, and ends them.
func (p *Parts) Ceremony() *rotateca.Ceremony {
	return rotateca.NewCeremony(rotateca.CeremonyConfig{
		Store:       p.store(),
		Keys:        p.keys(),
		OrgID:       p.OrgID,
		TrustDomain: p.TrustDomain,
		Now:         p.Now,
		NewID:       p.NewID,
		Log:         p.Log,
	})
}

// Rotator rotates the Org CA; c makes a generation where none waits.
func (p *Parts) Rotator(c *rotateca.Ceremony) *rotateca.Rotator {
	return rotateca.New(rotateca.Config{
		Store:    p.store(),
		Ceremony: c,
		Backups:  p.backups(),
		Trust:    p.Keeper().Reconcile,
		OrgID:    p.OrgID,
		Strict:   p.StrictPKI,
		Awaits:   p.Adopt,
		Now:      p.Now,
		NewID:    p.NewID,
		Log:      p.Log,
	})
}

// Keeper keeps the truststore object up to date, and the agents' domain with it.
func (p *Parts) Keeper() *truststore.Keeper {
	return truststore.NewKeeper(truststore.Config{
		Objects: p.objects(),
		Domain:  p.domain(),
		Store:   p.store(),
		Now:     p.Now,
		NewID:   p.NewID,
		Log:     p.Log,
	})
}

func (p *Parts) suspects() *authn.Suspects {
	return &authn.Suspects{Store: p.store(), NewID: p.NewID, Log: p.Log}
}

func (p *Parts) issuer() agentcert.Issuer {
	return agentcert.Issuer{
		Store:       p.store(),
		Keys:        p.keys(),
		OrgID:       p.OrgID,
		TrustDomain: p.TrustDomain,
		Schedule:    p.Schedule,
		Suspects:    p.suspects(),
		Now:         p.Now,
		NewID:       p.NewID,
	}
}

// CertRotator rotates agents' certificates.
func (p *Parts) CertRotator() *agentcert.Rotator {
	return agentcert.NewRotator(agentcert.RotatorConfig{Store: p.store(), Issuer: p.issuer()})
}

// Enroller enrols agents, lists them and ends them.
func (p *Parts) Enroller() *enroll.Enroller {
	return enroll.New(enroll.Config{
		Store:        p.store(),
		Issuer:       p.issuer(),
		OrgID:        p.OrgID,
		TrustDomains: append([]string{p.TrustDomain}, p.SPIFFETrustDomains...),
		Trust:        p.Keeper().Follow,
		Log:          p.Log,
		Now:          p.Now,
		NewID:        p.NewID,
	})
}

// Renewer renews the certificates of agents that ask.
func (p *Parts) Renewer() *agentcert.Renewer {
	return agentcert.NewRenewer(agentcert.RenewerConfig{
		Store:   p.store(),
		Issuer:  p.issuer(),
		Overlap: p.RenewOverlap,
		Log:     p.Log,
	})
}

// StatusPublisher publishes which tokens died. It signs with a key of the day, wherever tokens are signed: a signature
// in KMS every second would cost more than all else of it.
func (p *Parts) StatusPublisher(keys *token.Ring) *status.Publisher {
	return status.New(status.Config{Store: p.store(), Keys: keys, Issuer: p.Config.Issuer, Now: p.Now})
}

// Tokens issues access tokens.
func (p *Parts) Tokens(keys token.Keys) *token.Issuer {
	return token.New(token.Config{
		Store:             p.store(),
		Keys:              keys,
		Issuer:            p.Config.Issuer,
		Endpoint:          p.endpoint(),
		RequireDPoP:       p.RequireDPoP,
		RequireNonce:      p.RequireNonce,
		Life:              p.TokenLife,
		RegisteredKeyOnly: p.RegisteredDPoPOnly,
		Sightings:         &token.Sightings{Store: p.store(), Background: p.background(), Log: p.Log},
		Refusals:          &token.Refusals{Store: p.store(), Background: p.background(), Log: p.Log},
		Suspicions: &token.Suspicions{
			Store:      p.store(),
			Suspects:   p.suspects(),
			Background: p.background(),
			Log:        p.Log,
		},
		Now:   p.Now,
		NewID: p.NewID,
	})
}

// Resource shows an agent with a token what the token proves.
func (p *Parts) Resource(keys token.ResourceKeys) *token.Resource {
	return token.NewResource(token.ResourceConfig{
		Store:        p.store(),
		Keys:         keys,
		Issuer:       p.Config.Issuer,
		URL:          p.Config.Issuer + httpapi.MePath,
		RequireNonce: p.RequireNonce,
		Now:          p.Now,
	})
}

// Directory answers what verifiers look up.
func (p *Parts) Directory(keys discovery.Keys) *discovery.Directory {
	return &discovery.Directory{Store: p.store(), Keys: keys, Issuer: p.Config.Issuer, Endpoint: p.endpoint(), Now: p.Now}
}

// Checker reports the state of the Mastio. It does not read the admin secret: a function that may read the secret sets
// Checker.Secret.
func (p *Parts) Checker() *health.Checker {
	keys := p.keys()
	return &health.Checker{
		Store:     p.store(),
		Objects:   p.objects(),
		Noted:     keys.Noted,
		Left:      keys.Left,
		Forgotten: p.forgotten(),
		Schedule:  p.Schedule,
		TokenLife: p.TokenLife,
		Now:       p.Now,
	}
}

// StandbyJob has the next Org CA ready, and ends what is spent.
func (p *Parts) StandbyJob(c *rotateca.Ceremony, r *rotateca.Rotator, ring interface {
	Ensure(ctx context.Context, now time.Time) error
}) *standby.Job {
	return standby.New(standby.Config{
		OrgID:     p.OrgID,
		Store:     p.store(),
		Ceremony:  c,
		Notes:     p.keys(),
		Forgotten: p.forgotten(),
		Rotator:   r,
		Trust:     p.Keeper().Reconcile,
		Keys:      ring.Ensure,
		Adopt:     p.Adopt,
		Migrate:   p.AutoMigrate,
		Rotate:    p.AutoRotate,
		Schedule:  p.Schedule,
		Now:       p.Now,
		NewID:     p.NewID,
		Log:       p.Log,
	})
}

// HygieneJob replaces certificates that are due, or notifies their operators. It stops when over reports that its time
// is nearly over.
func (p *Parts) HygieneJob(over func(context.Context) bool) *hygiene.Job {
	return hygiene.New(hygiene.Config{
		Store:   p.store(),
		Issuer:  p.issuer(),
		Secrets: p.agentSecrets(),
		Over:    over,
		Pace:    paced(p.ReissuePace, p.Now),
		Now:     p.Now,
		NewID:   p.NewID,
		Log:     p.Log,
	})
}

// Door lets operators in, and reports whose session a request is.
func (p *Parts) Door(secret Secret) *signin.Door {
	return signin.New(signin.Config{
		Store:   p.store(),
		Refused: p.refusals().Record,
		Now:     p.Now,
		Log:     p.Log,
		Check: func(ctx context.Context, shown string) (admin.Admin, bool, error) {
			who, ok, err := secret.Check(ctx, shown)
			return who, ok, unchecked(err)
		},
		Still: func(ctx context.Context, name, version string) (admin.Admin, bool, error) {
			who, ok, err := secret.Still(ctx, name, version)
			return who, ok, unchecked(err)
		},
	})
}

// unchecked wraps an error of the secret store, but not too many guesses, in the API's public error.
func unchecked(err error) error {
	if err == nil || errors.Is(err, session.ErrLocked) {
		return err
	}
	return fmt.Errorf("%w: %w", httpapi.ErrAdminUnavailable, err)
}

package boot

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"time"

	"github.com/mastio-aws/mastio/shared/edge/delegate"
	"github.com/mastio-aws/mastio/shared/edge/dynamo"
	"github.com/mastio-aws/mastio/shared/edge/httpapi"
	"github.com/mastio-aws/mastio/shared/edge/metrics"
	"github.com/mastio-aws/mastio/shared/usecase/ceremony"
	"github.com/mastio-aws/mastio/shared/usecase/discovery"
	"github.com/mastio-aws/mastio/shared/usecase/enroll"
	"github.com/mastio-aws/mastio/shared/usecase/health"
	"github.com/mastio-aws/mastio/shared/usecase/renew"
	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
	"github.com/mastio-aws/mastio/shared/usecase/rotatecert"
	"github.com/mastio-aws/mastio/shared/usecase/signin"
	"github.com/mastio-aws/mastio/shared/usecase/standby"
	"github.com/mastio-aws/mastio/shared/usecase/startup"
	"github.com/mastio-aws/mastio/shared/usecase/token"
	"github.com/mastio-aws/mastio/shared/usecase/tokenkeys"
	"github.com/mastio-aws/mastio/shared/usecase/truststore"
	"github.com/mastio-aws/mastio/shared/usecase/whoami"
)

// http finishes a function that API Gateway calls.
func (p *parts) http(h httpapi.Handlers, admin httpapi.Admin) (any, error) {
	return p.gated(h, admin, p.gate())
}

func (p *parts) gated(h httpapi.Handlers, admin httpapi.Admin, gate func(context.Context) error) (any, error) {
	mux, err := p.handler(h, admin, gate)
	if err != nil {
		return nil, err
	}
	return httpapi.Lambda(mux), nil
}

// RotateCert is the function rotatecert.
func RotateCert(p *parts) (any, error) {
	r := rotatecert.New(rotatecert.Config{Store: p.db, Issuer: p.issuer(), Log: p.log})
	return p.http(httpapi.RotateCert(r), p.admin())
}

// Enroll is the function enroll.
func Enroll(p *parts) (any, error) {
	return p.http(httpapi.Enroll(p.enroller()), p.admin())
}

func (p *parts) enroller() *enroll.Enroller {
	return enroll.New(enroll.Config{
		Store: p.db, Issuer: p.issuer(), OrgID: p.OrgID, TrustDomains: append([]string{p.TrustDomain}, p.SPIFFETrustDomains...), Trust: p.keeper().Follow,
		Log: p.log, Now: p.now, NewID: p.newID,
	})
}

// Renew is the function renew.
func Renew(p *parts) (any, error) {
	r := renew.New(renew.Config{Store: p.db, Issuer: p.issuer(), Overlap: p.RenewOverlap, Log: p.log})
	return p.http(httpapi.Renew(r), nil)
}

// RotateCA is the function rotateca: API Gateway calls it, and so does the dashboard.
func RotateCA(p *parts) (any, error) {
	rotator := p.rotator(p.ceremony())
	admin := p.secret()
	mux, err := p.handler(httpapi.RotateCA(rotator), admin.Check, nil)
	if err != nil {
		return nil, err
	}
	return httpapi.LambdaOr(mux, Desk(rotator, p.door(admin), p.log).Serve), nil
}

// Desk takes the dashboard's orders, of sessions that the door opens.
func Desk(rotator *rotateca.Rotator, door *signin.Door, log *slog.Logger) *delegate.Desk {
	return &delegate.Desk{Do: rotator.Do, Open: door.Open, Log: log}
}

// Token is the function token.
func Token(p *parts) (any, error) {
	ring := p.ring()
	issuer := token.New(token.Config{
		Store: p.db, Keys: ring, Issuer: p.Issuer, Endpoint: p.endpoint(),
		RequireDPoP: p.RequireDPoP, RequireNonce: p.RequireNonce, RegisteredKeyOnly: p.RegisteredDPoPOnly, Now: p.now, NewID: p.newID,
	})
	h := httpapi.Token(issuer)
	maps.Copy(h, httpapi.Me(whoami.New(whoami.Config{
		Store: p.db, Keys: ring, Issuer: p.Issuer, URL: p.Issuer + httpapi.MePath, RequireNonce: p.RequireNonce, Now: p.now,
	})))
	return p.http(h, nil)
}

// Healthz is the function healthz.
func Healthz(p *parts) (any, error) {
	checker, admin := p.checker(), p.secret()
	checker.Secret = admin.Shortest
	return p.gated(httpapi.Health(checker, p.Version, p.OrgID), admin.Check, nil) // it reports what shuts the others
}

// jobPatience is how long the jobs of a deployment retry while not all hosts of KMS know a new key: a first
// deployment has one try. The function standby has two minutes, startup one.
const jobPatience = 45 * time.Second

// Standby is the function standby.
func Standby(p *parts) (any, error) {
	p.patience = jobPatience
	ring, makes, checker := p.localRing(), p.ceremony(), p.checker()
	job := standby.New(standby.Config{
		OrgID: p.OrgID,
		Store: p.db, Ceremony: makes, Notes: p.keys(), Forgotten: p.forgotten(), Rotator: p.rotator(makes), Trust: p.trust(), Keys: ring.Ensure, Adopt: p.Adopt, Migrate: p.AutoMigrate, Rotate: p.AutoRotate, Schedule: p.Schedule,
		Now: p.now, NewID: p.newID, Log: p.log,
	})
	return func(ctx context.Context) (standby.Report, error) {
		report, err := job.Run(ctx)
		if err != nil {
			p.log.ErrorContext(ctx, "standby", "cause", err.Error())
			// The cause is in the error too, for the operator who deploys: a first deployment that fails removes the log with the rest.
			// No caller of the APIs gets it, and it names keys by their ids at most.
			err = fmt.Errorf("%w: %w", errJob, err)
		}
		state, checkErr := checker.Check(ctx)
		if checkErr != nil { // no gauge is better than a wrong one: an alarm takes what is missing for bad
			p.log.ErrorContext(ctx, "standby", "cause", checkErr.Error())
			return report, fmt.Errorf("%w: %w", errJob, checkErr)
		}
		return report, errors.Join(err, metrics.Write(os.Stdout, p.OrgID, p.now(), gauges(state, p.now())...))
	}, nil
}

// Startup is the function startup. Its error is the reason that a deployment fails with.
func Startup(p *parts) (any, error) {
	p.patience = jobPatience
	check := &startup.Check{
		Store: p.db, Objects: p.objects(), Secret: p.secret().Readable, Tokens: p.ring().Usable, Left: p.keys().Left, Forgotten: p.forgotten(), Strict: p.StrictPKI, Adopt: p.Adopt, Domain: p.AgentsDomain != "", Now: p.now,
	}
	return func(ctx context.Context) error {
		err := check.Run(ctx)
		if err != nil {
			p.log.ErrorContext(ctx, "startup", "cause", err.Error())
		}
		return err
	}, nil
}

var errJob = errors.New("standby job failed")

func (p *parts) checker() *health.Checker {
	return &health.Checker{Store: p.db, Objects: p.objects(), Noted: p.keys().Noted, Left: p.keys().Left, Forgotten: p.forgotten(), Schedule: p.Schedule, Now: p.now}
}

func (p *parts) ceremony() *ceremony.Ceremony {
	return ceremony.New(ceremony.Config{
		Store: p.db, Keys: p.keys(), OrgID: p.OrgID, TrustDomain: p.TrustDomain, Now: p.now, NewID: p.newID, Log: p.log,
	})
}

func (p *parts) rotator(c *ceremony.Ceremony) *rotateca.Rotator {
	return rotateca.New(rotateca.Config{
		Store: p.db, Preparer: c, Backups: dynamo.NewBackups(dynamo.NewClient(p.aws), p.TablePrefix), Trust: p.trust(), OrgID: p.OrgID, Strict: p.StrictPKI,
		Awaits: p.Adopt, Now: p.now, NewID: p.newID, Log: p.log,
	})
}

// keeper brings the truststore object up to date, and the agents' domain with it.
func (p *parts) keeper() *truststore.Keeper {
	return truststore.NewKeeper(truststore.Config{
		Objects: p.objects(), Domain: p.domain(), Store: p.db, Now: p.now, NewID: p.newID, Log: p.log,
	})
}

func (p *parts) trust() func(context.Context) (string, error) { return p.keeper().Reconcile }

func (p *parts) localRing() *tokenkeys.Ring {
	return tokenkeys.New(tokenkeys.Config{Store: p.db, Vault: p.vault(), OrgID: p.OrgID, TTL: token.TTL})
}

// keyring is what both kinds of ring can do.
type keyring interface {
	token.Keys
	discovery.Keys
	Usable(ctx context.Context, now time.Time) error
}

func (p *parts) ring() keyring {
	if p.Signer != KMS {
		return p.localRing()
	}
	keys := p.keys()
	return tokenkeys.Remote{Ring: p.localRing(), Load: once(func(ctx context.Context) (*ecdsa.PublicKey, func(context.Context) crypto.Signer, error) {
		pub, err := keys.Public(ctx, p.TokenSigningKey)
		if err != nil {
			return nil, nil, err
		}
		key, ok := pub.(*ecdsa.PublicKey)
		if !ok {
			return nil, nil, tokenkeys.ErrKey
		}
		return key, func(ctx context.Context) crypto.Signer { return keys.Signer(ctx, p.TokenSigningKey, pub) }, nil
	})}
}

// once remembers the public half after the first success; a KMS key's never changes.
func once(load func(context.Context) (*ecdsa.PublicKey, func(context.Context) crypto.Signer, error)) func(context.Context) (*ecdsa.PublicKey, crypto.Signer, error) {
	var pub *ecdsa.PublicKey
	var signer func(context.Context) crypto.Signer
	return func(ctx context.Context) (*ecdsa.PublicKey, crypto.Signer, error) {
		if pub == nil {
			p, s, err := load(ctx)
			if err != nil {
				return nil, nil, err
			}
			pub, signer = p, s
		}
		return pub, signer(ctx), nil
	}
}

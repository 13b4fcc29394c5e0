package boot

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/mastio-aws/mastio/shared/edge/httpapi"
	"github.com/mastio-aws/mastio/shared/edge/remoteca"
	"github.com/mastio-aws/mastio/shared/usecase/health"
	"github.com/mastio-aws/mastio/shared/usecase/standby"
	"github.com/mastio-aws/mastio/shared/usecase/token"
)

// RotateCert is the function rotatecert.
func RotateCert(p *Parts) (any, error) {
	return p.http(httpapi.RotateCert(p.CertRotator()), p.secret().Check)
}

// Enroll is the function enroll.
func Enroll(p *Parts) (any, error) {
	return p.http(httpapi.Enroll(p.Enroller()), p.secret().Check)
}

// Renew is the function renew. The encoder of EST's certificates comes from its main.
func Renew(encode httpapi.CertsOnly) Function {
	return func(p *Parts) (any, error) { return p.http(httpapi.Renew(p.Renewer(), encode), nil) }
}

// RotateCA is the function rotateca: API Gateway calls it, and so does the dashboard.
func RotateCA(p *Parts) (any, error) {
	rotator := p.Rotator(p.Ceremony())
	admin := p.secret()
	mux, err := p.handler(httpapi.RotateCA(rotator), admin.Check, nil)
	if err != nil {
		return nil, err
	}
	desk := &remoteca.Desk{Do: rotator.Do, Open: p.Door(admin).Open, Log: p.Log}
	return httpapi.LambdaOr(mux, desk.Serve), nil
}

// Token is the function token.
func Token(p *Parts) (any, error) {
	ring := p.Ring()
	issuer := p.Tokens(ring)
	h := httpapi.Token(issuer)
	maps.Copy(h, httpapi.Me(p.Resource(ring)))
	maps.Copy(h, httpapi.Introspect(token.NewIntrospector(issuer, ring)))
	return p.http(h, nil)
}

// Healthz is the function healthz.
func Healthz(p *Parts) (any, error) {
	checker, admin := p.Checker(), p.secret()
	checker.Secret = admin.Shortest
	cfg := p.config(httpapi.Health(checker, p.Version, p.OrgID), admin.Check, nil) // it reports what shuts the others
	if token := p.metricsToken(); token != nil {
		cfg.Scrape = token.Check
	}
	return finished(cfg)
}

// jobPatience is how long the jobs of a deployment retry while not all hosts of KMS know a new key: a first
// deployment has one try. The function standby has two minutes, startup one.
const jobPatience = 45 * time.Second

// Standby is the function standby.
func Standby(p *Parts) (any, error) {
	p.patience = jobPatience
	makes, checker := p.Ceremony(), p.Checker()
	job := p.StandbyJob(makes, p.Rotator(makes), p.LocalRing())
	return func(ctx context.Context) (standby.Report, error) {
		report, err := job.Run(ctx)
		if err != nil {
			p.Log.ErrorContext(ctx, "standby", "cause", err.Error())
			// The cause is in the error too, for the operator who deploys: a first deployment that fails removes the log with
			// the rest. No caller of the APIs gets it, and it names keys by their ids at most.
			err = fmt.Errorf("%w: %w", errJob, err)
		}
		state, checkErr := checker.Check(ctx)
		if checkErr != nil { // no gauge is better than a wrong one: an alarm takes what is missing for bad
			p.Log.ErrorContext(ctx, "standby", "cause", checkErr.Error())
			return report, fmt.Errorf("%w: %w", errJob, checkErr)
		}
		return report, errors.Join(err, WriteMetrics(p.Metrics, p.OrgID, p.Now(), gauges(state, p.Now())...))
	}, nil
}

// Status is the function status.
func Status(p *Parts) (any, error) {
	return p.http(httpapi.Status(p.StatusPublisher(p.LocalRing())), nil)
}

// Startup is the function startup. Its error is the reason that a deployment fails with.
func Startup(p *Parts) (any, error) {
	p.patience = jobPatience
	check := &health.Check{
		Store:     p.store(),
		Objects:   p.objects(),
		Secret:    p.secret().Readable,
		Tokens:    p.Ring().Usable,
		Left:      p.keys().Left,
		Forgotten: p.forgotten(),
		Strict:    p.StrictPKI,
		Adopt:     p.Adopt,
		Domain:    p.AgentsDomain != "",
		Now:       p.Now,
	}
	return func(ctx context.Context) error {
		err := check.Run(ctx)
		if err != nil {
			p.Log.ErrorContext(ctx, "startup", "cause", err.Error())
		}
		return err
	}, nil
}

var errJob = errors.New("standby job failed")

package boot

import (
	"context"
	"crypto"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/mastio-aws/mastio/shared/admin"
	"github.com/mastio-aws/mastio/shared/edge/httpapi"
	"github.com/mastio-aws/mastio/shared/edge/remoteca"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/usecase/auditlog"
	"github.com/mastio-aws/mastio/shared/usecase/events"
	"github.com/mastio-aws/mastio/shared/usecase/health"
	"github.com/mastio-aws/mastio/shared/usecase/hygiene"
	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
	"github.com/mastio-aws/mastio/shared/usecase/signin"
	"github.com/mastio-aws/mastio/shared/usecase/standby"
	"github.com/mastio-aws/mastio/shared/usecase/token"
	"github.com/mastio-aws/mastio/shared/usecase/truststore"
)

// Parts is what one process puts its functions together from. There is no other wiring: tests give services and clocks
// of their own and call the same constructors, so that they run what Lambda runs.
type Parts struct {
	Config
	Log        *slog.Logger
	Metrics    io.Writer // takes lines of CloudWatch's embedded metric format
	Now        func() time.Time
	NewID      func() string // unique, at most 36 characters
	Background func(func())  // runs what no answer waits for; nil: in a goroutine of its own
	outside

	patience time.Duration // with a new key that KMS does not know everywhere; zero: awskms.DefaultPatience
}

// outside has a client for each service outside. A function calls the methods that it needs, and the linker leaves out
// the clients of all others. That is why the methods are not exported: html/template keeps every exported method of a
// type.
type outside interface {
	store() registry.Store
	backups() rotateca.Backups
	keys() Keys
	vault() token.Vault
	objects() truststore.Objects
	domain() truststore.Domain
	secret() Secret
	metricsToken() Bearer // nil: GET /metrics takes an admin secret only
	agentSecrets() hygiene.Secrets
	archive() auditlog.Archive
	bus() events.Bus
	functions() remoteca.API
}

// Keys is the key store: the Org CA's keys, and those that sign checkpoints and tokens.
type Keys interface {
	rotateca.Keys
	standby.Notes
	Public(ctx context.Context, id string) (crypto.PublicKey, error)
}

// Bearer is a secret that opens one route.
type Bearer interface {
	// Check names the version of the secret that was shown; ok is false if none was.
	Check(ctx context.Context, shown string) (version string, ok bool, err error)
}

// Secret is the installation's one admin secret, and those of named admins.
type Secret interface {
	// Check returns the admin whose secret was shown; ok is false if none was.
	Check(ctx context.Context, shown string) (who admin.Admin, ok bool, err error)
	// Still returns the admin whose secret has this version; ok is false once it was changed or deleted. An empty name is
	// that of the one secret.
	Still(ctx context.Context, name, version string) (who admin.Admin, ok bool, err error)
	// Readable reports why no caller could present the one secret.
	Readable(ctx context.Context) error
	// Shortest returns how many characters the shortest version of the one secret has that is accepted now.
	Shortest(ctx context.Context) (int, error)
}

// endpoint is the token endpoint's URL.
func (p *Parts) endpoint() string { return p.Config.Issuer + "/v1/auth/token" }

func (p *Parts) background() func(func()) {
	if p.Background != nil {
		return p.Background
	}
	return func(do func()) { go do() }
}

func (p *Parts) refusals() *auditlog.Recorder {
	return auditlog.NewRecorder(auditlog.RecorderConfig{
		Store: p.store(),
		OrgID: p.OrgID,
		Now:   p.Now,
		NewID: p.NewID,
		Log:   p.Log,
	})
}

// strict keeps a function shut under a legacy Org CA where the operator asks for strict PKI.
func (p *Parts) strict() func(context.Context) error {
	if !p.StrictPKI {
		return nil
	}
	return (&health.StrictCheck{Store: p.store()}).Check
}

// config is that of a function with these handlers.
func (p *Parts) config(
	h httpapi.Handlers, admin httpapi.Admin, strict func(context.Context) error,
) httpapi.Config {
	return httpapi.Config{
		Handlers: h,
		Admin:    admin,
		Guesses:  &signin.Gates{Store: p.store(), Now: p.Now},
		Refused:  p.refusals().Record,
		Strict:   strict,
		Awaits:   p.Adopt,
		Log:      p.Log,
		Now:      p.Now,
	}
}

// handler wraps handlers into what the Lambda runtime calls.
func (p *Parts) handler(
	h httpapi.Handlers, admin httpapi.Admin, strict func(context.Context) error,
) (http.Handler, error) {
	return httpapi.New(p.config(h, admin, strict))
}

// http finishes a function that API Gateway calls.
func (p *Parts) http(h httpapi.Handlers, admin httpapi.Admin) (any, error) {
	return finished(p.config(h, admin, p.strict()))
}

func finished(cfg httpapi.Config) (any, error) {
	mux, err := httpapi.New(cfg)
	if err != nil {
		return nil, err
	}
	return httpapi.Lambda(mux), nil
}

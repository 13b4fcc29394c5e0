package inmemory

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/digitorus/pkcs7"

	"github.com/mastio-aws/mastio/shared/boot"
	"github.com/mastio-aws/mastio/shared/edge/httpapi"
	"github.com/mastio-aws/mastio/shared/edge/tsa"
	"github.com/mastio-aws/mastio/shared/usecase/agentcert"
	"github.com/mastio-aws/mastio/shared/usecase/auditlog"
	"github.com/mastio-aws/mastio/shared/usecase/discovery"
	"github.com/mastio-aws/mastio/shared/usecase/enroll"
	"github.com/mastio-aws/mastio/shared/usecase/health"
	"github.com/mastio-aws/mastio/shared/usecase/hygiene"
	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
	"github.com/mastio-aws/mastio/shared/usecase/signin"
	"github.com/mastio-aws/mastio/shared/usecase/standby"
	"github.com/mastio-aws/mastio/shared/usecase/token"
	"github.com/mastio-aws/mastio/shared/usecase/truststore"
)

// Process has every use case, put together by package boot, and a clock of its own. A change of Parts is seen by
// functions that are started afterwards, not by the use cases here.
type Process struct {
	Parts *boot.Parts

	Ceremony   *rotateca.Ceremony
	RotateCA   *rotateca.Rotator
	RotateCert *agentcert.Rotator
	Enroll     *enroll.Enroller
	Renew      *agentcert.Renewer
	Token      *token.Issuer
	Ring       *token.Ring
	Standby    *standby.Job
	Truststore *truststore.Keeper
	Hygiene    *hygiene.Job
	Health     *health.Checker
	Discovery  *discovery.Directory
	Checkpoint *auditlog.Sealer
	Trail      *auditlog.Trail
	Door       *signin.Door
}

// Spawn starts a process of the Mastio with a clock of its own.
func (m *Mastio) Spawn(now func() time.Time, edits ...func(*boot.Parts)) *Process {
	p := m.Services(now).Over(m.settings(), now, m.NewID)
	p.Background = func(do func()) { do() } // so that a test knows when it is done
	for _, edit := range edits {
		edit(p)
	}
	return m.Assemble(p)
}

// Assemble starts a process of these parts.
func (m *Mastio) Assemble(p *boot.Parts) *Process {
	made, ring := p.Ceremony(), p.LocalRing()
	rotator := p.Rotator(made)
	return &Process{
		Parts:      p,
		Ceremony:   made,
		RotateCA:   rotator,
		RotateCert: p.CertRotator(),
		Enroll:     p.Enroller(),
		Renew:      p.Renewer(),
		Token:      p.Tokens(ring),
		Ring:       ring,
		Standby:    p.StandbyJob(made, rotator, ring),
		Truststore: p.Keeper(),
		Hygiene:    p.HygieneJob(func(context.Context) bool { return m.Over != nil && m.Over() }),
		Health:     p.Checker(),
		Discovery:  p.Directory(ring),
		Checkpoint: p.Sealer(tsa.At),
		Trail:      p.Trail(0),
		Door:       p.Door(m.secret(p.Now)),
	}
}

// functions are those that API Gateway invokes, by the names of their folders.
var functions = map[string]boot.Function{
	"audit":      boot.Audit,
	"checkpoint": boot.Checkpoint(tsa.At),
	"dashboard":  boot.Dashboard,
	"discovery":  boot.Discovery(pkcs7.DegenerateCertificate),
	"enroll":     boot.Enroll,
	"healthz":    boot.Healthz,
	"renew":      boot.Renew(pkcs7.DegenerateCertificate),
	"rotateca":   boot.RotateCA,
	"rotatecert": boot.RotateCert,
	"status":     boot.Status,
	"token":      boot.Token,
}

// Function takes an event of API Gateway, as Lambda passes it on.
type Function = func(context.Context, events.APIGatewayProxyRequest) (events.APIGatewayProxyResponse, error)

// Functions starts every function that API Gateway invokes, each as an instance of its own.
func (p *Process) Functions() (map[string]Function, error) {
	started := map[string]Function{}
	for name, f := range functions {
		var err error
		if started[name], err = Instance(f, p.Parts); err != nil {
			return nil, fmt.Errorf("start %s: %w", name, err)
		}
	}
	return started, nil
}

// Handlers are the same as Lambda's runtime has them: payloads in, payloads out.
func (p *Process) Handlers() (map[string]lambda.Handler, error) {
	started := map[string]lambda.Handler{}
	for name, f := range functions {
		handler, err := f(p.Parts)
		if err != nil {
			return nil, fmt.Errorf("start %s: %w", name, err)
		}
		started[name] = lambda.NewHandler(handler)
	}
	return started, nil
}

// Instance starts a function.
func Instance(f boot.Function, p *boot.Parts) (Function, error) {
	handler, err := f(p)
	if err != nil {
		return nil, err
	}
	return takes(handler)
}

// Lambda is a function of these handlers as a REST API calls it.
func Lambda(h http.Handler) Function {
	serve := httpapi.Lambda(h)
	return func(ctx context.Context, e events.APIGatewayProxyRequest) (events.APIGatewayProxyResponse, error) {
		return serve(ctx, asEvent(e))
	}
}

func asEvent(e events.APIGatewayProxyRequest) httpapi.Event {
	return httpapi.Event{
		APIGatewayProxyRequest: e,
		RequestContext:         httpapi.RequestContext{APIGatewayProxyRequestContext: e.RequestContext},
	}
}

// takes returns a handler that takes requests; one that takes other events as well is given JSON.
func takes(handler any) (Function, error) {
	switch f := handler.(type) {
	case func(context.Context, httpapi.Event) (events.APIGatewayProxyResponse, error):
		return func(ctx context.Context, e events.APIGatewayProxyRequest) (events.APIGatewayProxyResponse, error) {
			return f(ctx, asEvent(e))
		}, nil
	case func(context.Context, json.RawMessage) (any, error):
		return func(ctx context.Context, e events.APIGatewayProxyRequest) (out events.APIGatewayProxyResponse, err error) {
			event, err := json.Marshal(asEvent(e))
			if err != nil {
				return out, err
			}
			answer, err := f(ctx, event)
			if err != nil {
				return out, err
			}
			out, ok := answer.(events.APIGatewayProxyResponse)
			if !ok {
				return out, fmt.Errorf("a request was answered with a %T", answer)
			}
			return out, nil
		}, nil
	}
	return nil, fmt.Errorf("a handler is a %T", handler)
}

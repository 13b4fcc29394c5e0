package boot

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/oklog/ulid/v2"

	"github.com/mastio-aws/mastio/shared/edge/apigateway"
	"github.com/mastio-aws/mastio/shared/edge/awskms"
	"github.com/mastio-aws/mastio/shared/edge/dynamo"
	"github.com/mastio-aws/mastio/shared/edge/httpapi"
	"github.com/mastio-aws/mastio/shared/edge/s3"
	"github.com/mastio-aws/mastio/shared/edge/secrets"
	"github.com/mastio-aws/mastio/shared/usecase/issue"
	"github.com/mastio-aws/mastio/shared/usecase/refusal"
	"github.com/mastio-aws/mastio/shared/usecase/signin"
	"github.com/mastio-aws/mastio/shared/usecase/strict"
	"github.com/mastio-aws/mastio/shared/usecase/truststore"
)

// parts holds the parts of functions. Each part is made only when a function asks for it, so that a binary links only
// the clients that it uses.
type parts struct {
	Config
	aws   aws.Config
	log   *slog.Logger
	now   func() time.Time
	newID func() string
	db    *dynamo.Store

	patience time.Duration // with a new key that KMS does not know everywhere; zero: awskms.DefaultPatience
}

func newParts(ctx context.Context) (*parts, error) {
	c, err := environment()
	if err != nil {
		return nil, err
	}
	cfg, err := awsconfig.LoadDefaultConfig(ctx)
	if err != nil {
		return nil, fmt.Errorf("load the AWS configuration: %w", err)
	}
	p := &parts{
		Config: c, aws: cfg, log: NewLog(os.Stderr),
		now: time.Now, newID: func() string { return ulid.Make().String() },
	}
	p.db = dynamo.New(dynamo.Config{Client: dynamo.NewClient(cfg), Prefix: c.TablePrefix})
	return p, nil
}

func (p *parts) keys() *awskms.Keys {
	return &awskms.Keys{API: kms.NewFromConfig(p.aws), OrgID: p.OrgID, Now: p.now, Patience: p.patience}
}

func (p *parts) vault() *awskms.Vault {
	return &awskms.Vault{API: kms.NewFromConfig(p.aws), KeyID: p.TokenKEK, Now: p.now, Patience: p.patience}
}

func (p *parts) objects() *s3.Objects {
	return &s3.Objects{API: awss3.NewFromConfig(p.aws), Bucket: p.TruststoreBucket, Key: p.TruststoreKey}
}

func (p *parts) secret() *secrets.Admin {
	return secrets.NewAdmin(secretsmanager.NewFromConfig(p.aws), p.AdminSecret, p.now)
}

// domain is the agents' custom domain, which a deployment for trying has not.
func (p *parts) domain() truststore.Domain {
	if p.AgentsDomain == "" {
		return truststore.NoDomain{}
	}
	return &apigateway.Domain{API: apigateway.NewClient(p.aws), Name: p.AgentsDomain}
}

func (p *parts) admin() httpapi.Admin {
	return p.secret().Check
}

func (p *parts) refusals() *refusal.Recorder {
	return refusal.New(refusal.Config{Store: p.db, OrgID: p.OrgID, Now: p.now, NewID: p.newID, Log: p.log})
}

func (p *parts) issuer() issue.Issuer {
	return issue.Issuer{Store: p.db, Keys: p.keys(), OrgID: p.OrgID, TrustDomain: p.TrustDomain, Schedule: p.Schedule, Now: p.now, NewID: p.newID}
}

// endpoint is the token endpoint's URL.
func (p *parts) endpoint() string { return p.Issuer + "/v1/auth/token" }

// handler wraps handlers into what the Lambda runtime calls.
func (p *parts) handler(h httpapi.Handlers, admin httpapi.Admin, gate func(context.Context) error) (http.Handler, error) {
	return httpapi.New(httpapi.Config{
		Handlers: h, Admin: admin, Guesses: &signin.Gates{Store: p.db, Now: p.now}, Refused: p.refusals().Record, Gate: gate, Awaits: p.Adopt,
		Log: p.log, Now: p.now,
	})
}

// gate keeps a function shut under a legacy Org CA where the operator asks for strict PKI.
func (p *parts) gate() func(context.Context) error {
	if !p.StrictPKI {
		return nil
	}
	return (&strict.Gate{Store: p.db}).Check
}

// Function makes a function's handler out of its parts.
type Function func(*parts) (any, error)

// Serve runs a function until the runtime ends it. With an unusable environment it exits at once and logs the reason:
// the deployment then fails instead of taking traffic.
func Serve(f Function) {
	ctx := context.Background()
	p, err := newParts(ctx)
	if err == nil {
		var handler any
		if handler, err = f(p); err == nil {
			lambda.StartWithOptions(handler, lambda.WithContext(ctx))
			return
		}
	}
	NewLog(os.Stderr).Error("function does not start", "cause", err.Error())
	os.Exit(1)
}

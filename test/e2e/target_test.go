package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/mastio-aws/mastio/localstack/aws/apigateway"
	"github.com/mastio-aws/mastio/localstack/aws/lambda"
	"github.com/mastio-aws/mastio/localstack/cloud/deployed"
	"github.com/mastio-aws/mastio/localstack/machine"
	"github.com/mastio-aws/mastio/localstack/stack"
	"github.com/mastio-aws/mastio/test/local"
)

// target is the Mastio that is driven: one that this process starts, or one that was deployed to LocalStack.
type target struct {
	URL         string // under which agents and operators alike find it
	CAPEM       []byte
	AdminSecret string
	Clients     stack.Clients      // past everything that wraps the services
	Lambda      *lambda.Service    // nil on LocalStack
	Domain      *apigateway.Server // nil on LocalStack, which has no UpdateDomainName

	prefix string
	tick   func(context.Context) error
	close  func() error

	operators string // URL of the operators' API in LocalStack's API Gateway
	once      sync.Once
	operator  *client
}

func (s *target) TablePrefix() string            { return s.prefix }
func (s *target) Tick(ctx context.Context) error { return s.tick(ctx) }
func (s *target) Close() error                   { return s.close() }

// deploymentVariable is set to the file of a deployment to run against it.
const deploymentVariable = "MASTIO_DEPLOYMENT"

var errMissing = errors.New("a program is missing")

func start(ctx context.Context) (*target, error) {
	if path := os.Getenv(deploymentVariable); path != "" {
		return attach(ctx, path)
	}
	if err := machine.CheckTools(ctx); err != nil {
		return nil, fmt.Errorf("%w: %w", errMissing, err)
	}
	return startLocal(ctx, "")
}

// startLocal starts a stack in this process; dir keeps its state, env holds names and values of settings.
func startLocal(ctx context.Context, dir string, env ...string) (*target, error) {
	settings := map[string]string{}
	for i := 0; i+1 < len(env); i += 2 {
		settings[env[i]] = env[i+1]
	}
	s, err := local.Start(ctx, stack.Config{Env: settings, Dir: dir, Log: output, Wrap: faults.wrap})
	if err != nil {
		return nil, err
	}
	return &target{
		URL:         s.URL,
		CAPEM:       s.CAPEM,
		AdminSecret: s.AdminSecret,
		Clients:     s.Clients,
		Lambda:      s.Lambda,
		Domain:      s.Domain,
		prefix:      s.TablePrefix(),
		tick:        s.Tick,
		close:       s.Close,
	}, nil
}

func attach(ctx context.Context, path string) (*target, error) {
	d, err := deployed.Read(path)
	if err != nil {
		return nil, err
	}
	ca, err := os.ReadFile(d.CAFile)
	if err != nil {
		return nil, err
	}
	c := deployed.Connect(d.Endpoint)
	secret, err := c.AdminSecret(ctx, d.AdminSecretID)
	return &target{
		URL:         d.URL,
		CAPEM:       ca,
		AdminSecret: secret,
		prefix:      d.TablePrefix,
		operators:   d.OperatorsURL,
		Clients:     stack.Clients{DynamoDB: c.DynamoDB, KMS: c.KMS, S3: c.S3, SecretsManager: c.SecretsManager},
		tick:        func(ctx context.Context) error { return c.Tick(ctx, d.OrgID) },
		close:       func() error { return nil }, // the deployment goes on: the test did not start it
	}, err
}

// onLocalStack reports whether what is driven was deployed to LocalStack.
func onLocalStack() bool { return system.Lambda == nil }

// onlyLocally skips a test of something that a deployed Mastio cannot be made to do, and says what.
func onlyLocally(t *testing.T, what string) {
	t.Helper()
	if onLocalStack() {
		t.Skip("not on LocalStack: " + what)
	}
}

// needsFaults skips a test that puts something between the functions and the services.
func needsFaults(t *testing.T) {
	t.Helper()
	onlyLocally(t, "nothing can be put between the functions and the services")
}

// scaled is n, or less where a call takes thirty times as long.
func scaled(n, onLocal int) int {
	if onLocalStack() {
		return onLocal
	}
	return n
}

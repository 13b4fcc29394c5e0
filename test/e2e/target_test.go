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

// target is a Mastio that is driven: one that this process starts, or one that was deployed to LocalStack. A test that
// has one uses it alone.
type target struct {
	URL         string // under which agents and operators alike find it
	CAPEM       []byte
	AdminSecret string
	Clients     stack.Clients      // past everything that wraps the services
	Lambda      *lambda.Service    // nil on LocalStack
	Domain      *apigateway.Server // nil on LocalStack, which has no UpdateDomainName

	faults *injector   // nothing can be injected on LocalStack
	output *syncBuffer // what the functions print; empty on LocalStack
	prefix string
	jobs   func(context.Context) error
	close  func() error

	operators   string // URL of the operators' API in LocalStack's API Gateway
	once        sync.Once
	withoutCert *client
}

func (m *target) TablePrefix() string            { return m.prefix }
func (m *target) Tick(ctx context.Context) error { return m.jobs(ctx) }
func (m *target) Close() error                   { return m.close() }

// deploymentVariable is set to the file of a deployment to run against it.
const deploymentVariable = "MASTIO_DEPLOYMENT"

var errMissing = errors.New("a program is missing")

// deployment is what was deployed to LocalStack; nil: the tests start stacks of their own.
var deployment *target

// ready attaches to the deployment, or looks for what a local stack takes.
func ready(ctx context.Context) (err error) {
	if path := os.Getenv(deploymentVariable); path != "" {
		deployment, err = attach(ctx, path)
		return err
	}
	if err := machine.CheckTools(ctx); err != nil {
		return fmt.Errorf("%w: %w", errMissing, err)
	}
	return nil
}

// startLocal starts a stack in this process; env holds names and values of settings.
func startLocal(ctx context.Context, env ...string) (*target, error) {
	settings := map[string]string{}
	for i := 0; i+1 < len(env); i += 2 {
		settings[env[i]] = env[i+1]
	}
	m := &target{faults: &injector{}, output: &syncBuffer{}}
	s, err := local.Start(ctx, stack.Config{Env: settings, Log: m.output, Wrap: m.faults.wrap})
	if err != nil {
		return nil, fmt.Errorf("start the system: %w\n%s", err, m.output)
	}
	m.URL, m.CAPEM, m.AdminSecret, m.Clients, m.Lambda, m.Domain = s.URL, s.CAPEM, s.AdminSecret, s.Clients, s.Lambda,
		s.Domain
	m.prefix, m.jobs, m.close = s.TablePrefix(), s.Tick, s.Close
	return m, nil
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
		faults:      &injector{},
		output:      &syncBuffer{},
		prefix:      d.TablePrefix,
		operators:   d.OperatorsURL,
		Clients:     stack.Clients{DynamoDB: c.DynamoDB, KMS: c.KMS, S3: c.S3, SecretsManager: c.SecretsManager},
		jobs:        func(ctx context.Context) error { return c.Tick(ctx, d.OrgID) },
		close:       func() error { return nil }, // the deployment goes on: the test did not start it
	}, err
}

// onLocalStack reports whether what is driven was deployed to LocalStack.
func onLocalStack() bool { return deployment != nil }

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

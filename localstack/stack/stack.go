// Package stack assembles the whole Mastio on one machine: the services, the functions' processes and the gateway.
package stack

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mastio-aws/mastio/localstack/aws/apigateway"
	"github.com/mastio-aws/mastio/localstack/aws/dynamodb"
	"github.com/mastio-aws/mastio/localstack/aws/eventbridge"
	"github.com/mastio-aws/mastio/localstack/aws/kms"
	"github.com/mastio-aws/mastio/localstack/aws/lambda"
	"github.com/mastio-aws/mastio/localstack/aws/s3"
	"github.com/mastio-aws/mastio/localstack/aws/secrets"
	"github.com/mastio-aws/mastio/localstack/aws/sigv4"
	"github.com/mastio-aws/mastio/localstack/gateway"
	"github.com/mastio-aws/mastio/localstack/machine"
)

// Config says what to run. Cache and Functions are required.
type Config struct {
	Dir         string            // folder of all state, one stack at a time; empty: memory, gone with Close
	Cache       string            // folder of the DynamoDB Local installation
	Functions   string            // folder with <function>/bootstrap, as Build makes it
	Addr        string            // of the gateway; empty: 127.0.0.1:9443; port 0: a free one
	OrgID       string            // empty: orga
	TrustDomain string            // empty: <OrgID>.local
	AdminSecret string            // becomes the current one; empty: the one in Dir stays, or a new one is made
	Env         map[string]string // further settings of every function
	Tick        time.Duration     // how often the scheduled functions run; 0: only when Tick is called
	Progress    func(string)      // called before each step, with a few words; nil: never called
	Log         io.Writer         // what functions and services print; nil: dropped

	// Database is a running one in memory that stacks share, each with tables of its own; it outlives them, and Dir has
	// to be empty. nil: the stack starts its own, which answers only this run's access keys.
	Database *dynamodb.Server
	// Wrap, if set, puts something between the functions and a service (one of Services): it returns the handler that
	// stands in for h. The stack's own calls, and Clients, bypass it.
	Wrap func(service string, h http.Handler) http.Handler
	// RefuseEvent decides of each event whether the bus fails with it; nil: with none.
	RefuseEvent func(eventbridge.Event) bool
	// Space returns the free octets of a folder's disk; nil: what the system says.
	Space func(dir string) (uint64, error)
}

// Stack is a running system. It is safe for concurrent use.
type Stack struct {
	URL          string            // of the gateway, https://localhost:PORT
	CAPEM        []byte            // the CA that clients of the gateway trust
	AdminSecret  string            // AWSCURRENT at the time of the start
	MetricsToken string            // what GET /metrics takes as a bearer token
	Endpoints    map[string]string // URL of each of Services, as the functions see it
	Keys         sigv4.Keys        // access keys of this run; the services answer no other
	Clients      Clients
	Lambda       *lambda.Service
	Bus          *eventbridge.Server // shows the events that went out
	// the agents' domain: which version of the truststore the gateway checks clients against
	Domain *apigateway.Server

	cfg          Config
	out          *lockedWriter
	handlers     map[string]http.Handler
	database     *dynamodb.Server
	tables       string // what stands before the logical name of each table
	kek          string // ARN of the key that token keys are encrypted under
	audit        string // ARN of the key that signs checkpoints
	signing      string // ARN of the key that signs tokens; empty unless TOKEN_SIGNER=kms
	agentSecrets string // ARN of the key that what hygiene delivers is encrypted under

	awaited bool // the Org CA is the operator's to bring, and was not there at the start

	stamp  stamp         // of the state folder
	ended  chan struct{} // see Done
	ending sync.Once
	cause  atomic.Pointer[error]

	close   sync.Once
	closers []func() error
}

// ErrPortInUse means that another process listens on the gateway's port.
var ErrPortInUse = errors.New("port is in use by another process")

// ErrDirInUse means that another stack runs on the same state folder.
var ErrDirInUse = errors.New("state folder is in use by another stack")

// Start brings everything up and returns once the first Org CA exists and every function has started. ctx bounds the
// start only; the stack runs until Close. All listeners are on loopback.
func Start(ctx context.Context, cfg Config) (*Stack, error) {
	s := &Stack{
		cfg:       cfg.withDefaults(),
		Endpoints: map[string]string{},
		handlers:  map[string]http.Handler{},
		Keys:      newKeys(),
		ended:     make(chan struct{}),
	}
	s.out = &lockedWriter{w: s.cfg.Log}
	if err := s.start(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// newKeys makes an access key for the stack itself and one for each function.
func newKeys() sigv4.Keys {
	ids := []string{AccessKey}
	for _, name := range functionNames() {
		ids = append(ids, AccessKey+name)
	}
	return sigv4.NewKeys(ids...)
}

func (c Config) withDefaults() Config {
	if c.Addr == "" {
		c.Addr = "127.0.0.1:9443"
	}
	if c.OrgID == "" {
		c.OrgID = "orga"
	}
	if c.TrustDomain == "" {
		c.TrustDomain = c.OrgID + ".local"
	}
	if c.Space == nil {
		c.Space = freeSpace
	}
	if c.Progress == nil {
		c.Progress = func(string) {}
	}
	if c.Log == nil {
		c.Log = io.Discard
	}
	return c
}

// start goes from what fails most often to what takes longest: a port or folder in use is known at once.
func (s *Stack) start(ctx context.Context) error {
	if s.cfg.Database != nil && s.cfg.Dir != "" {
		return errors.New("Config has both Dir and Database: a shared database keeps no state")
	}
	if err := s.claimDir(); err != nil {
		return err
	}
	if err := s.checkSpace(); err != nil {
		return err
	}
	if err := s.checkStamps(); err != nil {
		return err
	}
	edge, err := s.bind()
	if err != nil {
		return err
	}
	for _, step := range []func(context.Context) error{s.services, s.provision, s.functions} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	if err := s.firstCA(ctx); err != nil {
		return err
	}
	s.cfg.Progress("starting the functions")
	if err := s.Lambda.Warm(ctx); err != nil {
		return fmt.Errorf("start the functions: %w", err)
	}
	s.startup(ctx)
	if err := s.serveEdge(edge); err != nil {
		return err
	}
	s.schedule()
	if err := s.follow(ctx); err != nil {
		return err
	}
	s.watch()
	return s.completeStamp()
}

// Close stops everything, what was started last first, and waits for its end. Further calls do nothing.
func (s *Stack) Close() error {
	var errs []error
	s.close.Do(func() {
		for _, c := range slices.Backward(s.closers) {
			errs = append(errs, c())
		}
		s.ending.Do(func() { close(s.ended) })
	})
	return errors.Join(errs...)
}

func (s *Stack) onClose(c func() error) { s.closers = append(s.closers, c) }

// DatabasePID is the process id of DynamoDB Local, for measurements.
func (s *Stack) DatabasePID() int { return s.database.PID() }

// Invoke runs a function with a JSON payload. A function that fails is a result, not an error.
func (s *Stack) Invoke(ctx context.Context, function string, payload []byte) (lambda.Result, error) {
	return s.Lambda.Invoke(ctx, function, payload)
}

// dir is a folder of the state, empty when nothing is kept.
func (s *Stack) dir(name string) string {
	if s.cfg.Dir == "" {
		return ""
	}
	return filepath.Join(s.cfg.Dir, name)
}

func (s *Stack) claimDir() error {
	if s.cfg.Dir == "" {
		return nil
	}
	if err := os.MkdirAll(s.cfg.Dir, 0o700); err != nil {
		return fmt.Errorf("make the state folder: %w", err)
	}
	unlock, err := machine.TryLock(filepath.Join(s.cfg.Dir, "lock"))
	if errors.Is(err, machine.ErrHeld) {
		return fmt.Errorf("%w: %s; stop that one or take another folder", ErrDirInUse, s.cfg.Dir)
	}
	if err != nil {
		return err
	}
	s.onClose(func() error { unlock(); return nil })
	return nil
}

func (s *Stack) services(ctx context.Context) error {
	s.cfg.Progress("starting KMS, S3 and Secrets Manager")
	keys, err := kms.New(kms.Config{
		Dir:     s.dir("kms"),
		Account: account,
		Region:  region,
		Log:     slog.New(slog.NewTextHandler(s.out, nil)),
	})
	if err != nil {
		return fmt.Errorf("start KMS: %w", s.damaged("kms", err))
	}
	s.onClose(keys.Close)
	objects, err := s3.New(s3.Config{Dir: s.dir("s3"), Buckets: []string{bucket, auditBucket}})
	if err != nil {
		return fmt.Errorf("start S3: %w", s.damaged("s3", err))
	}
	s.onClose(objects.Close)
	vault, err := secrets.New(secrets.Config{Dir: s.dir("secrets"), Account: account, Region: region})
	if err != nil {
		return fmt.Errorf("start Secrets Manager: %w", s.damaged("secrets", err))
	}
	s.Domain, err = apigateway.New(apigateway.Config{
		Dir:    s.dir("apigateway"),
		Name:   agentsDomain,
		URI:    "s3://" + bucket + "/" + truststoreKey,
		Object: s.object,
	})
	if err != nil {
		return fmt.Errorf("start API Gateway: %w", s.damaged("apigateway", err))
	}
	s.Bus = eventbridge.New(eventbridge.Config{Bus: eventBus, Log: s.out, Refuse: s.cfg.RefuseEvent})
	if err := s.startDatabase(ctx); err != nil {
		return err
	}
	s.handlers[KMS], s.handlers[S3], s.handlers[SecretsManager], s.handlers[APIGateway], s.handlers[EventBridge] = keys,
		objects, vault, s.Domain, s.Bus
	// The Lambda service comes last: the functions' environment contains its address.
	s.handlers[Lambda] = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.Lambda.ServeHTTP(w, r) })
	return s.serveServices()
}

func (s *Stack) startDatabase(ctx context.Context) (err error) {
	if s.database = s.cfg.Database; s.database != nil {
		s.tables = tablePrefix + strings.ToLower(rand.Text()[:8]) + "-"
		return nil
	}
	s.tables = tablePrefix
	s.database, err = dynamodb.Start(ctx, dynamodb.Config{
		Cache:    s.cfg.Cache,
		Dir:      s.dir("dynamodb"),
		Log:      s.out,
		Progress: s.cfg.Progress,
		Keys:     s.Keys,
	})
	if err != nil {
		return s.damaged("dynamodb", err)
	}
	s.onClose(s.database.Close)
	return nil
}

func (s *Stack) functions(context.Context) error {
	var list []lambda.Function
	for _, name := range functionNames() {
		list = append(list, lambda.Function{
			Name: name,
			Path: filepath.Join(s.cfg.Functions, name, "bootstrap"),
			Env:  s.environment(name),
		})
	}
	service, err := lambda.New(lambda.Config{Functions: list, Stdout: s.out, Region: region, Account: account})
	if err != nil {
		return fmt.Errorf("%w; build the functions first", err)
	}
	s.Lambda = service
	s.onClose(service.Close)
	return nil
}

func (s *Stack) serveEdge(listeners []net.Listener) error {
	cert, err := s.certificate(time.Now())
	if err != nil {
		return err
	}
	g := gateway.New(gateway.Config{
		HTTPAgents: true,
		Invoke: func(ctx context.Context, function string, payload []byte) ([]byte, string, error) {
			r, err := s.Lambda.Invoke(ctx, function, payload)
			return r.Payload, r.FunctionError, err
		},
		Truststore: s.Domain.Served,
		Account:    account,
		Log:        slog.New(slog.NewJSONHandler(s.out, nil)),
	})
	s.serve(s.whileRunning(g), g.TLSConfig(cert), listeners...)
	return nil
}

// whileRunning answers nothing once the stack has ended: what it would acknowledge could be lost.
func (s *Stack) whileRunning(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-s.ended:
			http.Error(w, `{"message": "Service Unavailable"}`, http.StatusServiceUnavailable)
		default:
			h.ServeHTTP(w, r)
		}
	})
}

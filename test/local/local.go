// Package local starts a Mastio for a test: a whole one, built from these sources as the local run does, or one in
// memory behind the local gateway.
package local

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/mastio-aws/mastio/localstack/aws/dynamodb/dynamodbtest"
	"github.com/mastio-aws/mastio/localstack/machine"
	"github.com/mastio-aws/mastio/localstack/stack"
)

// root is the project's folder, seen from a folder of tests.
const root = "../.."

var functions, cache = filepath.Join(root, "build", "local"), filepath.Join(root, "build", "localstack")

// build runs once in a process: the sources do not change under a test.
var build = sync.OnceValue(func() error { return stack.Build(context.Background(), root, functions) })

// Start builds the functions and starts a Mastio without state on a free port. It sets Functions, Cache, Addr and
// Database of cfg, and keeps the rest.
func Start(ctx context.Context, cfg stack.Config) (_ *stack.Stack, err error) {
	cfg.Functions, cfg.Cache, cfg.Addr = functions, cache, "127.0.0.1:0"
	if err := build(); err != nil {
		return nil, err
	}
	if cfg.Database, err = dynamodbtest.Shared(root); err != nil {
		return nil, err
	}
	return stack.Start(ctx, cfg)
}

// Mastio is one that ends with its test. Where a program is missing that it takes, the test is skipped, in CI failed.
func Mastio(t *testing.T, cfg stack.Config) *stack.Stack {
	t.Helper()
	if err := machine.CheckTools(t.Context()); err != nil {
		if os.Getenv("CI") == "" {
			t.Skip(err)
		}
		t.Fatal(err)
	}
	s, err := Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

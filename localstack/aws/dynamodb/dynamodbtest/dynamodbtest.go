// Package dynamodbtest gives tests a DynamoDB Local: one for all tests of a process, each with tables of its own.
package dynamodbtest

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/mastio-aws/mastio/localstack/aws/dynamodb"
)

var shared struct {
	sync.Once
	server *dynamodb.Server
	err    error
}

// Shared returns the server of this process, and starts it for the first caller. root is the path of the project's
// folder. The server checks no access keys, and ends with the process. It is safe for concurrent use.
func Shared(root string) (*dynamodb.Server, error) {
	shared.Do(func() {
		shared.server, shared.err = dynamodb.Start(context.Background(),
			dynamodb.Config{Cache: filepath.Join(root, "build", "localstack")})
	})
	return shared.server, shared.err
}

// Server is Shared for a test. Without the programs that the server takes, the test is skipped, in CI failed.
func Server(t testing.TB, root string) *dynamodb.Server {
	t.Helper()
	NeedTools(t)
	s, err := Shared(root)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// NeedTools skips a test where a program is missing that DynamoDB Local takes, and fails the test in CI.
func NeedTools(t testing.TB) {
	t.Helper()
	for _, tool := range []string{"npm", "javac", "java"} {
		if _, err := exec.LookPath(tool); err == nil {
			continue
		}
		if os.Getenv("CI") != "" {
			t.Fatalf("DynamoDB Local needs %s", tool)
		}
		t.Skipf("DynamoDB Local needs %s", tool)
	}
}

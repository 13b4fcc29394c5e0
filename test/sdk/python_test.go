package sdk

import (
	"context"
	_ "embed"
	"errors"
	"sync"
	"testing"

	"github.com/mastio-aws/mastio/test/python"
)

// requirements pins the SDK and everything below it, with hashes.
//
//go:embed requirements.txt
var requirements []byte

// environment installs the SDK once for all tests of a process.
var environment = sync.OnceValues(func() (string, error) {
	return python.Packages{Name: "sdk", Requirements: requirements}.Install(context.Background())
})

// sdkPython returns the Python that has the SDK. Where no Python can be used the test is skipped, in CI it fails.
func sdkPython(t *testing.T) string {
	t.Helper()
	program, err := environment()
	if errors.Is(err, python.ErrMissing) {
		missing(t, err.Error())
	}
	if err != nil {
		t.Fatal(err)
	}
	return program
}

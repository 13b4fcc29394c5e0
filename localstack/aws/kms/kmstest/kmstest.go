// Package kmstest is a conformance suite for what this project needs from a KMS. It runs against any endpoint: the
// local server, another emulator, or AWS itself.
//
// The suite schedules each of its keys for deletion at its end. On AWS that costs about forty key-months, pro rata.
package kmstest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/smithy-go"
)

// Endpoint is a KMS under test.
type Endpoint struct {
	Client *kms.Client
	// Deviations names the checks that this endpoint is known to fail. Each is logged, and one that
	// passes is a failure: a deviation that is gone must go from the list too.
	Deviations []string
}

// LocalStack4140 returns what LocalStack 4.14.0 was measured to do differently. In every case it accepts
// what AWS refuses, or refuses it with another error; what it signs and encrypts is right.
func LocalStack4140() []string {
	return []string{
		"sign-raw-limit",
		"sign-wrong-algorithm",    // an algorithm of another curve is accepted
		"sign-unknown-enum",       // the message type is not checked
		"public-key-of-symmetric", // answered without a key
		"dry-run",                 // carried out
		"data-key",                // AES_128 makes 32 bytes
		"data-key-size",
		"create-refused", // usage is not held against the spec
		"keys-marker",
		"aliases-refused", // a space is accepted
		"aliases-limit",
		"import-pending-cannot-sign",
		"import-deleted-cannot-sign",
		"import-again", // another key is accepted
		"import-wrong-curve",
		"import-garbage", // an internal error, and the key is enabled all the same
		"import-foreign-token",
		"import-wrong-wrapping-key", // an internal error
		"import-wrong-origin",       // material of a key of KMS can be deleted
	}
}

// check is one promise. Its error says how it was broken; an arrangement that fails ends the test instead,
// so that it is never taken for a deviation.
type check struct {
	name string
	run  func(*probe) error
}

// Run checks e. It is safe to run against several endpoints at once.
func Run(t *testing.T, e Endpoint) {
	t.Helper()
	all := slices.Concat(signChecks, sealChecks, stateChecks, nameChecks, importChecks)
	for _, name := range e.Deviations {
		if !slices.ContainsFunc(all, func(c check) bool { return c.name == name }) {
			t.Errorf("deviation %q is not the name of a check", name)
		}
	}
	for _, c := range all {
		t.Run(c.name, func(t *testing.T) {
			named := slices.Contains(e.Deviations, c.name)
			note, err := judge(c.run(&probe{T: t, ctx: t.Context(), client: e.Client}), named)
			if note != "" {
				t.Log(note)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
}

// judge turns the outcome of a check into a note or a failure.
func judge(broken error, named bool) (note string, failure error) {
	switch {
	case broken != nil && named:
		return "known deviation: " + broken.Error(), nil
	case broken == nil && named:
		return "", errors.New("named as a deviation, but keeps the contract: remove it from the list")
	}
	return "", broken
}

// probe is one check's hold on the endpoint.
type probe struct {
	*testing.T
	ctx    context.Context
	client *kms.Client
}

// must returns the first result of an arrangement, and ends the test when there is an error: a check that
// could not begin is not a deviation.
func must[T any](out T, err error) func(*probe) T {
	return func(p *probe) T {
		p.Helper()
		if err != nil {
			p.Fatalf("arrange: %v", err)
		}
		return out
	}
}

// create makes a key that is scheduled for deletion when the test ends, and returns its ARN.
func (p *probe) create(in *kms.CreateKeyInput) string {
	p.Helper()
	out := must(p.client.CreateKey(p.ctx, in))(p)
	arn := aws.ToString(out.KeyMetadata.Arn)
	p.Cleanup(func() {
		ctx := context.WithoutCancel(p.ctx)
		_, err := p.client.ScheduleKeyDeletion(ctx, &kms.ScheduleKeyDeletionInput{
			KeyId:               &arn,
			PendingWindowInDays: aws.Int32(7),
		})
		if err != nil && refused[*types.KMSInvalidStateException]("", err) != nil {
			p.Logf("key %s is left behind: %v", arn, err)
		}
	})
	return arn
}

func (p *probe) signing(spec types.KeySpec) string {
	p.Helper()
	return p.create(&kms.CreateKeyInput{KeySpec: spec, KeyUsage: types.KeyUsageTypeSignVerify})
}

func (p *probe) symmetric() string {
	p.Helper()
	return p.create(&kms.CreateKeyInput{})
}

func (p *probe) state(id string) types.KeyState {
	p.Helper()
	return must(p.client.DescribeKey(p.ctx, &kms.DescribeKeyInput{KeyId: &id}))(p).KeyMetadata.KeyState
}

// wantState checks a key's state.
func (p *probe) wantState(id string, want types.KeyState) error {
	p.Helper()
	if got := p.state(id); got != want {
		return fmt.Errorf("key state = %s; want %s", got, want)
	}
	return nil
}

// refused checks that err is the SDK's typed error E, and names the operation if it is not.
func refused[E error](what string, err error) error {
	if _, ok := errors.AsType[E](err); !ok {
		var want E
		return fmt.Errorf("%s: error = %w; want %T", what, orNone(err), want)
	}
	return nil
}

// invalid checks for ValidationException, which the SDK has no type for.
func invalid(what string, err error) error {
	if e, ok := errors.AsType[smithy.APIError](err); !ok || e.ErrorCode() != "ValidationException" {
		return fmt.Errorf("%s: error = %w; want ValidationException", what, orNone(err))
	}
	return nil
}

var errNone = errors.New("none")

func orNone(err error) error {
	if err == nil {
		return errNone
	}
	return err
}

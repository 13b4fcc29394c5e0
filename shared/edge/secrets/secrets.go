// Package secrets checks the admin secret against AWS Secrets Manager.
package secrets

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
)

// ErrSecrets reports that the secret could not be read.
var ErrSecrets = errors.New("secret store is unavailable")

// API is the part of the Secrets Manager client that this package calls.
type API interface {
	GetSecretValue(context.Context, *secretsmanager.GetSecretValueInput,
		...func(*secretsmanager.Options)) (*secretsmanager.GetSecretValueOutput, error)
}

// How long an instance trusts its last read, and how often a wrong secret makes it read again: a new secret works at
// once, an old one stops within a minute, and a guesser causes at most one call a second.
const (
	believe = time.Minute
	recheck = time.Second
)

// Stage is the label of a version of the secret. It moves from one version to the next; the audit trail names the
// version's id, which never moves.
type Stage string

// The stages that are accepted, so that the secret can be rotated without an outage.
const (
	Current  Stage = "AWSCURRENT"
	Previous Stage = "AWSPREVIOUS"
)

// Secret checks one secret, the admin secret or the token of GET /metrics. It is safe for concurrent use.
type Secret struct {
	api API
	id  string
	now func() time.Time

	mu       sync.Mutex
	read     time.Time
	known    map[Stage]version
	failedAt time.Time
	failure  error // of the look at failedAt, which stands for those of the next second; nil if it went well
}

// version is what is kept of one version of the secret.
type version struct {
	id     string
	sum    [sha256.Size]byte
	length int // characters
}

// New returns a check against the secret with this id.
func New(api API, id string, now func() time.Time) *Secret {
	return &Secret{api: api, id: id, now: now}
}

// Check returns the id of the version that was shown; ok is false if no version matches. It compares hashes of
// secrets in constant time, and keeps only hashes.
func (a *Secret) Check(ctx context.Context, shown string) (id string, ok bool, err error) {
	if shown == "" {
		return "", false, nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.refresh(ctx, believe); err != nil {
		return "", false, err
	}
	if id, ok := a.match(shown); ok {
		return id, true, nil
	}
	if err := a.refresh(ctx, recheck); err != nil {
		return "", false, err
	}
	id, ok = a.match(shown)
	return id, ok, nil
}

// Readable reads the secret and reports why no caller could present it: the secret cannot be read, or it has no
// current value.
func (a *Secret) Readable(ctx context.Context) error {
	known, err := a.look(ctx)
	if err != nil {
		return err
	}
	if _, ok := known[Current]; !ok {
		return fmt.Errorf("%w: %s has no text in it", ErrSecrets, Current)
	}
	return nil
}

// Accepted returns the ids of the versions that are accepted now, as far as Check knows.
func (a *Secret) Accepted(ctx context.Context) ([]string, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.refresh(ctx, believe); err != nil {
		return nil, err
	}
	var ids []string
	for _, v := range a.known {
		ids = append(ids, v.id)
	}
	return ids, nil
}

// Shortest returns how many characters the shortest version has that is accepted now.
func (a *Secret) Shortest(ctx context.Context) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.refresh(ctx, believe); err != nil {
		return 0, err
	}
	shortest := math.MaxInt
	for _, v := range a.known {
		shortest = min(shortest, v.length)
	}
	return shortest, nil
}

func (a *Secret) match(shown string) (id string, ok bool) {
	sum := sha256.Sum256([]byte(shown))
	for _, stage := range []Stage{Previous, Current} {
		want, known := a.known[stage]
		if known && subtle.ConstantTimeCompare(sum[:], want.sum[:]) == 1 {
			id, ok = want.id, true
		}
	}
	return id, ok
}

// refresh reads the secret unless the last read is younger than age. A failed read is not repeated within a second
// either.
func (a *Secret) refresh(ctx context.Context, age time.Duration) error {
	now := a.now()
	if a.known != nil && now.Sub(a.read).Abs() < age {
		return nil
	}
	if a.failure != nil && now.Sub(a.failedAt).Abs() < recheck {
		return a.failure
	}
	known, err := a.look(ctx)
	if err != nil {
		a.failure, a.failedAt = err, now
		return err
	}
	a.known, a.read, a.failure = known, now, nil
	return nil
}

func (a *Secret) look(ctx context.Context) (map[Stage]version, error) {
	known := map[Stage]version{}
	for _, stage := range []Stage{Current, Previous} {
		out, err := a.api.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{
			SecretId:     aws.String(a.id),
			VersionStage: aws.String(string(stage)),
		})
		var missing *types.ResourceNotFoundException
		if stage == Previous && errors.As(err, &missing) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrSecrets, err)
		}
		if value := aws.ToString(out.SecretString); value != "" {
			known[stage] = version{cmp.Or(aws.ToString(out.VersionId), string(stage)), sha256.Sum256([]byte(value)),
				utf8.RuneCountInString(value)}
		}
	}
	return known, nil
}

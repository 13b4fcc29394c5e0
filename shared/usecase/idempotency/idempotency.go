// Package idempotency answers a request that is repeated under its Idempotency-Key with the answer to the first
// request.
//
// The answer is committed in the same transaction as its change. So a repetition after a lost answer, a crash or an
// unknown outcome finds either both or neither, and only one of several concurrent requests commits.
package idempotency

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/mastio-aws/mastio/shared/problem"
	"github.com/mastio-aws/mastio/shared/registry"
)

// Errors of a request that names a key.
var (
	ErrKey = problem.New(400, "idempotency_key_invalid", "idempotency key is malformed").
		Says("Idempotency-Key takes 1 to 255 printable characters.")
	ErrReused = problem.New(422, "idempotency_key_reused", "idempotency key was used for another request").
			Says("This Idempotency-Key was used for a different request within the last 24 hours.")
	// ErrDone reports a repetition whose answer held a private key, and so was not kept. Nothing was changed by it.
	ErrDone = problem.New(409, "already_done", "the request was carried out before, and its answer is not kept")
)

// errAnswer reports an answer that must not be kept, or that was kept by mistake. No request causes it.
var errAnswer = problem.Internal("answer that cannot be kept")

// Store is what finding an answer takes of the registry.
type Store interface {
	Answer(ctx context.Context, key string, now time.Time) (*registry.Answer, error)
}

// Request is a request whose result is an R, as its caller names it. The zero Request has no key: nothing is looked up
// for it and nothing is kept.
type Request[R any] struct {
	Key   string                      // 1 to 255 printable octets; empty: none
	Asked string                      // what is asked: the same key with another one is ErrReused
	Body  func(R) (KeptAnswer, error) // what a result is answered with
}

// KeptAnswer is an answer as it is kept.
type KeptAnswer struct {
	Status int             `json:"status"`
	Body   json.RawMessage `json:"body,omitempty"`
	Done   *problem.Done   `json:"done,omitempty"` // in the place of a body with private keys
}

// private is a result that may hold private keys. Then a repetition gets done instead of the keys.
type private interface {
	Private() (done problem.Done, holds bool)
}

// Replay is the answer to a request that was carried out before, by this call or an earlier one. It is an error because
// the call has no result to return.
type Replay struct{ KeptAnswer } //nolint:errname // it is an answer as much as an error

// Error says what happened, without the answer.
func (r *Replay) Error() string { return "the request was carried out before" }

const (
	maxKey = 255             // octets
	lookup = 2 * time.Second // what finding out may take after a failure, even if the request's own time is up
)

// Check reports a malformed key: ErrKey. An unprintable one would not be found again.
func Check(key string) error {
	if key == "" || len(key) > maxKey {
		return ErrKey
	}
	for _, c := range []byte(key) {
		if c < 0x21 || c > 0x7e {
			return ErrKey
		}
	}
	return nil
}

// Do carries out a request: work, unless it was carried out before. It costs one read before the work and one more if
// the work fails, because a failure may be that of a repetition, or of an answer that was lost; without a key, nothing.
//
// Errors: *Replay, ErrDone, ErrKey, ErrReused; those of work, if nothing was committed under the key;
// registry.ErrUnavailable where that cannot be read. After registry.ErrUnknown, the same request under the same key
// returns the outcome.
func Do[R any](ctx context.Context, s Store, r Request[R], now func() time.Time, work func() (R, error)) (R, error) {
	var none R
	if err := r.Known(ctx, s, now()); err != nil {
		return none, err
	}
	result, err := work()
	if err == nil || r.Key == "" || settled(err) {
		return result, err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookup)
	defer cancel()
	known := r.Known(ctx, s, now())
	if known == nil || errors.Is(err, registry.ErrUnknown) && !answers(known) {
		return none, err // of an unknown outcome, that is all that is known
	}
	return none, known
}

// settled reports whether work has looked at the key last.
func settled(err error) bool {
	return answers(err) || errors.Is(err, ErrKey) || errors.Is(err, ErrReused)
}

// answers reports whether an error is the answer to a request that was carried out before.
func answers(err error) bool {
	replay, ok := errors.AsType[*Replay](err)
	return ok && replay != nil || errors.Is(err, ErrDone)
}

// Known reports whether the request was carried out before: one read if it has a key. The error is then its answer, a
// *Replay or ErrDone; nil if nothing is known of the key. Other errors: ErrKey, ErrReused, registry.ErrUnavailable.
func (r Request[R]) Known(ctx context.Context, s Store, now time.Time) error {
	if r.Key == "" {
		return nil
	}
	if err := Check(r.Key); err != nil {
		return err
	}
	a, err := s.Answer(ctx, r.Key, now)
	if err != nil || a == nil {
		return err
	}
	if a.Request != r.Asked {
		return ErrReused
	}
	var k KeptAnswer
	if err := json.Unmarshal(a.Result, &k); err != nil || (k.Done == nil) == (k.Status == 0) {
		return fmt.Errorf("read the answer under an idempotency key: %w: %w", errAnswer, err)
	}
	if k.Done != nil {
		return done(*k.Done)
	}
	return &Replay{k}
}

// done says what was done, when, and how to go on.
func done(d problem.Done) error {
	return ErrDone.Did(d, fmt.Sprintf("This request was carried out at %s: it issued the certificate with the "+
		"thumbprint %s, whose private key was in "+
		"that answer alone. Nothing was changed now. If that answer is lost: %s, under another Idempotency-Key.",
		d.At.UTC().Format(time.RFC3339), d.Thumbprint, d.Next))
}

// Keep makes what the change that brings about a result carries as its answer; nil without a key. Of a result with a
// private key it holds what ErrDone says, and nothing else.
func (r Request[R]) Keep(result R, now time.Time) (*registry.Answer, error) {
	if r.Key == "" {
		return nil, nil
	}
	k, err := r.kept(result)
	if err != nil {
		return nil, err
	}
	encoded, err := json.Marshal(k)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %w", errAnswer, err)
	case len(encoded) > registry.MaxAnswer:
		return nil, fmt.Errorf("%w: it has %d octets", errAnswer, len(encoded))
	case bytes.Contains(encoded, []byte("PRIVATE KEY-----")):
		return nil, fmt.Errorf("%w: it holds a private key", errAnswer)
	}
	return &registry.Answer{
		Key:     r.Key,
		Request: r.Asked,
		Result:  encoded,
		Expires: now.Add(registry.AnswerTTL).Truncate(time.Second),
	}, nil
}

func (r Request[R]) kept(result R) (KeptAnswer, error) {
	if p, ok := any(result).(private); ok {
		if d, holds := p.Private(); holds {
			return KeptAnswer{Done: &d}, nil
		}
	}
	return r.Body(result)
}

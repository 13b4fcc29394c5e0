package awskms

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"time"

	"github.com/aws/smithy-go"
)

// DefaultPatience is how long after its creation a key may be refused, for a function that API Gateway waits 29 seconds
// for.
const DefaultPatience = 15 * time.Second

// margin is left of a request for its answer.
const margin = 2 * time.Second

// young makes a call on a key, and repeats the call while the answer can mean that not all hosts of KMS know the key
// yet.
//
// KMS is eventually consistent: for some seconds, rarely minutes, after a key was created, filled, disabled or
// tagged, any call may reach a host that does not know the change yet. The key then does not exist
// (NotFoundException), is in the state before (KMSInvalidStateException), or has no tags for a policy to allow it by
// (AccessDeniedException). That one call went through says nothing about the next, so every call on a key goes
// through here.
//
// The repetition ends Patience after the key was created. Another function may have just made current a key that this
// instance did not create. Such a key gets a tenth of that time, so that a key that is really gone delays no request
// for long. After either, or shortly before ctx ends, the last error is returned.
func (k *Keys) young(ctx context.Context, id string, call func() error) error {
	return k.settle(ctx, k.until(ctx, id), call)
}

func (k *Keys) patience() time.Duration {
	if k.Patience > 0 {
		return k.Patience
	}
	return DefaultPatience
}

// settle repeats a call until then. Pauses begin at a six-hundredth of the patience and grow to a tenth of it; half of
// each is random, so that calls that failed together do not come back together.
func (k *Keys) settle(ctx context.Context, until time.Time, call func() error) error {
	pause := max(k.patience()/600, time.Millisecond)
	for {
		err := call()
		if !settling(err) {
			return err
		}
		wait := pause/2 + rand.N(pause/2+1) //nolint:gosec // spreads retries; guessing it gains nothing
		if k.Now().Add(wait).After(until) {
			return err
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return err
		}
		pause = min(2*pause, k.patience()/10)
	}
}

// until is when the patience with a key ends.
func (k *Keys) until(ctx context.Context, id string) time.Time {
	end := k.Now().Add(k.patience() / 10)
	k.mu.Lock()
	if born, ok := k.born[id]; ok && born.Add(k.patience()).After(end) {
		end = born.Add(k.patience())
	}
	k.mu.Unlock()
	if deadline, ok := ctx.Deadline(); ok && deadline.Add(-margin).Before(end) {
		end = deadline.Add(-margin)
	}
	return end
}

// bear notes that a key was created now, and forgets those that have grown up.
func (k *Keys) bear(id string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.Now()
	maps.DeleteFunc(k.born, func(_ string, at time.Time) bool { return now.Sub(at) > k.patience() })
	if k.born == nil {
		k.born = map[string]time.Time{}
	}
	k.born[id] = now
}

// isYoung reports whether this instance created a key within its patience.
func (k *Keys) isYoung(id string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	at, ok := k.born[id]
	return ok && k.Now().Sub(at) <= k.patience()
}

// forget makes a key like any other.
func (k *Keys) forget(id string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.born, id)
}

// settling reports whether KMS gives this answer for a new key that has not reached all its hosts. The answer for a
// deleted key, or for the key of another account, is the same.
func settling(err error) bool {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return false
	}
	switch api.ErrorCode() {
	case "NotFoundException", "KMSInvalidStateException", "AccessDeniedException":
		return true
	}
	return false
}

package awskms

import (
	"context"
	"time"
)

// waits are the pauses between the first calls to a new key, eight seconds of them together.
var waits = []time.Duration{250 * time.Millisecond, 500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second}

// known makes the first call to a key that was created just now. The roles' policies know a key by its tags, and KMS warns
// that a tag can take a while to count ("Tag-based access control", AWS KMS developer guide): refused for want of permission
// is not the last word yet.
func known(ctx context.Context, call func() error) error {
	for _, wait := range waits {
		err := call()
		if !denied(err) {
			return err
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return err
		}
	}
	return call()
}

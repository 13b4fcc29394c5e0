package registry

import (
	"context"
	"errors"
	"time"
)

// Organisation is what Amend needs of a store.
type Organisation interface {
	Org(ctx context.Context) (Org, error)
	Apply(ctx context.Context, c Change) error
}

const (
	amendTries    = 5
	amendPatience = 5 * time.Second
)

// Amend commits the change that decide makes of the organisation's records; org is how they were last read. Several
// functions append to the organisation's chain, which has one next place. If another commit came first, Amend reads
// again and calls decide again. Amend retries as long as other writers make progress, at most for amendPatience: a
// rotation that holds the lease must not fail because of an unrelated row. If the records do not change between two
// tries, the conflict has another cause, and Amend gives up after amendTries.
//
// Errors: those of decide, which end it at once; ErrConflict; ErrUnknown, of the last change that decide returned.
// After every error except ErrUnknown, nothing happened.
func Amend(ctx context.Context, s Organisation, org Org, decide func(Org) (Change, error)) error {
	patience, end := context.WithTimeout(ctx, amendPatience)
	defer end()
	for still := 1; ; still++ {
		change, err := decide(org)
		if err != nil {
			return err
		}
		err = Settle(ctx, s.Apply, change)
		if !errors.Is(err, ErrConflict) || patience.Err() != nil {
			return err
		}
		present, readErr := s.Org(ctx)
		if readErr != nil {
			return err // it says what is known of the change; that outranks the failed read
		}
		if present.writes() != org.writes() {
			still = 0
		}
		if still == amendTries {
			return err
		}
		org = present
	}
}

// writes grows with every change of the records by any writer.
func (o Org) writes() int64 {
	n := o.Head.Seq + o.Truststore.Version + o.Plan.Version + o.Lease.Fence
	if o.Pointer != nil {
		n += o.Pointer.Version
	}
	if o.Reissue != nil {
		n += o.Reissue.Version
	}
	for _, g := range o.Generations {
		n += g.Version
	}
	return n
}

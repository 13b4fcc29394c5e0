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

// Amend commits what decide makes of the organisation's records, org being how they were last read. Its chain has one next
// place, and several functions append to it: where another one's commit came first, Amend reads again and decide decides
// again. It goes on for as long as the others get on, because each of them ends some time, and somebody who was let in to
// rotate the Org CA must not be sent away for the sake of a neighbour's row; but not for longer than amendPatience. Where
// nothing moves, so that what is in the way is no neighbour, it gives up after amendTries.
//
// Errors: those of decide, which end it at once; ErrConflict; ErrUnknown, of the last change that was decided on. After
// any but that one, nothing happened.
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

// writes grows with every change of the records, whoever made it.
func (o Org) writes() int64 {
	n := o.Head.Seq + o.Truststore.Version + o.Lease.Fence
	if o.Pointer != nil {
		n += o.Pointer.Version
	}
	for _, g := range o.Generations {
		n += g.Version
	}
	return n
}

package registry

import (
	"context"
	"errors"
)

// outlastTries is how many rounds a request has at most: some two seconds.
const outlastTries = 100

// Patience bounds how often a request reads and decides again because other writers came first. It is for a request
// that has to win in the end: an operator who ends a stolen certificate must not be refused because its thief keeps
// renewing it. Renewals have a pace, so a few rounds are enough. The zero Patience is whole.
type Patience struct{ tries int }

// Left counts a round and reports whether there may be another one.
func (p *Patience) Left(ctx context.Context) bool {
	p.tries++
	return p.tries < outlastTries && ctx.Err() == nil
}

// Outlast repeats try, which reads, decides and writes, while it ends in a conflict, until its patience is over.
// Errors: those of try.
func Outlast(ctx context.Context, try func() error) error {
	var patience Patience
	for {
		if err := try(); !errors.Is(err, ErrConflict) || !patience.Left(ctx) {
			return err
		}
	}
}

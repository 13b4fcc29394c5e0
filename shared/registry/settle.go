package registry

import (
	"context"
	"errors"
)

const settleTries = 3

// Settle applies c until its outcome is known: the same Change with the same ID happens at most once, so a repetition
// returns the outcome. It returns ErrUnknown only if the store stays silent to the end; every other error means that
// nothing of c happened.
func Settle(ctx context.Context, apply func(context.Context, Change) error, c Change) error {
	err := apply(ctx, c)
	for try := 1; try < settleTries && errors.Is(err, ErrUnknown) && ctx.Err() == nil; try++ {
		// An unavailable store says nothing about the outcome of the request before.
		if again := apply(ctx, c); !errors.Is(again, ErrUnavailable) {
			err = again
		}
	}
	return err
}

package main

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// sample is how long each of many operations took, and all of them together.
type sample struct {
	each []time.Duration // sorted once closed
	took time.Duration
}

// quantile returns the smallest duration that the share q (0 to 1) of all does not exceed; zero of none.
func (s sample) quantile(q float64) time.Duration {
	if len(s.each) == 0 {
		return 0
	}
	n := int(q*float64(len(s.each))+0.999999) - 1
	return s.each[min(max(n, 0), len(s.each)-1)]
}

// rate is in operations a second.
func (s sample) rate() float64 {
	if s.took <= 0 {
		return 0
	}
	return float64(len(s.each)) / s.took.Seconds()
}

// closedLoop lets workers repeat an operation, each beginning one when its last has ended, for a time. The first error
// ends all. do gets the worker's number and how many it did before.
func closedLoop(
	ctx context.Context, workers int, length time.Duration, do func(ctx context.Context, worker, n int) error,
) (sample, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	each, errs := make([][]time.Duration, workers), make([]error, workers)
	began := time.Now()
	end := began.Add(length)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for at := time.Now(); at.Before(end) && ctx.Err() == nil; {
				if errs[w] = do(ctx, w, len(each[w])); errs[w] != nil {
					cancel()
					return
				}
				now := time.Now()
				each[w], at = append(each[w], now.Sub(at)), now
			}
		})
	}
	wg.Wait()
	took := time.Since(began)
	if err := first(errs); err != nil {
		return sample{}, err
	}
	all := slices.Concat(each...)
	slices.SortFunc(all, cmp.Compare)
	return sample{all, took}, context.Cause(ctx)
}

// first prefers the error that was there before the others were cancelled.
func first(errs []error) error {
	for _, err := range errs {
		if err != nil && !errors.Is(err, context.Canceled) {
			return err
		}
	}
	return errors.Join(errs...)
}

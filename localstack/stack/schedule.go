package stack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/mastio-aws/mastio/shared/routes"
)

// firstTimeout covers a lease of 30 s that a killed stack left in the state folder.
const firstTimeout = 90 * time.Second

// Between two tries at the first Org CA is a pause, and a function that fails again and again is given up on.
const (
	retryAfter  = 500 * time.Millisecond
	mostFailed  = 5
	leaseReason = "another run of it holds the lease"
)

// scheduled is what EventBridge sends; the functions do not look at it.
// Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-run-lambda-schedule.html
const scheduled = `{"version":"0","detail-type":"Scheduled Event","source":"aws.events","resources":[],"detail":{}}`

// Tick runs every scheduled function once, one after the other.
func (s *Stack) Tick(ctx context.Context) error {
	var errs []error
	for _, name := range routes.Scheduled() {
		if _, err := s.run(ctx, name); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func (s *Stack) run(ctx context.Context, function string) ([]byte, error) {
	r, err := s.Lambda.Invoke(ctx, function, []byte(scheduled))
	if err != nil {
		return nil, err
	}
	if r.FunctionError != "" {
		return nil, fmt.Errorf("function %s failed: %s", function, r.Payload)
	}
	return r.Payload, nil
}

// firstCA runs the standby job until the organisation has a current generation. One run does it, unless a stack that
// was killed left the lease behind. Where the operator brings the first Org CA, none is waited for.
func (s *Stack) firstCA(ctx context.Context) error {
	s.cfg.Progress("making the first Org CA, unless there is one")
	ctx, cancel := context.WithTimeout(ctx, firstTimeout)
	defer cancel()
	for failed := 0; ; {
		answer, err := s.run(ctx, "standby")
		if err != nil {
			failed++
		} else if current(answer) > 0 {
			return nil
		} else if s.cfg.Env["MASTIO_FIRST_CA"] == "adopt" {
			s.awaited = true
			s.cfg.Progress("no Org CA yet: POST /pki/rotate-ca?mode=upload brings it")
			return nil
		} else {
			err = errors.New(leaseReason)
			s.cfg.Progress("waiting: " + leaseReason)
		}
		if failed == mostFailed {
			return firstError(err)
		}
		select {
		case <-time.After(retryAfter):
		case <-ctx.Done():
			return firstError(errors.Join(err, ctx.Err()))
		case <-s.database.Done():
			return firstError(errors.New("DynamoDB Local has ended"))
		}
	}
}

// startup runs the check that a deployment runs before it takes traffic. There a finding fails the deployment. Here
// the stack reports the finding and comes up, because the operator is about to remedy it: the functions refuse until
// then.
func (s *Stack) startup(ctx context.Context) {
	if s.awaited {
		return // there is nothing to check before it
	}
	for _, name := range routes.Deployed() {
		if _, err := s.run(ctx, name); err != nil {
			s.cfg.Progress("warning: " + err.Error())
		}
	}
}

func firstError(cause error) error {
	return fmt.Errorf("make the first Org CA: %w (the functions' log has the details)", cause)
}

func current(report []byte) int64 {
	var r struct {
		Generation int64 `json:"generation"`
	}
	if json.Unmarshal(report, &r) != nil {
		return 0
	}
	return r.Generation
}

// schedule runs the scheduled functions until Close. Failures are in the log already, and the next run mends them.
func (s *Stack) schedule() {
	if s.cfg.Tick <= 0 {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		every := time.NewTicker(s.cfg.Tick)
		defer every.Stop()
		for {
			select {
			case <-every.C:
			case <-ctx.Done():
				return
			}
			if err := s.Tick(ctx); err != nil && ctx.Err() == nil {
				fmt.Fprintf(s.out, "schedule: %v\n", err)
			}
		}
	}()
	s.onClose(func() error { cancel(); <-ended; return nil })
}

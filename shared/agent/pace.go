package agent

import (
	"fmt"
	"time"

	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/problem"
)

// ErrRenewalEarly reports a renewal right after another. Its RetryIn is the wait until the next one is answered.
var ErrRenewalEarly = problem.New(429, "renewed_recently", "the certificate was renewed a moment ago").
	Says("This certificate was renewed, or made by a renewal, a moment ago. Use the newest one; renew it " +
		"when Retry-After has passed, or better when GET /v1/agent/renewal-info says.")

// Each renewal costs a KMS signature, whose rate all agents share, and rows that are kept for years: one agent that
// renews in a loop must not starve the others.
const (
	// renewalPace is how old a renewal's certificate must be to be renewed itself.
	renewalPace = time.Minute
	// longestWait is the longest wait. A longer one comes from a clock that was far ahead, and is not believed.
	longestWait = 2 * renewalPace
	// renewalBurst is how many answers may be lost within one pace.
	renewalBurst = 3
)

// EarlyRenewal returns ErrRenewalEarly, with the wait in whole seconds, if the agent's certificate of the pin p may
// not be renewed yet. A renewal made the certificate a moment ago, or it was renewed too often since. A certificate is
// renewed at once if it was enrolled or rotated, if the answer with its successor was lost, or if an overlap of the
// Org CA carries it. The wait ends well before the certificate does, so it locks no agent out.
func EarlyRenewal(a Agent, p Pin, ca orgca.Pointer, now time.Time) error {
	var next time.Time
	switch again := lostSuccessors(a, p); {
	case len(again) >= renewalBurst:
		since := again[renewalBurst-1].Renewed
		next = since.Add(min(renewalPace, pinEnd(p, ca).Sub(since)/4))
	case len(again) == 0 && ca.IsCurrent(p.Generation):
		next = p.Renewed.Add(renewalPace)
	}
	return wait(next, now)
}

// ReserveRenewal admits a renewal of the pin p and returns the keys with a note of the renewal. It refuses a renewal
// that is early (EarlyRenewal), and the next one after renewalBurst renewals within the pace, whether or not those
// succeeded. The note is stored before a signature is spent, so concurrent requests see the notes of each other.
//
// Errors: as of EarlyRenewal.
func ReserveRenewal(k Keys, a Agent, p Pin, ca orgca.Pointer, now time.Time) (Keys, error) {
	if err := EarlyRenewal(a, p, ca, now); err != nil {
		return k, err
	}
	if k.Renewed != p.Thumbprint {
		k.Renewed, k.Renewals = p.Thumbprint, nil
	}
	if len(k.Renewals) >= renewalBurst {
		since := k.Renewals[renewalBurst-1]
		if err := wait(since.Add(min(renewalPace, pinEnd(p, ca).Sub(since)/4)), now); err != nil {
			return k, err
		}
	}
	k.Renewals = append([]time.Time{now}, k.Renewals[:min(len(k.Renewals), renewalBurst-1)]...)
	return k, nil
}

// wait returns an ErrRenewalEarly until next, unless that is so far ahead that a clock must have been wrong.
func wait(next, now time.Time) error {
	if wait := next.Sub(now); wait > 0 && wait <= longestWait {
		wait = (wait + time.Second - 1).Truncate(time.Second)
		return fmt.Errorf("%w: try again in %s", ErrRenewalEarly.After(wait), wait)
	}
	return nil
}

// lostSuccessors are the successors of the pin p that were never used, newest first.
func lostSuccessors(a Agent, p Pin) (successors []Pin) {
	for _, q := range a.Pins {
		if q.Thumbprint == p.Thumbprint {
			break
		}
		if q.Unused {
			successors = append(successors, q)
		}
	}
	return successors
}

// pinEnd is when the pin p stops counting.
func pinEnd(p Pin, ca orgca.Pointer) time.Time {
	end := p.NotAfter
	if !p.Until.IsZero() && p.Until.Before(end) {
		end = p.Until
	}
	if o, ok := overlapOf(ca, p.Generation); ok && o.Until.Before(end) {
		end = o.Until
	}
	return end
}

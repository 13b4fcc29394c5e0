package renewal

import (
	"fmt"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/problem"
)

// ErrEarly reports a renewal right behind another. Its RetryIn is the wait until the next one is answered.
var ErrEarly = problem.New(429, "renewed_recently", "the certificate was renewed a moment ago").
	Says("This certificate was renewed, or made by a renewal, a moment ago. Use the newest one; renew it " +
		"when Retry-After has passed, or better when GET /v1/agent/renewal-info says.")

// Each renewal costs a KMS signature, whose rate all agents share, and rows that are kept for years: one agent that
// renews in a loop must not starve the others.
const (
	// pace is how old a renewal's certificate must be to be renewed itself.
	pace = time.Minute
	// ahead is the longest wait. A longer one comes from a clock that was far ahead, and is not believed.
	ahead = 2 * pace
	// burst is how many answers may be lost within one pace.
	burst = 3
)

// Early returns ErrEarly, with the wait in whole seconds, if the agent's certificate of the pin p may not be renewed
// yet: a renewal made it a moment ago, or it has been renewed again and again since. A certificate is renewed at once
// if it was enrolled or rotated, if the answer with its successor was lost, or if an overlap of the Org CA carries
// it. The wait ends well before the certificate does, so it locks no agent out.
func Early(a agent.Agent, p agent.Pin, ca orgca.Pointer, now time.Time) error {
	var next time.Time
	switch again := lost(a, p); {
	case len(again) >= burst:
		since := again[burst-1].Renewed
		next = since.Add(min(pace, end(p, ca).Sub(since)/4))
	case len(again) == 0 && ca.IsCurrent(p.Generation):
		next = p.Renewed.Add(pace)
	}
	return wait(next, now)
}

// Reserve lets a renewal of the pin p through, if it is not Early and fewer than burst were let through within the pace,
// whether or not they succeeded, and returns the keys with a note of the renewal. The note is stored before a
// signature is spent, so concurrent requests see each other's notes.
//
// Errors: as of Early.
func Reserve(k agent.Keys, a agent.Agent, p agent.Pin, ca orgca.Pointer, now time.Time) (agent.Keys, error) {
	if err := Early(a, p, ca, now); err != nil {
		return k, err
	}
	if k.Renewed != p.Thumbprint {
		k.Renewed, k.Renewals = p.Thumbprint, nil
	}
	if len(k.Renewals) >= burst {
		since := k.Renewals[burst-1]
		if err := wait(since.Add(min(pace, end(p, ca).Sub(since)/4)), now); err != nil {
			return k, err
		}
	}
	k.Renewals = append([]time.Time{now}, k.Renewals[:min(len(k.Renewals), burst-1)]...)
	return k, nil
}

// wait returns an *EarlyError until next, unless that is so far ahead that a clock must have been wrong.
func wait(next, now time.Time) error {
	if wait := next.Sub(now); wait > 0 && wait <= ahead {
		wait = (wait + time.Second - 1).Truncate(time.Second)
		return fmt.Errorf("%w: try again in %s", ErrEarly.After(wait), wait)
	}
	return nil
}

// lost are the successors of the pin p that were not heard of, newest first.
func lost(a agent.Agent, p agent.Pin) (successors []agent.Pin) {
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

// end is when the pin p stops counting.
func end(p agent.Pin, ca orgca.Pointer) time.Time {
	end := p.NotAfter
	if !p.Until.IsZero() && p.Until.Before(end) {
		end = p.Until
	}
	if until, ok := ends(ca, p.Generation); ok && until.Before(end) {
		end = until
	}
	return end
}

package agent

import (
	"slices"
	"time"

	"github.com/mastio-aws/mastio/shared/verifier"
)

// Death says which access tokens died with a change of an agent: those of one certificate, or with one handle, that
// were issued before an instant.
type Death struct {
	Thumbprint string // of the certificate, as Pin has it; empty: Handle says which
	Handle     Handle
	// Before is far ahead for what never gets a token again: so no clock, and no commit that took long, decides whether
	// its last token is dead.
	Before time.Time
}

const (
	// DeathKept is how long a death stays in the status document after the change: the longest life of a token,
	// whatever the setting says now, and more than clocks differ.
	DeathKept = verifier.MaxTokenLife + 5*time.Minute
	// clockRoom is added to the time of a change where a certificate may get tokens again.
	clockRoom = 2 * time.Second
)

// Replace returns next, which replaces a in the registry at a time, with the handle that its tokens have from then on;
// and what dies with the change. The handle h must be a new one. The zero Agent stands for an agent that is not stored
// yet.
//
// What dies is decided by comparing the two records, so that an operation need not say it. Three changes are no death:
// a certificate yields to a successor that its agent has used, a deadline passes, or a generation of the Org CA is no
// longer accepted (tokens name their generation). So a dormant pin dies without a death if left says that its
// generation was left for good. Where left does not know, it must say false.
func (a Agent) Replace(next Agent, h Handle, at time.Time, left func(generation int64) bool) (Agent, []Death) {
	ended := slices.DeleteFunc(a.endedBy(next, at), func(p Pin) bool { return p.Dormant && left(p.Generation) })
	deaths := make([]Death, 0, len(ended)+1)
	for _, p := range ended {
		before := at.Add(DeathKept)
		if next.has(p) { // asleep: a rollback of the Org CA makes it count again
			before = at.Add(clockRoom)
		}
		deaths = append(deaths, Death{Thumbprint: p.Thumbprint, Before: wholeSecond(before)})
	}
	switch {
	case a.Status != Active:
		if next.Status == Active {
			next.Handle = h
		}
	case a.losesAll(next, ended, at):
		if a.Handle != (Handle{}) {
			deaths = append(deaths, Death{Handle: a.Handle, Before: wholeSecond(at.Add(DeathKept))})
		} else {
			deaths = append(deaths, a.unnamed(ended, at)...)
		}
		if next.Handle = h; next.Status != Active {
			next.Handle = Handle{}
		}
	case a.Handle == (Handle{}):
		next.Handle = h
	default:
		next.Handle = a.Handle
	}
	if len(deaths) == 0 {
		return next, nil
	}
	return next, deaths
}

// losesAll reports whether no token that the agent was issued may be accepted after a change.
func (a Agent) losesAll(next Agent, ended []Pin, at time.Time) bool {
	lost := func(of, from []string) bool {
		return slices.ContainsFunc(of, func(s string) bool { return !slices.Contains(from, s) })
	}
	switch {
	case next.Status != Active, a.Method != next.Method, lost(a.Capabilities, next.Capabilities):
		return true
	case !a.Past.Floor.Equal(next.Past.Floor), !slices.Equal(a.Past.Ended, next.Past.Ended):
		return true // certificates that the record does not name have ended
	case next.Method == SPIFFE:
		return a.SPIFFEID != next.SPIFFEID || narrower(a.Bundle, next.Bundle)
	}
	survives := func(p Pin) bool { return next.has(p) && !next.sleeping(p, at) }
	return len(ended) > 0 && !slices.ContainsFunc(a.Pins, survives)
}

// narrower reports whether fewer SVIDs may count after a change: a CA of the agent's own bundle is gone, or the Org CA
// no longer vouches, or only the Org CA does.
func narrower(was, is [][]byte) bool {
	has := func(list [][]byte, der []byte) bool {
		return slices.ContainsFunc(list, func(d []byte) bool { return string(d) == string(der) })
	}
	return (len(was) == 0) != (len(is) == 0) ||
		slices.ContainsFunc(was, func(der []byte) bool { return !has(is, der) })
}

// endedBy returns the pins whose certificates may have live tokens and count no longer after a change, without those
// that yield to their own successor.
func (a Agent) endedBy(next Agent, at time.Time) (ended []Pin) {
	if a.Status != Active {
		return nil
	}
	for i, p := range a.Pins {
		slept := p.Dormant && !p.Yields
		survives := next.has(p) && !next.sleeping(p, at)
		if !slept && !survives && !p.forgotten(at) && !a.succeeded(i, next, at) {
			ended = append(ended, p)
		}
	}
	return ended
}

// forgotten reports whether the pin has ended so long ago that no token of its certificate is left.
func (p Pin) forgotten(at time.Time) bool {
	past := func(t time.Time) bool { return !t.IsZero() && t.Before(at.Add(-DeathKept)) }
	return past(p.NotAfter) || past(p.Until) && !p.Yields
}

// succeeded reports whether the pin at i yields to a successor, or is one whose answer was lost, and another successor
// is left.
func (a Agent) succeeded(i int, next Agent, at time.Time) bool {
	p := a.Pins[i]
	if !p.Yields && !p.Unused {
		return false
	}
	return slices.ContainsFunc(a.Pins, func(q Pin) bool {
		return q.Unused && q.Thumbprint != p.Thumbprint && next.has(q) && !next.sleeping(q, at)
	})
}

// unnamed returns the deaths of tokens that have no handle yet: tokens of the certificates that live on.
func (a Agent) unnamed(ended []Pin, at time.Time) (deaths []Death) {
	for _, p := range a.Pins {
		named := slices.ContainsFunc(ended, func(q Pin) bool { return q.Thumbprint == p.Thumbprint })
		if !named && !p.sleeps(at) {
			deaths = append(deaths, Death{Thumbprint: p.Thumbprint, Before: wholeSecond(at.Add(clockRoom))})
		}
	}
	return deaths
}

func (a Agent) has(p Pin) bool {
	return slices.ContainsFunc(a.Pins, func(q Pin) bool { return q.Thumbprint == p.Thumbprint })
}

// sleeping reports whether the agent's pin of p's certificate counts only after a rollback.
func (a Agent) sleeping(p Pin, at time.Time) bool {
	return slices.ContainsFunc(a.Pins, func(q Pin) bool { return q.Thumbprint == p.Thumbprint && q.sleeps(at) })
}

// wholeSecond rounds up, as tokens say in whole seconds when they were issued.
func wholeSecond(t time.Time) time.Time {
	return t.Add(time.Second - time.Nanosecond).Truncate(time.Second)
}

package agent

import (
	"fmt"
	"slices"
	"time"

	"github.com/mastio-aws/mastio/shared/problem"
)

// ErrOutlive reports a certificate that never counts again for an agent, whatever method the agent is enrolled by.
var ErrOutlive = problem.New(400, "certificate_too_old", "certificate is older than what was deactivated")

// OutlivedError is ErrOutlive with the instant that decides.
type OutlivedError struct{ Floor time.Time }

// Error names the instant.
func (e *OutlivedError) Error() string {
	return fmt.Sprintf("%s: issue a new one; only certificates that are valid from %s or later count", ErrOutlive,
		e.Floor.UTC().Format(time.RFC3339))
}

// Unwrap makes it ErrOutlive.
func (e *OutlivedError) Unwrap() error { return ErrOutlive }

// Past lists the certificates of an agent that must never count again. Pins say what counts now; Past says what stays
// dead after its pin is gone, for an agent that is enrolled again by another method.
//
// A floor ends all certificates that the record does not know because the agent never presented them. The floor is
// the notBefore of the newest known certificate and not the time of the deactivation, because a CA may backdate
// certificates. Known certificates with exactly that notBefore are named one by one.
type Past struct {
	Newest time.Time // notBefore of the newest certificate that was pinned, or shown at an enrolment
	Known  []string  // of the certificates with this notBefore: thumbprints and keys, shortened
	Floor  time.Time // certificates with an earlier notBefore have ended; zero: none has
	Ended  []string  // like Known: what the floor alone would let in
	Lost   LostProofKeys
	Recent []KeyID // keys that were certified and are not in the record of keys yet, oldest first: Keys.Certified
	// Activated is when the first use of a successor ended the certificate before it; zero: no renewal has, since an
	// operator ended all certificates.
	Activated time.Time
	Stored    int64 // the version of the record of keys that has all others, at least: Keys.Covers
}

const (
	shortened = 32 // hex digits, that is 16 octets
	// A token request reads the record, which must stay below DynamoDB's read unit: three certificates of one second are
	// named, thumbprint and key.
	maxKnown = 6
	maxEnded = 6
)

func short(digest string) string { return digest[:min(len(digest), shortened)] }

// Names are what Past.Known has of the certificate when it is the only one of its second.
func (p Pin) Names() []string { return union(nil, short(p.Thumbprint), short(p.Key)) }

// with returns the past with one more known certificate.
func (p Past) with(c Pin) Past {
	switch {
	case c.NotBefore.Before(p.Newest):
		return p
	case c.NotBefore.After(p.Newest):
		p.Newest, p.Known = c.NotBefore, nil
	}
	p.Known = union(p.Known, c.Names()...)
	if len(p.Known) > maxKnown { // too many of one second to name: the next floor ends the whole second
		p.Newest, p.Known = p.Newest.Add(time.Second), nil
	}
	return p
}

// end returns the past in which every known certificate has ended. A floor that rises makes the names before it
// superfluous, except the names of certificates that a fast clock dated: names stay while there is room.
func (p Past) end() Past {
	switch {
	case p.Newest.After(p.Floor):
		p.Floor, p.Ended = p.Newest, union(p.Ended, p.Known...)
		p.Ended = p.Ended[max(len(p.Ended)-maxEnded, 0):]
	case p.Newest.Equal(p.Floor):
		if p.Ended = union(p.Ended, p.Known...); len(p.Ended) > maxEnded {
			p.Floor, p.Ended = p.Floor.Add(time.Second), p.Ended[:maxEnded]
		}
	}
	return p
}

func union(list []string, more ...string) []string {
	list = slices.Clone(list)
	for _, s := range more {
		if s != "" && !slices.Contains(list, s) {
			list = append(list, s)
		}
	}
	return list
}

// believed returns the past without instants after now. They come from certificates that were issued under a fast
// clock, and would refuse every new certificate until that instant. The certificates themselves stay named. A floor
// after now counts as a floor of an hour ago, because the presented certificate was issued before now.
func (p Past) believed(now time.Time) Past {
	if p.Newest.After(now.Add(slack)) {
		p.Newest = now.Truncate(time.Second)
	}
	if p.Floor.After(now.Add(slack)) {
		p.Floor = now.Add(-slack).Truncate(time.Second)
	}
	return p
}

// Equal reports whether both pasts know the same.
func (p Past) Equal(q Past) bool {
	return p.Newest.Equal(q.Newest) && p.Floor.Equal(q.Floor) && slices.Equal(p.Known, q.Known) &&
		slices.Equal(p.Ended, q.Ended) && slices.Equal(p.Lost, q.Lost) && slices.Equal(p.Recent, q.Recent) &&
		p.Stored == q.Stored && p.Activated.Equal(q.Activated)
}

// Learn returns the agent that knows one more certificate, pinned or not.
func (a Agent) Learn(c Pin) Agent {
	a.Past = a.Past.with(c)
	return a
}

// Knows reports whether the certificate, or its key, is among the newest that were known.
func (a Agent) Knows(c Pin) bool {
	return slices.Contains(a.Past.Known, short(c.Thumbprint)) || slices.Contains(a.Past.Known, short(c.Key))
}

// Believed returns the agent whose past says nothing of the time after now: see Past. An enrolment begins with it.
func (a Agent) Believed(now time.Time) Agent {
	a.Past = a.Past.believed(now)
	return a
}

// End returns the agent for which no certificate known so far counts again under any method, and no key of it either.
// A replacement must not be older than the newest of these certificates that was issued by now.
func (a Agent) End(now time.Time) Agent {
	for _, p := range a.Pins {
		a.Past = a.Past.with(p)
	}
	a.Past = a.Past.believed(now).end()
	a.Pins = nil
	return a.Trusted()
}

// EndBefore returns the agent for which every certificate that is older than c has ended too, in addition to what End
// ends: SVIDs that were never shown at an enrolment among them.
func (a Agent) EndBefore(c Pin, now time.Time) Agent { return a.End(now).EndOlder(c) }

// EndOlder returns the agent for which every certificate that is older than c has ended. The certificates that are
// known are ended by End, or were.
func (a Agent) EndOlder(c Pin) Agent {
	if c.NotBefore.After(a.Past.Floor) {
		a.Past.Floor = c.NotBefore
	}
	return a
}

// Outlives returns ErrKeyUsed or an OutlivedError if the certificate is one that never counts again for the agent.
func (a Agent) Outlives(c Pin) error {
	if slices.Contains(a.Past.Ended, short(c.Thumbprint)) || slices.Contains(a.Past.Ended, short(c.Key)) {
		return ErrKeyUsed
	}
	if c.NotBefore.Before(a.Past.Floor) {
		return &OutlivedError{a.Past.Floor}
	}
	return nil
}

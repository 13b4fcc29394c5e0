package agent

import (
	"fmt"
	"time"
)

// Pin ties an agent to one certificate under one Org CA generation.
type Pin struct {
	Thumbprint string    `json:"thumbprint"` // lower-case hex SHA-256 of the certificate's DER
	Key        string    `json:"key"`        // the same of its SubjectPublicKeyInfo: a key is certified once
	Generation int64     `json:"generation"` // counts only while this generation is accepted
	NotBefore  time.Time `json:"not_before"`
	NotAfter   time.Time `json:"not_after"`
	Due        time.Time `json:"due"`   // for hygiene to replace it; zero: as Annually says
	JKT        string    `json:"jkt"`   // DPoP key that goes with this certificate; empty: the agent's
	Until      time.Time `json:"until"` // zero: no deadline of its own
	// Dormant: the agent has left this certificate for one of a newer generation. It counts again only if a rollback
	// makes its own generation current. An overlap with its generation is not enough, unless the pin also Yields.
	Dormant bool `json:"dormant"`
	// Unused: pinned as a successor of the pin in use, and not used since: the answer that held the certificate may be
	// lost. Its first use ends what yields to it.
	Unused bool `json:"unused"`
	// Yields: in use when a successor was pinned. It counts until the first use of one, and Until at the longest.
	Yields bool `json:"yields"`
	// Renewed is when it was pinned as a successor; zero: it was enrolled, or came by a rotation.
	Renewed time.Time `json:"renewed"`
}

// Pin returns the agent's newest pin; the zero Pin if it has none.
func (a Agent) Pin() Pin {
	if len(a.Pins) == 0 {
		return Pin{}
	}
	return a.Pins[0]
}

// MaxGrace is the longest time for which a certificate may still count once it was replaced.
const MaxGrace = 48 * time.Hour

// slack is by how much a stored instant may exceed the latest possible one: far more than clocks differ.
const slack = time.Hour

// Generations says which Org CA generations count.
type Generations interface {
	Accepts(generation int64, now time.Time) bool
	IsCurrent(generation int64) bool
}

// Authenticate finds the pin of the certificate with this thumbprint and decides whether it counts at now. It counts
// if the agent is active, the pin exists and is within its deadline, and its generation is accepted (for a dormant
// pin: current). Every other case is ErrRevoked: the outside sees one answer for all of them. A caller that grants
// something because of the pin stores the result of Use.
func (a Agent) Authenticate(thumbprint string, g Generations, now time.Time) (Pin, error) {
	if a.Status != Active {
		return Pin{}, fmt.Errorf("%w: agent is %s", ErrRevoked, a.Status)
	}
	for _, p := range a.Pins {
		if p.Thumbprint == thumbprint {
			return p, p.counts(g, now)
		}
	}
	return Pin{}, fmt.Errorf("%w: not pinned", ErrRevoked)
}

// counts returns ErrRevoked unless the pin authenticates at now. If a rollback has restored a pin, its deadline is
// void: the successor that caused the deadline is undone.
func (p Pin) counts(g Generations, now time.Time) error {
	current := g.IsCurrent(p.Generation)
	restored := p.Dormant && p.Yields && current
	if p.ended(now) && !restored {
		return fmt.Errorf("%w: pin ended at %s", ErrRevoked, p.Until.Format(time.RFC3339))
	}
	if !g.Accepts(p.Generation, now) || p.Dormant && !p.Yields && !current {
		return fmt.Errorf("%w: generation %d is not accepted", ErrRevoked, p.Generation)
	}
	return nil
}

// sleeps reports whether only a rollback can make the pin count.
func (p Pin) sleeps(now time.Time) bool { return p.Dormant && (!p.Yields || p.ended(now)) }

// asleep returns the pin of a certificate that its agent has left for one of a newer generation.
func (p Pin) asleep(now time.Time) Pin {
	if p.Dormant = true; p.Yields {
		p.Until = earlier(p.Until, now)
	}
	return p
}

// ended reports whether the pin's deadline is over at now, or is implausible. A clock that was ahead gave a grace that
// is longer than the longest, and the replaced certificate must not count for as long as that clock was wrong. A pin
// that yields is the exception: its agent may hold no other certificate, and the pin ends with the successor's first
// use anyway, and with its certificate.
func (p Pin) ended(now time.Time) bool {
	return !p.Until.IsZero() && (!now.Before(p.Until) || !p.Yields && p.Until.After(now.Add(MaxGrace+slack)))
}

// Package agent holds what a Mastio knows of an agent and decides which of its certificates still authenticate it.
package agent

import (
	"errors"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/mastio-aws/mastio/shared/audit"
)

// What can be wrong with an agent, or with a request about one.
var (
	ErrNotFound        = errors.New("agent not found")
	ErrAlreadyEnrolled = errors.New("agent already enrolled")
	ErrDeactivated     = errors.New("agent is deactivated")
	ErrRotateAtYourCA  = errors.New("the agent's certificate is issued elsewhere")
	ErrRevoked         = errors.New("certificate has been revoked")
	ErrProfile         = errors.New("invalid display name or capabilities")
)

// Method tells how an agent came to its certificate.
type Method string

// The enrolment methods.
const (
	Minted Method = "minted" // the Mastio issued it
	BYOCA  Method = "byoca"  // issued elsewhere under the Org CA
	SPIFFE Method = "spiffe" // an SVID: known by its SPIFFE ID, not by a pin
)

// Methods lists them.
func Methods() []Method { return []Method{Minted, BYOCA, SPIFFE} }

// Status tells whether an agent may authenticate at all.
type Status string

// The states of an agent. Anything else counts as deactivated.
const (
	Active      Status = "active"
	Deactivated Status = "deactivated"
)

// Pin ties an agent to one certificate under one Org CA generation.
type Pin struct {
	Thumbprint string    `json:"thumbprint"` // lower-case hex SHA-256 of the certificate's DER
	Generation int64     `json:"generation"` // counts only while this generation is accepted
	NotBefore  time.Time `json:"not_before"`
	NotAfter   time.Time `json:"not_after"`
	Until      time.Time `json:"until"` // zero: no deadline of its own
	// Dormant: the agent has left this certificate for one of a newer generation. It counts again only if a rollback
	// makes its own generation current; that it is accepted in an overlap is not enough.
	Dormant bool `json:"dormant"`
}

// Agent is one agent's record. Version is the record's own, as read; zero: not stored yet.
type Agent struct {
	ID           ID
	DisplayName  string
	Capabilities []string
	Method       Method
	Status       Status
	Pins         []Pin // newest first
	SPIFFEID     string
	JKT          string // RFC 7638 thumbprint of the registered DPoP key; empty: any key
	EnrolledAt   time.Time
	UpdatedAt    time.Time
	Head         audit.Head // of the agent's own chain
	Version      int64
}

// Pin returns the agent's newest pin; the zero Pin if it has none.
func (a Agent) Pin() Pin {
	if len(a.Pins) == 0 {
		return Pin{}
	}
	return a.Pins[0]
}

// Generations says which Org CA generations count.
type Generations interface {
	Accepts(generation int64, now time.Time) bool
	IsCurrent(generation int64) bool
}

// Authenticate finds the pin of the certificate with this thumbprint and decides whether it counts at now:
// the agent is active, the pin is there and within its deadline, and its generation is accepted (a dormant pin's:
// current). Anything else is ErrRevoked: to the outside, all of these are one answer.
func (a Agent) Authenticate(thumbprint string, g Generations, now time.Time) (Pin, error) {
	if a.Status != Active {
		return Pin{}, fmt.Errorf("%w: agent is %s", ErrRevoked, a.Status)
	}
	for _, p := range a.Pins {
		if p.Thumbprint != thumbprint {
			continue
		}
		if !p.Until.IsZero() && !now.Before(p.Until) {
			return Pin{}, fmt.Errorf("%w: pin ended at %s", ErrRevoked, p.Until.Format(time.RFC3339))
		}
		if !g.Accepts(p.Generation, now) || p.Dormant && !g.IsCurrent(p.Generation) {
			return Pin{}, fmt.Errorf("%w: generation %d is not accepted", ErrRevoked, p.Generation)
		}
		return p, nil
	}
	return Pin{}, fmt.Errorf("%w: not pinned", ErrRevoked)
}

// Keep says what a new pin leaves of the ones before it.
type Keep struct {
	Grace time.Duration // pins that have not ended yet stay for so long at the most; zero: they end at once
	// Restorable is the generation that a rollback would make current again; zero: none. The pin with which the agent
	// leaves it stays, dormant, so that a rollback restores it. A second rotation drops it: then it was not the
	// re-enrolment under a new CA that ended the certificate, but somebody who wanted it dead.
	Restorable int64
}

// Repin returns the agent with next as its newest pin, and of the others what keep says. Nothing lengthens an older
// deadline.
func (a Agent) Repin(next Pin, keep Keep, now time.Time) Agent {
	pins := []Pin{next}
	if old := a.Pin(); keep.Grace == 0 && old.Thumbprint != "" && old.Generation == keep.Restorable && next.Generation != keep.Restorable {
		old.Dormant = true
		pins = append(pins, old)
	}
	for _, p := range a.Pins {
		end := now.Add(keep.Grace)
		if !p.Until.IsZero() && p.Until.Before(end) {
			end = p.Until
		}
		if keep.Grace > 0 && now.Before(end) && len(pins) < maxPins {
			p.Until = end
			pins = append(pins, p)
		}
	}
	a.Pins, a.UpdatedAt = pins, now
	return a
}

// A rotation a minute with two days of grace must not grow the record past DynamoDB's item limit.
const maxPins = 8

// Deactivate returns the agent without any pin.
func (a Agent) Deactivate(now time.Time) Agent {
	a.Status, a.Pins, a.UpdatedAt = Deactivated, nil, now
	return a
}

// Limits of what an operator may write into a record.
const (
	maxDisplayName  = 128 // characters
	maxCapabilities = 64
	maxCapability   = 128 // octets
)

// CheckProfile returns ErrProfile if the display name or a capability cannot be stored and put into a token.
func CheckProfile(displayName string, capabilities []string) error {
	if !utf8.ValidString(displayName) || utf8.RuneCountInString(displayName) > maxDisplayName || slices.ContainsFunc([]rune(displayName), isControl) {
		return fmt.Errorf("%w: display_name takes at most %d characters and no control characters", ErrProfile, maxDisplayName)
	}
	if len(capabilities) > maxCapabilities {
		return fmt.Errorf("%w: at most %d capabilities", ErrProfile, maxCapabilities)
	}
	for _, c := range capabilities {
		if c == "" || len(c) > maxCapability || slices.ContainsFunc([]rune(c), notScopeToken) {
			return fmt.Errorf("%w: a capability is 1 to %d printable ASCII characters without space, quote or backslash", ErrProfile, maxCapability)
		}
	}
	return nil
}

func isControl(r rune) bool { return r < 0x20 || r == 0x7f }

// notScopeToken is the complement of RFC 6749 section 3.3's scope-token characters: capabilities are granted as scope.
func notScopeToken(r rune) bool { return r <= 0x20 || r >= 0x7f || r == '"' || r == '\\' }

package agent

import (
	"slices"
	"time"
)

// What follows when an agent's credential is suspect: Profile.Suspicion. An unknown value counts as SuspicionContain.
const (
	SuspicionNotify  = "notify"  // a row and an event; the default
	SuspicionContain = "contain" // and no token until an operator rotates the certificate
)

// Suspect says that one of the agent's dead certificates was shown, by a caller that has its key. The zero Suspect says
// that none was. It stays until an operator ends the certificates: a rotation, an enrolment, a deactivation. A renewal
// does not end it, because the caller that renewed may be the thief.
type Suspect struct {
	Thumbprint string // of the dead certificate
	At         time.Time
}

// Suspected returns the agent after a caller has proved the key of a certificate that has no pin; changed is false if
// that is no evidence of a theft, or if the agent is suspect already: so the agent gets one row, however often it asks.
//
// The evidence: the key was certified for the agent, a renewal has replaced the certificate, the successor was used,
// and that is longer ago than a token lives. A replica of the agent that was in use at the time has asked for a token
// meanwhile, and was refused: it is late, and has the new files by now. What an operator's rotation has ended proves
// nothing: the agent may not have its new files yet.
func (a Agent) Suspected(shown Pin, k Keys, life time.Duration, now time.Time) (suspect Agent, changed bool) {
	late := a.Past.Activated.Add(life + activationSlack)
	id, ok := keyID(shown.Key)
	switch {
	case a.Status != Active, a.Method != Minted, a.Suspect != Suspect{}, !ok:
		return a, false
	case a.Past.Activated.IsZero(), now.Before(late): // or a clock was ahead when it was stored
		return a, false
	case slices.ContainsFunc(a.Pins, func(p Pin) bool { return p.Thumbprint == shown.Thumbprint || p.Key == shown.Key }):
		return a, false
	case !slices.Contains(a.Past.Recent, id) && !slices.Contains(k.Earlier, id) && !slices.Contains(k.Compromised, id):
		return a, false
	}
	a.Suspect, a.UpdatedAt = Suspect{shown.Thumbprint, now}, now
	return a, true
}

// activationSlack is by how much the clocks of two instances differ at the most, and far more.
const activationSlack = time.Minute

// MayBeSuspected reports whether Suspected can find evidence in a certificate that has no pin. It needs no keys.
func (a Agent) MayBeSuspected(thumbprint string, life time.Duration, now time.Time) bool {
	return a.Status == Active && a.Method == Minted && a.Suspect == Suspect{} && !a.Past.Activated.IsZero() &&
		!now.Before(a.Past.Activated.Add(life+activationSlack)) &&
		!slices.ContainsFunc(a.Pins, func(p Pin) bool { return p.Thumbprint == thumbprint })
}

// Contained reports whether the agent gets no token, because it is suspect and its policy says so.
func (a Agent) Contained() bool {
	return a.Suspect != Suspect{} && a.Suspicion != "" && a.Suspicion != SuspicionNotify
}

// trusted returns the agent without suspicion: an operator has decided on its certificates.
func (a Agent) trusted() Agent {
	a.Suspect, a.Past.Activated = Suspect{}, time.Time{}
	return a
}

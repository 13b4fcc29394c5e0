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

// Evidence is what shows that a credential is in two hands. All of it proves possession of a private key: a copied
// certificate is none.
type Evidence string

// The kinds of evidence.
const (
	DeadCertificate Evidence = "dead_certificate_used" // used later than a late replica would
	ForeignProofKey Evidence = "dpop_key_of_another_agent"
	ForeignRequest  Evidence = "csr_key_of_another_agent"
)

// Suspect says what showed that a credential of the agent is in two hands. The zero Suspect says that nothing did. It
// stays until an operator ends the certificates: a rotation, an enrolment, a deactivation. A renewal does not end it,
// because the caller that renewed may be the thief.
type Suspect struct {
	Evidence   Evidence
	Thumbprint string // of the dead certificate, or of the one that the key of another agent was shown with
	Other      ID     // agent that the key is shared with; empty for a dead certificate
	At         time.Time
}

// Suspicious reports whether the agent is suspect.
func (a Agent) Suspicious() bool { return a.Suspect != Suspect{} }

// Shares returns the agent after a caller has proved a key that another agent has proved as well; changed is false if
// the agent is suspect already, or not active. s says which evidence, which agent, and when.
func (a Agent) Shares(s Suspect) (suspect Agent, changed bool) {
	if a.Status != Active || a.Suspicious() {
		return a, false
	}
	a.Suspect, a.UpdatedAt = s, s.At
	return a, true
}

// Suspected returns the agent after a caller has proved the key of a certificate that does not count; changed is false
// if that is no evidence of a theft, or if the agent is suspect already: so the agent gets one row, however often it
// asks.
//
// The evidence: the key was certified for the agent, a renewal has replaced the certificate, the successor was used,
// and that is longer ago than a token lives. A replica of the agent that was in use at the time has asked for a token
// meanwhile, and was refused: it is late, and has the new files by now. What an operator's rotation has ended proves
// nothing: the agent may not have its new files yet.
func (a Agent) Suspected(shown Pin, k Keys, life time.Duration, now time.Time) (suspect Agent, changed bool) {
	late := a.Past.Activated.Add(life + activationSlack)
	id, ok := keyID(shown.Key)
	switch {
	case a.Status != Active, a.Method != Minted, a.Suspicious(), !ok:
		return a, false
	case a.Past.Activated.IsZero(), now.Before(late): // or a clock was ahead when it was stored
		return a, false
	case a.names(func(p Pin) bool { return p.Thumbprint == shown.Thumbprint || p.Key == shown.Key }, now):
		return a, false
	case !slices.Contains(a.Past.Recent, id) && !slices.Contains(k.Earlier, id) && !slices.Contains(k.Compromised, id):
		return a, false
	}
	a.Suspect, a.UpdatedAt = Suspect{Evidence: DeadCertificate, Thumbprint: shown.Thumbprint, At: now}, now
	return a, true
}

// activationSlack is by how much the clocks of two instances differ at the most, and far more.
const activationSlack = time.Minute

// MayBeSuspected reports whether Suspected can find evidence in a certificate that does not count. It needs no keys.
func (a Agent) MayBeSuspected(thumbprint string, life time.Duration, now time.Time) bool {
	return a.Status == Active && a.Method == Minted && !a.Suspicious() && !a.Past.Activated.IsZero() &&
		!now.Before(a.Past.Activated.Add(life+activationSlack)) &&
		!a.names(func(p Pin) bool { return p.Thumbprint == thumbprint }, now)
}

// names reports whether a pin matches is. It skips a pin that is kept for a rollback alone, if a successor's first use
// or an operator ended the pin. A pin that ended at its deadline still matches: the answer with its successor may be
// lost.
func (a Agent) names(is func(Pin) bool, now time.Time) bool {
	return slices.ContainsFunc(a.Pins, func(p Pin) bool {
		dead := p.sleeps(now) && (!p.Yields || !p.Until.After(a.Past.Activated))
		return is(p) && !dead
	})
}

// Contained reports whether the agent gets no token, because it is suspect and its policy says so.
func (a Agent) Contained() bool {
	return a.Suspicious() && a.Suspicion != "" && a.Suspicion != SuspicionNotify
}

// Trusted returns the agent without suspicion: an operator has decided on its certificates.
func (a Agent) Trusted() Agent {
	a.Suspect, a.Past.Activated = Suspect{}, time.Time{}
	return a
}

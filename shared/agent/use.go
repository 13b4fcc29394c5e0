package agent

import (
	"cmp"
	"slices"
	"time"

	"github.com/mastio-aws/mastio/shared/audit"
)

// Use returns the agent after a use of the certificate of the pin p, which Authenticate returned; changed is false if
// the use changes nothing, as every use after the first.
//
// The certificate's DPoP key becomes the agent's.
//
// The first use of a successor proves that it has arrived: the pin that yields to it ends, and so do the other unused
// successors, whose answers were lost. The first use of a pin that a rollback restored makes it the agent's pin again.
// It also ends the pins of the generation that was undone, unless that generation is still accepted: another instance
// of the agent may have nothing else.
func (a Agent) Use(p Pin, g Generations, now time.Time) (used Agent, changed bool) {
	restored := p.Dormant && g.IsCurrent(p.Generation)
	if !p.Unused && !restored {
		return a, false
	}
	var pins []Pin
	undone, waiting := restored, false
	for _, q := range a.Pins {
		switch {
		case q.Thumbprint == p.Thumbprint:
			undone = false
			q = p.restored(p.Generation)
			q.Unused, q.Yields = false, !p.Unused && waiting
			a.JKT = cmp.Or(q.JKT, a.JKT)
			pins = append(pins, q)
		case undone && q.Generation != p.Generation:
			if g.Accepts(q.Generation, now) {
				waiting = true
				pins = append(pins, q)
			}
		case p.Unused && (q.Unused || q.Yields):
			if q.Dormant && q.Generation != p.Generation { // what a rollback would restore, and its links
				pins = append(pins, q.asleep(now))
			}
		default:
			waiting = waiting || q.Unused
			pins = append(pins, q)
		}
	}
	a.Pins, a.UpdatedAt, a.Past.Activated = pins, now, now
	if restored { // other instances of the agent may have what the rollback undid
		a.Past.Activated = time.Time{}
	}
	return a, true
}

// Activation is the row that accompanies a change by Use and records when the certificates before this one stopped.
// A certificate that a rollback restored together with p has not stopped.
func (a Agent) Activation(used Agent, p Pin, now time.Time) audit.Entry {
	ended := []any{}
	for _, q := range a.Pins {
		if !slices.ContainsFunc(used.Pins, func(left Pin) bool {
			return left.Thumbprint == q.Thumbprint && (!left.sleeps(now) || left.Generation == p.Generation)
		}) {
			ended = append(ended, q.Thumbprint)
		}
	}
	return audit.Entry{
		Time:    now,
		Event:   audit.AgentCertActivated,
		Actor:   "agent:" + string(a.ID),
		Subject: string(a.ID),
		Details: map[string]any{"cert_thumbprint": p.Thumbprint, "generation": p.Generation, "ended_thumbprints": ended},
	}
}

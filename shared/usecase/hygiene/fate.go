package hygiene

import (
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
)

// fate is what a re-issue has to do with an agent.
type fate int

const (
	settledFate fate = iota // nothing: it has moved, or has nothing to move
	toDeliver               // its secret gets a new certificate
	toName                  // its owner is notified
	wasNamed                // its owner was notified, and the agent has not moved
	renews                  // it renews its certificate itself, in a slot that is not over
	inLaterWave
)

// fateOf decides on an agent's record. An agent whose certificate does not count any more waits for no wave and no
// slot. An agent that has renewed a certificate once is expected to renew again; after its slot its owner is notified.
func (p *pass) fateOf(a agent.Agent, now time.Time) fate {
	pin := a.Pin()
	federated := a.Method == agent.SPIFFE
	if a.Status != agent.Active || pin.Generation == p.ca.Current || federated && len(a.Bundle) > 0 {
		return settledFate // the bundle of another CA does not change with the Org CA
	}
	counts := p.ca.Accepts(pin.Generation, now)
	switch {
	case counts && !p.re.Takes(string(a.ID)):
		return inLaterWave
	case a.Delivers():
		return toDeliver
	case a.Hygiene.Named == p.re.Fence:
		return wasNamed
	case counts && a.Method == agent.Minted && a.RenewsItself() && now.Before(agent.RenewalWindowOf(a.ID, pin, p.ca,
		now).End):
		return renews
	}
	return toName
}

package agent

import (
	"crypto/sha256"
	"encoding/binary"
	"math/bits"
	"slices"
	"time"

	"github.com/mastio-aws/mastio/shared/orgca"
)

// RenewalWindow is when a certificate should be renewed. Open is when the first agent's slot begins; from then on the
// Mastio reminds the agent. Start and End are this agent's slot; the agent picks a moment in it.
type RenewalWindow struct {
	Open, Start, End time.Time
}

// slots is how many slots a window has. The more, the shorter each; agents are spread over all of a window in any case.
const slots = 24

// RenewalWindowOf returns the window of the certificate of the pin p, which authenticates the agent.
//
// It begins after two thirds of the certificate's life (RFC 9773 leaves the choice to the server), ends after three
// quarters, and leaves the rest to late agents. Under a superseded generation of the Org CA it is the first two
// thirds of the overlap, if that comes earlier: after the overlap, the certificate is dead. Where agents move in waves,
// it is the time of the agent's wave, and before its wave has begun the overlap changes nothing. A certificate that
// already has a successor is to be renewed at once: the answer was lost.
func RenewalWindowOf(id ID, p Pin, ca orgca.Pointer, now time.Time) RenewalWindow {
	if p.Yields {
		return RenewalWindow{now, now, p.Until}
	}
	life := p.NotAfter.Sub(p.NotBefore)
	w := slot(id, p.NotBefore.Add(life/3*2), p.NotBefore.Add(life/4*3))
	o, ok := overlapOf(ca, p.Generation)
	if !ok || o.Bound != 0 && orgca.Share(string(id)) >= o.Bound {
		return w
	}
	open, end := o.Opens, o.Closes
	if end.IsZero() {
		open, end = ca.RotatedAt, ca.RotatedAt.Add(o.Until.Sub(ca.RotatedAt)/3*2)
	}
	moves := slot(id, open, end)
	if w.Start.Before(moves.Start) {
		return w
	}
	return moves
}

// RenewsItself reports whether the agent renews its certificates: one of those on record came by a renewal.
func (a Agent) RenewsItself() bool {
	return slices.ContainsFunc(a.Pins, func(p Pin) bool { return !p.Renewed.IsZero() })
}

// slot gives the agent its part of a window.
func slot(id ID, open, end time.Time) RenewalWindow {
	length := end.Sub(open)
	start := open.Add(share(id, length-length/slots))
	return RenewalWindow{Open: open, Start: start, End: start.Add(length / slots)}
}

// overlapOf returns the overlap of a superseded generation.
func overlapOf(ca orgca.Pointer, generation int64) (o orgca.Overlap, ok bool) {
	if generation == ca.Current {
		return o, false
	}
	for _, a := range ca.Accepted {
		if a.Generation == generation {
			return a, true
		}
	}
	return o, false
}

// share returns the agent's part of a length of time: always the same for one agent, and evenly spread over many.
func share(id ID, length time.Duration) time.Duration {
	if length <= 0 {
		return 0
	}
	sum := sha256.Sum256([]byte("renewal slot of " + string(id)))
	high, _ := bits.Mul64(binary.BigEndian.Uint64(sum[:]), uint64(length))
	return time.Duration(high)
}

// Bounds of how long an agent may go without asking again. An overlap can begin at any time, but the answer to a
// token request shows it too; six hours are what RFC 9773 section 4.3.2 suggests.
const (
	minPoll = time.Minute
	maxPoll = 6 * time.Hour
)

// Poll returns how long an agent should wait before it asks for its window again.
func (w RenewalWindow) Poll(now time.Time) time.Duration {
	return min(max(w.Start.Sub(now), minPoll), maxPoll)
}

package agent

import (
	"bytes"
	"slices"
)

const (
	// hint is how many octets of a thumbprint name a lost key. A wrong match refuses a proof by another key; an honest
	// key matches with a probability of 2^-48.
	hint = 6
	// maxLost is how many lost keys an agent's record names, because a token request reads it. The oldest make room.
	maxLost = 10
)

// LostProofKeys names the DPoP keys of an agent that were declared compromised: the first octets of their RFC 7638
// thumbprints, newest first. An agent without a registered key may prove possession of any key, except these.
type LostProofKeys []byte

// with returns the lost keys with one more; an empty thumbprint names none.
func (l LostProofKeys) with(jkt string) LostProofKeys {
	id, ok := proofKeyID(jkt)
	if !ok || l.Has(jkt) {
		return l
	}
	l = slices.Concat(LostProofKeys(id[:hint]), l)
	return l[:min(len(l), maxLost*hint)]
}

// Has reports whether the key with this thumbprint was lost.
func (l LostProofKeys) Has(jkt string) bool {
	id, ok := proofKeyID(jkt)
	if !ok {
		return false
	}
	for known := range slices.Chunk(l, hint) {
		if bytes.Equal(known, id[:hint]) {
			return true
		}
	}
	return false
}

// Compromise returns the agent and its keys after everything that authenticates the agent was declared compromised: the
// keys of all its pins, and every DPoP key that goes with the agent or a pin. A deactivated agent needs no key any more
// and loses every known key. The agent has no registered DPoP key afterwards.
//
// Store both results: the keys refuse what is certified or registered again, the agent refuses proofs by a lost DPoP
// key without a read of the keys. Compromise is the only way to either, so that no caller makes one without the other.
func Compromise(a Agent, k Keys) (Agent, Keys) { return a.loseProofKeys(), k.compromised(a) }

// loseProofKeys returns the agent for which no DPoP key that goes with it, or with one of its pins, counts again. No
// key is registered.
func (a Agent) loseProofKeys() Agent {
	for _, p := range a.Pins {
		a.Past.Lost = a.Past.Lost.with(p.JKT)
	}
	a.Past.Lost, a.JKT = a.Past.Lost.with(a.JKT), ""
	return a
}

package registry

import (
	"bytes"
	"slices"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
)

// EdgeCA is a foreign CA under which agents have SVIDs. The edge accepts TLS connections with these SVIDs; only the
// agent's own bundle decides whether an SVID authenticates.
type EdgeCA struct {
	DER     []byte
	Expires time.Time // with the certificate, whole seconds; a store may forget it from then on
	// Counted: every agent whose bundle names this CA has said so by a Naming. The namings of a CA that an earlier
	// release added are unknown, so that CA stays until it expires.
	Counted bool
	Unnamed time.Time // since when no active agent's bundle is known to name it; zero: one does, or none was looked for
}

// Naming says what an agent's bundle names from now on, and what it named before and names no longer. It belongs into
// the change that writes the agent.
type Naming struct {
	Agent agent.ID
	Names [][]byte // DER
	Drops [][]byte
}

// NamingOf compares two records of one agent; nil if nothing changes. An agent that is not active names nothing.
func NamingOf(before *agent.Agent, after agent.Agent) *Naming {
	named := func(a *agent.Agent) [][]byte {
		if a == nil || a.Status != agent.Active {
			return nil
		}
		return a.Bundle
	}
	without := func(list, other [][]byte) (rest [][]byte) {
		for _, der := range list {
			if !slices.ContainsFunc(other, func(o []byte) bool { return bytes.Equal(o, der) }) {
				rest = append(rest, der)
			}
		}
		return rest
	}
	old, next := named(before), named(&after)
	n := Naming{Agent: after.ID, Names: without(next, old), Drops: without(old, next)}
	if len(n.Names)+len(n.Drops) == 0 {
		return nil
	}
	return &n
}

// EdgeMark sets or takes back the time since when no active agent's bundle names a CA, or forgets the CA. It is refused
// if the CA's mark is not the one in CA any more: an enrolment has named it meanwhile.
type EdgeMark struct {
	CA      EdgeCA // as read
	Unnamed time.Time
	Forget  bool
}

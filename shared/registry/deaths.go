package registry

import (
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/orgca"
)

// Deaths is which access tokens died with one change. It is a record of its own, which no other change writes, so
// changes of different agents never wait for each other.
type Deaths struct {
	Change string // its id
	At     time.Time
	Dead   []agent.Death
}

// Expires is when the deaths leave the status document: none of the tokens can be valid then.
func (d Deaths) Expires() time.Time { return d.At.Add(agent.DeathKept) }

// Ends returns the change with the tokens that die with it at a time, and with whether the agent becomes suspect or is
// no longer. It gives the change's agent the handle that follows: it writes *c.Agent. was is what the agent replaces,
// the zero Agent if it is not stored yet. Every change of an agent goes through Ends. A store for tests panics on a
// change that had to and did not.
func (c Change) Ends(was agent.Agent, at time.Time) Change {
	return c.EndsUnder(was, at, nil)
}

// EndsUnder is Ends where the pointer is known that was read together with was, or before it; nil: it is not. It writes
// no death of a certificate that only a generation of the past could let in.
func (c Change) EndsUnder(was agent.Agent, at time.Time, p *orgca.Pointer) Change {
	left := func(int64) bool { return false }
	if p != nil {
		left = p.Left
	}
	var dead []agent.Death
	if *c.Agent, dead = was.Replace(*c.Agent, agent.NewHandle(c.ID), at, left); len(dead) > 0 {
		c.Deaths = &Deaths{Change: c.ID, At: at, Dead: dead}
	}
	if is := c.Agent.Suspicious(); is != was.Suspicious() {
		c.Suspect = &is
	}
	return c
}

// Status is what a status document is made of.
type Status struct {
	Note    StatusNote     // of the last document
	Pointer *orgca.Pointer // nil: no Org CA yet
	Deaths  []Deaths
}

// StatusNote is the number of the last status document with a content of its own, and the content's digest.
type StatusNote struct {
	Seq    int64 // zero: there was none
	Digest string
}

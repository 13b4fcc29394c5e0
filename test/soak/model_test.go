package soak

import (
	"fmt"
	"slices"
	"strings"

	"github.com/anishathalye/porcupine"
)

// What the clients do.
type action int

const (
	token    action = iota // with a certificate
	rotate                 // an agent's certificate
	rotateCA               // mint, with or without an overlap
	rollback
)

// request is an operation as a client sends it.
type request struct {
	action  action
	agent   string // empty: of the Org CA
	thumb   string // of the certificate that a token is asked with
	overlap bool
}

// reply is the answer that the client got.
type reply struct {
	ok         bool
	code       string // of a refusal
	thumb      string // of the new certificate
	generation int64  // of the new certificate, or the new current one
	previous   int64  // superseded
}

// pin is a certificate under a generation.
type pin struct {
	thumb      string
	generation int64
}

// state is what one agent's certificates depend on: the Org CA, and the agent's own pins.
type state struct {
	current, previous int64
	accepted          string // generations in an overlap, "," around each
	newest, dormant   pin
}

func (s state) accepts(generation int64) bool {
	return generation == s.current || strings.Contains(s.accepted, fmt.Sprintf(",%d,", generation))
}

// valid says whether a certificate must be let in, and no other may be.
func (s state) valid(thumb string) bool {
	return s.newest.thumb == thumb && s.accepts(s.newest.generation) ||
		s.dormant.thumb == thumb && s.dormant.generation == s.current
}

// step is the specification: it returns the states that an operation can lead to, given the client's answer. No state
// means that this answer is impossible.
func step(s state, q request, r reply) []state {
	switch q.action {
	case token:
		if r.ok != s.valid(q.thumb) {
			return nil
		}
		if !r.ok || s.newest.thumb == q.thumb {
			return []state{s}
		}
		// A pin that a rollback restored was used: it is the agent's again. The Mastio records that in addition to the
		// token, and the record may fail.
		used := s
		used.newest, used.dormant = s.dormant, pin{}
		return []state{s, used}
	case rotate:
		if r.ok {
			return s.repinned(pin{r.thumb, r.generation})
		}
		// Another rotation of the agent won. This one may have pinned a certificate that it never handed out.
		return append(s.repinned(pin{"never handed out", s.current}), s)
	case rotateCA:
		if !r.ok {
			return []state{s}
		}
		if r.previous != s.current {
			return nil
		}
		if s.accepted == "" || !q.overlap {
			s.accepted = ","
		}
		if q.overlap {
			s.accepted += fmt.Sprintf("%d,", s.current)
		}
		s.previous, s.current = s.current, r.generation
		return []state{s}
	case rollback:
		if !r.ok {
			if r.code == "rollback_not_possible" && s.previous != 0 {
				return nil
			}
			return []state{s}
		}
		if r.generation != s.previous || r.previous != s.current {
			return nil
		}
		s.current, s.previous, s.accepted = s.previous, 0, ","
		return []state{s}
	}
	return nil
}

// repinned: the certificate before may stay, dormant, if it is of the generation that a rollback would restore. Whether it
// does depends on where in the rotation the Org CA moved, which its client cannot see.
func (s state) repinned(next pin) []state {
	old := s.newest
	s.newest, s.dormant = next, pin{}
	states := []state{s}
	if old.generation == s.previous && next.generation != s.previous {
		s.dormant = old
		states = append(states, s)
	}
	return states
}

// specification checks each agent's history separately, together with the history of the Org CA. first is the state
// before it.
func specification(first map[string]state) porcupine.Model {
	model := porcupine.NondeterministicModel{
		Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
			var parts [][]porcupine.Operation
			for agent := range first {
				parts = append(parts, partOf(history, agent))
			}
			return parts
		},
		Init: func() []any {
			var all []any
			for _, s := range first {
				if !slices.Contains(all, any(s)) {
					all = append(all, s)
				}
			}
			return all
		},
		Step: func(s, q, r any) []any {
			var next []any
			for _, n := range step(s.(state), q.(request), r.(reply)) {
				next = append(next, n)
			}
			return next
		},
	}
	return model.ToModel()
}

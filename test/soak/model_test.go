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
	introspect // a token that was issued to a certificate
	attempt    // a rotation's commit that the Org CA overtook: the rotation commits again
	use        // a token's record that a restored pin is the agent's again
)

// request is an operation as a client sends it.
type request struct {
	action  action
	agent   string // empty: of the Org CA
	thumb   string // of the certificate that a token is asked with, or was issued to
	overlap bool
	call    int64 // its number, which an attempt and a use share with the request that they are a part of
	pending bool  // not answered yet: it may have done its work or not
	parted  bool  // its history has attempts of it, or its use
}

// reply is the answer that the client got.
type reply struct {
	ok         bool   // of an introspection: the token is active
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
	done              string // rotations that have committed for good, tokens that have looked; "," around each
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
		used := s.used()
		if q.parted {
			s.done += number(q.call)
		}
		return []state{s, used}
	case introspect:
		// A token of before a rotation stays dead where a rollback restores its certificate.
		if r.ok && !s.valid(q.thumb) {
			return nil
		}
		return []state{s}
	case use:
		if !s.did(q) || s.dormant.thumb != q.thumb {
			return []state{s}
		}
		return []state{s, s.used()}
	case attempt:
		if s.did(q) {
			return []state{s}
		}
		return append(s.repinned(pin{"never handed out", s.current}), s)
	case rotate:
		if q.parted {
			s.done += number(q.call)
		}
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

func number(call int64) string { return fmt.Sprintf(",%d,", call) }

// did reports whether the request that q is a part of is past its point.
func (s state) did(q request) bool { return strings.Contains(s.done, number(q.call)) }

func (s state) used() state {
	s.newest, s.dormant = s.dormant, pin{}
	return s
}

// repinned: the certificate before may stay, dormant, if it is of the generation that a rollback would restore. Whether
// it does depends on where in the rotation the Org CA moved, which its client cannot see.
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
			if q.(request).pending {
				next = append(next, s)
			}
			for _, n := range step(s.(state), q.(request), r.(reply)) {
				next = append(next, n)
			}
			return next
		},
	}
	return model.ToModel()
}

// attempts is how often a rotation commits at most before it does so for good.
const attempts = 2

// parted adds to a history the parts of those requests that are more than one step, where the Org CA may have moved in
// between.
//
// A rotation that the Org CA overtakes has pinned a certificate that it does not hand out, and commits once more. In
// between, a rollback brings back what the rotation had replaced: no answer has said yet that it is dead.
//
// A token's request first looks whether a certificate counts, and then records that a restored one was used. If the Org
// CA moves in between, with an overlap, the record makes a certificate count that did not for a moment.
//
// A part more makes a history harder to check: only those are added that can have changed something.
func parted(history []porcupine.Operation) []porcupine.Operation {
	var all []porcupine.Operation
	for _, o := range history {
		part, times := partsOf(o, history)
		for range times {
			p := o
			p.Input, p.Output = part, reply{}
			all = append(all, p)
		}
		if times > 0 {
			q := o.Input.(request)
			q.parted = true
			o.Input = q
		}
		all = append(all, o)
	}
	return all
}

// partsOf returns what an operation may do in addition to its last step, and how often.
func partsOf(o porcupine.Operation, history []porcupine.Operation) (part request, times int) {
	q := o.Input.(request)
	moves, replaced, issued := 0, false, int64(0)
	for _, other := range history {
		if other.Output.(reply).thumb == q.thumb && q.thumb != "" {
			issued = other.Call
		}
	}
	for _, other := range history {
		with, got := other.Input.(request), other.Output.(reply)
		meets := other.Call < o.Return && o.Call < other.Return
		switch {
		case with.agent == "" && got.ok && meets:
			moves++
		case with.agent == q.agent && with.action == rotate && got.thumb != q.thumb && other.Return > issued:
			replaced = replaced || other.Call < o.Return
		}
	}
	switch {
	case q.action == rotate:
		return request{action: attempt, agent: q.agent, call: q.call}, min(moves, attempts)
	case q.action == token && o.Output.(reply).ok && replaced:
		return request{action: use, agent: q.agent, thumb: q.thumb, call: q.call}, min(moves, 1)
	}
	return request{}, 0
}

package soak

import (
	"slices"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// explain logs, for the first agent whose history is impossible, the last operations up to the one that makes it so.
func explain(t *testing.T, first map[string]state, history []porcupine.Operation) {
	for agent, before := range first {
		part := partOf(history, agent)
		slices.SortFunc(part, func(a, b porcupine.Operation) int { return int(a.Return - b.Return) })
		model := specification(map[string]state{agent: before})
		possible := func(n int) bool {
			return porcupine.CheckOperationsTimeout(model, upTo(part, n), 20*time.Second) == porcupine.Ok
		}
		if possible(len(part)) {
			continue
		}
		low, high := 0, len(part)
		for low+1 < high {
			if middle := (low + high) / 2; possible(middle) {
				low = middle
			} else {
				high = middle
			}
		}
		t.Logf("%s: the last of these cannot be", agent)
		for _, o := range upTo(part, high)[max(0, high-40):] {
			t.Logf("%9.2f to %9.2f ms, client %d: %+v: %+v", ms(o.Call-part[0].Call), ms(o.Return-part[0].Call), o.ClientId,
				o.Input, o.Output)
		}
		return
	}
}

func ms(nanoseconds int64) float64 { return float64(nanoseconds) / 1e6 }

// partOf is an agent's own history together with that of the Org CA.
func partOf(history []porcupine.Operation, agent string) []porcupine.Operation {
	var part []porcupine.Operation
	for _, o := range history {
		if q := o.Input.(request); q.agent == "" || q.agent == agent {
			part = append(part, o)
		}
	}
	return part
}

// upTo is the history at the return of the nth operation: those that had returned, and those under way, which may have
// done their work or not. Without the latter, what they did could not be explained.
func upTo(byReturn []porcupine.Operation, n int) []porcupine.Operation {
	now := slices.Clone(byReturn[:n])
	for _, o := range byReturn[n:] {
		if o.Call < byReturn[n-1].Return {
			q := o.Input.(request)
			q.pending = true
			o.Input = q
			now = append(now, o)
		}
	}
	return now
}

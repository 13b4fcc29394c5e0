package agent

import (
	"slices"
	"time"
)

// Protected reports whether one of the agent's pins counts at now under the current generation. Plain enrolment
// refuses to change such an agent. A pin that counts in an overlap only, or whose certificate has expired, protects
// nothing: the agent may be enrolled again.
func (a Agent) Protected(g Generations, now time.Time) bool {
	return slices.ContainsFunc(a.Pins, func(p Pin) bool { return p.protects(g, now) })
}

// Holds reports whether the certificate with this thumbprint is pinned and counts at now under the current generation.
func (a Agent) Holds(thumbprint string, g Generations, now time.Time) bool {
	return slices.ContainsFunc(a.Pins, func(p Pin) bool { return p.Thumbprint == thumbprint && p.protects(g, now) })
}

func (p Pin) protects(g Generations, now time.Time) bool {
	expired := !p.NotAfter.IsZero() && now.After(p.NotAfter)
	return g.IsCurrent(p.Generation) && !expired && p.counts(g, now) == nil
}

// SameCapabilities reports whether a list names exactly the agent's capabilities, in any order.
func (a Agent) SameCapabilities(list []string) bool {
	return slices.Equal(sortedSet(a.Capabilities), sortedSet(list))
}

func sortedSet(list []string) []string { return slices.Compact(slices.Sorted(slices.Values(list))) }

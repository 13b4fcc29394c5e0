package dashboard

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/orgca"
)

const day24 = 24 * time.Hour

// ahead is how far the overview looks ahead for certificates that are due, and how many it counts at most.
const (
	ahead    = 30 * day24
	mostSeen = 1000
)

// choice is what a list of agents is narrowed to; the zero value: to nothing.
type choice struct {
	Value, Text string
	Generation  int64 // those with a certificate of this Org CA
	Due         bool  // those whose certificates are due
	Within      time.Duration
	Week        time.Time // its Monday: those whose certificates are due in that week
}

// Words is a choice within a sentence.
func (c choice) Words() string { return strings.ToLower(c.Text[:1]) + c.Text[1:] }

func dueChoices() []choice {
	all := []choice{dueWithin(0)}
	// beyond Foresight an agent may be listed early
	for _, within := range []time.Duration{7 * day24, ahead, agent.Foresight} {
		all = append(all, dueWithin(within))
	}
	return all
}

func dueWithin(d time.Duration) choice {
	c := choice{Value: fmt.Sprintf("due-%d", d/day24), Text: "Due now", Due: true, Within: d}
	if d > 0 {
		c.Text = "Due within " + lasting(d)
	}
	return c
}

func dueURL(d time.Duration) string { return agentsURL(agentList{Chosen: dueWithin(d)}, "") }

func ofGeneration(n int64) choice {
	return choice{Value: fmt.Sprintf("generation-%d", n), Text: fmt.Sprintf("G%d", n), Generation: n}
}

// chosen reads a choice from an address; an unknown value chooses nothing.
func chosen(value string) choice {
	if number, ok := strings.CutPrefix(value, "generation-"); ok {
		if n, err := strconv.ParseInt(number, 10, 64); err == nil && n > 0 {
			return ofGeneration(n)
		}
	}
	if c, ok := chosenWeek(value); ok {
		return c
	}
	for _, c := range dueChoices() {
		if c.Value == value {
			return c
		}
	}
	return choice{}
}

// ofAgents are the generations under which an agent can have a certificate, newest first.
func ofAgents(all []orgca.Generation) []choice {
	var some []choice
	for n := len(all) - 1; n >= 0; n-- {
		if s := all[n].State; s == orgca.Current || s == orgca.Superseded || s == orgca.Retired {
			c := ofGeneration(all[n].Number)
			c.Text += " · " + string(s)
			some = append(some, c)
		}
	}
	return some
}

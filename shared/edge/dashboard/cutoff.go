package dashboard

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
)

// overlapChoice is a choice of the pre-flight: how long the present certificates live on, and what that does to agents.
type overlapChoice struct {
	Value       string // seconds
	Title, Hint string
	AtOnce      bool
	Lines       []cutLine // who is cut off, and when, those first that are first
	Agents      int64     // of all lines
	Methods     string
}

// cutLine is what happens to the agents under one Org CA.
type cutLine struct {
	Generation, Agents int64
	Methods            string    // how many of each
	Until              time.Time // zero: with the commit
}

const guidesWay = "The operator guide's way: the commit invalidates every pinned thumbprint. Plan a maintenance window."

// overlapChoices are what the form offers, the safe one first.
var overlapChoices = []overlapChoice{
	{Value: "604800", Title: "work for a week more", Hint: "The safe choice: no outage for agents that move within it."},
	{Value: "86400", Title: "work for a day more", Hint: "For a fleet that a pipeline re-enrols."},
	{Value: "2592000", Title: "work for 30 days more", Hint: "For fleets in many hands."},
	{Value: "0", Title: "stop at once", Hint: guidesWay, AtOnce: true},
}

// under are the agents that a certificate of an Org CA lets in now, by method.
type under struct {
	generation int64
	until      time.Time // of its overlap; zero: it is current
	agents     map[agent.Method]int64
}

// letIn counts them: the current Org CA's are in the census, and those of each overlap are one count for each method.
func (d *Dashboard) letIn(ctx context.Context, org registry.Org, p *rotateca.Progress) (all []under, err error) {
	if org.Pointer == nil || p == nil {
		return nil, nil
	}
	now := under{generation: org.Pointer.Current, agents: map[agent.Method]int64{}}
	for _, method := range ofTheOrgCA {
		now.agents[method] = p.PerMethod[method].ReEnrolled
	}
	all = append(all, now)
	for _, a := range org.Pointer.Accepted {
		until, ok := org.Pointer.AcceptedUntil(a.Generation, d.Now())
		if !ok {
			continue
		}
		u := under{a.Generation, until, map[agent.Method]int64{}}
		for _, method := range ofTheOrgCA {
			if u.agents[method], err = d.Enroll.CountUnder(ctx, a.Generation, method); err != nil {
				return nil, err
			}
		}
		all = append(all, u)
	}
	return all, nil
}

// ofTheOrgCA are the methods whose certificates depend on the Org CA.
var ofTheOrgCA = []agent.Method{agent.Minted, agent.BYOCA}

// choicesFor says of each choice whom it cuts off, and from when, if the commit is now.
func choicesFor(all []under, now time.Time) []overlapChoice {
	choices := slices.Clone(overlapChoices)
	for n, c := range choices {
		total := map[agent.Method]int64{}
		for _, u := range all {
			line := cutLine{Generation: u.generation, Methods: methodsIn(u.agents), Until: u.until}
			for method, of := range u.agents {
				line.Agents, total[method] = line.Agents+of, total[method]+of
			}
			switch {
			case c.AtOnce:
				line.Until = time.Time{}
			case u.until.IsZero():
				length, _ := overlap(c.Value)
				line.Until = now.Add(length)
			}
			if line.Agents > 0 {
				choices[n].Lines, choices[n].Agents = append(choices[n].Lines, line), choices[n].Agents+line.Agents
			}
		}
		choices[n].Methods = methodsIn(total)
		slices.SortStableFunc(choices[n].Lines, func(a, b cutLine) int { return a.Until.Compare(b.Until) })
	}
	return choices
}

// methodsIn says how many agents of each method there are.
func methodsIn(agents map[agent.Method]int64) string {
	var all []string
	for _, method := range agent.Methods() {
		if n := agents[method]; n > 0 {
			all = append(all, count(int(n))+" "+how(method))
		}
	}
	return strings.Join(all, ", ")
}

// again is what a second rotation in an overlap does to those who had moved; nil: there is no overlap.
type again struct {
	Moved   int64 // agents that have moved to the present Org CA, and count as not moved afterwards
	After   int64 // percents of the fleet that have moved afterwards
	Current int64
	Earlier []cutLine // whose overlap is open
}

func againOf(org registry.Org, all []under, p *rotateca.Progress) *again {
	if org.Pointer == nil || p == nil || len(all) < 2 {
		return nil
	}
	a := again{Current: org.Pointer.Current}
	for _, of := range all[0].agents {
		a.Moved += of
	}
	if p.Agents > 0 {
		a.After = p.PerMethod[agent.SPIFFE].ReEnrolled * 100 / p.Agents
	}
	for _, u := range all[1:] {
		line := cutLine{Generation: u.generation, Methods: methodsIn(u.agents), Until: u.until}
		for _, of := range u.agents {
			line.Agents += of
		}
		a.Earlier = append(a.Earlier, line)
	}
	return &a
}

package dashboard

import (
	"fmt"
	"net/http"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
)

// rotationView is the page of a running rotation.
type rotationView struct {
	pkiView
	Chart    chart
	Tokens   lastTokens
	Methods  []methodRow
	Laggards []laggardRow
	More     int64 // agents that remain and are not among Laggards
}

// methodRow is how far the agents of one method are.
type methodRow struct {
	rotateca.AgentCounts
	Method  agent.Method
	Percent int64
	Remedy  string
}

// laggardRow is an agent that has not moved.
type laggardRow struct {
	rotateca.Laggard
	State chip
}

// rotation shows how the fleet follows the last rotation. It costs a count, a look-up of a thousand agents of each
// kind, and one item. The count and the look-up are remembered for seconds; the item is small.
func (d *Dashboard) rotation(w http.ResponseWriter, r *http.Request) error {
	org, err := d.Registry.Org(r.Context())
	if err != nil {
		return err
	}
	v := rotationView{}
	if v.pkiView, err = d.presentOf(r, org, d.Progress.Look); err != nil {
		return err
	}
	if v.Missing {
		http.Redirect(w, r, pkiPath, http.StatusSeeOther)
		return nil
	}
	burndown, err := d.Registry.Burndown(r.Context())
	if err != nil || burndown.Generation != org.Pointer.Current || !burndown.Since.Equal(org.Pointer.RotatedAt) {
		burndown = registry.Burndown{} // of an earlier rotation, or unreadable: the numbers of now are worth more
	}
	v.Chart = chartOf(burndown.Points, org.Pointer.RotatedAt, v.OverlapUntil, v.now(d.Now()))
	v.Tokens = lastTokensOf(v.Progress, d.Now())
	if p := v.Progress; p != nil {
		v.Methods, v.More = methodRows(p), p.Remaining-int64(len(p.Laggards))
		for _, l := range p.Laggards {
			v.Laggards = append(v.Laggards, laggardRow{Laggard: l, State: laggardState(l)})
		}
	}
	d.render(w, r, http.StatusOK, page{Name: "rotation", Section: "pki", Title: "The running rotation", Content: v})
	return nil
}

// now is the last point of the chart.
func (v rotationView) now(at time.Time) *registry.BurndownPoint {
	if v.Progress == nil {
		return nil
	}
	p := registry.BurndownPoint{At: at, Remaining: map[agent.Method]int64{}}
	for method, of := range v.Progress.PerMethod {
		p.Remaining[method] = of.Remaining
	}
	return &p
}

func methodRows(p *rotateca.Progress) (all []methodRow) {
	for _, method := range agent.Methods() {
		of := p.PerMethod[method]
		if of.Agents == 0 {
			continue
		}
		row := methodRow{AgentCounts: of, Method: method, Percent: of.ReEnrolled * 100 / of.Agents}
		if of.Remaining > 0 {
			row.Remedy = fleetRemedy(method)
		}
		all = append(all, row)
	}
	return all
}

// laggardState says whether the end of the overlap would be noticed.
func laggardState(l rotateca.Laggard) chip {
	switch {
	case l.LastSeen.IsZero():
		return chip{"off", "never seen", "no token of this agent is on record"}
	case l.Silent:
		return chip{"off", "silent", "no token for three of its usual intervals, or for a day"}
	}
	return chip{"warn", "in use", "gets tokens with a certificate of an earlier Org CA"}
}

// Unknown reports whether agents remain and none of them could be looked up.
func (v rotationView) Unknown() bool {
	return v.Progress != nil && v.Progress.Remaining > 0 && len(v.Laggards) == 0
}

// Left says how many agents remain, in words.
func (v rotationView) Left() string {
	if v.Progress == nil {
		return "The fleet cannot be counted at the moment."
	}
	return fmt.Sprintf("%s of %s moved, %s of these in use with the new certificate; %s, %s of these silent.",
		count(int(v.Progress.ReEnrolled)), plural(int(v.Progress.Agents), "agent"), v.atLeast(v.Progress.Used),
		remain(v.Progress.Remaining), v.atLeast(v.Progress.Silent))
}

func (v rotationView) atLeast(n int64) string {
	if v.Progress.AtLeast {
		return "at least " + count(int(n))
	}
	return count(int(n))
}

func remain(n int64) string {
	if n == 1 {
		return "1 remains"
	}
	return count(int(n)) + " remain"
}

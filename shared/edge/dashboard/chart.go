package dashboard

import (
	"fmt"
	"strings"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/registry"
)

// The chart's own units. The page stretches them to its width, so no text is in them.
const chartWidth, chartHeight = 1000, 400

// chart is a burn-down: the agents that remain, by method, one area on the other, from the rotation to its deadline.
type chart struct {
	Areas    []area
	Pace     string // a line from all agents at the first point to none at the deadline; empty: no deadline
	NowX     string
	Top      int64 // agents at the upper edge
	Start    time.Time
	End      time.Time // the right edge
	Deadline bool      // the right edge is the deadline
	Rows     []chartRow
}

// area is one method's part.
type area struct {
	Method agent.Method
	Points string // of a polygon
}

// chartRow is a point of the chart in numbers, for who does not see it.
type chartRow struct {
	At     time.Time
	All    int64
	Counts []int64 // of each area's method
}

// Shown reports whether there is anything to draw.
func (c chart) Shown() bool { return len(c.Areas) > 0 }

// Title says what the chart shows, in a sentence.
func (c chart) Title() string {
	first, last := c.Rows[0], c.Rows[len(c.Rows)-1]
	return fmt.Sprintf("From %s to %s, the agents that remain went from %s to %s.",
		moment(first.At), moment(last.At), count(int(first.All)), count(int(last.All)))
}

// chartOf draws stored points and the present one, if that could be counted.
func chartOf(points []registry.BurndownPoint, start time.Time, deadline *time.Time, now *registry.BurndownPoint) chart {
	var all []registry.BurndownPoint
	for _, p := range points {
		if now == nil || p.At.Before(now.At) {
			all = append(all, p)
		}
	}
	if now != nil {
		all = append(all, *now)
	}
	c := chart{Start: start}
	if len(all) == 0 {
		return c
	}
	if all[0].At.Before(c.Start) { // by a clock that was behind
		c.Start = all[0].At
	}
	c.End = all[len(all)-1].At
	if deadline != nil && deadline.After(c.End) {
		c.End, c.Deadline = *deadline, true
	}
	for _, p := range all {
		c.Top = max(c.Top, p.All())
	}
	if c.Top == 0 || !c.End.After(c.Start) {
		return c
	}
	c.draw(all)
	return c
}

func (c *chart) draw(all []registry.BurndownPoint) {
	below := make([]int64, len(all)) // the areas so far
	for n := range all {
		c.Rows = append(c.Rows, chartRow{At: all[n].At, All: all[n].All()})
	}
	for _, method := range agent.Methods() {
		var upper, lower []string
		some := false
		for n, p := range all {
			of := p.Remaining[method]
			some = some || of > 0
			upper = append(upper, c.at(p.At, below[n]+of))
			lower = append([]string{c.at(p.At, below[n])}, lower...)
		}
		if !some {
			continue
		}
		for n, p := range all {
			below[n] += p.Remaining[method]
			c.Rows[n].Counts = append(c.Rows[n].Counts, p.Remaining[method])
		}
		c.Areas = append(c.Areas, area{method, strings.Join(append(upper, lower...), " ")})
	}
	c.NowX = c.x(all[len(all)-1].At)
	if c.Deadline {
		c.Pace = c.at(all[0].At, all[0].All()) + " " + c.at(c.End, 0)
	}
}

func (c *chart) x(at time.Time) string {
	return fmt.Sprintf("%.1f", chartWidth*float64(at.Sub(c.Start))/float64(c.End.Sub(c.Start)))
}

func (c *chart) at(at time.Time, agents int64) string {
	return fmt.Sprintf("%s,%.1f", c.x(at), chartHeight*(1-float64(agents)/float64(c.Top)))
}

package registry

import (
	"maps"
	"slices"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
)

// MostPoints bounds the points of a Burndown.
const MostPoints = 48

// Burndown is how many agents remained at points in time of the last rotation: what a chart of it shows. It decides
// nothing.
type Burndown struct {
	Generation int64     // that the agents move to
	Since      time.Time // when it became current
	Points     []BurndownPoint
	Version    int64 // as read; zero: none is stored
}

// BurndownPoint is how many agents of each method had not moved at one instant. A method with none may be missing.
type BurndownPoint struct {
	At        time.Time              `json:"at"`
	Remaining map[agent.Method]int64 `json:"remaining"`
}

// All is how many agents remained.
func (p BurndownPoint) All() (n int64) {
	for _, of := range p.Remaining {
		n += of
	}
	return n
}

// Due reports whether a point at now adds to b: the first points are as close as they come, and the later ones as far
// apart as the first two are then. After two points without an agent that remains, there is nothing more to show.
func (b Burndown) Due(now time.Time) bool {
	n := len(b.Points)
	if n < 2 {
		return true
	}
	step := b.Points[1].At.Sub(b.Points[0].At)
	late := step / 10 // of a job that is not run to the second
	return now.Sub(b.Points[n-1].At) >= step-late && (b.Points[n-1].All() > 0 || b.Points[n-2].All() > 0)
}

// With returns b with one point more. Before there are more than MostPoints, it drops every second one: so the points
// span a rotation of an hour as well as one of 90 days.
func (b Burndown) With(p BurndownPoint) Burndown {
	all := slices.Clone(b.Points)
	if len(all) >= MostPoints {
		kept := all[:0]
		for n := 0; n < len(all); n += 2 {
			kept = append(kept, all[n])
		}
		all = kept
	}
	all = append(all, BurndownPoint{At: p.At.UTC().Truncate(time.Millisecond), Remaining: maps.Clone(p.Remaining)})
	b.Points = all
	return b
}

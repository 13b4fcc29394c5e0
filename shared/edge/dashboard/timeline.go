package dashboard

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/registry"
)

// timelineMax bounds the generations of a timeline: it is read at a glance. The history has all of them.
const timelineMax = 8

// timeline shows the generations of the Org CA over time, newest first. Its scale is symmetric and logarithmic around
// now: a rotation of minutes, an overlap of a week and a life of years are all to be seen.
type timeline struct {
	Rows  []timelineRow
	Ticks []tick
}

// timelineRow is one generation: what it is in a word, since when, until when, and the bars of the picture.
type timelineRow struct {
	Generation int64
	State      chip
	Since      time.Time // zero: it was never current
	Until      time.Time // of its state: when it stops, or stopped; zero: not known, or open
	Words      string    // what Until is
	Bars       []bar
}

// bar is a part of a generation's life, in percents of the width.
type bar struct{ Kind, X, Width string }

// tick is a mark of the scale.
type tick struct {
	X, Text string
	Now     bool
}

// timelineOf draws the newest generations.
func timelineOf(org registry.Org, now time.Time) (t timeline) {
	if org.Pointer == nil {
		return t
	}
	var shown []orgca.Generation
	for _, g := range slices.Backward(org.Generations) {
		if g.State != orgca.Failed && g.State != orgca.Preparing && len(shown) < timelineMax {
			shown = append(shown, g)
		}
	}
	var lives [][]span
	var marks []time.Time
	for _, g := range shown {
		row, life := lifeOf(g, *org.Pointer, now)
		t.Rows, lives = append(t.Rows, row), append(lives, life)
		for _, s := range life {
			marks = append(marks, s.from, s.to)
		}
	}
	s := scaleOf(marks, now)
	for n, life := range lives {
		for _, part := range life {
			t.Rows[n].Bars = append(t.Rows[n].Bars, s.bar(part))
		}
	}
	t.Ticks = s.ticks()
	return t
}

// span is a part of a life in time.
type span struct {
	kind     string
	from, to time.Time
}

// lifeOf says what a generation is, and the parts of its life.
func lifeOf(g orgca.Generation, p orgca.Pointer, now time.Time) (row timelineRow, life []span) {
	row = timelineRow{Generation: g.Number, State: stateOf(g.State, nil), Since: g.CurrentAt}
	staged := now
	if !g.CurrentAt.IsZero() {
		staged = g.CurrentAt
	}
	if !g.StagedAt.IsZero() && g.StagedAt.Before(staged) {
		life = append(life, span{"staged", g.StagedAt, staged})
	}
	switch {
	case g.CurrentAt.IsZero():
	case g.State == orgca.Current:
		life = append(life, span{"current", g.CurrentAt, now})
	default:
		life = append(life, span{"past", g.CurrentAt, g.SupersededAt})
	}
	until, accepted := p.AcceptedUntil(g.Number, now)
	switch {
	case accepted:
		row.Until, row.Words, row.State = until, "accepted until", stateOf(g.State, &until)
		life = append(life, span{"accepted", g.SupersededAt, until})
	case g.State == orgca.Superseded || g.State == orgca.Retired:
		row.Until, row.Words = g.SupersededAt, "replaced"
	}
	return row, slices.DeleteFunc(life, func(s span) bool { return !s.to.After(s.from) })
}

// stateOf is the state of a generation, as a chip: of superseded ones it sets those apart that still let agents in.
func stateOf(g orgca.State, acceptedUntil *time.Time) chip {
	c := states[string(g)]
	if acceptedUntil != nil {
		c.Kind, c.Hint = "warn", "signs nothing more; its certificates work until "+moment(*acceptedUntil)
	}
	return c
}

// scale places instants. Near is the distance from now to the nearest mark, which the scale still shows well.
type scale struct {
	now            time.Time
	near           time.Duration
	before, behind float64 // how far the picture goes back and ahead, in logarithms
}

func scaleOf(marks []time.Time, now time.Time) scale {
	s := scale{now: now}
	for _, at := range marks {
		if d := at.Sub(now).Abs(); d >= time.Minute && (s.near == 0 || d < s.near) {
			s.near = d
		}
	}
	s.near = max(s.near, time.Minute)
	s.before = s.log(time.Minute)
	for _, at := range marks {
		if d := at.Sub(now); d < 0 {
			s.before = max(s.before, s.log(-d))
		} else {
			s.behind = max(s.behind, s.log(d))
		}
	}
	return s
}

func (s scale) log(d time.Duration) float64 { return math.Log1p(float64(d) / float64(s.near)) }

// x is where an instant is, from 0 to 100. A little room stays ahead of now.
func (s scale) x(at time.Time) float64 {
	d := at.Sub(s.now)
	y := s.before + s.log(d.Abs())
	if d < 0 {
		y = s.before - s.log(-d)
	}
	return 100 * y / (s.before + max(s.behind, s.before/12))
}

// narrowest is the least width of a bar, so that every part of a life is to be seen.
const narrowest = 0.6

func (s scale) bar(part span) bar {
	from, to := s.x(part.from), s.x(part.to)
	if to-from < narrowest {
		from, to = max(0, to-narrowest), max(to, narrowest)
	}
	return bar{part.kind, percent(from), percent(to - from)}
}

func percent(x float64) string { return strconv.FormatFloat(math.Round(x*100)/100, 'f', -1, 64) + "%" }

// apart is the least distance of two marks of the scale, wide enough for their texts on a phone.
const apart = 17

// ticks are now, and round distances from it as far as there is room.
func (s scale) ticks() []tick {
	all := []tick{{X: percent(s.x(s.now)), Text: "now", Now: true}}
	for _, sign := range []time.Duration{-1, 1} {
		last := s.x(s.now)
		for _, d := range []struct {
			time.Duration
			text string
		}{
			{time.Minute, "1 min"}, {10 * time.Minute, "10 min"}, {time.Hour, "1 h"}, {6 * time.Hour, "6 h"}, {day24, "1 day"},
			{7 * day24, "1 week"}, {30 * day24, "1 month"}, {90 * day24, "3 months"}, {365 * day24, "1 year"},
			{5 * 365 * day24, "5 years"},
		} {
			x := s.x(s.now.Add(sign * d.Duration))
			if x < 0 || x > 100 || math.Abs(x-last) < apart {
				continue
			}
			form := "in %s"
			if sign < 0 {
				form = "%s ago"
			}
			all, last = append(all, tick{X: percent(x), Text: fmt.Sprintf(form, d.text)}), x
		}
	}
	return all
}

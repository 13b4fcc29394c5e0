package agent

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/problem"
)

// lostAt are successors of a certificate, renewed at some times before noon, newest first, and the pin that yields to
// them.
func lostAt(p Pin, until time.Duration, before ...time.Duration) Agent {
	p.Yields, p.Until = true, noon.Add(until)
	a := Agent{}
	for n, d := range before {
		q := yearly()
		q.Thumbprint, q.Unused, q.Renewed = string(rune('a'+n)), true, noon.Add(-d)
		a.Pins = append(a.Pins, q)
	}
	a.Pins = append(a.Pins, p)
	return a
}

func TestEarly(t *testing.T) {
	const second = time.Second
	enrolled, made := yearly(), yearly()
	enrolled.Thumbprint, made.Thumbprint, made.Renewed = "enrolled", "made", noon.Add(-20*second)
	alone := func(p Pin) Agent { return Agent{Pins: []Pin{p}} }
	old := func(p Pin, by time.Duration) Pin {
		p.Renewed = noon.Add(-by)
		return p
	}
	heard := lostAt(enrolled, time.Hour, 0, second, 2*second) // as where a rollback has undone what they were under
	for n := range heard.Pins {
		heard.Pins[n].Unused = false
	}
	overlap := orgca.Pointer{Current: 2, Accepted: []orgca.Overlap{{Generation: 1, Until: noon.Add(40 * second)}}}
	for name, c := range map[string]struct {
		agent Agent
		ca    orgca.Pointer
		want  time.Duration
	}{
		"enrolled this moment":              {alone(enrolled), orgca.Pointer{Current: 1}, 0},
		"made by a renewal":                 {alone(made), orgca.Pointer{Current: 1}, 40 * second},
		"a moment before it is over":        {alone(old(made, time.Minute-1)), orgca.Pointer{Current: 1}, second},
		"made by a renewal a minute ago":    {alone(old(made, time.Minute)), orgca.Pointer{Current: 1}, 0},
		"made by a renewal, in an overlap":  {alone(made), overlap, 0},
		"made by a clock that is ahead":     {alone(old(made, -time.Second)), orgca.Pointer{Current: 1}, 61 * second},
		"made by a clock that is far ahead": {alone(old(made, -2*time.Hour)), orgca.Pointer{Current: 1}, 0},
		"one lost answer":                   {lostAt(enrolled, time.Hour, second), orgca.Pointer{Current: 1}, 0},
		"two lost answers":                  {lostAt(enrolled, time.Hour, 0, second), orgca.Pointer{Current: 1}, 0},
		"three lost answers": {lostAt(enrolled, time.Hour, 0, second, 2*second),
			orgca.Pointer{Current: 1}, 58 * second},
		"three lost answers within an hour": {lostAt(enrolled, time.Hour, 0, 5*time.Minute, 10*time.Minute),
			orgca.Pointer{Current: 1}, 0},
		"three that were heard of": {heard, orgca.Pointer{Current: 1}, 0},
		"of one made by a renewal": {lostAt(made, time.Hour, 0, second), orgca.Pointer{Current: 1}, 0},
		"three lost answers, short of time": {lostAt(enrolled, 58*second, 0, second, 2*second),
			orgca.Pointer{Current: 1}, 13 * second},
		"three lost answers at an overlap's end": {lostAt(enrolled, time.Hour, 0, 0, 0), overlap, 10 * second},
		"four lost answers": {lostAt(enrolled, time.Hour, 0, second, 2*second, 50*second),
			orgca.Pointer{Current: 1}, 58 * second},
	} {
		t.Run(name, func(t *testing.T) {
			var got time.Duration
			err := EarlyRenewal(c.agent, c.agent.Pins[len(c.agent.Pins)-1], c.ca, noon)
			if err != nil {
				got = problem.Of(err).RetryIn
			}
			if got != c.want || (err == nil) != (c.want == 0) || err != nil && !errors.Is(err, ErrRenewalEarly) {
				t.Errorf("%v, want a wait of %s", err, c.want)
			}
		})
	}
}

// An agent whose answers are all lost and that comes again whenever it may gets its last chance in the last part of
// what is left, however short that is.
func TestWaitsNeverLockOut(t *testing.T) {
	for _, left := range []time.Duration{20 * time.Second, time.Minute, 90 * time.Second, 10 * time.Minute, time.Hour} {
		p := yearly()
		p.Thumbprint, p.Yields, p.Until = "old", true, noon.Add(left)
		a := Agent{Pins: []Pin{p}}
		answered := 0
		last := noon
		for at := noon; at.Before(p.Until); {
			if err := EarlyRenewal(a, p, orgca.Pointer{Current: 1}, at); err != nil {
				at = at.Add(problem.Of(err).RetryIn)
				continue
			}
			q := yearly()
			q.Thumbprint, q.Unused, q.Renewed = at.String(), true, at
			a.Pins = slices.Insert(a.Pins, 0, q)
			if len(a.Pins) > renewalBurst+1 {
				a.Pins = slices.Delete(a.Pins, renewalBurst, renewalBurst+1)
			}
			answered, last, at = answered+1, at, at.Add(time.Second/4)
		}
		if gap := p.Until.Sub(last); gap > min(renewalPace, left/2)+time.Second || answered < 5 {
			t.Errorf("of %s, the last renewal is %s before the end, after %d", left, gap, answered)
		}
		if most := renewalBurst * (int(left/renewalPace) + 16); answered > most {
			t.Errorf("of %s: %d renewals, want %d at most", left, answered, most)
		}
	}
}

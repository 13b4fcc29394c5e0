package rotateca

import (
	"context"
	"sync"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/registry"
)

// AgentCounts says how many active agents there are, and how many of them have moved to the current generation. The
// moved and the remaining ones are all.
type AgentCounts struct {
	Agents     int64 `json:"agents"`
	ReEnrolled int64 `json:"re_enrolled"` // moved: the newest pin is under the current generation
	// of those: the first use of a certificate of the current generation is on record
	Used      int64 `json:"used"`
	Remaining int64 `json:"remaining"`
	Silent    int64 `json:"silent"` // of those: registry.Sighting.Silent
}

// Progress is how many agents have re-enrolled. It is exact once enrolments and rotations have stopped; until then
// the counted index may lag behind.
//
// An agent that is known by its SPIFFE ID has no pin: its certificates do not depend on the Org CA and a rotation
// leaves them as they are. So it counts as moved, and as used, from its enrolment on. After a rollback, agents that
// had re-enrolled under the generation that was undone remain: their newest certificate is dead. Deactivated agents
// are not counted.
type Progress struct {
	AgentCounts
	// AtLeast: Used and Silent are lower bounds, because only lookedUp agents of each kind are looked up, or because the
	// look-up failed.
	AtLeast   bool                         `json:"at_least"`
	PerMethod map[agent.Method]AgentCounts `json:"per_method"`
	// LastTokens says when the agents that are looked up last got a token.
	LastTokens LastTokens `json:"-"`
	// Laggards are the remaining agents that were seen last, at most mostLaggards, of those that are looked up.
	Laggards []Laggard `json:"-"`
}

// LastTokens counts agents by the hour of their last token, and by the certificate that got the hour's first token.
type LastTokens struct {
	Hours [24]HourTally // the present hour is the first
	Older HourTally     // before these hours
	Never int64         // no token is on record
}

// HourTally counts agents by the Org CA of a certificate.
type HourTally struct{ Earlier, Current int64 }

// add counts an agent.
func (l *LastTokens) add(seen registry.Sighting, current int64, now time.Time) {
	hour := seen.Believed(now)
	if hour.IsZero() {
		l.Never++
		return
	}
	of := &l.Older
	if n := int(now.UTC().Truncate(time.Hour).Sub(hour) / time.Hour); n < len(l.Hours) {
		of = &l.Hours[max(n, 0)]
	}
	if seen.Generation == current {
		of.Current++
	} else {
		of.Earlier++
	}
}

// Laggard is an agent that remains.
type Laggard struct {
	Agent      agent.ID
	Method     agent.Method
	Owner      string // empty: not known
	Generation int64
	LastSeen   time.Time // its hour; zero: not known
	Silent     bool
}

const mostLaggards = 20

// The bounds of a count: a million agents take about a second, and an open dashboard page polls again and again.
const (
	progressFresh   = 5 * time.Second
	progressTimeout = 10 * time.Second
)

// count is what was counted, and for which generation.
type count struct {
	progress   *Progress
	generation int64
	at         time.Time
	looked     bool // it is complete
}

// progressCache is the last count of this function instance.
type progressCache struct {
	mu   sync.Mutex
	last count
}

// progress counts, unless that was done for the same generation a moment ago, and looks up if look asks for it. A count
// that fails is left out: during an incident the rest of the status is worth more than an error.
func (o *Observer) progress(ctx context.Context, org registry.Org, look bool) *Progress {
	current, now := org.Pointer.Current, o.Now()
	if p := o.counted.get(current, now, look); p != nil {
		return p
	}
	ctx, cancel := context.WithTimeout(ctx, progressTimeout)
	defer cancel()
	census, err := o.Store.Census(ctx, current, Newest(org))
	if err != nil {
		o.Log.WarnContext(ctx, "pki.rotate.progress_unknown", "generation", current, "cause", err.Error())
		return nil
	}
	p := moved(census)
	if !look {
		p.AtLeast = true
	} else if err := o.lookUp(ctx, org, p); err != nil {
		o.Log.WarnContext(ctx, "pki.rotate.progress_partial", "generation", current, "cause", err.Error())
		p.AtLeast = true
	}
	o.counted.put(count{progress: p, generation: current, at: now, looked: look})
	return p
}

// Newest is the newest generation that ever was current: the newest that a pin can be under. Only after a rollback is
// it not the current one.
func Newest(org registry.Org) int64 {
	last := org.Pointer.Current
	for _, g := range org.Generations {
		if g.State == orgca.Superseded || g.State == orgca.Retired {
			last = max(last, g.Number)
		}
	}
	return last
}

func moved(census map[agent.Method]registry.Tally) *Progress {
	p := &Progress{PerMethod: map[agent.Method]AgentCounts{}}
	for _, method := range agent.Methods() {
		t := census[method]
		m := AgentCounts{ReEnrolled: t.Current, Remaining: t.Older + t.Newer}
		if method == agent.SPIFFE {
			m = AgentCounts{ReEnrolled: t.Current + t.Older + t.Newer}
			m.Used = m.ReEnrolled
		}
		m.Agents = m.ReEnrolled + m.Remaining
		p.PerMethod[method] = m
		p.Agents += m.Agents
		p.ReEnrolled += m.ReEnrolled
		p.Used += m.Used
		p.Remaining += m.Remaining
	}
	return p
}

func (c *progressCache) get(generation int64, now time.Time, look bool) *Progress {
	c.mu.Lock()
	defer c.mu.Unlock()
	last := c.last
	if age := now.Sub(last.at); last.progress == nil || last.generation != generation || age < 0 ||
		age >= progressFresh || look && !last.looked {
		return nil
	}
	return last.progress
}

func (c *progressCache) put(r count) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last = r
}

package agent

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// life is an agent's record next to the agent that it is about, the operator, and a CA that moves. It knows what each
// of them was promised, not how the record keeps it.
type life struct {
	record Agent
	now    time.Time
	ca     authority
	serial int

	// The agent's side: what it uses, and what it was given and has not used. Asked is when it first asked for a
	// successor without hearing an answer.
	using, given cert
	asked        time.Time
	left         cert // what it used when it left the generation that a rollback restores
	void         bool // a rollback takes the deadline away that asking set
	other        cert // of another instance of the agent, which has nothing else since a rollback

	all   []cert
	dead  map[string]death
	grace map[string]time.Time // given by the operator, whatever the agent does
}

type cert struct {
	thumbprint string
	generation int64
}

// death is the end of a certificate: for good, or by one of another generation, which a rollback undoes.
type death struct {
	final  bool
	killer int64
}

type authority struct {
	current, previous, last int64
	accepted                map[int64]time.Time
}

func (c authority) Accepts(g int64, now time.Time) bool {
	until, ok := c.accepted[g]
	return g == c.current || ok && now.Before(until)
}
func (c authority) IsCurrent(g int64) bool { return g == c.current }

const overlap = time.Hour

func newLife() *life {
	l := &life{
		now:   now,
		ca:    authority{current: 1, last: 1, accepted: map[int64]time.Time{}},
		dead:  map[string]death{},
		grace: map[string]time.Time{},
	}
	l.record = Agent{ID: "orga::a", Status: Active}
	first := l.certify()
	l.record = l.record.Repin(l.pin(first), Keep{}, l.now)
	l.using = first
	return l
}

func (l *life) certify() cert {
	l.serial++
	c := cert{fmt.Sprint("c", l.serial), l.ca.current}
	l.all = append(l.all, c)
	return c
}

func (l *life) pin(c cert) Pin { return Pin{Thumbprint: c.thumbprint, Generation: c.generation} }

func (l *life) authenticates(c cert) bool {
	_, err := l.record.Authenticate(c.thumbprint, l.ca, l.now)
	return err == nil
}

// use is a token request that is answered.
func (l *life) use(c cert) bool {
	p, err := l.record.Authenticate(c.thumbprint, l.ca, l.now)
	if err != nil {
		return false
	}
	used, changed := l.record.Use(p, l.ca, l.now)
	if changed {
		if _, again := used.Use(used.pinOf(c.thumbprint), l.ca, l.now); again {
			panic("the second use of a certificate changes something")
		}
	}
	l.record = used
	return true
}

func (a Agent) pinOf(thumbprint string) Pin {
	for _, p := range a.Pins {
		if p.Thumbprint == thumbprint {
			return p
		}
	}
	return Pin{}
}

func (l *life) kill(by cert) {
	for _, c := range l.all {
		if c == by {
			delete(l.dead, c.thumbprint)
		} else if _, already := l.dead[c.thumbprint]; !already {
			l.dead[c.thumbprint] = death{killer: by.generation}
		}
	}
}

// renew asks for a successor with the certificate in use; the answer may be lost.
func (l *life) renew(t *rapid.T) {
	if l.given.thumbprint != "" || !l.use(l.using) {
		return
	}
	next := l.certify()
	l.record = l.record.Repin(l.pin(next), Keep{Grace: overlap, UntilUse: true, Restorable: l.ca.previous}, l.now)
	if l.asked.IsZero() {
		l.asked = l.now
	}
	l.void = l.void || l.using.generation == l.ca.previous
	if !rapid.Bool().Draw(t, "answer lost") {
		l.given = next
	}
}

// token uses what the agent has: the newest, as soon as it gets to it.
func (l *life) token(t *rapid.T) {
	if l.given.thumbprint != "" && rapid.Bool().Draw(t, "installed") {
		if l.use(l.given) {
			l.kill(l.given)
			if l.void && l.given.generation != l.using.generation {
				l.left = l.using
			}
			l.using, l.given, l.asked, l.void = l.given, cert{}, time.Time{}, false
		}
		return
	}
	if d, dead := l.dead[l.using.thumbprint]; l.use(l.using) && dead { // restored
		if d.final {
			t.Fatalf("%v is dead for good and authenticates", l.using)
		}
		l.kill(l.using)
	}
}

// rotate is the operator's rotation: the new certificate is in the agent's hands.
func (l *life) rotate(t *rapid.T) {
	grace := rapid.SampledFrom([]time.Duration{0, 0, 30 * time.Minute}).Draw(t, "grace")
	next := l.certify()
	l.record = l.record.Repin(l.pin(next), Keep{Grace: grace, Restorable: l.ca.previous}, l.now)
	for _, c := range l.all {
		if c != next && grace > 0 {
			l.grace[c.thumbprint] = earlier(l.grace[c.thumbprint], l.now.Add(grace))
		}
	}
	if !l.waits() {
		l.dead[l.using.thumbprint] = death{final: true}
	}
	l.left = cert{}
	if grace == 0 && l.using.generation == l.ca.previous && l.given.thumbprint == "" && l.waits() {
		l.left = l.using
	}
	if grace == 0 {
		clear(l.grace)
		for thumbprint, d := range l.dead {
			d.final = true
			l.dead[thumbprint] = d
		}
		l.kill(next)
	}
	l.using, l.given, l.asked, l.void = next, cert{}, time.Time{}, false
}

func (l *life) mint(t *rapid.T) {
	if d := rapid.SampledFrom([]time.Duration{0, 40 * time.Minute, 3 * time.Hour}).Draw(t, "overlap"); d > 0 {
		l.ca.accepted[l.ca.current] = l.now.Add(d)
	} else {
		l.ca.accepted = map[int64]time.Time{}
	}
	l.ca.previous = l.ca.current
	l.ca.last++
	l.ca.current = l.ca.last
}

// rollback takes the agent back to what it used then, as its operator would, and the agent uses that before the CA
// moves again: until then a restored pin is one of its own generation alone, and no overlap carries it.
func (l *life) rollback(t *rapid.T) {
	if l.ca.previous == 0 {
		return
	}
	l.ca = authority{current: l.ca.previous, last: l.ca.last, accepted: map[int64]time.Time{}}
	for _, c := range l.all { // with what was in use come the successors that it had asked for
		if d := l.dead[c.thumbprint]; c.generation == l.ca.current && d.killer != l.ca.current && !d.final {
			delete(l.dead, c.thumbprint)
		}
	}
	if l.given.generation > l.ca.current {
		l.given = cert{}
	}
	if l.left.generation == l.ca.current && l.using.generation != l.ca.current {
		l.using, l.given, l.asked = l.left, cert{}, time.Time{}
	}
	if l.void && l.using.generation == l.ca.current {
		l.asked, l.void = time.Time{}, false
	}
	l.left = cert{}
	_, died := l.dead[l.using.thumbprint]
	if !l.use(l.using) && l.waits() && !died && l.using.generation == l.ca.current {
		t.Fatalf("%v was in use under the generation that is restored, and does not authenticate\n%+v", l.using,
			l.record.Pins)
	}
}

// goBack is a rollback that keeps accepting what it leaves. An agent that has moved goes on with what it has; one that
// still has what it used before may use that, and its other instances go on with what they have.
func (l *life) goBack(t *rapid.T) {
	if l.ca.previous == 0 {
		return
	}
	delete(l.ca.accepted, l.ca.previous)
	l.ca.accepted[l.ca.current] = l.now.Add(3 * overlap)
	l.ca.current, l.ca.previous = l.ca.previous, 0
	for _, c := range l.all {
		if d := l.dead[c.thumbprint]; c.generation == l.ca.current && d.killer != l.ca.current && !d.final {
			delete(l.dead, c.thumbprint)
		}
	}
	was := l.using
	if l.left.generation == l.ca.current && l.using.generation != l.ca.current && rapid.Bool().Draw(t, "old key kept") {
		l.using, l.asked, l.other = l.left, time.Time{}, l.using
	}
	if l.void && l.using.generation == l.ca.current {
		l.asked, l.void = time.Time{}, false
	}
	l.left = cert{}
	_, died := l.dead[was.thumbprint]
	if !died && l.waits() && l.ca.Accepts(was.generation, l.now) && !l.authenticates(was) {
		t.Fatalf("%v was in use and does not authenticate after the rollback\n%+v", was, l.record.Pins)
	}
	if !l.use(l.using) && l.using != was {
		t.Fatalf("%v was kept and does not authenticate after the rollback\n%+v", l.using, l.record.Pins)
	}
}

// waits reports whether the certificate in use still counts, because its successor may not have arrived.
func (l *life) waits() bool { return l.asked.IsZero() || l.now.Before(l.asked.Add(overlap)) }

func (l *life) finalise(*rapid.T) { l.ca.accepted, l.ca.previous = map[int64]time.Time{}, 0 }

func (l *life) advance(t *rapid.T) {
	l.now = l.now.Add(time.Duration(rapid.IntRange(1, 50).Draw(t, "minutes")) * time.Minute)
}

// check holds after every step.
func (l *life) check(t *rapid.T) {
	if n := len(l.record.Pins); n > maxPins {
		t.Fatalf("%d pins", n)
	}
	if c := l.given; c.thumbprint != "" && l.authenticates(c) != l.ca.Accepts(c.generation, l.now) {
		t.Fatalf("%v was handed out and authenticates: %v\n%+v", c, l.authenticates(c), l.record.Pins)
	}
	if c := l.other; c.thumbprint != "" && l.dead[c.thumbprint] == (death{}) && l.ca.Accepts(c.generation, l.now) &&
		!l.authenticates(c) {
		t.Fatalf("%v is all that an instance has, and does not authenticate\n%+v", c, l.record.Pins)
	}
	_, died := l.dead[l.using.thumbprint]
	if !died && l.authenticates(l.using) != (l.waits() && l.ca.Accepts(l.using.generation, l.now)) {
		t.Fatalf("%v is in use, asked at %v, and authenticates: %v\n%+v", l.using, l.asked, l.authenticates(l.using),
			l.record.Pins)
	}
	for _, c := range l.all {
		if !l.authenticates(c) {
			continue
		}
		d, dead := l.dead[c.thumbprint]
		if until, ok := l.grace[c.thumbprint]; ok {
			d, dead = death{final: !l.now.Before(until)}, false
		}
		if !l.ca.Accepts(c.generation, l.now) || d.final || dead &&
			(c.generation != l.ca.current || d.killer == l.ca.current) {
			t.Fatalf("%v authenticates, dead %v %+v\n%+v", c, dead, d, l.record.Pins)
		}
	}
	if gone := l.record.Deactivate(l.now); len(gone.Pins) > 0 ||
		!errors.Is(second(gone.Authenticate(l.using.thumbprint, l.ca, l.now)), ErrRevoked) {
		t.Fatal("a deactivated agent authenticates")
	}
}

func second[T any](_ T, err error) error { return err }

// Whatever happens to answers, the operator and the CA: what an agent was given works as long as its generation is
// accepted, what it uses works until its successor's first use or the end of the overlap, and what has ended stays
// ended unless a rollback undoes the generation that ended it.
func TestSuccession(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := newLife()
		t.Repeat(map[string]func(*rapid.T){
			"renew": l.renew, "token": l.token, "rotate": l.rotate, "mint": l.mint, "rollback": l.rollback,
			"go back": l.goBack, "finalise": l.finalise,
			"advance": l.advance, "": l.check,
		})
	})
}

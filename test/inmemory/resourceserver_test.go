package inmemory_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/verifier"
	"github.com/mastio-aws/mastio/shared/verifier/accesstoken"
	"github.com/mastio-aws/mastio/test/inmemory"
)

// simServer is a resource server of a simulation.
type simServer struct {
	ahead   time.Duration // of its clock
	edge    bool          // it polls through a cache
	status  verifier.Status
	next    time.Time // poll
	outage  time.Time // until then its polls fail
	asked   time.Time // when it last asked for a status before its time
	waiting []simWait
}

// simWait is a call with a token that is newer than the status.
type simWait struct {
	token *simToken
	since time.Time
}

// simToken is a token, and what became of it.
type simToken struct {
	of     agent.ID
	claims accesstoken.Claims
	gone   bool      // for good
	died   time.Time // when the answer of what ended it was there; zero: it lives
	ends   []porcupine.Operation
	asks   map[*simServer][]porcupine.Operation
}

// end and revive note what has happened to a token at an instant.
func (k *simToken) end(at time.Time) {
	if k.died.IsZero() {
		k.died = at
		k.ends = append(k.ends, during(at, at, "end", nil))
	}
}

func (k *simToken) revive(at time.Time) {
	k.died = time.Time{}
	k.ends = append(k.ends, during(at, at, "back", nil))
}

// note notes an answer of a resource server. It is as a read that takes as long as the bound: it may be what was true
// at any instant of that time.
func (k *simToken) note(server *simServer, at time.Time, alive bool) {
	if k.asks == nil {
		k.asks = map[*simServer][]porcupine.Operation{}
	}
	k.asks[server] = append(k.asks[server], during(at.Add(-deadWithin), at, "ask", alive))
}

// during is an operation from one instant to another, both included.
func during(from, to time.Time, input string, output any) porcupine.Operation {
	return porcupine.Operation{Input: input, Output: output, Call: from.UnixNano(), Return: to.UnixNano() + 1}
}

// checkTime is for the checker to find an order; where there is none it may look for long.
const checkTime = 10 * time.Second

// within reports whether the answers of one resource server are those of a token that has the state of the last change
// in the order of time, seen up to the bound later.
func within(changes, answers []porcupine.Operation) bool {
	history := append(append([]porcupine.Operation{}, changes...), answers...)
	for i := range history {
		history[i].ClientId = i
	}
	return porcupine.CheckOperationsTimeout(lifeOfAToken, history, checkTime) == porcupine.Ok
}

func (s *simulation) check(k *simToken) {
	for server, asks := range k.asks {
		if !within(k.ends, asks) {
			s.t.Fatalf("a token of %s of generation %d, at a server %s ahead: not linearisable within %s: %+v %+v",
				k.of, k.claims.Generation, server.ahead, deadWithin, k.ends, asks)
		}
	}
}

// poll fetches the status if it is time. Now and then the feed fails for a while.
func (s *simulation) poll(server *simServer) {
	now := s.m.Now()
	if now.Before(server.next) {
		return
	}
	server.next = now.Add(simPoll)
	if s.random.IntN(40) == 0 {
		server.outage = now.Add(time.Duration(s.random.IntN(15)) * time.Second)
	}
	s.learn(server)
}

func (s *simulation) learn(server *simServer) {
	now, ctx := s.m.Now(), s.t.Context()
	if now.Before(server.outage) {
		return
	}
	got := s.document(server.edge)
	if got == nil {
		server.outage = now.Add(simStep) // for those who wait
		return
	}
	there := now.Add(server.ahead)
	err := server.status.Learn(got.Compact, s.key(ctx), inmemory.Issuer, there, there)
	if err != nil && !errors.Is(err, verifier.ErrStatusOlder) && !errors.Is(err, verifier.ErrStatusRolledBack) {
		s.t.Errorf("an honest document is refused: %v", err)
	}
}

// call shows a token to a resource server.
func (s *simulation) call(server *simServer) {
	shown := s.tokens
	if s.rushes() && s.random.IntN(2) == 0 {
		shown = shown[max(0, len(shown)-len(s.agents)):]
	}
	if len(shown) > 0 {
		s.judge(server, simWait{shown[s.random.IntN(len(shown))], s.m.Now()})
	}
}

// wait judges the calls again that wait for another status, which is fetched once a second at most.
func (s *simulation) wait(server *simServer) {
	if len(server.waiting) == 0 {
		return
	}
	if now := s.m.Now(); now.Sub(server.asked) >= time.Second {
		server.asked = now
		s.learn(server)
	}
	waiting := server.waiting
	server.waiting = nil
	for _, w := range waiting {
		s.judge(server, w)
	}
}

func (s *simulation) judge(server *simServer, w simWait) {
	k, now := w.token, s.m.Now()
	here := now.Add(server.ahead)
	err := server.status.Live(k.claims, deadWithin, here)
	switch {
	case errors.Is(err, verifier.ErrStale):
		s.stale++
	case errors.Is(err, verifier.ErrStatusBehind):
		s.behind(server, w)
	case !here.Before(k.claims.Expires):
		s.refused++
	case err != nil:
		s.refused++
		k.note(server, now, false)
	default:
		s.accepted++
		k.note(server, now, true)
		if late := now.Sub(k.died); !k.died.IsZero() {
			if s.latest = max(s.latest, late); late > deadWithin {
				s.t.Fatalf("a token of %s is accepted %s after its end", k.of, late)
			}
		}
	}
}

// behind lets a call wait, or gives it up. That happens to an agent while the feed is out, and at no other time.
func (s *simulation) behind(server *simServer, w simWait) {
	const patience = 4 * time.Second
	now := s.m.Now()
	if w.since.Equal(now) {
		s.waited++
	}
	if now.Sub(w.since) < patience {
		server.waiting = append(server.waiting, w)
		return
	}
	s.withheld++
	if w.since.After(server.outage.Add(patience)) && w.token.died.IsZero() {
		s.t.Errorf("a call of %s has waited for a status in vain", w.token.of)
	}
}

// The checker finds what it is there for.
func TestWithin(t *testing.T) {
	at := func(seconds float64) time.Time {
		return inmemory.Start.Add(time.Duration(seconds * float64(time.Second)))
	}
	end := func(seconds float64) porcupine.Operation { return during(at(seconds), at(seconds), "end", nil) }
	back := func(seconds float64) porcupine.Operation { return during(at(seconds), at(seconds), "back", nil) }
	ended := []porcupine.Operation{end(10)}
	returned := append(slices.Clone(ended), back(20))
	type answer struct {
		at    float64
		alive bool
	}
	for name, c := range map[string]struct {
		changes []porcupine.Operation
		answers []answer
		want    bool
	}{
		"accepted while it lives":          {nil, []answer{{1, true}, {99, true}}, true},
		"refused while it lives":           {nil, []answer{{1, true}, {2, false}}, false},
		"accepted up to the bound":         {ended, []answer{{14.9, true}, {16, false}}, true},
		"accepted behind the bound":        {ended, []answer{{15.1, true}}, false},
		"refused at once":                  {ended, []answer{{10.1, false}}, true},
		"refused before its end":           {ended, []answer{{9.9, false}}, false},
		"dead, and back":                   {returned, []answer{{16, false}, {21, true}}, true},
		"refused for a while once back":    {returned, []answer{{24.9, false}}, true},
		"refused behind the bound, back":   {returned, []answer{{25.1, false}}, false},
		"accepted between, and not before": {returned, []answer{{17, true}}, false},
	} {
		var k simToken
		server := &simServer{}
		for _, a := range c.answers {
			k.note(server, at(a.at), a.alive)
		}
		if got := within(c.changes, k.asks[server]); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

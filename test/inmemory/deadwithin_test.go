package inmemory_test

import (
	"context"
	"crypto/ecdsa"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
	"github.com/mastio-aws/mastio/shared/usecase/agentcert"
	"github.com/mastio-aws/mastio/shared/usecase/enroll"
	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
	"github.com/mastio-aws/mastio/shared/usecase/status"
	"github.com/mastio-aws/mastio/shared/usecase/token"
	"github.com/mastio-aws/mastio/shared/verifier"
	"github.com/mastio-aws/mastio/shared/verifier/accesstoken"
	"github.com/mastio-aws/mastio/test/inmemory"
)

var statusCalls = flag.Int("status.calls", 100_000, "calls of the simulated resource servers that follow the status")

// deadWithin is the bound: no call with a token is accepted later after the answer of what ended the token.
const deadWithin = 5 * time.Second

const (
	simStep  = 100 * time.Millisecond
	simPoll  = 2 * time.Second
	simCalls = 5 // of each resource server in each step
	// clocksApart is how much later than a token's a document's date is at least where it is newer: two clocks that
	// differ, and whole seconds.
	clocksApart = 4 * time.Second
)

// simulation is agents, operators and resource servers that follow the status, on one simulated time. Every process of
// the Mastio and every resource server has a clock of its own, up to a second off.
type simulation struct {
	t       *testing.T
	m       *inmemory.Mastio
	random  *rand.Rand
	agents  []*simAgent
	tokens  []*simToken
	servers []*simServer
	feeds   []*status.Publisher // instances of the function status
	issuers []*token.Issuer

	accepted, refused, stale, killed, ends int
	latest                                 time.Duration // of an accepted call, after the end of its token
}

type simAgent struct {
	id  agent.ID
	pem []byte // empty: it has to be enrolled
}

type simToken struct {
	of     agent.ID
	claims accesstoken.Claims
	ended  time.Time // when the answer of what ended it was there; zero: it was not ended
}

type simServer struct {
	ahead  time.Duration
	status verifier.Status
	next   time.Time // poll
	outage time.Time // until then its polls fail
	newest time.Time // date of the newest document
}

// No call is accepted later than the bound after a rotation, a deactivation, a capability taken away or a rotation of
// the Org CA was answered: with feeds that fail for a while, instances that are killed, and clocks that differ. And no
// honest agent's token is called dead by a document that is newer than the token.
func TestNoDeadTokenOutlivesTheBound(t *testing.T) {
	calls := *statusCalls
	if testing.Short() {
		calls = min(calls, 20_000)
	}
	for seed := uint64(1); calls > 0; seed++ {
		share := min(calls, 50_000)
		calls -= share
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			t.Parallel()
			newSimulation(t, seed).run(share)
		})
	}
}

func (s *simulation) run(calls int) {
	for done := 0; done < calls; done += simCalls * len(s.servers) {
		s.m.Advance(simStep)
		s.operate()
		for _, server := range s.servers {
			s.poll(server)
			for range simCalls {
				s.call(server)
			}
		}
	}
	s.t.Logf("%d calls accepted, %d refused, %d while stale; %d ends, %d instances killed; the latest call with a dead "+
		"token %s after its end", s.accepted, s.refused, s.stale, s.ends, s.killed, s.latest)
	if s.accepted < calls/10 || s.refused < calls/20 || s.stale == 0 || s.ends < calls/1000 || s.killed == 0 ||
		s.latest == 0 {
		s.t.Error("the simulation is too tame to show anything")
	}
}

func newSimulation(t *testing.T, seed uint64) *simulation {
	s := &simulation{
		t:      t,
		m:      inmemory.Open(t, memstore.Config{}),
		random: rand.New(rand.NewPCG(seed, 2)),
	}
	for _, ahead := range []time.Duration{0, 900 * time.Millisecond, -900 * time.Millisecond} {
		p := s.m.Spawn(s.clock(ahead))
		s.feeds = append(s.feeds, p.Parts.StatusPublisher(p.Ring))
		s.issuers = append(s.issuers, p.Token)
		s.servers = append(s.servers, &simServer{ahead: ahead}, &simServer{ahead: -ahead / 3})
	}
	for n := range 12 {
		s.agents = append(s.agents, &simAgent{id: agent.ID(fmt.Sprintf("%s::sim-%d", inmemory.OrgID, n))})
	}
	return s
}

func (s *simulation) clock(ahead time.Duration) func() time.Time {
	return func() time.Time { return s.m.Now().Add(ahead) }
}

// operate lets the agents and the operator do something.
func (s *simulation) operate() {
	a := s.agents[s.random.IntN(len(s.agents))]
	switch n := s.random.IntN(200); {
	case n == 0 && s.random.IntN(6) == 0:
		must[rotateca.Result](s.t)(s.m.Mint(s.t.Context()))
		s.end("")
		for _, a := range s.agents {
			a.pem = nil
		}
	case n < 8:
		s.finish(a, "rotation")
	case n < 10:
		s.finish(a, "deactivation")
	case n < 14:
		s.finish(a, "capability")
	case n < 15: // a function is killed, and its next instance knows nothing
		n := s.random.IntN(len(s.feeds))
		s.feeds[n] = status.New(s.feeds[n].Config)
		s.killed++
	case n < 60:
		s.fetch(a)
	}
}

// finish ends the agent's tokens, and notes when the answer was there.
func (s *simulation) finish(a *simAgent, kind string) {
	if a.pem == nil {
		return
	}
	if kind == "rotation" {
		a.pem = must[agentcert.RotateResult](s.t)(s.m.Rotate(s.t.Context(), a.id)).Certificate.CertPEM
	} else if err := ends(s.m)[kind](s.t.Context(), a.id); err != nil {
		s.t.Fatal(err)
	}
	if kind == "deactivation" {
		a.pem = nil
	}
	s.end(a.id)
}

// end notes the end of the tokens of an agent; empty: of all.
func (s *simulation) end(id agent.ID) {
	for _, t := range s.tokens {
		if (id == "" || t.of == id) && t.ended.IsZero() {
			t.ended = s.m.Now()
		}
	}
	s.ends++
}

// fetch gets a token for the agent, which before that is enrolled, or gets a new certificate or its capabilities back,
// if it has to.
func (s *simulation) fetch(a *simAgent) {
	ctx := s.t.Context()
	if a.pem == nil {
		if r, err := s.m.Rotate(ctx, a.id); err == nil {
			a.pem = r.Certificate.CertPEM
			s.end(a.id)
		} else {
			a.pem = must[enroll.Result](s.t)(s.m.Admit(ctx, a.id.Name(), "kyc:read")).Certificate.CertPEM
		}
	}
	var give agent.Patch
	if err := give.UnmarshalJSON([]byte(`{"capabilities":["kyc:read"]}`)); err != nil {
		s.t.Fatal(err)
	}
	if _, _, err := s.m.Enroll.Amend(ctx, enroll.Amendment{
		Agent: a.id,
		By:    audit.By{Actor: "test"},
		Patch: give,
	}); err != nil {
		s.t.Fatal(err)
	}
	issuer := s.issuers[s.random.IntN(len(s.issuers))]
	got := must[token.Token](s.t)(issuer.Issue(ctx, token.Request{CertificatePEM: string(a.pem)}))
	claims, err := accesstoken.Verify(got.AccessToken, s.key(ctx), s.m.Now(), inmemory.Issuer, inmemory.Issuer)
	if err != nil {
		s.t.Fatal(err)
	}
	s.tokens = append(s.tokens, &simToken{of: a.id, claims: claims})
	s.tokens = s.tokens[max(0, len(s.tokens)-60):]
}

func (s *simulation) key(ctx context.Context) func(kid string) *ecdsa.PublicKey {
	return func(kid string) *ecdsa.PublicKey { return s.m.PublicKey(ctx, kid) }
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
	if now.Before(server.outage) {
		return
	}
	got, err := s.feeds[s.random.IntN(len(s.feeds))].Document(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	document := must[verifier.Document](s.t)(verifier.ReadStatus(got.Compact, s.key(s.t.Context())))
	there := now.Add(server.ahead)
	err = server.status.Learn(got.Compact, s.key(s.t.Context()), inmemory.Issuer, there, there)
	if err != nil && !errors.Is(err, verifier.ErrStatusOlder) && !errors.Is(err, verifier.ErrStatusRolledBack) {
		s.t.Errorf("an honest document is refused: %v", err)
	}
	if err == nil {
		server.newest = document.IssuedAt
	}
}

// call shows a token to a resource server.
func (s *simulation) call(server *simServer) {
	if len(s.tokens) == 0 {
		return
	}
	t, now := s.tokens[s.random.IntN(len(s.tokens))], s.m.Now()
	here := now.Add(server.ahead)
	err := server.status.Live(t.claims, deadWithin, here)
	switch {
	case errors.Is(err, verifier.ErrStale):
		s.stale++
	case err != nil || !here.Before(t.claims.Expires):
		s.refused++
		newer := server.newest.After(t.claims.IssuedAt.Add(clocksApart))
		if err != nil && t.ended.IsZero() && newer {
			s.t.Errorf("a token of %s is called dead, and nothing has ended it: %v", t.of, err)
		}
	default:
		s.accepted++
		if late := now.Sub(t.ended); !t.ended.IsZero() {
			if s.latest = max(s.latest, late); late > deadWithin {
				s.t.Errorf("a token of %s is accepted %s after its end", t.of, late)
			}
		}
	}
}

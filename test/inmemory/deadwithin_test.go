package inmemory_test

import (
	"context"
	"crypto/ecdsa"
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/problem"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
	"github.com/mastio-aws/mastio/shared/usecase/agentcert"
	"github.com/mastio-aws/mastio/shared/usecase/enroll"
	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
	"github.com/mastio-aws/mastio/shared/usecase/status"
	"github.com/mastio-aws/mastio/shared/usecase/token"
	"github.com/mastio-aws/mastio/shared/verifier/accesstoken"
	"github.com/mastio-aws/mastio/test/inmemory"
)

var statusCalls = flag.Int("status.calls", 100_000, "calls of the simulated resource servers that follow the status")

// deadWithin is the bound: no call with a token is accepted later after the answer of what ended the token.
const deadWithin = 5 * time.Second

const (
	simStep    = 100 * time.Millisecond
	simPoll    = 2 * time.Second
	simCalls   = 5  // of each resource server in each step
	simAtOnce  = 60 // tokens that are shown; older ones are forgotten
	simPerSeed = 50_000
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
	cache   status.Publication // of an edge in front of the status
	cached  time.Time          // until then it is handed out
	feeding bool               // an instance of the function status is at work
	moved   simMove            // the last of the Org CA

	accepted, refused, stale, waited, withheld, killed int
	ends                                               map[string]int // by kind
	latest                                             time.Duration  // of an accepted call, after the end of its token
}

type simAgent struct {
	id  agent.ID
	pem []byte // empty: it needs a new one, or has to be enrolled
	of  int64  // generation of the certificate
}

// simMove is a change of the Org CA: what was accepted before it.
type simMove struct {
	at     time.Time
	before orgca.Pointer
}

// No call is accepted later than the bound after a rotation, a deactivation, a capability taken away or a change of the
// Org CA was answered, and no token that lives is refused: with feeds that fail for a while, a cache in front of some,
// instances that are killed between any two calls to the store, and clocks that differ. The checker looks at the calls
// of each resource server with each token.
func TestNoDeadTokenOutlivesTheBound(t *testing.T) {
	calls := *statusCalls
	if testing.Short() {
		calls = min(calls, 20_000)
	}
	for seed := uint64(1); calls > 0; seed++ {
		share := min(calls, simPerSeed)
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
			s.wait(server)
			for range simCalls {
				s.call(server)
			}
		}
	}
	for _, k := range s.tokens {
		s.check(k)
	}
	s.t.Logf("%d calls accepted, %d refused, %d while stale; %d waited for a status, %d of them in vain in an outage; "+
		"ended: %v; %d instances killed; the latest call with a dead token %s after its end",
		s.accepted, s.refused, s.stale, s.waited, s.withheld, s.ends, s.killed, s.latest)
	tame := s.accepted < calls/10 || s.refused < calls/20 || s.stale == 0 || s.killed == 0 || s.latest == 0
	for _, kind := range []string{"rotation", "deactivation", "capability"} {
		tame = tame || s.ends[kind] == 0
	}
	if tame || calls == simPerSeed && (s.ends["org ca"] == 0 || s.waited == 0) {
		s.t.Error("the simulation is too tame to show anything")
	}
}

func newSimulation(t *testing.T, seed uint64) *simulation {
	s := &simulation{t: t, random: rand.New(rand.NewPCG(seed, 2)), ends: map[string]int{}}
	s.m = inmemory.Open(t, memstore.Config{Fault: s.fault})
	for _, ahead := range []time.Duration{0, 900 * time.Millisecond, -900 * time.Millisecond} {
		p := s.m.Spawn(s.clock(ahead))
		s.feeds = append(s.feeds, p.Parts.StatusPublisher(p.Ring))
		s.issuers = append(s.issuers, p.Token)
		s.servers = append(s.servers, &simServer{ahead: ahead}, &simServer{ahead: -ahead / 3, edge: true})
	}
	for n := range 12 {
		s.agents = append(s.agents, &simAgent{id: agent.ID(fmt.Sprintf("%s::sim-%d", inmemory.OrgID, n))})
	}
	return s
}

func (s *simulation) clock(ahead time.Duration) func() time.Time {
	return func() time.Time { return s.m.Now().Add(ahead) }
}

// fault is what becomes of the calls of the function status: now and then one fails, or another request comes between.
func (s *simulation) fault(op string) memstore.Fault {
	if !s.feeding || op != "Status" && op != "PutStatusNote" { // its keys are locked while they are read
		return memstore.None
	}
	s.feeding = false
	defer func() { s.feeding = true }()
	switch n := s.random.IntN(60); {
	case n == 0:
		return memstore.Refuse
	case n < 4 && op == "PutStatusNote":
		return memstore.HalfAck
	case n < 6 && op == "PutStatusNote":
		return memstore.Lose
	case n < 12:
		s.operate()
	}
	return memstore.None
}

// operate lets the agents and the operator do something.
func (s *simulation) operate() {
	a := s.agents[s.random.IntN(len(s.agents))]
	switch n := s.random.IntN(200); {
	case n == 0:
		s.moveOrgCA()
	case n < 8:
		s.finish(a, "rotation")
	case n < 10:
		s.finish(a, "deactivation")
	case n < 14:
		s.finish(a, "capability")
	case n < 60, n < 150 && s.rushes():
		s.fetch(a)
	}
}

// rushes reports whether the Org CA was changed a moment ago: then all agents come for tokens, and show them.
func (s *simulation) rushes() bool { return s.m.Now().Sub(s.moved.at) < simPoll }

// moveOrgCA changes the Org CA, which ends the tokens of some generations, and may bring back those of another.
func (s *simulation) moveOrgCA() {
	req := rotateca.Request{Mode: rotateca.Mint, By: audit.By{Actor: "test"}}
	switch s.random.IntN(8) {
	case 0, 1:
		req.Overlap = 10 * time.Minute
	case 2:
		req.Mode = rotateca.Finalise
	case 3, 4:
		req.Mode = rotateca.Rollback
	}
	before := s.pointer()
	if _, err := s.m.RotateCA.Do(s.t.Context(), req); err != nil {
		if problem.Of(err).Status != 409 {
			s.t.Fatal(err)
		}
		return
	}
	now := s.m.Now()
	s.moved = simMove{now, before}
	after := s.pointer()
	for _, k := range s.tokens {
		g := k.claims.Generation
		switch was, is := before.Accepts(g, now), after.Accepts(g, now); {
		case was && !is:
			k.end(now)
		case is && !was && !k.gone:
			k.revive(now)
		}
	}
	for _, a := range s.agents {
		if !after.Accepts(a.of, now) {
			a.pem = nil
		}
	}
	s.ends["org ca"]++
}

func (s *simulation) pointer() orgca.Pointer {
	return *must[*orgca.Pointer](s.t)(s.m.Store.Pointer(s.t.Context(), inmemory.OrgID+"::any"))
}

// finish ends the agent's tokens, and notes when the answer was there.
func (s *simulation) finish(a *simAgent, kind string) {
	if a.pem == nil {
		return
	}
	if kind == "rotation" {
		s.rotated(a, must[agentcert.RotateResult](s.t)(s.m.Rotate(s.t.Context(), a.id)))
	} else if err := ends(s.m)[kind](s.t.Context(), a.id); err != nil {
		s.t.Fatal(err)
	}
	if kind == "deactivation" {
		a.pem = nil
	}
	s.bury(a.id)
	s.ends[kind]++
}

func (s *simulation) rotated(a *simAgent, r agentcert.RotateResult) {
	a.pem, a.of = r.Certificate.CertPEM, r.Certificate.Pin.Generation
}

// bury ends the tokens of an agent for good.
func (s *simulation) bury(id agent.ID) {
	for _, k := range s.tokens {
		if k.of == id {
			k.gone = true
			k.end(s.m.Now())
		}
	}
}

// fetch gets a token for the agent, which before that is enrolled, or gets a new certificate or its capabilities back,
// if it has to.
func (s *simulation) fetch(a *simAgent) {
	ctx := s.t.Context()
	if a.pem == nil {
		if r, err := s.m.Rotate(ctx, a.id); err == nil {
			s.rotated(a, r)
			s.bury(a.id)
		} else {
			r := must[enroll.Result](s.t)(s.m.Admit(ctx, a.id.Name(), "kyc:read"))
			a.pem, a.of = r.Certificate.CertPEM, r.Certificate.Pin.Generation
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
	k := &simToken{of: a.id, claims: claims}
	if now := s.m.Now(); now.Sub(s.moved.at) < deadWithin && !s.moved.before.Accepts(claims.Generation, s.moved.at) &&
		claims.Generation <= s.moved.before.Current { // a rollback has brought its generation back
		k.end(s.moved.at)
		k.revive(s.moved.at)
	}
	if s.tokens = append(s.tokens, k); len(s.tokens) > simAtOnce {
		s.check(s.tokens[0])
		s.tokens = s.tokens[1:]
	}
}

func (s *simulation) key(ctx context.Context) func(kid string) *ecdsa.PublicKey {
	return func(kid string) *ecdsa.PublicKey { return s.m.PublicKey(ctx, kid) }
}

// document is what an instance of the function status answers, or the edge in front of it; nil: nothing.
func (s *simulation) document(edge bool) *status.Publication {
	now := s.m.Now()
	if edge && now.Before(s.cached) {
		return &s.cache
	}
	n := s.random.IntN(len(s.feeds))
	s.feeding = true
	got, err := s.feeds[n].Document(s.t.Context())
	s.feeding = false
	if err != nil || s.random.IntN(50) == 0 { // it is killed, and the next instance knows nothing
		s.feeds[n] = status.New(s.feeds[n].Config)
		s.killed++
	}
	if err != nil {
		if problem.Of(err).Status != 503 {
			s.t.Error(err)
		}
		return nil
	}
	if edge {
		s.cache, s.cached = got, now.Add(status.MaxAge)
	}
	return &got
}

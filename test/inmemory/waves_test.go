package inmemory_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/boot"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
	"github.com/mastio-aws/mastio/shared/usecase/enroll"
	"github.com/mastio-aws/mastio/shared/usecase/hygiene"
	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
	"github.com/mastio-aws/mastio/shared/usecase/token"
	"github.com/mastio-aws/mastio/test/inmemory"
)

// walker is an agent that renews itself when the Mastio asks it to, or reads its secret before each request. It lets go
// of its old key at once.
type walker struct {
	id        agent.ID
	cert      []byte
	delivered bool // reads its secret
	outside   bool // has its certificate from elsewhere, and does not move
	// faulty: with certificates of a generation above 1 it shows a DPoP key that is not registered.
	faulty     bool
	generation int64
	refused    bool // its last token request
}

// fleet is agents that ask for a token every five minutes.
type fleet struct {
	*inmemory.Mastio
	t       *testing.T
	agents  []*walker
	dead    [][]byte // certificates that ended, which others present
	minute  int
	exposed map[agent.ID]bool // had a certificate of generation 2
	failed  int               // token requests that were refused to agents that are not faulty
}

func newFleet(t *testing.T, size int, delivered bool, cfg memstore.Config) *fleet {
	t.Helper()
	m := inmemory.New(cfg, func(p *boot.Parts) { p.Background = func(do func()) { do() } })
	f := &fleet{Mastio: m, t: t, exposed: map[agent.ID]bool{}}
	f.run()
	for n := range size {
		a := &walker{delivered: delivered && n%3 != 0, generation: 1}
		req := enroll.Request{Name: fmt.Sprintf("walker-%04d", n), By: audit.By{Actor: "test"}}
		if a.delivered {
			req.Deliver = agent.SecretsManager
		}
		enrolled, err := m.Enroll.Enroll(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		a.id, a.cert = enrolled.Agent.ID, enrolled.Certificate.CertPEM
		f.agents = append(f.agents, a)
	}
	m.Advance(2 * time.Hour)
	for _, a := range f.agents { // those that renew themselves have done so once
		if !a.delivered {
			f.renew(a)
		}
		f.ask(a)
	}
	m.Advance(time.Hour)
	for _, a := range f.agents {
		f.ask(a)
	}
	f.failed = 0
	return f
}

func (f *fleet) run() {
	f.t.Helper()
	if _, err := f.Standby.Run(f.t.Context()); err != nil {
		f.t.Fatal(err)
	}
	if _, err := f.Hygiene.Reissue(f.t.Context()); err != nil {
		f.t.Fatal(err)
	}
}

// install takes what is in the agent's secret.
func (f *fleet) install(a *walker) {
	f.t.Helper()
	if !a.delivered {
		return
	}
	raw := f.Secrets.Current(hygiene.SecretName(a.id))
	if raw == nil {
		return
	}
	var v struct {
		CertPEM    string `json:"cert_pem"`
		Generation int64  `json:"generation"`
	}
	if err := json.Unmarshal(raw, &v); err != nil {
		f.t.Fatalf("secret of %s: %v", a.id, err)
	}
	if a.cert, a.generation = []byte(v.CertPEM), v.Generation; a.generation == 2 {
		f.exposed[a.id] = true
	}
}

func (f *fleet) renew(a *walker) {
	f.t.Helper()
	result, err := renewing(f.t, f.Mastio, a.cert, newKey(f.t))
	if errors.Is(err, agent.ErrRenewalEarly) { // the agent asks again, as the answer says
		return
	}
	if err != nil {
		f.t.Fatalf("%s renews: %v", a.id, err)
	}
	a.cert, a.generation = result.Certificate.CertPEM, result.Certificate.Pin.Generation
	if a.generation == 2 {
		f.exposed[a.id] = true
	}
}

// ask asks for a token and, when the agent's slot has come, for a successor, with which it asks again.
func (f *fleet) ask(a *walker) {
	f.t.Helper()
	f.install(a)
	req := token.Request{CertificatePEM: string(a.cert)}
	if a.faulty && a.generation > 1 {
		req.Proofs = []string{foreignProof(f.t, f.Mastio)}
	}
	got, err := f.Token.Issue(f.t.Context(), req)
	a.refused = err != nil
	if err != nil && (!a.faulty || !errors.Is(err, token.ErrProofKey)) {
		f.failed++
		f.t.Errorf("%s: %s is refused a token: %v", f.Now().Format(time.TimeOnly), a.id, err)
	}
	if a.outside {
		return
	}
	if err != nil { // an agent without a token asks for its slot
		window, _, err := f.Renew.Info(f.t.Context(), string(a.cert))
		if err != nil {
			f.t.Fatalf("%s asks for its slot: %v", a.id, err)
		}
		got.RenewAfter = window.Start
	}
	if !a.delivered && !got.RenewAfter.IsZero() && !f.Now().Before(got.RenewAfter) {
		before := a.generation
		f.renew(a)
		if a.generation != before {
			f.ask(a)
		}
	}
}

// pass is one minute: a fifth of the fleet asks, others present dead certificates, the job runs.
func (f *fleet) pass() {
	f.t.Helper()
	f.Advance(time.Minute)
	f.minute++
	for n, a := range f.agents {
		if n%5 == f.minute%5 {
			f.ask(a)
		}
	}
	for _, cert := range f.dead[:len(f.dead)*bit(f.minute == 2 || f.minute == 14)] { // a while into a wave
		if _, err := f.TokenFor(f.t.Context(), cert); !errors.Is(err, agent.ErrRevoked) {
			f.t.Fatalf("a dead certificate: %v", err)
		}
	}
	f.run()
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

// look prints where the re-issue stands, and returns it.
func (f *fleet) look(last string) (orgca.Reissue, string) {
	f.t.Helper()
	r := f.Org(f.t).Reissue
	refused := 0
	for _, a := range f.agents {
		if a.refused {
			refused++
		}
	}
	line := fmt.Sprintf("to G%d %-8s wave %d of %d  moved %4d  used %4d of %4d  awaited %3d  refused %2d  silent %d  %s",
		r.Generation, r.State, r.Wave+1, len(r.Waves), r.Moved, r.Used, r.Recent, r.Awaited, r.Refused, r.Silent, r.Why)
	if line != last {
		f.t.Logf("%3d min  %s  (without a token now: %d)", f.minute, line, refused)
	}
	return *r, line
}

func fleetSize() int {
	if testing.Short() {
		return 400
	}
	return 1000
}

func (f *fleet) rotate(onHalt orgca.OnHalt) {
	f.Do(f.t, rotateca.Request{
		Mode:    rotateca.Mint,
		Overlap: 24 * time.Hour,
		Moves: orgca.Moves{
			Waves:  orgca.DefaultWaves(),
			Hold:   orgca.DefaultHold,
			OnHalt: onHalt,
		},
	})
}

// A fifth of the agents is refused its new certificate. The first wave is too small for that to be certain; in the
// second the gate halts, and rolls back. One agent in five has its certificate from elsewhere, and works throughout.
func TestFaultInTheSecondWave(t *testing.T) {
	f := newFleet(t, fleetSize()*4/5, true, memstore.Config{})
	f.outsiders(fleetSize() / 5)
	second := 0 // how many agents that move are behind the first wave; of those in the first, none is faulty
	for _, a := range f.agents {
		if !a.outside && orgca.Share(string(a.id)) >= orgca.BoundOf(1) {
			a.faulty = second%5 == 0
			second++
		}
	}
	f.rotate(orgca.RollBackOnHalt)
	exceeded, halted, line := 0, 0, ""
	for range 60 {
		f.pass()
		var r orgca.Reissue
		r, line = f.look(line)
		refused, taken := 0, 0
		for _, a := range f.agents {
			if a.refused && a.generation == 2 {
				refused++
			}
			if !a.outside && orgca.Share(string(a.id)) < orgca.BoundOf(10) {
				taken++
			}
		}
		if exceeded == 0 && refused >= 2 && refused*100 >= 2*taken {
			exceeded = f.minute
		}
		if r.Generation == 1 {
			halted = f.minute
			break
		}
	}
	if halted == 0 || exceeded == 0 || halted > exceeded+1 {
		t.Fatalf("the gate's number was exceeded at minute %d, rolled back at minute %d", exceeded, halted)
	}
	if n := len(f.exposed); n == 0 || n*100 > 10*len(f.agents) {
		t.Errorf("%d of %d agents were exposed to the new certificates", n, len(f.agents))
	}
	t.Logf("the gate's number was exceeded at minute %d, rolled back at minute %d, %d of %d agents were exposed", exceeded,
		halted, len(f.exposed), len(f.agents))
	for range 75 {
		f.pass()
		_, line = f.look(line)
	}
	for _, a := range f.agents {
		if a.refused || a.generation != 1 {
			t.Errorf("%s is under G%d, refused %v", a.id, a.generation, a.refused)
		}
	}
	f.Advance(4 * 24 * time.Hour)
	f.run()
	for _, a := range f.agents {
		if f.ask(a); a.refused {
			t.Errorf("%s is refused after the overlap's end", a.id)
		}
	}
	f.ends(map[audit.Event]int{audit.RotationWave: 1, audit.RotationHalted: 1, audit.OrgCARolledBack: 1,
		audit.OverlapEnded: 1})
}

// ends checks how many rows of each event there are, and that no overlap is open.
func (f *fleet) ends(want map[audit.Event]int) {
	f.t.Helper()
	all := events(f.t, f.Mastio, inmemory.OrgID)
	for event, n := range want {
		got := 0
		for _, e := range all {
			if e == event {
				got++
			}
		}
		if got != n {
			f.t.Errorf("%d rows of %s, want %d", got, event, n)
		}
	}
	if p := f.Org(f.t).Pointer; len(p.Accepted) > 0 && slices.ContainsFunc(p.Accepted,
		func(a orgca.Overlap) bool { return p.Accepts(a.Generation, f.Now()) }) {
		f.t.Errorf("an overlap is open: %+v", p.Accepted)
	}
}

// The same rotation with 1,000 dead certificates that others present: nothing halts, all agents move.
func TestDeadCertificatesHaltNothing(t *testing.T) {
	f := newFleet(t, fleetSize(), false, memstore.Config{})
	for n := range len(f.agents) { // what each agent had before was ended by its operator
		a := f.agents[n]
		f.dead = append(f.dead, a.cert)
		rotated, err := f.Rotate(t.Context(), a.id)
		if err != nil {
			t.Fatal(err)
		}
		a.cert = rotated.Certificate.CertPEM
	}
	f.Advance(2 * time.Hour)
	for _, a := range f.agents {
		f.renew(a)
		f.ask(a)
	}
	f.outsiders(fleetSize() / 5)
	f.rotate(orgca.RollBackOnHalt)
	line := ""
	for range 60 {
		f.pass()
		var r orgca.Reissue
		if r, line = f.look(line); r.State == orgca.Halted || r.Generation != 2 {
			t.Fatalf("halted: %s", r.Why)
		}
		if r.LastWave() {
			break
		}
	}
	if r := f.Org(t).Reissue; !r.LastWave() || r.Refused != 0 {
		t.Errorf("after an hour: wave %d, %d refused", r.Wave+1, r.Refused)
	}
	if f.failed > 0 {
		t.Errorf("%d token requests failed", f.failed)
	}
}

// Whatever call of a run is its last one, and whether that call still happens: the next runs bring the re-issue to the
// same end, with one halt and one rollback.
func TestGateResumesAfterACrash(t *testing.T) {
	for _, last := range []memstore.Fault{memstore.Refuse, memstore.HalfAck} {
		for deadAt := 1; crash(t, deadAt, last); deadAt++ {
		}
	}
}

// crash has a run die at a call, and reports whether the run came so far.
func crash(t *testing.T, deadAt int, last memstore.Fault) bool {
	t.Helper()
	calls, armed := 0, false
	f := newFleet(t, 8, false, memstore.Config{Fault: func(string) memstore.Fault {
		if !armed {
			return memstore.None
		}
		calls++
		switch {
		case calls < deadAt:
			return memstore.None
		case calls == deadAt:
			return last
		}
		return memstore.Refuse
	}})
	for _, a := range f.agents {
		a.faulty = true
	}
	f.Do(t, rotateca.Request{
		Mode:    rotateca.Mint,
		Overlap: 24 * time.Hour,
		Moves: orgca.Moves{
			Waves:  []int{50, 100},
			Hold:   time.Minute,
			OnHalt: orgca.RollBackOnHalt,
		},
	})
	for range 12 {
		f.Advance(time.Minute)
		for _, a := range f.agents {
			f.ask(a)
		}
	}
	armed = true
	_, _ = f.Standby.Run(t.Context())
	armed = false
	for range 3 {
		f.Advance(time.Minute) // a lease that the dead run held ends
		f.run()
	}
	count := map[audit.Event]int{}
	for _, e := range events(t, f.Mastio, inmemory.OrgID) {
		count[e]++
	}
	if org := f.Org(t); org.Pointer.Current != 1 || !org.Pointer.Accepts(2, f.Now()) ||
		count[audit.RotationHalted] != 1 || count[audit.OrgCARolledBack] != 1 {
		t.Fatalf("died at call %d (%d): G%d, %d halts, %d rollbacks, %+v", deadAt, last, org.Pointer.Current,
			count[audit.RotationHalted], count[audit.OrgCARolledBack], org.Reissue)
	}
	if calls < deadAt {
		t.Logf("a run that halts and rolls back makes %d calls; it has died at each", calls)
		return false
	}
	return true
}

// One per cent of three agents is one agent, so that a wave always tests something.
func TestAWaveHasAtLeastOneAgent(t *testing.T) {
	f := newFleet(t, 3, true, memstore.Config{})
	f.rotate(orgca.HoldOnHalt)
	taken := func() (n int) {
		r := f.Org(t).Reissue
		for _, a := range f.agents {
			if r.Takes(string(a.id)) {
				n++
			}
		}
		return n
	}
	if f.pass(); taken() != 1 {
		t.Fatalf("the first wave takes %d agents, want one", taken())
	}
	waves := map[int]int{}
	for range 60 {
		f.pass()
		waves[f.Org(t).Reissue.Wave] = taken()
	}
	if waves[0] != 1 || waves[1] < 1 || waves[2] != 3 || f.failed > 0 {
		t.Errorf("agents by wave %v, %d token requests failed; want one, at least one, three and none", waves, f.failed)
	}
}

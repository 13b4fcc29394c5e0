package inmemory_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
	"github.com/mastio-aws/mastio/shared/usecase/hygiene"
	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
)

// dyingJob is a run of a job that is killed at each of its remote calls, and what the runs after it have to come to.
type dyingJob struct {
	name    string
	quiet   bool               // no agent asks for tokens: most get none
	prepare func(*fleet)       // up to the run
	run     func(*fleet) error // dies
	ends    func(*fleet) bool  // what the next runs bring about
	rows    map[audit.Event]int
}

func (f *fleet) waves(overlap time.Duration, percents ...int) {
	f.Do(f.t, rotateca.Request{
		Mode:    rotateca.Mint,
		Overlap: overlap,
		Moves:   orgca.Moves{Waves: percents, Hold: time.Minute, OnHalt: orgca.RollBackOnHalt},
	})
}

func (f *fleet) deliverOnly() error {
	_, err := f.Hygiene.Reissue(f.t.Context())
	return err
}

func (f *fleet) decideOnly() error {
	_, err := f.Standby.Run(f.t.Context())
	return err
}

func (f *fleet) decide() {
	f.t.Helper()
	if err := f.decideOnly(); err != nil {
		f.t.Fatal(err)
	}
}

// minutes lets the fleet work while certificates are delivered, and nothing is decided.
func (f *fleet) minutes(n int) {
	f.t.Helper()
	for range n {
		f.Advance(time.Minute)
		for _, a := range f.agents {
			f.ask(a)
		}
		if err := f.deliverOnly(); err != nil {
			f.t.Fatal(err)
		}
	}
}

func (f *fleet) fail() {
	for _, a := range f.agents {
		a.faulty = !a.outside
	}
}

func dyings() []dyingJob {
	finished := func(f *fleet) bool { return f.Org(f.t).Reissue.State == orgca.Finished }
	back := func(f *fleet) bool { return f.Org(f.t).Pointer.Current == 1 }
	return []dyingJob{
		{
			"job, in an overlap",
			false,
			func(f *fleet) { f.waves(time.Hour, 100) },
			(*fleet).deliverOnly,
			finished,
			map[audit.Event]int{audit.RotationFinished: 1},
		},
		{
			"job, without an overlap",
			true,
			func(f *fleet) { f.Do(f.t, rotateca.Request{Mode: rotateca.Mint}) },
			(*fleet).deliverOnly,
			finished,
			map[audit.Event]int{audit.RotationFinished: 1},
		},
		{
			"gate, next wave",
			false,
			func(f *fleet) { f.waves(24*time.Hour, 50, 100); f.minutes(12) },
			(*fleet).decideOnly,
			func(f *fleet) bool { return f.Org(f.t).Reissue.Wave == 1 },
			map[audit.Event]int{audit.RotationWave: 1, audit.RotationHalted: 0},
		},
		{
			"gate, halt and rollback",
			false,
			func(f *fleet) { f.fail(); f.waves(24*time.Hour, 50, 100); f.minutes(12) },
			(*fleet).decideOnly,
			back,
			map[audit.Event]int{audit.RotationHalted: 1, audit.OrgCARolledBack: 1},
		},
		{
			"job, after the rollback",
			false,
			func(f *fleet) { f.fail(); f.waves(24*time.Hour, 50, 100); f.minutes(12); f.decide() },
			(*fleet).deliverOnly,
			func(f *fleet) bool { return back(f) && finished(f) },
			map[audit.Event]int{audit.RotationHalted: 1, audit.OrgCARolledBack: 1},
		},
	}
}

// The job that delivers and the one that decides die at each of their remote calls, on either side of the call: of the
// registry, of KMS, of Secrets Manager, of the truststore. The next runs come to the same end: every agent gets tokens,
// and is on record once for each move. With -short the run dies at one call in four.
func TestCrashOfTheReissue(t *testing.T) {
	for _, c := range dyings() {
		for _, after := range []bool{false, true} {
			n, step := 1, 1
			if testing.Short() {
				step = 4
			}
			for c.diesAt(t, &death{after: after}, n) {
				n += step
			}
			if n < 10 {
				t.Errorf("%s: a run has fewer than %d remote calls: they are not counted", c.name, n)
			}
		}
	}
}

// diesAt has the run die at one call, and reports whether there is such a call.
func (c dyingJob) diesAt(t *testing.T, d *death, n int) bool {
	t.Helper()
	f := newFleet(t, 6, true, memstore.Config{Fault: d.store})
	d.reaches(f.Mastio)
	f.outsiders(2)
	c.prepare(f)
	d.at = n
	err := c.run(f)
	d.at = 0
	if d.last == "" {
		return false
	}
	what := fmt.Sprintf("%-24s died %-6s call %2d, %-21s", c.name, side(d.after), n, d.last)
	left, minutes := f.left(), 0
	for ; minutes < 24*60 && !c.ends(f); minutes++ {
		f.Advance(time.Minute)
		for _, a := range f.agents {
			if !c.quiet {
				f.ask(a)
			}
		}
		f.run()
	}
	f.Advance(time.Minute)
	f.run() // what is left to note
	if !c.ends(f) {
		t.Errorf("%s (%v): the next runs leave %s", what, err, f.left())
	}
	f.onceEach(what)
	for event, want := range c.rows {
		if got := f.count(event); got != want {
			t.Errorf("%s: %d rows of %s, want %d", what, got, event, want)
		}
	}
	t.Logf("%s left %s; %3d min: %s", what, left, minutes, f.left())
	return true
}

func (f *fleet) count(event audit.Event) (n int) {
	for _, e := range events(f.t, f.Mastio, "orga") {
		if e == event {
			n++
		}
	}
	return n
}

// left says where the registry and the secrets stand.
func (f *fleet) left() string {
	f.t.Helper()
	org := f.Org(f.t)
	pins, secrets := map[int64]int{}, map[int64]int{}
	for _, a := range f.agents {
		if a.outside {
			continue
		}
		pins[f.record(a).Pin().Generation]++
		if a.delivered {
			secrets[f.secretOf(a)]++
		}
	}
	return fmt.Sprintf("G%d %-8s wave %d, pins %s, secrets %s", org.Pointer.Current, org.Reissue.State, org.Reissue.Wave+1,
		tallied(pins), tallied(secrets))
}

func tallied(by map[int64]int) string {
	var all []string
	for g := range int64(4) {
		if by[g] > 0 {
			all = append(all, fmt.Sprintf("%d×G%d", by[g], g))
		}
	}
	return strings.Join(all, " ")
}

func (f *fleet) record(a *walker) agent.Agent {
	f.t.Helper()
	v, err := f.Store.View(f.t.Context(), a.id)
	if err != nil {
		f.t.Fatal(err)
	}
	return *v.Agent
}

// secretOf is the generation of what the agent's secret holds; zero: nothing.
func (f *fleet) secretOf(a *walker) int64 {
	f.t.Helper()
	if f.Secrets.Current(hygiene.SecretName(a.id)) == nil {
		return 0
	}
	copied := *a
	f.install(&copied)
	return copied.generation
}

// onceEach fails unless every agent gets a token with what it has, its secret holds what the registry has for it, and
// it is on record at most once for each Org CA that it moved to.
func (f *fleet) onceEach(what string) {
	f.t.Helper()
	for _, a := range f.agents {
		f.install(a)
		if _, err := f.TokenFor(f.t.Context(), a.cert); err != nil && f.reachable(a) {
			f.t.Errorf("%s: %s gets no token: %v", what, a.id, err)
		}
		rows, err := f.Store.Rows(f.t.Context(), string(a.id), 0, 100)
		if err != nil {
			f.t.Fatal(err)
		}
		if _, err := audit.Verify(rows); err != nil {
			f.t.Errorf("%s: chain of %s: %v", what, a.id, err)
		}
		moves := map[any]int{}
		for _, r := range rows {
			if r.EventType == audit.AgentCertRotated {
				moves[r.Details["generation"]]++
			}
			if r.EventType == audit.AgentCertDue {
				moves[fmt.Sprint("notice of ", r.Details["org_ca_generation"])]++
			}
		}
		for generation, n := range moves {
			if n > 1 {
				f.t.Errorf("%s: %s has %d rows for %v", what, a.id, n, generation)
			}
		}
		if s := f.secretOf(a); a.delivered && s != 0 && s != f.record(a).Pin().Generation {
			f.t.Errorf("%s: the secret of %s is of G%d, the registry has G%d", what, a.id, s, f.record(a).Pin().Generation)
		}
	}
}

// reachable reports whether the agent can have moved without a human: without an overlap only what has a secret can.
func (f *fleet) reachable(a *walker) bool {
	return a.delivered || f.Org(f.t).Pointer.Accepts(1, f.Now()) || f.Org(f.t).Pointer.Current == 1
}

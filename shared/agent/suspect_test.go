package agent

import (
	"fmt"
	"testing"
	"time"
)

const tokenLife = 5 * time.Minute

var anyGeneration = acceptance{}

type acceptance struct{}

func (acceptance) Accepts(int64, time.Time) bool { return true }
func (acceptance) IsCurrent(int64) bool          { return true }

// halfway is the overlap of two generations.
var halfway = bothCount{}

type bothCount struct{}

func (bothCount) Accepts(int64, time.Time) bool { return true }
func (bothCount) IsCurrent(g int64) bool        { return g == 2 }

// certificate is the pin of the n-th certificate of an agent.
func certificate(n int) Pin {
	return Pin{Thumbprint: fmt.Sprintf("%064x", n), Key: fmt.Sprintf("%08x%056x", n+1, 0), Generation: 1}
}

// replica is a process of an agent: it has the files that it read last.
type replica struct{ holds int }

// A simulated month of 10,000 honest agents, each with two replicas, that renew every two days, and move to a new Org
// CA in the middle, in an overlap: every seventh answer is lost, every fifth restart comes between two tokens, and the
// replicas ask for tokens at other moments. Every eleventh renewal, an agent does not try again before the deadline of
// its certificate: it is locked out, and an operator rotates. Nothing is suspect. Package token has a month of DPoP
// keys.
func TestAMonthOfHonestAgentsRaisesNothing(t *testing.T) {
	agents := 10_000
	if testing.Short() {
		agents = 500
	}
	begin := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	refused := 0
	for n := range agents {
		a := Agent{ID: "orga::a", Method: Minted, Status: Active, Pins: []Pin{certificate(0)}}
		k, newest := Keys{}, 0
		replicas := []replica{{}, {}}
		for day := 0; day < 30; day += 2 {
			now := begin.Add(time.Duration(day)*24*time.Hour + time.Duration(n%997)*time.Second)
			for lost := (n+day)%7 == 0; ; lost = false {
				newest++
				next := certificate(newest)
				a, _ = k.Certified(a, next.Key)
				if next.Generation = 1; day > 13 {
					next.Generation = 2
				}
				a = a.Repin(next, Keep{Grace: time.Hour, UntilUse: true, Restorable: next.Generation - 1}, now)
				if !lost {
					break
				}
			}
			if (n+day)%11 == 0 {
				locked, now := certificate(replicas[0].holds), now.Add(2*time.Hour)
				if _, err := a.Authenticate(locked.Thumbprint, halfway, now); err == nil {
					t.Fatalf("agent %d, day %d: its deadline is not over", n, day)
				}
				if _, suspect := a.Suspected(locked, k, tokenLife, now); suspect {
					t.Fatalf("agent %d, day %d: suspect after a lost answer", n, day)
				}
				newest++
				next := certificate(newest)
				next.Generation = a.Pins[0].Generation
				a, _ = k.Certified(a, next.Key)
				a = a.Repin(next, Keep{Restorable: next.Generation - 1}, now)
				replicas[0].holds, replicas[1].holds = newest, newest
				continue
			}
			files := newest
			replicas[0].holds = files
			for step := range 26 { // a quarter of a token's life each
				at := now.Add(time.Duration(step) * tokenLife / 4)
				if (n+day+step)%5 == 0 && step > 12 {
					replicas[step%2].holds = files // a restart reads the files
				}
				if step%4 != 0 && step%4 != 1+n%3 {
					continue
				}
				r := &replicas[min(step%4, 1)]
				shown := certificate(r.holds)
				pin, err := a.Authenticate(shown.Thumbprint, halfway, at)
				if err == nil {
					a, _ = a.Use(pin, halfway, at)
					continue
				}
				refused++
				if _, suspect := a.Suspected(shown, k, tokenLife, at); suspect {
					t.Fatalf("agent %d, day %d, step %d: suspect", n, day, step)
				}
				r.holds = files
			}
		}
	}
	if refused < agents {
		t.Errorf("%d refusals of late replicas among %d agents: the month is too easy", refused, agents)
	}
}

// A dead certificate is evidence from a token's life after the first use of its successor, and not before.
func TestSuspicionBeginsATokensLifeLater(t *testing.T) {
	now := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	a := Agent{ID: "orga::a", Method: Minted, Status: Active, Pins: []Pin{certificate(0)}}
	a, _ = Keys{}.Certified(a, certificate(0).Key)
	a, _ = Keys{}.Certified(a, certificate(1).Key)
	a = a.Repin(certificate(1), Keep{Grace: time.Hour, UntilUse: true}, now)
	pin, err := a.Authenticate(certificate(1).Thumbprint, anyGeneration, now)
	if err != nil {
		t.Fatal(err)
	}
	a, _ = a.Use(pin, anyGeneration, now)
	for after, want := range map[time.Duration]bool{0: false, tokenLife: false, tokenLife + activationSlack: true} {
		if _, got := a.Suspected(certificate(0), Keys{}, tokenLife, now.Add(after)); got != want {
			t.Errorf("%v after the first use: suspect %v, want %v", after, got, want)
		}
	}
	late := now.Add(time.Hour)
	if _, got := a.Suspected(certificate(7), Keys{}, tokenLife, late); got {
		t.Error("a key that was never the agent's is evidence")
	}
	for name, other := range map[string]func(*Agent){
		"deactivated": func(a *Agent) { a.Status = Deactivated }, "SPIFFE": func(a *Agent) { a.Method = SPIFFE },
		"suspect already": func(a *Agent) { a.Suspect.At = now },
	} {
		b := a
		other(&b)
		if _, got := b.Suspected(certificate(0), Keys{}, tokenLife, late); got {
			t.Errorf("%s: suspect", name)
		}
	}
}

// A clock that was far ahead stored the first use: nothing is suspect until then, or until the instant is replaced.
func TestSuspicionAfterAClockThatWasAhead(t *testing.T) {
	now := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	a := Agent{ID: "orga::a", Method: Minted, Status: Active, Pins: []Pin{certificate(1)}}
	a, _ = Keys{}.Certified(a, certificate(0).Key)
	a.Past.Activated = now.AddDate(10, 0, 0)
	if _, got := a.Suspected(certificate(0), Keys{}, tokenLife, now.Add(time.Hour)); got {
		t.Error("suspect before the stored instant")
	}
	a = a.Repin(certificate(2), Keep{Grace: time.Hour, UntilUse: true}, now)
	pin, err := a.Authenticate(certificate(2).Thumbprint, anyGeneration, now)
	if err != nil {
		t.Fatal(err)
	}
	a, _ = a.Use(pin, anyGeneration, now)
	if _, got := a.Suspected(certificate(0), Keys{}, tokenLife, now.Add(time.Hour)); !got {
		t.Error("not suspect after the next first use")
	}
}

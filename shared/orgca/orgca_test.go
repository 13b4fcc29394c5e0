package orgca

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var now = time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC)

func TestTransitions(t *testing.T) {
	states := []State{"", Preparing, Staged, Current, Superseded, Retired, Failed, "unheard-of"}
	allowed := map[[2]State]bool{
		{"", Preparing}: true, {Preparing, Preparing}: true, {Preparing, Staged}: true, {Preparing, Failed}: true,
		{Staged, Staged}: true, {Staged, Current}: true, {Staged, Failed}: true, {Current, Superseded}: true,
		{Superseded, Current}: true, {Superseded, Retired}: true,
	}
	for _, from := range states {
		for _, to := range states {
			g, err := Generation{Number: 1, State: from}.To(to, now)
			if want := allowed[[2]State{from, to}]; (err == nil) != want {
				t.Errorf("%q to %q: err = %v, want allowed %v", from, to, err, want)
			}
			if err != nil && (g.State != from || !errors.Is(err, ErrTransition)) {
				t.Errorf("%q to %q: refused as %v, left in %q", from, to, err, g.State)
			}
		}
	}
}

func staged(n int64) Generation {
	return Generation{
		Number:     n,
		State:      Staged,
		Root:       []byte{byte(n), 1},
		Issuing:    []byte{byte(n), 2},
		RootKey:    "root",
		IssuingKey: "issuing",
		Version:    3,
	}
}

func TestPlanFirstGeneration(t *testing.T) {
	s, err := Pointer{}.Plan(staged(1), nil, 1, 0, now)
	if err != nil {
		t.Fatal(err)
	}
	want := Pointer{
		Current:     1,
		Fingerprint: staged(1).Fingerprint(),
		Fence:       1,
		SigningKey:  "issuing",
		Chain:       [][]byte{{1, 2}, {1, 1}},
		RotatedAt:   now,
	}
	if diff := cmp.Diff(want, s.Pointer); diff != "" {
		t.Errorf("pointer (-want +got):\n%s", diff)
	}
	if s.Previous != nil || s.Next.State != Current {
		t.Errorf("swap = %+v", s)
	}
}

func TestPlanSupersedes(t *testing.T) {
	old := staged(1)
	old.State = Current
	p := Pointer{Current: 1, Fence: 4, Version: 9}
	for overlap, accepted := range map[time.Duration][]Overlap{0: nil, time.Hour: {{
		Generation: 1,
		Until:      now.Add(time.Hour),
	}}} {
		s, err := p.Plan(staged(2), &old, 5, overlap, now)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(accepted, s.Pointer.Accepted); diff != "" {
			t.Errorf("overlap %s: accepted (-want +got):\n%s", overlap, diff)
		}
		if s.Previous.State != Superseded || !s.Previous.SupersededAt.Equal(now) || s.Next.State != Current ||
			s.Pointer.Version != 9 {
			t.Errorf("overlap %s: swap = %+v", overlap, s)
		}
	}
}

func TestPlanRefuses(t *testing.T) {
	current, other := staged(1), staged(7)
	current.State, other.State = Current, Current
	preparing := staged(2)
	preparing.State = Preparing
	p := Pointer{Current: 1, Fence: 4, Version: 9}
	for name, c := range map[string]struct {
		next     Generation
		previous *Generation
		fence    int64
		want     error
	}{
		"same fence":          {staged(2), &current, 4, ErrStaleFence},
		"older fence":         {staged(2), &current, 3, ErrStaleFence},
		"not staged":          {preparing, &current, 5, ErrTransition},
		"no previous":         {staged(2), nil, 5, ErrTransition},
		"previous is another": {staged(2), &other, 5, ErrTransition},
	} {
		if _, err := p.Plan(c.next, c.previous, c.fence, 0, now); !errors.Is(err, c.want) {
			t.Errorf("%s: err = %v, want %v", name, err, c.want)
		}
	}
	if _, err := (Pointer{}).Plan(staged(2), &current, 5, 0, now); !errors.Is(err, ErrTransition) {
		t.Errorf("superseding without a pointer: err = %v", err)
	}
}

func TestAccepts(t *testing.T) {
	p := Pointer{Current: 3, Accepted: []Overlap{{Generation: 2, Until: now.Add(time.Millisecond)}}}
	for _, c := range []struct {
		generation int64
		at         time.Time
		want       bool
	}{
		{3, now, true}, {2, now, true}, {2, now.Add(time.Millisecond), false}, {1, now, false}, {4, now, false},
		{0, now, false},
	} {
		if got := p.Accepts(c.generation, c.at); got != c.want {
			t.Errorf("generation %d at %s: %v, want %v", c.generation, c.at, got, c.want)
		}
	}
}

func TestTrustBundleDoesNotMoveWithASwap(t *testing.T) {
	one, two, three, four := staged(1), staged(2), staged(3), staged(4)
	one.State, two.State, four.State = Superseded, Current, Preparing
	before := TrustBundle([]Generation{one, two, three, four})
	two.State, three.State = Superseded, Current
	after := TrustBundle([]Generation{four, three, one, two})
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("bundle (-before +after):\n%s", diff)
	}
	want := [][]byte{{3, 1}, {3, 2}, {2, 1}, {2, 2}, {1, 1}, {1, 2}}
	if diff := cmp.Diff(want, before); diff != "" {
		t.Errorf("bundle (-want +got):\n%s", diff)
	}
}

func TestLegacyRootIssuesByItself(t *testing.T) {
	g := Generation{Root: []byte{1}, RootKey: "root"}
	if diff := cmp.Diff([][]byte{{1}}, g.Chain()); diff != "" || g.SigningKey() != "root" {
		t.Errorf("chain %v, signing key %q", g.Chain(), g.SigningKey())
	}
}

func TestCopySpreadsAgents(t *testing.T) {
	var hits [Copies]int
	for i := range 1600 {
		hits[Copy("orga::agent-"+string(rune('a'+i%26))+time.Duration(i).String())]++
	}
	for i, n := range hits {
		if n < 30 {
			t.Errorf("copy %d is read by %d of 1,600 agents", i, n)
		}
	}
}

func TestBindingReason(t *testing.T) {
	for _, c := range []struct{ staged, swap, want string }{
		{"", "", "unspecified"}, {"unspecified", "superseded", "superseded"}, {"superseded", "unspecified", "superseded"},
		{"superseded", "affiliationChanged", "affiliationChanged"}, {"keyCompromise", "unspecified", "keyCompromise"},
		{"keyCompromise", "superseded", "keyCompromise"}, {"superseded", "cACompromise", "cACompromise"},
		{"privilegeWithdrawn", "superseded", "privilegeWithdrawn"}, {"privilegeWithdrawn", "keyCompromise", "keyCompromise"},
		{"keyCompromise", "privilegeWithdrawn", "keyCompromise"}, {"unspecified", ReasonLegacy, ReasonLegacy},
	} {
		if got := Binding(c.staged, c.swap); got != c.want {
			t.Errorf("Binding(%q, %q) = %q, want %q", c.staged, c.swap, got, c.want)
		}
	}
}

func TestUploadedChain(t *testing.T) {
	g := Generation{Root: []byte{1}, Issuing: []byte{2}, Above: [][]byte{{3}, {4}}, RootKey: "root", IssuingKey: "issuing"}
	if diff := cmp.Diff([][]byte{{2}, {1}, {3}, {4}}, g.Chain()); diff != "" {
		t.Errorf("chain (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([][]byte{{1}, {3}, {4}}, Pointer{Chain: g.Chain()}.CA()); diff != "" {
		t.Errorf("CA (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([][]byte{{1}}, Pointer{Chain: [][]byte{{1}}}.CA()); diff != "" {
		t.Errorf("legacy CA (-want +got):\n%s", diff)
	}
}

// Two generations under one corporate root: the edge is given it once.
func TestBundlesHoldEachCertificateOnce(t *testing.T) {
	one, two, gone := staged(1), staged(2), staged(3)
	one.Above, two.Above, gone.State = [][]byte{{9}}, [][]byte{{9}}, Retired
	trusted := [][]byte{{2, 1}, {2, 2}, {9}, {1, 1}, {1, 2}}
	all := []Generation{one, two, gone}
	if diff := cmp.Diff(trusted, TrustBundle(all)); diff != "" {
		t.Errorf("trust bundle (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(append([][]byte{{3, 1}, {3, 2}}, trusted...), EdgeBundle(all)); diff != "" {
		t.Errorf("edge bundle (-want +got):\n%s", diff)
	}
}

func TestEdgeBundleIsBounded(t *testing.T) {
	var all []Generation
	for n := range int64(2 * MaxEdge) {
		g := staged(n + 1)
		g.Root, g.State = []byte(time.Duration(n).String()), Retired
		g.Issuing = append([]byte("i"), g.Root...)
		all = append(all, g)
	}
	bundle := EdgeBundle(all)
	if len(bundle) != 2*MaxEdge || string(bundle[0]) != time.Duration(2*MaxEdge-1).String() {
		t.Errorf("%d certificates, the first is %q", len(bundle), bundle[0])
	}
}

func TestSpent(t *testing.T) {
	p := Pointer{Current: 4, Previous: 3, Accepted: []Overlap{{Generation: 2, Until: now.Add(time.Millisecond)}}}
	for _, c := range []struct {
		generation int64
		state      State
		at         time.Time
		want       bool
	}{
		{4, Current, now, false}, {3, Superseded, now, false}, {2, Superseded, now, false},
		{2, Superseded, now.Add(time.Millisecond), true}, {1, Superseded, now, true}, {1, Staged, now, false},
		{1, Retired, now, false},
	} {
		if got := p.Spent(Generation{Number: c.generation, State: c.state}, c.at); got != c.want {
			t.Errorf("generation %d, %s, at %s: %v", c.generation, c.state, c.at, got)
		}
	}
}

func TestOverlapsAreBounded(t *testing.T) {
	old := staged(1)
	old.State = Current
	p := Pointer{Current: 1, Fence: 4, Version: 9}
	for n := range MaxAccepted {
		p.Accepted = append(p.Accepted, Overlap{Generation: int64(100 + n), Until: now.Add(time.Hour)})
	}
	if _, err := p.Plan(staged(2), &old, 5, time.Minute, now); !errors.Is(err, ErrOverlaps) {
		t.Errorf("one more overlap: %v", err)
	}
	if s, err := p.Plan(staged(2), &old, 5, 0, now); err != nil || len(s.Pointer.Accepted) != 0 {
		t.Errorf("without overlap: %v, %v", s.Pointer.Accepted, err)
	}
	p.Accepted[0].Until = now
	if s, err := p.Plan(staged(2), &old, 5, time.Minute, now); err != nil || len(s.Pointer.Accepted) != MaxAccepted {
		t.Errorf("after one has ended: %v, %v", s.Pointer.Accepted, err)
	}
}

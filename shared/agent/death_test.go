package agent

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var (
	h1, h2  = Handle{1}, Handle{2}
	forGood = now.Add(DeathKept)
	soon    = now.Add(clockRoom)
)

// What dies with a change, and the handle that the agent has afterwards, by what the records say alone.
func TestReplace(t *testing.T) {
	pinned := func(pins ...Pin) Agent {
		can := Profile{Capabilities: []string{"a", "b"}}
		return Agent{Status: Active, Method: Minted, Handle: h1, Pins: pins, Profile: can}
	}
	svid := Agent{Status: Active, Method: SPIFFE, Handle: h1, SPIFFEID: "spiffe://a/b", Bundle: [][]byte{{1}, {2}}}
	change := func(a Agent, f func(*Agent)) Agent { f(&a); return a }
	a := Pin{Thumbprint: "a", Generation: 1, NotBefore: now.Add(-time.Hour)}
	b := Pin{Thumbprint: "b", Generation: 1, NotBefore: now}
	under2 := Pin{Thumbprint: "b", Generation: 2, NotBefore: now}
	grace, succession := Keep{Grace: time.Hour}, Keep{Grace: time.Hour, UntilUse: true}
	renewed := pinned(a).Repin(b, succession, now)
	activated, _ := renewed.Use(renewed.Pins[0], generations{current: 1}, now)
	left := pinned(a).Repin(under2, Keep{Restorable: 1}, now)
	back, _ := left.Use(left.Pins[1], generations{current: 1}, now)
	third, same := Pin{Thumbprint: "c"}, Pin{Thumbprint: "a", Generation: 2}
	expired := Pin{Thumbprint: "a", NotAfter: now.Add(-2 * time.Hour)}
	can := func(list ...string) Agent { return change(pinned(a), func(a *Agent) { a.Capabilities = list }) }
	dead := func(thumbprint string) Death { return Death{Thumbprint: thumbprint, Before: forGood} }
	all := Death{Handle: h1, Before: forGood}
	for name, c := range map[string]struct {
		was, next Agent
		want      []Death
		handle    Handle
	}{
		"enrolled":            {Agent{}, pinned(a), nil, h2},
		"enrolled again":      {pinned(a).Deactivate(now), pinned(b), nil, h2},
		"deactivated":         {pinned(a, b), pinned(a, b).Deactivate(now), []Death{dead("a"), dead("b"), all}, Handle{}},
		"rotated":             {pinned(a), pinned(a).Repin(b, Keep{}, now), []Death{dead("a"), all}, h2},
		"rotated, with grace": {pinned(a), pinned(a).Repin(b, grace, now), nil, h1},
		"rotated, in a grace": {pinned(a).Repin(b, grace, now), pinned(third),
			[]Death{dead("b"), dead("a"), all}, h2},
		"rotated, for a rollback":  {pinned(a), left, []Death{{Thumbprint: "a", Before: soon}, all}, h2},
		"the rollback's first use": {left, back, []Death{dead("b")}, h1},
		"renewed":                  {pinned(a), renewed, nil, h1},
		"renewed again":            {renewed, renewed.Repin(third, succession, now), nil, h1},
		"a successor's first use":  {renewed, activated, nil, h1},
		"rotated, a successor waiting": {renewed, renewed.Repin(third, Keep{}, now),
			[]Death{dead("b"), dead("a"), all}, h2},
		"the same certificate again":    {pinned(a), pinned(a).Repin(same, Keep{}, now), nil, h1},
		"a deadline that passed":        {pinned(b, over(a, time.Second)), pinned(b), []Death{dead("a")}, h1},
		"a deadline of the day before":  {pinned(b, over(a, 2*time.Hour)), pinned(b), nil, h1},
		"rotated, expired long before":  {pinned(expired), pinned(b), nil, h1},
		"a capability less":             {pinned(a), can("b"), []Death{all}, h2},
		"a capability more":             {pinned(a), can("b", "a", "c"), nil, h1},
		"another owner":                 {pinned(a), change(pinned(a), func(a *Agent) { a.Owner = "x" }), nil, h1},
		"another method":                {pinned(a), svid, []Death{dead("a"), all}, h2},
		"SVID: a CA of the bundle less": {svid, change(svid, func(a *Agent) { a.Bundle = a.Bundle[:1] }), []Death{all}, h2},
		"SVID: a CA more":               {svid, change(svid, func(a *Agent) { a.Bundle = [][]byte{{2}, {3}, {1}} }), nil, h1},
		"SVID: under the Org CA":        {svid, change(svid, func(a *Agent) { a.Bundle = nil }), []Death{all}, h2},
		"SVID: another SPIFFE ID":       {svid, change(svid, func(a *Agent) { a.SPIFFEID = "x" }), []Death{all}, h2},
		"SVID: older ones ended":        {svid, svid.EndBefore(b, now), []Death{all}, h2},
		"SVID: deactivated":             {svid, svid.Deactivate(now), []Death{all}, Handle{}},
		"unknown state":                 {svid, change(svid, func(a *Agent) { a.Status = "x" }), []Death{all}, Handle{}},
	} {
		if c.was.Version = 1; c.was.Status == "" {
			c.was.Version = 0
		}
		got, deaths := c.was.Replace(c.next, h2, now, never)
		if diff := cmp.Diff(c.want, deaths); diff != "" || got.Handle != c.handle {
			t.Errorf("%s: handle %v, want %v; deaths (-want +got):\n%s", name, got.Handle[:1], c.handle[:1], diff)
		}
		got.Handle = c.next.Handle
		if diff := cmp.Diff(c.next, got); diff != "" {
			t.Errorf("%s: more than the handle was changed:\n%s", name, diff)
		}
	}
}

func never(int64) bool { return false }

// A dormant pin dies without a death if its generation was left for good, and only then: no token of another pin, and
// of no other generation, may be forgotten.
func TestReplaceAfterAGenerationWasLeft(t *testing.T) {
	asleep := Pin{Thumbprint: "a", Generation: 1, Dormant: true, Yields: true, Until: now.Add(-time.Minute)}
	restorable := Pin{Thumbprint: "r", Generation: 2, Dormant: true}
	awake := Pin{Thumbprint: "w", Generation: 1}
	used := Pin{Thumbprint: "b", Generation: 2}
	next := Pin{Thumbprint: "c", Generation: 3}
	dead := func(thumbprint string) Death { return Death{Thumbprint: thumbprint, Before: forGood} }
	all := Death{Handle: h1, Before: forGood}
	for name, c := range map[string]struct {
		was, is []Pin
		left    int64 // every generation up to it was left
		want    []Death
		handle  Handle
	}{
		"asleep, left":             {[]Pin{used, asleep}, []Pin{next, used}, 1, nil, h1},
		"asleep, in an overlap":    {[]Pin{used, asleep}, []Pin{next, used}, 0, []Death{dead("a")}, h1},
		"awake, left":              {[]Pin{used, awake}, []Pin{next, used}, 1, []Death{dead("w")}, h1},
		"asleep, left, not alone":  {[]Pin{used, asleep}, []Pin{next}, 1, []Death{dead("b"), all}, h2},
		"all asleep, left":         {[]Pin{asleep}, []Pin{next}, 1, nil, h1},
		"asleep, in use once more": {[]Pin{asleep}, []Pin{next}, 0, []Death{dead("a"), all}, h2},
		"never in use since":       {[]Pin{used, restorable}, []Pin{next, used}, 1, nil, h1},
	} {
		was := Agent{Status: Active, Method: Minted, Handle: h1, Pins: c.was, Version: 1}
		after := was
		after.Pins = c.is
		got, deaths := was.Replace(after, h2, now, func(g int64) bool { return g <= c.left })
		if diff := cmp.Diff(c.want, deaths); diff != "" || got.Handle != c.handle {
			t.Errorf("%s: handle %v, want %v; deaths (-want +got):\n%s", name, got.Handle[:1], c.handle[:1], diff)
		}
	}
}

func over(p Pin, ago time.Duration) Pin {
	p.Until = now.Add(-ago)
	return p
}

// A record of an earlier release has no handle: where a certificate lives on, an instant says which tokens are dead.
func TestReplaceOfARecordWithoutHandle(t *testing.T) {
	was := Agent{Status: Active, Pins: []Pin{{Thumbprint: "a"}, {Thumbprint: "b", Until: now.Add(time.Hour)}}, Version: 1}
	was.Capabilities = []string{"x"}
	next := was
	next.Capabilities = nil
	at := now.Add(time.Nanosecond)
	got, deaths := was.Replace(next, h2, at, never)
	before := now.Add(clockRoom + time.Second) // rounded up
	want := []Death{{Thumbprint: "a", Before: before}, {Thumbprint: "b", Before: before}}
	if diff := cmp.Diff(want, deaths); diff != "" {
		t.Errorf("deaths (-want +got):\n%s", diff)
	}
	if got.Handle != h2 {
		t.Error("the agent has no handle after the change")
	}
	next = was
	next.Owner = "x"
	if got, deaths := was.Replace(next, h2, at, never); got.Handle != h2 || deaths != nil {
		t.Errorf("another owner: handle %v, deaths %v; want a handle and none", got.Handle, deaths)
	}
}

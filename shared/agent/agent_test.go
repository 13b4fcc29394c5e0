package agent

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var now = time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC)

func TestParseID(t *testing.T) {
	for s, ok := range map[string]bool{
		"orga::kyc-screener": true, "o.r_g-A::A.b_c-9": true,
		"orga::" + strings.Repeat("a", 64): true, "orga::" + strings.Repeat("a", 65): false,
		"": false, "orga": false, "orga::": false, "::name": false, "orga:name": false, "orga::a::b": false,
		"orga::a b": false, "orga::a/b": false, "orga::ä": false, "orga::a\n": false, "orga::.": false, "..::a": false,
		"orga::...": true, "orga::%61": false,
	} {
		id, err := ParseID(s)
		if (err == nil) != ok || (err != nil && !errors.Is(err, ErrID)) {
			t.Errorf("ParseID(%q): err = %v, want ok %v", s, err, ok)
		}
		if ok && (string(id) != s || id.Org()+"::"+id.Name() != s) {
			t.Errorf("ParseID(%q) = %q, org %q, name %q", s, id, id.Org(), id.Name())
		}
	}
}

// generations accepts two of them.
type generations struct{ current, overlapping int64 }

func (g generations) Accepts(n int64, _ time.Time) bool { return n == g.current || n == g.overlapping }
func (g generations) IsCurrent(n int64) bool            { return n == g.current }

func TestAuthenticate(t *testing.T) {
	accepts := generations{current: 2, overlapping: 3}
	pinned := Agent{
		Status: Active,
		Pins: []Pin{
			{Thumbprint: "new", Generation: 2},
			{Thumbprint: "grace", Generation: 2, Until: now.Add(time.Millisecond)},
			{Thumbprint: "ended", Generation: 2, Until: now},
			{Thumbprint: "superseded", Generation: 1},
			{Thumbprint: "overlapping", Generation: 3},
			{Thumbprint: "left in an overlap", Generation: 3, Dormant: true},
			{Thumbprint: "restored", Generation: 2, Dormant: true},
		},
	}
	for thumbprint, ok := range map[string]bool{"new": true, "grace": true, "ended": false, "superseded": false,
		"overlapping": true, "left in an overlap": false, "restored": true, "other": false, "": false} {
		pin, err := pinned.Authenticate(thumbprint, accepts, now)
		if (err == nil) != ok || (err != nil && !errors.Is(err, ErrRevoked)) {
			t.Errorf("Authenticate(%q): err = %v, want ok %v", thumbprint, err, ok)
		}
		if ok && pin.Thumbprint != thumbprint {
			t.Errorf("Authenticate(%q) found pin %q", thumbprint, pin.Thumbprint)
		}
	}
	for _, status := range []Status{Deactivated, "", "enabled"} {
		a := pinned
		a.Status = status
		if _, err := a.Authenticate("new", accepts, now); !errors.Is(err, ErrRevoked) {
			t.Errorf("an agent of status %q authenticates: err = %v", status, err)
		}
	}
}

func TestRepinEndsEveryOtherPinAtOnce(t *testing.T) {
	a := Agent{
		Status: Active,
		Pins:   []Pin{{Thumbprint: "b", Generation: 1}, {Thumbprint: "a", Generation: 1, Until: now.Add(time.Hour)}},
	}
	got := a.Repin(Pin{Thumbprint: "c", Generation: 1}, Keep{}, now)
	if diff := cmp.Diff([]Pin{{Thumbprint: "c", Generation: 1}}, got.Pins); diff != "" {
		t.Errorf("pins (-want +got):\n%s", diff)
	}
	if len(a.Pins) != 2 {
		t.Error("the agent that was repinned was changed")
	}
}

func TestRepinWithGraceShortensOnly(t *testing.T) {
	soon, late := now.Add(time.Minute), now.Add(24*time.Hour)
	a := Agent{Pins: []Pin{{Thumbprint: "b"}, {
		Thumbprint: "a",
		Until:      soon,
	}, {Thumbprint: "z", Until: late}, {Thumbprint: "y", Until: now}}}
	got := a.Repin(Pin{Thumbprint: "c"}, Keep{Grace: time.Hour}, now).Pins
	hour := now.Add(time.Hour)
	want := []Pin{{Thumbprint: "c"}, {
		Thumbprint: "b",
		Until:      hour,
	}, {Thumbprint: "a", Until: soon}, {Thumbprint: "z", Until: hour}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("pins (-want +got):\n%s", diff)
	}
}

func TestRepinIsBounded(t *testing.T) {
	a := Agent{}
	for range 50 {
		a = a.Repin(Pin{Thumbprint: "p"}, Keep{Grace: 48 * time.Hour}, now)
	}
	if len(a.Pins) != maxPins {
		t.Errorf("%d pins after 50 rotations with grace, want %d", len(a.Pins), maxPins)
	}
}

// The pin with which an agent leaves the generation that can be restored stays, dormant; a second rotation drops it.
func TestRepinKeepsWhatARollbackRestores(t *testing.T) {
	a := Agent{Pins: []Pin{{Thumbprint: "one", Generation: 1}, {Thumbprint: "zero", Generation: 1}}}
	moved := a.Repin(Pin{Thumbprint: "two", Generation: 2}, Keep{Restorable: 1}, now)
	want := []Pin{{Thumbprint: "two", Generation: 2}, {Thumbprint: "one", Generation: 1, Dormant: true}}
	if diff := cmp.Diff(want, moved.Pins); diff != "" {
		t.Errorf("after the move (-want +got):\n%s", diff)
	}
	again := moved.Repin(Pin{Thumbprint: "three", Generation: 2}, Keep{Restorable: 1}, now)
	if diff := cmp.Diff([]Pin{{Thumbprint: "three", Generation: 2}}, again.Pins); diff != "" {
		t.Errorf("after a second rotation (-want +got):\n%s", diff)
	}
	same := a.Repin(Pin{Thumbprint: "next", Generation: 1}, Keep{Restorable: 1}, now)
	if diff := cmp.Diff([]Pin{{Thumbprint: "next", Generation: 1}}, same.Pins); diff != "" {
		t.Errorf("within one generation (-want +got):\n%s", diff)
	}
}

func TestDeactivateLeavesNoPin(t *testing.T) {
	a := Agent{Status: Active, Pins: []Pin{{Thumbprint: "a"}}}.Deactivate(now)
	if a.Status != Deactivated || len(a.Pins) != 0 {
		t.Errorf("deactivated agent = %+v", a)
	}
}

func TestProfile(t *testing.T) {
	many := strings.Split(strings.Repeat("c ", 65), " ")[:65]
	for name, c := range map[string]struct {
		display      string
		capabilities []string
		ok           bool
	}{
		"plain":           {"KYC screener ✓", []string{"kyc:read", "kyc:write"}, true},
		"empty":           {"", nil, true},
		"control":         {"a\nb", nil, false},
		"not UTF-8":       {"\xff", nil, false},
		"long":            {strings.Repeat("é", 129), nil, false},
		"long enough":     {strings.Repeat("é", 128), nil, true},
		"empty cap":       {"", []string{""}, false},
		"space in cap":    {"", []string{"a b"}, false},
		"quote in cap":    {"", []string{`a"b`}, false},
		"not ASCII":       {"", []string{"é"}, false},
		"many":            {"", many, false},
		"long capability": {"", []string{strings.Repeat("a", 129)}, false},
	} {
		if err := (Profile{DisplayName: c.display, Capabilities: c.capabilities}).Check(); (err == nil) != c.ok {
			t.Errorf("%s: err = %v, want ok %v", name, err, c.ok)
		}
	}
	for owner, ok := range map[string]bool{"": true, "kyc@example.com": true, strings.Repeat("é", 200): true,
		strings.Repeat("é", 201): false, "a\nb": false, "\xff": false} {
		err := Profile{Owner: owner}.Check()
		if (err == nil) != ok || !ok && ProfileField(err) != "owner" {
			t.Errorf("owner %q: err = %v about %q, want ok %v", owner, err, ProfileField(err), ok)
		}
	}
}

package agent

import (
	"errors"
	"testing"
	"time"
)

// one accepts generation 1 alone.
type one struct{}

func (one) Accepts(generation int64, _ time.Time) bool { return generation == 1 }
func (one) IsCurrent(generation int64) bool            { return generation == 1 }

func pinned(n int, from time.Time) Pin {
	p := certAt(n, from)
	p.NotAfter = from.Add(Annually.MaxAge)
	return p
}

// A grace that was given while a clock was ahead is believed as long as one that is given now could last.
func TestGraceThatIsTooLongIsNotBelieved(t *testing.T) {
	first, second := pinned(1, now), pinned(2, now)
	for ahead, want := range map[time.Duration]error{
		0: nil, slack: nil, slack + time.Millisecond: ErrRevoked, 72 * time.Hour: ErrRevoked, 14 * 365 * day: ErrRevoked,
	} {
		a := Agent{Status: Active}.Repin(first, Keep{}, now).Repin(second, Keep{Grace: MaxGrace}, now.Add(ahead))
		if _, err := a.Authenticate(first.Thumbprint, one{}, now); !errors.Is(err, want) {
			t.Errorf("%s ahead: %v, want %v", ahead, err, want)
		}
	}
}

// What yields to a successor may be all that its agent has: however far ahead its deadline lies, it counts until the
// successor is used, and a renewal by a clock that is right brings the deadline back.
func TestYieldingPinOutlastsAWrongDeadline(t *testing.T) {
	first, lost, next := pinned(1, now), pinned(2, now.Add(14*365*day)), pinned(3, now)
	a := Agent{Status: Active}.Repin(first, Keep{}, now).Repin(lost, Keep{
		UntilUse: true,
		Grace:    MaxGrace,
	}, now.Add(14*365*day))
	if _, err := a.Authenticate(first.Thumbprint, one{}, now); err != nil {
		t.Fatalf("the certificate in use: %v", err)
	}
	a = a.Repin(next, Keep{UntilUse: true, Grace: MaxGrace}, now)
	p, err := a.Authenticate(first.Thumbprint, one{}, now)
	if err != nil || !p.Until.Equal(now.Add(MaxGrace)) {
		t.Errorf("after a renewal: until %s, %v", p.Until, err)
	}
	p, err = a.Authenticate(next.Thumbprint, one{}, now)
	if err != nil {
		t.Fatalf("the successor: %v", err)
	}
	used, _ := a.Use(p, one{}, now)
	for _, dead := range []Pin{first, lost} {
		if _, err := used.Authenticate(dead.Thumbprint, one{}, now); !errors.Is(err, ErrRevoked) {
			t.Errorf("%s after the successor's first use: %v", dead.Thumbprint, err)
		}
	}
}

// An agent that was put off while a clock was ahead is looked at again in time for its certificate.
func TestPutOffAgentIsLookedAtInTime(t *testing.T) {
	p := pinned(1, now)
	a := Agent{Status: Active, Method: Minted, Pins: []Pin{p}, Hygiene: Hygiene{About: p.Thumbprint, Failed: 1}}
	for later, want := range map[time.Time]time.Time{
		p.DueAt().Add(20 * time.Hour): p.DueAt().Add(20 * time.Hour),
		p.NotAfter.Add(-LastLook):     p.NotAfter.Add(-LastLook),
		p.NotAfter.Add(-LastLook + 1): p.NotAfter.Add(-LastLook),
		p.DueAt().Add(14 * 365 * day): p.NotAfter.Add(-LastLook),
	} {
		a.Hygiene.Later = later
		if at, notified := a.Due(); notified || !at.Equal(want) {
			t.Errorf("put off until %s: looked at %s, want %s", later, at, want)
		}
	}
}

// A certificate that was issued while a clock was ahead does not keep every later one out once its agent is
// deactivated; itself it stays dead, and so does what is older than an hour.
func TestFloorOfAClockThatWasAhead(t *testing.T) {
	const ahead = 14 * 365 * day
	old, future := pinned(1, now.Add(-day)), pinned(2, now.Add(ahead))
	for name, deactivated := range map[string]time.Time{"with the clock put right": now,
		"while it was ahead": now.Add(ahead + time.Minute)} {
		a := Agent{Status: Active}.Repin(old, Keep{}, now.Add(-day)).Repin(future, Keep{},
			now.Add(ahead)).Deactivate(deactivated)
		later := now.Add(2 * time.Minute)
		a = a.Believed(later)
		for what, c := range map[string]struct {
			pin  Pin
			want error
		}{
			"issued after the deactivation": {certAt(3, now.Add(time.Minute)), nil},
			"replaced long ago":             {old, ErrOutlive},
			"never shown, older":            {certAt(4, now.Add(-2*time.Hour)), ErrOutlive},
			"the one of that clock":         {future, ErrKeyUsed},
			"its key": {Pin{
				Thumbprint: "x",
				Key:        future.Key,
				NotBefore:  now.Add(time.Minute),
			}, ErrKeyUsed},
		} {
			if err := a.Outlives(c.pin); !errors.Is(err, c.want) {
				t.Errorf("deactivated %s: %s: %v, want %v", name, what, err, c.want)
			}
		}
		again := a.Learn(certAt(3, now.Add(time.Minute))).Deactivate(later)
		if again.Past.Floor.After(later) {
			t.Errorf("deactivated %s: the next floor is %s", name, again.Past.Floor)
		}
		if err := again.Believed(later).Outlives(future); err == nil {
			t.Errorf("deactivated %s: after the next deactivation the one of that clock comes back", name)
		}
	}
}

package agent

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

var entryBegin = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// minted is an agent with one certificate of a life that begins now.
func minted(now time.Time, life time.Duration) Agent {
	a := Agent{ID: "acme::a", Method: Minted, Status: Active}
	return a.Repin(certOf(now, life), Keep{}, now)
}

func certOf(now time.Time, life time.Duration) Pin {
	p := Pin{Thumbprint: now.String() + life.String(), Generation: 1, NotBefore: now, NotAfter: now.Add(life)}
	p.Due = Annually.Due(p)
	return p
}

func entry(t *testing.T, a Agent) time.Time {
	t.Helper()
	at, notified := a.Entry()
	if notified {
		t.Fatal("the entry is among the notified")
	}
	return at
}

// A certificate of a year is due after 335 days. Rotations of its first half leave the entry, the next one moves it.
func TestEntryStaysWhileItIsFarOff(t *testing.T) {
	a := minted(entryBegin, 365*day)
	first := entryBegin.Add(335 * day)
	for d := time.Duration(1); d <= 167; d++ {
		now := entryBegin.Add(d * day)
		a = a.Repin(certOf(now, 365*day), Keep{}, now)
		if at := entry(t, a); !at.Equal(first) {
			t.Fatalf("day %d: the entry moved to %v", d, at)
		}
		if due, _ := a.Due(); !due.Equal(now.Add(335 * day)) {
			t.Fatalf("day %d: due %v", d, due)
		}
		if a.Misplaced(now) {
			t.Fatalf("day %d: hygiene would move the entry that the rotation has left", d)
		}
	}
	now := entryBegin.Add(168 * day)
	a = a.Repin(certOf(now, 365*day), Keep{}, now)
	if at := entry(t, a); !at.Equal(now.Add(335 * day)) {
		t.Errorf("day 168: the entry is still at %v", at)
	}
}

// Where an entry would be seen early before hygiene has looked at it, where it lies among the notified, and where the
// next certificate is due before it, it moves at once.
func TestEntryMovesWithTheRotation(t *testing.T) {
	year := minted(entryBegin, 365*day)
	notified := year
	notified.Hygiene = Hygiene{About: notified.Pin().Thumbprint, Told: true}
	gone := year.Deactivate(entryBegin)
	gone.Status = Active
	for name, c := range map[string]struct {
		before Agent
		next   Pin
		now    time.Time
	}{
		"a life of 123 days": {minted(entryBegin, 123*day), certOf(entryBegin.Add(day), 123*day), entryBegin.Add(day)},
		"a life of a day":    {minted(entryBegin, day), certOf(entryBegin.Add(time.Hour), day), entryBegin.Add(time.Hour)},
		"its second half":    {year, certOf(entryBegin.Add(200*day), 365*day), entryBegin.Add(200 * day)},
		"notified":           {notified, certOf(entryBegin.Add(day), 365*day), entryBegin.Add(day)},
		"not in the index":   {gone, certOf(entryBegin.Add(day), 365*day), entryBegin.Add(day)},
		"a shorter life":     {year, certOf(entryBegin.Add(day), 180*day), entryBegin.Add(day)},
		"a clock far ahead":  {year, certOf(entryBegin.AddDate(20, 0, 0), 365*day), entryBegin.AddDate(20, 0, 0)},
		"a far longer life":  {minted(entryBegin, 190*day), certOf(entryBegin.Add(day), 825*day), entryBegin.Add(day)},
		"after a far clock":  {minted(entryBegin.AddDate(20, 0, 0), 365*day), certOf(entryBegin, 365*day), entryBegin},
		"an enrolment anew":  {Agent{Method: Minted, Status: Active}, certOf(entryBegin, 365*day), entryBegin},
		"at the very last day": {minted(entryBegin, 365*day), certOf(entryBegin.Add(335*day), 365*day),
			entryBegin.Add(335 * day)},
	} {
		a := c.before.Repin(c.next, Keep{}, c.now)
		due, _ := a.Due()
		if at := entry(t, a); !at.Equal(due) || !a.Early.IsZero() {
			t.Errorf("%s: the entry is at %v, due %v", name, at, due)
		}
	}
}

// An entry is never later than its agent is due: not after any changes to the record, nor under clocks that are wrong.
func TestEntryIsNeverLate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		lives := rapid.SampledFrom([]time.Duration{time.Hour, day, 90 * day, 200 * day, 365 * day, 825 * day})
		now := entryBegin
		a := minted(now, lives.Draw(t, "life"))
		kept := false
		t.Repeat(map[string]func(*rapid.T){
			"rotate": func(t *rapid.T) {
				before, _ := a.Entry()
				a = a.Repin(certOf(now, lives.Draw(t, "life")), Keep{UntilUse: rapid.Bool().Draw(t, "until use")}, now)
				at, _ := a.Entry()
				kept = kept || at.Equal(before)
			},
			"wait":     func(t *rapid.T) { now = now.Add(time.Duration(rapid.IntRange(-100, 200).Draw(t, "days")) * day) },
			"notify":   func(*rapid.T) { a.Hygiene = a.Concerning(); a.Hygiene.Told = true },
			"postpone": func(*rapid.T) { a.Hygiene = a.Concerning(); a.Hygiene.Later = now.Add(day) },
			"deliver":  func(*rapid.T) { a = a.Delivered(MaxGrace, now) },
			"place": func(t *rapid.T) {
				if a = a.Placed(); a.Misplaced(now) {
					t.Fatal("a moved entry is to be moved again")
				}
			},
			"": func(t *rapid.T) {
				due, notified := a.Due()
				at, among := a.Entry()
				if at.After(due) || notified != among || at.IsZero() != due.IsZero() {
					t.Fatalf("entry %v (notified: %t), due %v (%t)", at, among, due, notified)
				}
			},
		})
	})
}

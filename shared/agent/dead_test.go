package agent

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func certAt(n int, notBefore time.Time) Pin {
	return Pin{
		Thumbprint: fmt.Sprintf("%032d%032d", n, 0),
		Key:        fmt.Sprintf("k%031d%032d", n, 0),
		NotBefore:  notBefore,
		Generation: 1,
	}
}

func TestDeactivationEndsWhatIsKnown(t *testing.T) {
	old, newest := certAt(1, now.Add(-time.Hour)), certAt(2, now)
	a := Agent{Status: Active}.Repin(old, Keep{}, now).Repin(newest, Keep{}, now).Deactivate(now)
	for what, c := range map[string]struct {
		pin  Pin
		want error
	}{
		"replaced long ago":      {old, ErrOutlive},
		"never shown, older":     {certAt(3, now.Add(-time.Second)), ErrOutlive},
		"the deactivated one":    {newest, ErrKeyUsed},
		"its key, certified new": {Pin{Thumbprint: "x", Key: newest.Key, NotBefore: now.Add(time.Hour)}, ErrKeyUsed},
		"issued in that second":  {certAt(4, now), nil},
		"issued later":           {certAt(5, now.Add(time.Second)), nil},
	} {
		if err := a.Outlives(c.pin); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", what, err, c.want)
		}
	}
	if err := a.Outlives(old); !strings.Contains(fmt.Sprint(err), now.UTC().Format(time.RFC3339)) {
		t.Errorf("the refusal does not name the instant: %v", err)
	}
}

// Whatever was pinned and in whatever order, after a deactivation none of it comes back, and what is issued later does.
func TestNothingKnownComesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := Agent{Status: Active}
		var all []Pin
		for n := range rapid.IntRange(1, 60).Draw(t, "certificates") {
			c := certAt(n, now.Add(time.Duration(rapid.IntRange(-2, 2).Draw(t, "seconds"))*time.Second))
			all = append(all, c)
			a = a.Repin(c, Keep{UntilUse: rapid.Bool().Draw(t, "renewal"), Grace: time.Hour}, now)
			if rapid.IntRange(0, 9).Draw(t, "deactivate") == 0 {
				a = a.Deactivate(now)
				a.Status = Active
			}
		}
		a = a.Deactivate(now)
		for _, c := range all {
			if a.Outlives(c) == nil {
				t.Fatalf("%s of %s comes back; past %+v", c.Thumbprint, c.NotBefore, a.Past)
			}
		}
		if err := a.Outlives(certAt(1000, now.Add(time.Minute))); err != nil {
			t.Fatalf("a later certificate: %v", err)
		}
		if len(a.Past.Ended) > maxEnded || len(a.Past.Known) > maxKnown {
			t.Fatalf("the record grows: %d ended, %d known", len(a.Past.Ended), len(a.Past.Known))
		}
	})
}

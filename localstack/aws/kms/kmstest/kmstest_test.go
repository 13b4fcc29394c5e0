package kmstest

import (
	"errors"
	"slices"
	"testing"
)

// The rule about deviations is the one thing here that no endpoint tests.
func TestJudge(t *testing.T) {
	broken := errors.New("broken")
	for _, v := range []struct {
		name    string
		broken  error
		named   bool
		noted   bool
		failing bool
	}{
		{"kept", nil, false, false, false},
		{"broken", broken, false, false, true},
		{"broken as named", broken, true, true, false},
		{"named but kept", nil, true, false, true},
	} {
		note, err := judge(v.broken, v.named)
		if (note != "") != v.noted || (err != nil) != v.failing {
			t.Errorf("%s: judge = %q, %v", v.name, note, err)
		}
	}
}

func TestNames(t *testing.T) {
	var names []string
	for _, c := range slices.Concat(signChecks, sealChecks, stateChecks, nameChecks, importChecks) {
		names = append(names, c.name)
	}
	slices.Sort(names)
	if got := len(slices.Compact(slices.Clone(names))); got != len(names) {
		t.Errorf("%d of %d check names are used twice", len(names)-got, len(names))
	}
	for _, name := range LocalStack4140() {
		if !slices.Contains(names, name) {
			t.Errorf("deviation %q is not the name of a check", name)
		}
	}
}

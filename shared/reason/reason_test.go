package reason

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseReadsAnyCase(t *testing.T) {
	for _, want := range Codes() {
		for _, s := range []string{string(want), strings.ToLower(string(want)), strings.ToUpper(string(want)),
			strings.Title(string(want))} { //nolint:staticcheck // ASCII
			if got, err := Parse(s); got != want || err != nil {
				t.Errorf("Parse(%q) = %q, %v", s, got, err)
			}
		}
	}
	if got, err := Parse(""); got != Unspecified || err != nil {
		t.Errorf("no reason: %q, %v", got, err)
	}
}

// What looks like a compromise to a person must not be read as something else.
func TestParseRefusesEveryOtherSpelling(t *testing.T) {
	for _, s := range []string{
		"key_compromise", "key-compromise", "keyCompromise ", " keyCompromise", "keyCompromise\n", "key Compromise",
		"keyCompromised", "keycompromis",
		"\u212aeyCompromise", "keyCompromi\u017fe", "k\u0435yCompromise", "keyCompromise\x00", "compromise", "hygiene", "1",
		"certificateHold", "removeFromCRL", " ", "\"keyCompromise\"",
	} {
		got, err := Parse(s)
		if !errors.Is(err, ErrCode) || got != "" {
			t.Errorf("Parse(%q) = %q, %v", s, got, err)
			continue
		}
		for _, c := range Codes() {
			if !strings.Contains(err.Error(), string(c)) {
				t.Errorf("%q: the error does not list %s: %v", s, c, err)
			}
		}
	}
}

func TestWhatStopsAtOnce(t *testing.T) {
	var atOnce, compromise []Code
	for _, c := range append(Codes(), "", "KEYCOMPROMISE") {
		if c.AtOnce() {
			atOnce = append(atOnce, c)
		}
		if c.Compromise() {
			compromise = append(compromise, c)
		}
	}
	if diff := cmp.Diff([]Code{KeyCompromise, CACompromise, PrivilegeWithdrawn}, atOnce); diff != "" {
		t.Errorf("at once (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]Code{KeyCompromise, CACompromise}, compromise); diff != "" {
		t.Errorf("compromises (-want +got):\n%s", diff)
	}
}

func TestComments(t *testing.T) {
	for name, c := range map[string]struct {
		comment string
		ok      bool
	}{
		"none": {"", true}, "text": {"host <moved>, 日本語\nsecond line", true}, "longest": {strings.Repeat("é", 500), true},
		"too long": {strings.Repeat("e", 501), false}, "no UTF-8": {"\xff", false}, "control character": {"a\x00b", false},
		"escape": {"\x1b[2J", false},
	} {
		got, err := Read("SUPERSEDED", c.comment)
		if c.ok && (err != nil || got != Statement{Superseded, c.comment}) || !c.ok && !errors.Is(err, ErrComment) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	if _, err := Read("because", ""); !errors.Is(err, ErrCode) {
		t.Errorf("an unknown word: %v", err)
	}
	row := Statement{KeyCompromise, "laptop stolen"}.Note(map[string]any{"generation": int64(1)})
	if diff := cmp.Diff(map[string]any{"generation": int64(1), "reason": "keyCompromise", "comment": "laptop stolen"},
		row); diff != "" {
		t.Errorf("details (-want +got):\n%s", diff)
	}
}

package dashboard_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
)

// Each choice of the pre-flight says whom it cuts off, and from when. The safe one is first and preset. A rotation in
// an overlap says who counts as not moved again, and which date stays.
func TestThePreflightSaysWhomItCutsOff(t *testing.T) {
	w, b := signedIn(t)
	w.admit(t, "dead")
	w.Do(t, rotateca.Request{Mode: rotateca.Mint})
	w.admit(t, "old-a", "old-b")
	w.Do(t, rotateca.Request{Mode: rotateca.Mint, Overlap: 2 * day})
	w.admit(t, "moved")
	page := b.preflight(t)
	says(t, page, "The last rotation is still under way",
		"1 agent with a certificate of G3 count as not moved again: 0 % of the fleet have moved after the commit",
		"G2 keeps its own date, 26 Nov 2026, 03:00:00 UTC , for 2 agents (2 Minted).",
		"work for a week more The safe choice: no outage for agents that move within it. The commit cuts off no agent. "+
			"2 agents under G2 until 26 Nov 2026, 03:00:00 UTC", "1 agent under G3 until 1 Dec 2026, 03:00:00 UTC",
		"stop at once The operator guide's way", "3 agents get no token from the commit on: 3 Minted.")
	values := regexp.MustCompile(`name="overlap" value="([0-9]+)"( checked)?`).FindAllStringSubmatch(page.body, -1)
	if len(values) != 4 || values[0][1] != "604800" || values[0][2] == "" || values[3][1] != "0" {
		t.Errorf("choices %q: a week is first and preset, at once is offered", values)
	}
}

// Without an overlap there is no word of one, and a count that fails hides no choice.
func TestThePreflightWithoutACount(t *testing.T) {
	w, broken := breakable(t)
	b := w.browser()
	b.signIn(t)
	w.admit(t, "kyc")
	if page := b.preflight(t); strings.Contains(text(page.body), "still under way") {
		t.Errorf("no rotation is under way: %s", text(page.body))
	}
	w.rotated(t)
	if _, err := w.Standby.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	*broken = "Count"
	page := b.preflight(t)
	says(t, page, "work for a week more", "stop at once")
	if strings.Contains(text(page.body), "get no token from the commit on") {
		t.Errorf("what was not counted is shown: %s", text(page.body))
	}
}

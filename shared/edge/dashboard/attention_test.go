package dashboard_test

import (
	"strings"
	"testing"
	"time"

	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
)

const day = 24 * time.Hour

// The overview answers whether everything is all right, and says so in one line where it is.
func TestOverviewWhenAllIsWell(t *testing.T) {
	w, b := signedIn(t)
	w.inUse(t, "kyc")
	page := b.page(t, "/proxy/overview")
	says(t, page, "Everything is all right", "No warning holds, and no certificate is due.",
		"The only agent has a certificate of the current Org CA.")
	if strings.Contains(page.body, `class="warn"`) || strings.Contains(page.body, `class="bad"`) {
		t.Errorf("something needs attention: %s", text(page.body))
	}
}

// Two rotations with overlaps: who loses its certificate, and when, stands first, each Org CA with its own date. Agents
// without a certificate that works are another number, and the numbers add up.
func TestOverviewNamesEveryDeadline(t *testing.T) {
	w, b := signedIn(t)
	w.admit(t, "dead")
	w.Do(t, rotateca.Request{Mode: rotateca.Mint})
	w.admit(t, "first-a", "first-b")
	w.Do(t, rotateca.Request{Mode: rotateca.Mint, Overlap: 7 * day})
	w.admit(t, "second")
	w.Do(t, rotateca.Request{Mode: rotateca.Mint, Overlap: 2 * day})
	w.admit(t, "moved")
	page := b.page(t, "/proxy/overview")
	says(t, page, "2 things need attention", "3 agents have a certificate that stops with an overlap",
		"1 agent on G3, until 26 Nov 2026, 03:00:00 UTC , in 2 days",
		"2 agents on G2, until 1 Dec 2026, 03:00:00 UTC , in 7 days",
		"See who remains", "1 agent has no certificate that works", "1 of 5 agents moved, 4 to go.",
		"3 of them get no tokens now.", "G3 counts until 26 Nov 2026, 03:00:00 UTC")
	if strings.Contains(page.body, "data-live") {
		t.Error("a number of the page changes while another does not")
	}
}

// A deadline within a day is red; without the counts of the index the rest still shows.
func TestOverviewWithoutACount(t *testing.T) {
	w, broken := breakable(t)
	b := w.browser()
	b.signIn(t)
	w.admit(t, "late")
	w.Do(t, rotateca.Request{Mode: rotateca.Mint, Overlap: 12 * time.Hour})
	if page := b.page(t, "/proxy/overview"); !strings.Contains(page.body, `<li class="bad">`) {
		t.Errorf("twelve hours are left: %s", text(page.body))
	}
	for op, want := range map[string]string{
		"Count":    "1 agent has no certificate of the current Org CA",
		"Census":   "The fleet cannot be counted at the moment.",
		"SeenAt":   "Afterwards these agents get no token.",
		"DueTimes": "The certificates cannot be counted at the moment.",
		"CountDue": "The certificates cannot be counted at the moment.",
	} {
		*broken = op
		w.Advance(10 * time.Second)
		says(t, b.page(t, "/proxy/overview"), want, "Org CA rotated")
	}
}

// A refused upload needs attention until an operator has brought another one; schedules' routine is one line.
func TestOverviewShowsWhatPeopleDid(t *testing.T) {
	w, b := signedIn(t)
	req := rotateca.Request{Mode: rotateca.Upload, Upload: &rotateca.Files{Certificates: []byte("x"), Key: []byte("y")}}
	req.Actor = "admin:test"
	if _, err := w.RotateCA.Do(t.Context(), req); err == nil {
		t.Fatal("the upload is not refused")
	}
	w.Advance(3 * time.Minute)
	w.seal(t)
	page := b.page(t, "/proxy/overview")
	says(t, page, "One thing needs attention", "An upload of an Org CA was refused", "3 minutes ago", "Bring it again",
		"events of schedules", "Org CA staged 2×")
	_, after, _ := strings.Cut(text(page.body), "events of schedules")
	if strings.Contains(after, "by schedule") {
		t.Errorf("routine is not folded: %s", text(page.body))
	}
	w.Do(t, rotateca.Request{Mode: rotateca.Mint})
	page = b.page(t, "/proxy/overview")
	if strings.Contains(text(page.body), "Bring it again") {
		t.Errorf("a rotation later the refusal still needs attention: %s", text(page.body))
	}
	says(t, page, "Everything is all right", "Org CA rotated now")
}

// A re-issue that stands still needs attention, with a link to its page. So does one that a gate halted.
func TestOverviewShowsAReissueThatStandsStill(t *testing.T) {
	w, b := signedIn(t)
	w.inUse(t, "kyc")
	w.Do(t, rotateca.Request{Mode: rotateca.Mint, Overlap: 7 * day})
	for _, c := range []struct {
		change func(*orgca.Reissue)
		want   string
	}{
		{func(r *orgca.Reissue) { r.State = orgca.Paused }, "The re-issue of certificates is paused"},
		{func(r *orgca.Reissue) { r.State = orgca.Halted }, "The re-issue of agents' certificates halted"},
		{func(r *orgca.Reissue) { r.State, r.Failed = orgca.Running, 3 }, "Deliveries of new certificates fail 3 failed"},
	} {
		r := *w.Org(t).Reissue
		c.change(&r)
		if err := w.Store.Apply(t.Context(), registry.Change{ID: w.NewID(), Reissue: &r}); err != nil {
			t.Fatal(err)
		}
		page := b.page(t, "/proxy/overview")
		says(t, page, c.want)
		if !strings.Contains(page.body, `<a class="button" href="/proxy/pki/rotation">`) {
			t.Errorf("%s: the page does not lead to the rotation", c.want)
		}
	}
}

// A bar leads to exactly the agents that it counts.
func TestWeeksLeadToTheirAgents(t *testing.T) {
	w, b := signedIn(t)
	w.admit(t, "early", "late")
	w.Advance(260 * day)
	b.signIn(t)
	w.admit(t, "new")
	page := b.page(t, "/proxy/overview")
	says(t, page, "2 certificates due in the week of 25 Oct 2027", "0 certificates due now", "30 days before they expire")
	target := "/proxy/agents?show=week-2027-10-25"
	if !strings.Contains(page.body, `href="`+target+`"`) {
		t.Fatalf("no bar leads to %s", target)
	}
	list := b.page(t, target)
	says(t, list, "early", "late", "Due in the week of 25 Oct 2027")
	if strings.Contains(list.body, "orga::new") {
		t.Error("an agent that is due in another week is listed")
	}
	says(t, b.page(t, "/proxy/agents?show=week-2027-10-18"), "No certificate is due in the week of 18 Oct 2027")
}

package dashboard_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
)

// rotated gives the Org CA a successor, with an overlap.
func (w *world) rotated(t testing.TB) {
	t.Helper()
	w.Do(t, rotateca.Request{Mode: rotateca.Mint, Overlap: 24 * time.Hour})
}

// inUse enrols agents that get tokens.
func (w *world) inUse(t testing.TB, names ...string) {
	t.Helper()
	for _, name := range names {
		a, err := w.Admit(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.TokenFor(t.Context(), a.Certificate.CertPEM); err != nil {
			t.Fatal(err)
		}
	}
}

// The page says whom a finalise cuts off, sends it so that it is refused where they are in use, and asks once more
// before it leaves that out.
func TestFinalisingAsksOnceMore(t *testing.T) {
	w, b := signedIn(t)
	w.inUse(t, "busy-1", "busy-2")
	w.admit(t, "never")
	w.rotated(t)
	page := b.page(t, "/proxy/pki/finalise")
	says(t, page, "What this cuts off", "3 agents; 2 of them got a token in the last day.", "Minted: 3",
		"orga::busy-1 24 Nov 2026, 03:00 to 04:00 UTC", "orga::never none is known")
	if strings.Contains(page.body, `name="anyway"`) {
		t.Error("the first page offers to cut agents off that are in use")
	}
	for range 2 { // the form without the tick is refused once more
		page = b.submit(t, page, "/proxy/pki/finalise", url.Values{"confirm": {typed(t, page)}})
		if page.status != http.StatusConflict || !strings.Contains(page.body, `name="anyway" value="yes"`) ||
			strings.Contains(page.body, "checked") {
			t.Fatalf("refusal: status %d: %s", page.status, text(page.body))
		}
		says(t, page, "Nothing was changed: agents that are in use remain", "2 agents got a token in the last day")
		if n := len(w.events(t, audit.OverlapEnded)); n != 0 {
			t.Fatalf("%d overlaps were ended", n)
		}
	}
	a := b.submit(t, page, "/proxy/pki/finalise", url.Values{"confirm": {typed(t, page)}, "anyway": {"yes"}})
	if a.status != http.StatusSeeOther || len(w.events(t, audit.OverlapEnded)) != 1 {
		t.Fatalf("finalise: status %d: %s", a.status, text(a.body))
	}
}

// Agents that are silent need no second answer.
func TestFinalisingPastSilentAgents(t *testing.T) {
	w, b := signedIn(t)
	w.inUse(t, "silent")
	w.Do(t, rotateca.Request{Mode: rotateca.Mint, Overlap: 7 * 24 * time.Hour})
	w.Advance(30 * time.Hour)
	b.signIn(t)
	page := b.page(t, "/proxy/pki/finalise")
	says(t, page, "1 agent; 0 of them got a token in the last day.")
	if a := b.submit(t, page, "/proxy/pki/finalise",
		url.Values{"confirm": {typed(t, page)}}); a.status != http.StatusSeeOther {
		t.Fatalf("finalise: status %d: %s", a.status, text(a.body))
	}
}

// A page that cannot look does not stand in the way.
func TestFinalisePageWithoutTheLook(t *testing.T) {
	w, broken := breakable(t)
	b := w.browser()
	b.signIn(t)
	w.admit(t, "a")
	w.rotated(t)
	*broken = "SeenAt"
	says(t, b.page(t, "/proxy/pki/finalise"), "Which agents it cuts off could not be looked up now.",
		"Finalise the rotation")
}

func TestAgentPagesShowTheLastToken(t *testing.T) {
	w, b := signedIn(t)
	w.inUse(t, "busy")
	w.admit(t, "never")
	says(t, b.page(t, "/proxy/agents"), "Last token", "last token in the last 2 hours")
	says(t, b.page(t, "/proxy/agents/orga::busy"), "Last token 24 Nov 2026, 03:00 to 04:00 UTC")
	says(t, b.page(t, "/proxy/agents/orga::never"), "Last token none is known")
}

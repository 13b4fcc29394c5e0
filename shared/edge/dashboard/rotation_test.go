package dashboard_test

import (
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/mastio-aws/mastio/shared/registry/memstore"
)

// plotted runs the standby job, which draws, every few minutes.
func (w *world) plotted(t testing.TB, times int) {
	t.Helper()
	for range times {
		if _, err := w.Standby.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.Advance(5 * time.Minute)
	}
}

// The page of a running rotation: a chart that is well-formed and has a name, the same in numbers, who remains.
func TestRotationPage(t *testing.T) {
	w, b := signedIn(t)
	w.inUse(t, "busy")
	w.admit(t, "moving")
	w.admit(t, "never")
	w.rotated(t)
	w.plotted(t, 2)
	if _, err := w.Rotate(t.Context(), "orga::moving"); err != nil {
		t.Fatal(err)
	}
	w.plotted(t, 2)
	page := b.page(t, "/proxy/pki/rotation")
	says(t, page, "1 of 3 agents moved, 0 of these in use with the new certificate; 2 remain, 1 of these silent.",
		"The chart in numbers", "deadline", "Minted 1 / 3, 33 %",
		"orga::busy Minted – 24 Nov 2026, 03:00 to 04:00 UTC in use G1", "orga::never Minted – none is known never seen G1",
		"Roll back to G1")
	if strings.Contains(text(page.body), "orga::moving") {
		t.Error("an agent that has moved is among those that remain")
	}
	svg := regexp.MustCompile(`(?s)<svg.*?</svg>`).FindAllString(page.body, -1)
	var chart string
	for _, s := range svg {
		if strings.Contains(s, `role="img"`) {
			chart = s
		}
	}
	if !strings.Contains(chart, "the agents that remain went from 3 to 2.</title>") ||
		!strings.Contains(chart, `aria-labelledby="burndown-title"`) || !strings.Contains(chart, `<polygon class="area minted"`) {
		t.Fatalf("chart: %s", chart)
	}
	for d := xml.NewDecoder(strings.NewReader(chart)); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("the chart is not well-formed: %v", err)
		}
	}
	says(t, b.page(t, "/proxy/pki"), "How it goes")
}

// Before the first Org CA there is nothing to show, and what cannot be drawn or counted hides nothing else.
func TestRotationPageWithoutItsParts(t *testing.T) {
	w := unopened(t, memstore.Config{})
	b := w.browser()
	b.signIn(t)
	if a := b.get(t, "/proxy/pki/rotation"); a.status != http.StatusSeeOther {
		t.Errorf("without an Org CA: status %d", a.status)
	}
	for op, want := range map[string]string{
		"Burndown": "1 remains", "Census": "The fleet cannot be counted at the moment.",
		"SeenAt": "The agents that remain cannot be looked up at the moment.",
	} {
		broken := false
		w := open(t, memstore.Config{Fault: func(called string) memstore.Fault {
			if broken && called == op {
				return memstore.Refuse
			}
			return memstore.None
		}})
		b := w.browser()
		b.signIn(t)
		w.admit(t, "a")
		w.rotated(t)
		broken = true
		says(t, b.page(t, "/proxy/pki/rotation"), want, "Finalise")
	}
}

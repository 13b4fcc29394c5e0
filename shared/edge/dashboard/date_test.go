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

func TestSchedulingARotation(t *testing.T) {
	w, b := signedIn(t)
	page := b.preflight(t)
	commit := func(at string) answer {
		return b.submit(t, page, "/proxy/pki/rotate-ca/preflight", url.Values{
			"confirm": {typed(t, page)}, "overlap": {"604800"}, "reason": {"superseded"}, "at": {at},
		})
	}
	for _, wrong := range []string{"tomorrow", "2020-01-15T02:00", "2199-01-15T02:00", "2026-11-25"} {
		if a := commit(wrong); a.status < 400 || !strings.Contains(a.body, `id="at-wrong"`) {
			t.Errorf("%s: status %d: %s", wrong, a.status, text(a.body))
		}
	}
	at := w.Now().UTC().Add(26 * time.Hour).Truncate(time.Minute)
	a := commit(at.Format("2006-01-02T15:04"))
	if a.status != http.StatusSeeOther || a.header.Get("Location") != "/proxy/pki#scheduled" {
		t.Fatalf("status %d to %q: %s", a.status, a.header.Get("Location"), text(a.body))
	}
	shown := b.page(t, "/proxy/pki")
	says(t, shown, "A rotation is scheduled", "work for 7 days more", "Scheduled by dashboard:AWSCURRENT/",
		"Cancel the scheduled rotation", "Org CA G1 current")
	if s := w.status(t); s.Scheduled == nil || !s.Scheduled.At.Equal(at) || s.Generation != 1 {
		t.Errorf("scheduled: %+v", s.Scheduled)
	}
	if rows := w.events(t, audit.RotationScheduled); len(rows) != 1 || rows[0].Details["source_ip"] != "192.0.2.7" {
		t.Errorf("rows: %+v", rows)
	}
	for range 2 { // a second click gets the answer of the first
		if a = b.submit(t, shown, "/proxy/pki/cancel", nil); a.status != http.StatusSeeOther {
			t.Errorf("cancel: status %d: %s", a.status, text(a.body))
		}
	}
	if s := w.status(t); s.Scheduled != nil || len(w.events(t, audit.RotationCancelled)) != 1 {
		t.Errorf("cancelled: %+v", s.Scheduled)
	}
	if strings.Contains(b.page(t, "/proxy/pki").body, `id="scheduled"`) {
		t.Error("the page shows a plan that was cancelled")
	}
}

func TestADroppedPlanIsShown(t *testing.T) {
	w, b := signedIn(t)
	w.Do(t, rotateca.Request{Mode: rotateca.Mint, At: w.Now().Add(time.Hour)})
	w.Do(t, rotateca.Request{Mode: rotateca.Mint})
	if _, err := w.Standby.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	shown := b.page(t, "/proxy/pki")
	says(t, shown, "A scheduled rotation was dropped", "another Org CA is current than the pre-flight showed", "Dismiss",
		"A scheduled rotation of the Org CA was dropped")
	if a := b.submit(t, shown, "/proxy/pki/cancel", nil); a.status != http.StatusSeeOther {
		t.Errorf("dismiss: status %d: %s", a.status, text(a.body))
	}
	if s := w.status(t); s.Scheduled != nil {
		t.Errorf("dismissed: %+v", s.Scheduled)
	}
}

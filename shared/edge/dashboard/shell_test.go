package dashboard_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// The host's root leads to the pages, with a session or without.
func TestTheRootLeadsToThePages(t *testing.T) {
	_, b := signedIn(t)
	a := b.get(t, "/")
	if a.status != http.StatusSeeOther || a.header.Get("Location") != "/proxy" {
		t.Errorf("the root: status %d to %q", a.status, a.header.Get("Location"))
	}
}

// Whatever a browser asks for, the answer is a page.
func TestUnknownPagesArePages(t *testing.T) {
	w, b := signedIn(t)
	for _, c := range []struct {
		method, path string
		status       int
		want         string
	}{
		{"GET", "/proxy/nothing", http.StatusNotFound, "Page not found"},
		{"GET", "/proxy/agents/orga::kyc/nothing/here", http.StatusNotFound, "Page not found"},
		{"GET", "/proxy/agents/orga::nobody", http.StatusNotFound, "No agent has this name."},
		{"GET", "/proxy/agents/nobody", http.StatusBadRequest, "This is not the name of an agent."},
		{"GET", "/proxy/logout", http.StatusMethodNotAllowed, "Go to the overview"},
		{"POST", "/proxy/overview", http.StatusMethodNotAllowed, "Go to the overview"},
	} {
		a := b.send(t, c.method, c.path, nil)
		if a.status != c.status || !strings.HasPrefix(a.header.Get("Content-Type"), "text/html") ||
			a.header.Get("Content-Security-Policy") == "" || a.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s %s: status %d, headers %v", c.method, c.path, a.status, a.header)
		}
		says(t, a, c.want)
		if words := text(a.body); strings.Contains(words, "/v1/") || strings.Contains(words, "GET ") {
			t.Errorf("%s %s speaks of the API: %s", c.method, c.path, words)
		}
	}
	stranger := w.browser()
	a := stranger.get(t, "/proxy/nothing")
	if want := "/proxy/login?next=" + url.QueryEscape("/proxy/nothing"); a.header.Get("Location") != want {
		t.Errorf("a stranger is led to %q, want %q", a.header.Get("Location"), want)
	}
}

// Each time is in UTC, with what a script needs to write it in the browser's zone.
func TestTimesHaveTheirInstant(t *testing.T) {
	w, b := signedIn(t)
	w.admit(t, "kyc")
	at := w.Now().UTC()
	a := b.page(t, "/proxy/agents/orga::kyc")
	want := `<time datetime="` + at.Format("2006-01-02T15:04:05Z") + `" data-as="moment">` +
		at.Format("2 Jan 2006, 15:04:05 UTC") + `</time>`
	if !strings.Contains(a.body, want) {
		t.Errorf("the enrolment's time is not %s: %s", want, a.body)
	}
	if strings.Contains(text(a.body), "<time") {
		t.Errorf("a time is shown as its source: %s", text(a.body))
	}
}

package dashboard_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
	"github.com/mastio-aws/mastio/shared/session"
)

func (w *world) seal(t testing.TB) {
	t.Helper()
	if _, err := w.Checkpoint.Run(t.Context(), audit.By{Actor: "test"}); err != nil {
		t.Fatal(err)
	}
}

func TestTheTrailIsFiltered(t *testing.T) {
	w, b := signedIn(t)
	says(t, b.page(t, "/proxy/audit"), "No checkpoint has been made yet", "Org CA created")
	w.admit(t, "kyc", "pay")
	if _, err := w.Rotate(t.Context(), "orga::kyc"); err != nil {
		t.Fatal(err)
	}
	w.seal(t)
	today := w.Now().Format(time.DateOnly)
	for query, want := range map[string]string{
		"":                                      "created staged staged enrolled enrolled rotated sealed",
		"?event_type=agent.cert_rotated":        "rotated",
		"?subject=orga::kyc":                    "enrolled rotated",
		"?subject=orga::nobody":                 "",
		"?actor=schedule":                       "created staged staged",
		"?start=" + today + "&end=" + today:     "created staged staged enrolled enrolled rotated sealed",
		"?end=2020-01-01":                       "",
		"?start=2100-01-01":                     "",
		"?subject=%3Cscript%3E":                 "",
		"?event_type=agent.enrolled&actor=test": "enrolled enrolled",
	} {
		a := b.page(t, "/proxy/audit"+query)
		var got []string
		for _, m := range regexp.MustCompile(`<th scope="row"><span class="chip [a-z]*">([^<]*)<`).FindAllStringSubmatch(a.body, -1) {
			words := strings.Fields(strings.ToLower(m[1]))
			got = append(got, words[len(words)-1])
		}
		// The events of one millisecond have no order between chains.
		if sorted(strings.Join(got, " ")) != sorted(want) {
			t.Errorf("%s: got %q, want %q", query, got, want)
		}
	}
	for query, name := range map[string]string{"?start=yesterday": "start", "?end=1.1.2026": "end",
		"?event_type=x": "event_type", "?start=2026-11-24&end=2026-11-20": "start"} {
		a := b.get(t, "/proxy/audit"+query)
		if a.status != http.StatusUnprocessableEntity || !strings.Contains(a.body, `id="`+name+`-wrong"`) {
			t.Errorf("%s: status %d, or no error beside %s", query, a.status, name)
		}
	}
	if a := b.get(t, "/proxy/audit?cursor=x"); a.status != http.StatusBadRequest {
		t.Errorf("a made up cursor: status %d", a.status)
	}
}

func sorted(words string) string {
	list := strings.Fields(words)
	for i := range list {
		for j := i + 1; j < len(list); j++ {
			if list[j] < list[i] {
				list[i], list[j] = list[j], list[i]
			}
		}
	}
	return strings.Join(list, " ")
}

func TestTheTrailIsPaged(t *testing.T) {
	w, b := signedIn(t)
	for n := range 130 {
		w.admit(t, "agent-"+string(rune('a'+n/26))+string(rune('a'+n%26)))
	}
	a := b.page(t, "/proxy/audit?event_type=agent.enrolled")
	m := regexp.MustCompile(`href="([^"]+)" rel="next"`).FindStringSubmatch(a.body)
	if m == nil || strings.Count(a.body, "<tr>") != 81 {
		t.Fatalf("%d rows, next %q", strings.Count(a.body, "<tr>"), m)
	}
	says(t, a, "130 events", "newest first", "Event Enrolled", "From 18 Nov 2026")
	if a = b.page(t, strings.ReplaceAll(m[1], "&amp;", "&")); strings.Count(a.body, "<tr>") != 51 {
		t.Errorf("the second page has %d rows", strings.Count(a.body, "<tr>"))
	}
}

func TestTheTrailIsExported(t *testing.T) {
	w, b := signedIn(t)
	w.admit(t, "kyc")
	a := b.page(t, "/proxy/audit/export?format=ndjson&subject=orga::kyc")
	var row audit.Row
	if err := json.Unmarshal([]byte(a.body), &row); err != nil || row.EventType != audit.AgentEnrolled ||
		!strings.HasPrefix(a.header.Get("Content-Disposition"), `attachment; filename="audit-orga-`) {
		t.Errorf("ndjson: %v, %+v, %v", err, row, a.header)
	}
	if a := b.page(t, "/proxy/audit/export?format=csv"); !strings.HasPrefix(a.body, "id,seq,timestamp") ||
		!strings.Contains(a.body, "agent.enrolled") {
		t.Errorf("csv: %s", a.body)
	}
	for _, query := range []string{"?format=xml", "?format=csv&start=x"} {
		if a := b.get(t, "/proxy/audit/export"+query); a.status != http.StatusBadRequest {
			t.Errorf("%s: status %d", query, a.status)
		}
	}
}

func TestTheTrailIsVerified(t *testing.T) {
	w, b := signedIn(t)
	w.admit(t, "kyc", "pay")
	says(t, b.submit(t, b.page(t, "/proxy/audit"), "/proxy/audit/verify", nil), "The trail holds", "5 rows in 3 chains")
	w.seal(t)
	w.admit(t, "later")
	a := b.submit(t, b.page(t, "/proxy/audit"), "/proxy/audit/verify", nil)
	says(t, a, "The trail holds", "rows in 4 chains", "Checkpoints 1")
	for _, path := range []string{"/proxy/audit/verify", "/proxy/audit/bundle"} {
		if a := b.get(t, path); a.header.Get("Location") != "/proxy/audit" {
			t.Errorf("%s: status %d to %q", path, a.status, a.header.Get("Location"))
		}
	}
}

// forgedStore is a store with a forged change of an agent's rights.
type forgedStore struct{ registry.Store }

// Covered reads rows by their keys, as a bundle has them.
func (s forgedStore) Covered(ctx context.Context, leaves ...audit.Leaf) ([]audit.Row, error) {
	rows, err := s.Store.Covered(ctx, leaves...)
	for i := range rows {
		if rows[i].Subject == "orga::kyc" {
			rows[i].Details["capabilities"] = []any{"kyc:pay"}
		}
	}
	return rows, err
}

// What was changed past the Mastio shows, with the row that does not hold.
func TestABrokenTrailIsTold(t *testing.T) {
	w := open(t, memstore.Config{})
	w.admit(t, "kyc")
	w.seal(t)
	services := w.Services(w.Now)
	services.Store = forgedStore{w.Store}
	w.serve(t, services.Over(w.Parts.Config, w.Now, w.NewID))
	b := w.browser()
	b.signIn(t)
	says(t, b.submit(t, b.page(t, "/proxy/audit"), "/proxy/audit/verify", nil), "The trail is broken",
		"Row 1 of orga::kyc")
}

func TestTheTrailIsPacked(t *testing.T) {
	w, b := signedIn(t)
	w.admit(t, "kyc")
	w.seal(t)
	a := b.submit(t, b.page(t, "/proxy/audit"), "/proxy/audit/bundle", nil)
	says(t, a, "Bundle for an auditor", "All that has happened")
	for name, data := range files(t, a) {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(name, ".tar.gz") || !strings.HasPrefix(data, "\x1f\x8b") {
			t.Errorf("%s is no bundle", name)
		}
	}
	for _, from := range []string{"", "0", "-1", "x", "99"} {
		form := url.Values{"from": {from}, "form_token": {session.FormToken(b.cookies["__Host-mastio-session"].Value)}}
		if a := b.send(t, "POST", "/proxy/audit/bundle", form); a.status != http.StatusBadRequest {
			t.Errorf("from %q: status %d", from, a.status)
		}
	}
}

// The newest event is first, on every page; each filter is shown, and can be taken away.
func TestTheNewestEventIsFirst(t *testing.T) {
	w, b := signedIn(t)
	for n := range 100 {
		w.Advance(time.Second)
		w.admit(t, fmt.Sprintf("agent-%02d", n))
	}
	b.signIn(t)
	a := b.page(t, "/proxy/audit?event_type=agent.enrolled&actor=test")
	names := strings.Fields(named(a))
	if len(names) != 80 || names[0] != "agent-99" || names[79] != "agent-20" {
		t.Errorf("%d rows from %s to %s", len(names), names[0], names[len(names)-1])
	}
	says(t, a, "100 events", "newest first", "By test")
	m := regexp.MustCompile(`href="([^"]+)" rel="next"`).FindStringSubmatch(a.body)
	if m == nil {
		t.Fatal("no page with earlier events")
	}
	a = b.page(t, strings.ReplaceAll(m[1], "&amp;", "&"))
	if names = strings.Fields(named(a)); len(names) != 20 || names[0] != "agent-19" || names[19] != "agent-00" {
		t.Errorf("earlier: %v", names)
	}
	says(t, a, "Newest events")
	for _, m := range regexp.MustCompile(`<a href="([^"]+)" title="Take this filter away">([A-Z][a-z]+) `).
		FindAllStringSubmatch(a.body, -1) {
		less := text(b.page(t, strings.ReplaceAll(m[1], "&amp;", "&")).body)
		if strings.Contains(less, "newest first "+m[2]) {
			t.Errorf("%s stays: %.200s", m[2], less)
		}
	}
	all := b.page(t, "/proxy/audit?period=all")
	if strings.Contains(all.body, "Take this filter away") {
		t.Error("the whole trail is filtered")
	}
	says(t, all, "Org CA created")
}

// The page shows the key that an auditor compares.
func TestTheAuditKeyIsShown(t *testing.T) {
	w, b := signedIn(t)
	w.seal(t)
	a := b.page(t, "/proxy/audit")
	last, err := w.Store.Checkpoint(t.Context())
	if err != nil || last.Sealed.Checkpoint.Key == "" || !strings.Contains(a.body, `data-copy="`+last.Sealed.Checkpoint.Key+`"`) {
		t.Errorf("the fingerprint %q is not on the page: %v", last.Sealed.Checkpoint.Key, err)
	}
}

package dashboard_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
)

// events are the organisation's events of a kind.
func (w *world) events(t testing.TB, kind audit.Event) (found []audit.Row) {
	t.Helper()
	rows, err := w.Store.Rows(t.Context(), "orga", 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		if row.EventType == kind {
			found = append(found, row)
		}
	}
	return found
}

// preflight goes as far as the pre-flight page.
func (b *browser) preflight(t testing.TB) answer {
	t.Helper()
	a := b.submit(t, b.page(t, "/proxy/pki/rotate-ca"), "/proxy/pki/rotate-ca", nil)
	if a.status != http.StatusSeeOther {
		t.Fatalf("stage: status %d: %s", a.status, text(a.body))
	}
	return b.page(t, a.header.Get("Location"))
}

var toType = regexp.MustCompile(`<label for="confirm">[^<]*<code>([0-9a-f]{8})</code>`)

// typed is what a page asks to be typed.
func typed(t testing.TB, a answer) string {
	t.Helper()
	m := toType.FindStringSubmatch(a.body)
	if m == nil {
		t.Fatalf("nothing to type: %s", text(a.body))
	}
	return m[1]
}

func (w *world) status(t testing.TB) rotateca.Status {
	t.Helper()
	s, err := w.RotateCA.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestRotatingTheOrgCA(t *testing.T) {
	w, b := signedIn(t)
	w.admit(t, "a", "b", "c")
	says(t, b.page(t, "/proxy/pki"), "Org CA G1 current", "100 %",
		"All 3 agents have a certificate of the current Org CA.", "staged")
	page := b.preflight(t)
	says(t, page, "Pre-flight check", "New Org CA G2 staged", "CN=orga Org CA G2", "replaces G1",
		"3 Minted Rotate each agent's certificate", "Nothing has changed yet")
	if w.status(t).Generation != 1 {
		t.Fatal("the pre-flight changed something")
	}
	a := b.submit(t, page, "/proxy/pki/rotate-ca/preflight",
		url.Values{"confirm": {"00000000"}, "overlap": {"604800"}, "reason": {"superseded"}})
	if a.status != http.StatusUnprocessableEntity || !strings.Contains(a.body, `id="confirm-wrong"`) ||
		!strings.Contains(a.body, `value="604800" checked`) {
		t.Errorf("wrongly typed: status %d", a.status)
	}
	says(t, a, "the first eight digits of the new CA's fingerprint")
	a = b.submit(t, a, "/proxy/pki/rotate-ca/preflight",
		url.Values{"confirm": {typed(t, page)}, "overlap": {"604800"}, "reason": {"keyCompromise"}})
	if a.status != http.StatusUnprocessableEntity || !strings.Contains(a.body, `id="overlap-wrong"`) {
		t.Errorf("an overlap after a compromise: status %d", a.status)
	}
	a = b.submit(t, a, "/proxy/pki/rotate-ca/preflight",
		url.Values{"confirm": {typed(t, page)}, "overlap": {"604800"}, "reason": {"superseded"}})
	if a.status != http.StatusSeeOther {
		t.Fatalf("commit: status %d: %s", a.status, text(a.body))
	}
	says(t, b.page(t, a.header.Get("Location")), "The Org CA is rotated", "G2 is current", "in 7 days",
		"0 of 3 agents moved, 3 to go.")
	says(t, b.page(t, "/proxy/pki"), "Org CA G2 current", "superseded", "still count until", "Roll back to G1")
	rows := w.events(t, audit.OrgCARotated)
	if len(rows) != 1 || rows[0].Details["reason"] != "superseded" ||
		!strings.HasPrefix(rows[0].Actor, "dashboard:AWSCURRENT/") || rows[0].Details["source_ip"] != "192.0.2.7" {
		t.Errorf("events: %+v", rows)
	}
}

// Reason and comment go into the row, as the API has them; the form shows an error next to the wrong one.
func TestReasonAndCommentOfARotation(t *testing.T) {
	w, b := signedIn(t)
	page := b.preflight(t)
	for field, wrong := range map[string]url.Values{
		"comment": {"comment": {strings.Repeat("é", 501)}}, "reason": {"reason": {"key_compromise"}},
	} {
		wrong.Set("confirm", typed(t, page))
		wrong.Set("overlap", "0")
		if a := b.submit(t, page, "/proxy/pki/rotate-ca/preflight", wrong); a.status != http.StatusUnprocessableEntity ||
			!strings.Contains(a.body, `id="`+field+`-wrong"`) {
			t.Errorf("%s: status %d: %s", field, a.status, text(a.body))
		}
	}
	for _, want := range []string{`<select id="reason" name="reason">`,
		`<input id="comment" name="comment" value="" maxlength="500"`, `value="cACompromise"`, `value="privilegeWithdrawn"`} {
		if !strings.Contains(page.body, want) {
			t.Errorf("the form lacks %s", want)
		}
	}
	comment := strings.Repeat("é", 500)
	a := b.submit(t, page, "/proxy/pki/rotate-ca/preflight",
		url.Values{"confirm": {typed(t, page)}, "overlap": {"0"}, "reason": {"cACompromise"}, "comment": {comment}})
	if a.status != http.StatusSeeOther {
		t.Fatalf("commit: status %d: %s", a.status, text(a.body))
	}
	if rows := w.events(t, audit.OrgCARotated); len(rows) != 1 || rows[0].Details["reason"] != "cACompromise" ||
		rows[0].Details["comment"] != comment {
		t.Errorf("events: %+v", rows)
	}
}

// A CA that was staged for a compromise binds its commit: the page says so, and shows the refusal of an overlap next
// to the choice.
func TestCommitOfACAThatWasStagedForACompromise(t *testing.T) {
	w, b := signedIn(t)
	w.Do(t, rotateca.Request{Mode: rotateca.Finalise})
	staged := w.Do(t, rotateca.Request{Mode: rotateca.Stage, Reason: "keyCompromise"})
	page := b.page(t, "/proxy/pki/rotate-ca/preflight?fingerprint="+staged.Fingerprint)
	says(t, page, "Staged for a reason that stops the present Org CA at once", "keyCompromise")
	if !strings.Contains(page.body, `value="604800" disabled`) ||
		!strings.Contains(page.body, `value="keyCompromise" selected`) {
		t.Error("an overlap can be chosen, or the reason is not that of the stage")
	}
	for _, reason := range []string{"unspecified", "keyCompromise"} {
		a := b.submit(t, page, "/proxy/pki/rotate-ca/preflight",
			url.Values{"confirm": {typed(t, page)}, "overlap": {"604800"}, "reason": {reason}})
		if a.status/100 != 4 || !strings.Contains(a.body, `id="overlap-wrong"`) ||
			!strings.Contains(a.body, "Pre-flight check") {
			t.Errorf("an overlap, reason %s: status %d: %s", reason, a.status, text(a.body))
		}
	}
	a := b.submit(t, page, "/proxy/pki/rotate-ca/preflight", url.Values{"confirm": {typed(t, page)}, "overlap": {"0"}})
	if a.status != http.StatusSeeOther {
		t.Fatalf("commit: status %d: %s", a.status, text(a.body))
	}
}

func TestACommitSentTwiceRotatesOnce(t *testing.T) {
	w, b := signedIn(t)
	page := b.preflight(t)
	fields := url.Values{"confirm": {typed(t, page)}, "overlap": {"0"}}
	var locations []string
	for range 3 {
		a := b.submit(t, page, "/proxy/pki/rotate-ca/preflight", fields)
		if a.status != http.StatusSeeOther {
			t.Fatalf("status %d: %s", a.status, text(a.body))
		}
		locations = append(locations, a.header.Get("Location"))
	}
	if locations[0] != locations[1] || locations[1] != locations[2] || len(w.events(t, audit.OrgCARotated)) != 1 {
		t.Errorf("%v, %d rotations, want one answer and one rotation", locations, len(w.events(t, audit.OrgCARotated)))
	}
	// The same number in another session is another form.
	other := w.browser()
	other.signIn(t)
	_, values := form(t, page.body, "/proxy/pki/rotate-ca/preflight")
	_, theirs := form(t, other.page(t, "/proxy/pki/rotate-ca").body, "/proxy/pki/rotate-ca")
	values.Set("form_token", theirs.Get("form_token"))
	values.Set("confirm", typed(t, page))
	target, _ := form(t, page.body, "/proxy/pki/rotate-ca/preflight")
	if a := other.send(t, "POST", target, values); a.status != http.StatusNotFound {
		t.Errorf("the number in another session: status %d, want that nothing is staged", a.status)
	}
}

func TestRollingBackAndFinalising(t *testing.T) {
	w, b := signedIn(t)
	w.admit(t, "a")
	for _, kind := range []string{"rollback", "finalise"} {
		if a := b.get(t, "/proxy/pki/"+kind); a.status != http.StatusConflict {
			t.Errorf("%s before any rotation: status %d", kind, a.status)
		}
	}
	rotate := func() {
		t.Helper()
		w.Do(t, rotateca.Request{Mode: rotateca.Mint, Overlap: time.Hour})
	}
	rotate()
	page := b.page(t, "/proxy/pki/rollback")
	says(t, page, "G1 becomes current again")
	if a := b.submit(t, page, "/proxy/pki/rollback",
		url.Values{"confirm": {"x"}}); a.status != http.StatusUnprocessableEntity {
		t.Errorf("wrongly typed: status %d", a.status)
	}
	for range 2 { // the second click finds the first one's answer
		a := b.submit(t, page, "/proxy/pki/rollback", url.Values{"confirm": {typed(t, page)}})
		if a.status != http.StatusSeeOther {
			t.Fatalf("rollback: status %d: %s", a.status, text(a.body))
		}
		says(t, b.page(t, a.header.Get("Location")), "The rotation is undone", "G1 is current")
	}
	if _, err := w.Standby.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	rotate()
	page = b.page(t, "/proxy/pki/finalise")
	says(t, page, "The overlap ends now: 1 agent not moved yet", "There is no way back to G1")
	a := b.submit(t, page, "/proxy/pki/finalise", url.Values{"confirm": {typed(t, page)}})
	if a.status != http.StatusSeeOther {
		t.Fatalf("finalise: status %d: %s", a.status, text(a.body))
	}
	says(t, b.page(t, a.header.Get("Location")), "The rotation is final")
	if n, m := len(w.events(t, audit.OrgCARolledBack)), len(w.events(t, audit.OverlapEnded)); n != 1 || m != 1 {
		t.Errorf("%d rollbacks and %d ends of an overlap, want one each", n, m)
	}
	if _, err := w.Rotate(t.Context(), "orga::a"); err != nil {
		t.Fatal(err)
	}
	w.Advance(400 * 24 * time.Hour) // nothing that G1 signed can count any more
	if _, err := w.Standby.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.signIn(t)
	says(t, b.page(t, "/proxy/pki"), "G1 retired")
}

// While another operator's rotation runs, every form says so, changes nothing, and can be sent again.
func TestAnotherRotationIsInProgress(t *testing.T) {
	w, b := signedIn(t)
	page := b.preflight(t)
	now := w.Now()
	held, err := w.Store.Acquire(t.Context(), orgca.Lease{
		Holder:    "somebody",
		Operation: "rotate-ca mint",
		Phase:     "prepare",
		Expires:   now.Add(orgca.LeaseTTL),
	}, now)
	if err != nil {
		t.Fatal(err)
	}
	says(t, b.page(t, "/proxy/pki"), "A rotation is in progress", "rotate-ca mint, phase prepare")
	fields := url.Values{"confirm": {typed(t, page)}, "overlap": {"86400"}}
	for name, a := range map[string]answer{
		"stage":  b.submit(t, b.page(t, "/proxy/pki/rotate-ca"), "/proxy/pki/rotate-ca", nil),
		"commit": b.submit(t, page, "/proxy/pki/rotate-ca/preflight", fields),
	} {
		says(t, a, "Another rotation is in progress.", "Try again in 30 seconds.")
		if a.status != http.StatusConflict || a.header.Get("Retry-After") != "30" {
			t.Errorf("%s: status %d, Retry-After %q", name, a.status, a.header.Get("Retry-After"))
		}
	}
	if err := w.Store.Release(t.Context(), held); err != nil {
		t.Fatal(err)
	}
	page = b.preflight(t)
	if a := b.submit(t, page, "/proxy/pki/rotate-ca/preflight", fields); a.status != http.StatusSeeOther {
		t.Errorf("once it is over: status %d: %s", a.status, text(a.body))
	}
}

// A session that ends between the page and the form: nothing is done, and signing in leads back to the same page.
func TestTheSessionEndsInTheMiddle(t *testing.T) {
	w, b := signedIn(t)
	page := b.preflight(t)
	w.Advance(8 * time.Hour)
	a := b.submit(t, page, "/proxy/pki/rotate-ca/preflight", url.Values{"confirm": {typed(t, page)}, "overlap": {"0"}})
	location, err := url.Parse(a.header.Get("Location"))
	if err != nil || a.status != http.StatusSeeOther || location.Path != "/proxy/login" {
		t.Fatalf("status %d to %q", a.status, location)
	}
	says(t, b.page(t, location.String()), "Your session has ended. What you sent last was not carried out.")
	if w.status(t).Generation != 1 {
		t.Error("the form of an ended session was carried out")
	}
	a = b.send(t, "POST", "/proxy/login",
		url.Values{"secret": {"admin-secret-of-the-tests-32-characters"}, "next": {location.Query().Get("next")}})
	says(t, b.page(t, a.header.Get("Location")), "Pre-flight check", "G2")
}

func TestTheBarMoves(t *testing.T) {
	w, b := signedIn(t)
	w.admit(t, "a", "b", "c", "d")
	if _, err := w.Mint(t.Context()); err != nil {
		t.Fatal(err)
	}
	read := func() (p struct {
		Known           bool
		Done, All, Left int
		Percent         int
		Text            string
	}) {
		t.Helper()
		w.Advance(10 * time.Second)
		if err := json.Unmarshal([]byte(b.page(t, "/proxy/pki/progress").body), &p); err != nil {
			t.Fatal(err)
		}
		return p
	}
	if p := read(); !p.Known || p.Percent != 0 || p.Left != 4 || p.Text != "0 of 4 agents moved, 4 to go." {
		t.Errorf("before: %+v", p)
	}
	for _, id := range []string{"a", "b", "c"} {
		if a := b.submit(t, b.page(t, "/proxy/agents/orga::"+id+"/rotate-cert"), "/proxy/agents",
			nil); a.status != http.StatusOK {
			t.Fatalf("rotate: status %d", a.status)
		}
	}
	if p := read(); p.Percent != 75 || p.Done != 3 {
		t.Errorf("after three: %+v", p)
	}
	says(t, b.page(t, "/proxy/overview"), "75 %", "3 of 4 agents moved, 1 to go.")
}

func TestWarningsSayWhatToDo(t *testing.T) {
	w, b := signedIn(t)
	w.Advance(4 * 365 * 24 * time.Hour)
	b.signIn(t)
	for _, path := range []string{"/proxy/overview", "/proxy/pki"} {
		a := b.page(t, path)
		says(t, a, "The Org CA ends too soon", "Its chain ends on 2031-11-24", "org_ca_expiring")
		if !strings.Contains(a.body, `href="/proxy/pki/rotate-ca"`) {
			t.Errorf("%s: nothing to click", path)
		}
	}
}

// An organisation without an Org CA has pages too.
func TestBeforeTheFirstOrgCA(t *testing.T) {
	w := unopened(t, memstore.Config{})
	b := w.browser()
	b.signIn(t)
	for _, path := range []string{"/proxy/overview", "/proxy/pki", "/proxy/agents", "/proxy/pki/rotate-ca"} {
		a := b.page(t, path)
		if path != "/proxy/agents" && path != "/proxy/pki/rotate-ca" {
			says(t, a, "There is no Org CA yet")
		}
	}
}

// Every accepted generation has its date: on the page, on agents, and in the API.
func TestEveryAcceptedGenerationHasItsDate(t *testing.T) {
	w, b := signedIn(t)
	w.admit(t, "first")
	w.Do(t, rotateca.Request{Mode: rotateca.Mint, Overlap: 7 * 24 * time.Hour})
	w.Advance(24 * time.Hour)
	w.admit(t, "second")
	w.Do(t, rotateca.Request{Mode: rotateca.Mint, Overlap: 24 * time.Hour})
	want := map[int64]string{1: "1 Dec 2026, 03:00:00 UTC", 2: "26 Nov 2026, 03:00:00 UTC"}
	for _, e := range w.status(t).History {
		got := ""
		if e.AcceptedUntil != nil {
			got = e.AcceptedUntil.Format("2 Jan 2006, 15:04:05 UTC")
		}
		if got != want[e.Generation] {
			t.Errorf("G%d is accepted until %q, want %q", e.Generation, got, want[e.Generation])
		}
	}
	b.signIn(t)
	page := b.page(t, "/proxy/pki")
	says(t, page, "G1 superseded accepted until 1 Dec 2026, 03:00:00 UTC",
		"G2 superseded accepted until 26 Nov 2026, 03:00:00 UTC", "G3 current current since",
		"superseded accepted until 1 Dec 2026")
	if !strings.Contains(page.body, `<rect class="accepted"`) {
		t.Error("the overlaps are not drawn")
	}
	for name, until := range map[string]string{"first": want[1], "second": want[2]} {
		if body := b.page(t, "/proxy/agents/orga::"+name).body; !strings.Contains(body, until) {
			t.Errorf("the page of %s does not say %s: %s", name, until, text(body))
		}
	}
}

// An organisation that rotates for decades has a long history; the page stays one that loads at once.
func TestALongHistoryHasPages(t *testing.T) {
	w, b := signedIn(t)
	const rotations = 60
	for range rotations {
		w.Do(t, rotateca.Request{Mode: rotateca.Mint})
	}
	row := regexp.MustCompile(`<th scope="row">G(\d+)</th>`)
	var seen []string
	for target := "/proxy/pki"; target != ""; {
		page := b.page(t, target)
		if len(page.body) > 100<<10 {
			t.Errorf("%s has %d octets", target, len(page.body))
		}
		for _, m := range row.FindAllStringSubmatch(page.body, -1) {
			seen = append(seen, m[1])
		}
		target = ""
		if m := regexp.MustCompile(`href="([^"#]+)#history" rel="next"`).FindStringSubmatch(page.body); m != nil {
			target = m[1]
		}
	}
	var want []string
	for g := rotations + 1; g > 0; g-- {
		want = append(want, strconv.Itoa(g))
	}
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Errorf("generations on the pages (-want +got):\n%s", diff)
	}
	if a := b.get(t, "/proxy/pki?before=x"); a.status != http.StatusSeeOther {
		t.Errorf("a page that nobody linked to: status %d", a.status)
	}
}

// The typed text names the CA that is to become current. After another operator's rotation the same form would have
// another effect: end an overlap that a fleet needs, or go back to an unexpected CA.
func TestAFormAboutAnotherOrgCADoesNothing(t *testing.T) {
	w, b := signedIn(t)
	rotate := func() {
		t.Helper()
		w.Do(t, rotateca.Request{Mode: rotateca.Mint, Overlap: time.Hour})
	}
	rotate()
	pages := map[string]answer{"rollback": b.page(t, "/proxy/pki/rollback"), "finalise": b.page(t, "/proxy/pki/finalise")}
	rotate()
	before := w.status(t)
	for kind, page := range pages {
		a := b.submit(t, page, "/proxy/pki/"+kind, url.Values{"confirm": {typed(t, page)}})
		if a.status != http.StatusConflict || !strings.Contains(a.body, "not the one that this request expects") {
			t.Errorf("%s: status %d: %s", kind, a.status, text(a.body))
		}
	}
	if diff := cmp.Diff(before, w.status(t)); diff != "" {
		t.Errorf("it changed something (-before +after):\n%s", diff)
	}
}

package dashboard_test

import (
	"archive/zip"
	"bytes"
	"encoding/base64"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
	"github.com/mastio-aws/mastio/shared/usecase/agentcert"
	"github.com/mastio-aws/mastio/shared/usecase/enroll"
	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
	"github.com/mastio-aws/mastio/test/inmemory"
)

func (w *world) admit(t testing.TB, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, err := w.Admit(t.Context(), name, "kyc:read"); err != nil {
			t.Fatal(err)
		}
	}
}

func signedIn(t testing.TB) (*world, *browser) {
	t.Helper()
	w := open(t, memstore.Config{})
	b := w.browser()
	b.signIn(t)
	return w, b
}

var agentLinks = regexp.MustCompile(`href="/proxy/agents/orga::([^"/]+)"`)

func named(a answer) string {
	var names []string
	for _, m := range agentLinks.FindAllStringSubmatch(a.body, -1) {
		names = append(names, m[1])
	}
	return strings.Join(names, " ")
}

func TestAgentsAreFound(t *testing.T) {
	w, b := signedIn(t)
	says(t, b.page(t, "/proxy/agents"), "No agent is enrolled yet.")
	w.admit(t, "kyc-1", "kyc-2", "kyc-10", "pay", "Pay")
	for query, want := range map[string]string{
		"": "Pay kyc-1 kyc-10 kyc-2 pay", "?q=kyc-1": "kyc-1 kyc-10", "?q=pay": "Pay pay", "?q=orga::kyc-2": "kyc-2",
		"?q=+AY+": "Pay pay", "?q=-1": "kyc-1 kyc-10", "?q=x": "",
		"?q=%25": "", "?q=%3Cscript%3E": "", "?q=kyc%20": "kyc-1 kyc-10 kyc-2",
		"?show=generation-1": "Pay kyc-1 kyc-10 kyc-2 pay", "?show=generation-2": "",
		"?show=generation-x": "Pay kyc-1 kyc-10 kyc-2 pay", "?show=due-1": "", "?show=due-x": "Pay kyc-1 kyc-10 kyc-2 pay",
		"?show=due-30": "", "?show=generation-1&q=kyc-1": "kyc-1 kyc-10",
		"?method=minted": "Pay kyc-1 kyc-10 kyc-2 pay", "?method=byoca": "", "?method=x": "Pay kyc-1 kyc-10 kyc-2 pay",
		"?show=old": "", "?show=deactivated": "", "?show=silent": "Pay kyc-1 kyc-10 kyc-2 pay",
		"?sort=last_seen": "Pay kyc-1 kyc-10 kyc-2 pay", "?sort=due": "Pay kyc-1 kyc-10 kyc-2 pay",
		"?owner=nobody":                  "",
		"?q=" + strings.Repeat("k", 100): "",
	} {
		if got := named(b.page(t, "/proxy/agents"+query)); got != want {
			t.Errorf("%s: got %q, want %q", query, got, want)
		}
	}
	if a := b.get(t, "/proxy/agents?cursor=x"); a.status != http.StatusBadRequest {
		t.Errorf("a made up cursor: status %d", a.status)
	}
}

func TestPagesOfAgents(t *testing.T) {
	w, b := signedIn(t)
	for n := range 120 {
		w.admit(t, fmt.Sprintf("agent-%03d", n))
	}
	w.Advance(310 * 24 * time.Hour)
	b.signIn(t)
	for _, start := range []string{"/proxy/agents", "/proxy/agents?q=agent", "/proxy/agents?show=generation-1",
		"/proxy/agents?show=due-30"} {
		var sizes, names []string
		next := start
		for next != "" {
			a := b.page(t, next)
			found := strings.Fields(named(a))
			sizes, names = append(sizes, fmt.Sprint(len(found))), append(names, found...)
			next = ""
			if m := regexp.MustCompile(`href="([^"]+)" rel="next"`).FindStringSubmatch(a.body); m != nil {
				next = strings.ReplaceAll(m[1], "&amp;", "&")
			}
		}
		if strings.Join(sizes, " ") != "50 50 20" || names[0] != "agent-000" || names[119] != "agent-119" {
			t.Errorf("%s: pages of %v", start, sizes)
		}
	}
}

// What an operator reads about an agent is what the token endpoint would do.
func TestStates(t *testing.T) {
	w, b := signedIn(t)
	w.admit(t, "old", "new", "gone")
	if err := w.Enroll.Deactivate(t.Context(), enroll.Deactivation{
		Agent: "orga::gone",
		By:    audit.By{Actor: "test"},
	}); err != nil {
		t.Fatal(err)
	}
	shows := func(name, want, hint string) {
		t.Helper()
		a := b.page(t, "/proxy/agents/orga::"+name)
		if !strings.Contains(a.body, ">"+want+"</span></h1>") {
			t.Errorf("%s is not shown as %s: %.200s", name, want, text(a.body))
		}
		says(t, a, hint)
	}
	shows("old", "Active", "orga::old")
	shows("gone", "Deactivated", "Enrolling it again brings it back.")
	w.Do(t, rotateca.Request{Mode: rotateca.Mint, Overlap: time.Hour})
	if _, err := w.Rotate(t.Context(), "orga::new"); err != nil {
		t.Fatal(err)
	}
	shows("old", "On the old CA", "of an earlier Org CA and stops 24 Nov 2026, 04:00:00 UTC. Rotate its certificate.")
	shows("new", "Active", "G2")
	w.Advance(time.Hour)
	shows("old", "Re-enrol", "not accepted any more. Rotate its certificate.")
	w.Advance(340 * 24 * time.Hour)
	b.signIn(t)
	shows("new", "Expiring", "expires soon. Rotate its certificate.")
	w.Advance(30 * 24 * time.Hour)
	b.signIn(t)
	shows("new", "Expired", "has expired.")
	if a := b.get(t, "/proxy/agents/orga::nobody"); a.status != http.StatusNotFound {
		t.Errorf("an agent that is not there: status %d", a.status)
	}
}

// Those are listed whose certificates are due, by when they are, and the overview leads there.
func TestAgentsThatAreDue(t *testing.T) {
	w, b := signedIn(t)
	const day = 24 * time.Hour
	enrol := func(name string, days int) {
		t.Helper()
		if _, err := w.Enroll.Enroll(t.Context(), enroll.Request{
			Name:     name,
			By:       audit.By{Actor: "test"},
			Material: agentcert.KeyRequest{ValidityDays: days},
		}); err != nil {
			t.Fatal(err)
		}
	}
	enrol("third", 90) // due in 60 days
	enrol("second", 30)
	enrol("first", 9) // due in 6 days
	enrol("never", 365)
	shows := func(within int, want string) {
		t.Helper()
		if got := named(b.page(t, fmt.Sprintf("/proxy/agents?show=due-%d", within))); got != want {
			t.Errorf("due within %d days: %q, want %q", within, got, want)
		}
	}
	shows(0, "")
	says(t, b.page(t, "/proxy/agents?show=due-0"), "No certificate is due now.")
	shows(7, "first")
	shows(30, "first second")
	shows(90, "first second third")
	overview := b.page(t, "/proxy/overview")
	says(t, overview, "2 certificates are due within 30 days")
	if !strings.Contains(overview.body, `href="/proxy/agents?show=due-30"`) {
		t.Error("the overview does not lead to them")
	}

	w.Advance(8 * day) // hygiene notifies the operator, and from then on it is listed by its end
	if _, err := w.Hygiene.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.signIn(t)
	enrol("fresh", 10) // due in 6 days and some hours
	shows(0, "first")
	shows(7, "first fresh")
	says(t, b.page(t, "/proxy/agents/orga::first"), "Expiring", "expires soon. Rotate its certificate.")
	if _, err := w.Rotate(t.Context(), "orga::first"); err != nil {
		t.Fatal(err)
	}
	shows(0, "")
	before := w.Store.Calls()["Agents"] + w.Store.Calls()["Find"]
	b.page(t, "/proxy/agents?show=due-90")
	b.page(t, "/proxy/overview")
	if after := w.Store.Calls()["Agents"] + w.Store.Calls()["Find"]; after != before {
		t.Error("what is due was looked for in the fleet")
	}
}

var downloads = regexp.MustCompile(`href="data:([a-z/-]+);base64,([^"]*)" download="([^"]+)"`)

// files are what the page with the new keys lets one save.
func files(t testing.TB, a answer) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, m := range downloads.FindAllStringSubmatch(a.body, -1) {
		data, err := base64.StdEncoding.DecodeString(strings.NewReplacer("&#43;", "+", "%2b", "+").Replace(m[2]))
		if err != nil {
			t.Fatalf("%s: %v", m[3], err)
		}
		found[m[3]] = string(data)
	}
	return found
}

func TestRotatingACertificate(t *testing.T) {
	w, b := signedIn(t)
	w.admit(t, "kyc")
	first, err := w.Rotate(t.Context(), "orga::kyc")
	if err != nil {
		t.Fatal(err)
	}
	page := b.page(t, "/proxy/agents/orga::kyc/rotate-cert")
	says(t, page, "stops at once", "shown once and stored nowhere")
	a := b.submit(t, page, "/proxy/agents/orga::kyc/rotate-cert",
		url.Values{"reason": {"superseded"}, "comment": {"host <moved>"}})
	if a.status != http.StatusOK || a.header.Get("Cache-Control") != "no-store" {
		t.Fatalf("status %d: %s", a.status, text(a.body))
	}
	says(t, a, "Save these files now", "Its old certificate has stopped already.", "All of them, kyc.zip")
	got := files(t, a)
	if len(got) != 4 || !strings.Contains(got["agent-key.pem"], "PRIVATE KEY") ||
		!strings.Contains(got["dpop.jwk"], `"d"`) || strings.Count(got["cert.pem"], "BEGIN CERT") != 2 {
		t.Fatalf("files: %v", got)
	}
	z, err := zip.NewReader(bytes.NewReader([]byte(got["kyc.zip"])), int64(len(got["kyc.zip"])))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err != nil || string(data) != got[f.Name] || f.Mode().Perm() != 0o600 {
			t.Errorf("%s in the zip: mode %v, %v", f.Name, f.Mode(), err)
		}
	}
	if _, err := w.TokenFor(t.Context(), []byte(got["cert.pem"])); err != nil {
		t.Errorf("token with the new certificate: %v", err)
	}
	if _, err := w.TokenFor(t.Context(), first.Certificate.CertPEM); err == nil {
		t.Error("the old certificate still gets a token")
	}
	// The audit trail names the session, and no page, log or row has a key.
	after := b.page(t, "/proxy/agents/orga::kyc")
	says(t, after, "Certificate rotated", "by dashboard ", "superseded", "host <moved>")
	if !strings.Contains(after.body, `title="dashboard:AWSCURRENT/`) {
		t.Error("the whole name of who did it is nowhere")
	}
	secret := strings.Split(got["agent-key.pem"], "\n")[1]
	if strings.Contains(html.UnescapeString(after.body), secret) || strings.Contains(w.log.String(), secret) {
		t.Error("the private key is on another page, or in the log")
	}
}

// A second click, a reload, the way back: exactly one rotation, and the keys are shown once.
func TestSubmittingTwiceRotatesOnce(t *testing.T) {
	w, b := signedIn(t)
	w.admit(t, "kyc", "other")
	page := b.page(t, "/proxy/agents/orga::kyc/rotate-cert")
	first := b.submit(t, page, "/proxy/agents/orga::kyc/rotate-cert", nil)
	for range 3 {
		a := b.submit(t, page, "/proxy/agents/orga::kyc/rotate-cert", nil)
		if a.status != http.StatusConflict || len(files(t, a)) != 0 {
			t.Errorf("sent again: status %d", a.status)
		}
		says(t, a, "Certificate rotated already", "The private keys were on the page that answered it", "Rotate again")
	}
	view, err := w.Store.View(t.Context(), "orga::kyc")
	if err != nil || view.Agent.Head.Seq != 2 {
		t.Errorf("%d events, want the enrolment and one rotation; %v", view.Agent.Head.Seq, err)
	}
	if _, err := w.TokenFor(t.Context(), []byte(files(t, first)["cert.pem"])); err != nil {
		t.Errorf("token with the certificate that was shown: %v", err)
	}
}

func TestWhatARotationRefuses(t *testing.T) {
	w, b := signedIn(t)
	w.admit(t, "kyc")
	before := w.Store.Calls()["Apply"]
	for name, c := range map[string]struct {
		fields url.Values
		field  string
		want   string
	}{
		"grace":    {url.Values{"grace": {"172801"}}, "grace", "Choose how long the old certificate lives on."},
		"no grace": {url.Values{"grace": {""}}, "grace", "Choose how long"},
		"leak with grace": {url.Values{"grace": {"900"}, "reason": {"keyCompromise"}}, "grace",
			"With this reason there is no grace"},
		"withdrawn, grace": {url.Values{"grace": {"900"}, "reason": {"PRIVILEGEWITHDRAWN"}}, "grace",
			"With this reason there is no grace"},
		"days":             {url.Values{"days": {"826"}}, "days", "1 to 825 days"},
		"days in words":    {url.Values{"days": {"<b>ten</b>"}}, "days", "1 to 825 days"},
		"request":          {url.Values{"csr": {"no request"}}, "csr", "csr_pem takes one PEM certification request"},
		"reason":           {url.Values{"reason": {"key_compromise"}}, "reason", "Choose one of the reasons."},
		"reason and blank": {url.Values{"reason": {"keyCompromise "}}, "reason", "Choose one of the reasons."},
		"comment": {url.Values{"comment": {strings.Repeat("r", 501)}}, "comment",
			"A comment has at most 500 characters."},
		"comment, no text": {url.Values{"comment": {"\xff"}}, "comment", "A comment has at most 500 characters."},
	} {
		a := b.submit(t, b.page(t, "/proxy/agents/orga::kyc/rotate-cert"), "/proxy/agents", c.fields)
		if a.status != http.StatusUnprocessableEntity || !strings.Contains(a.body, `id="`+c.field+`-wrong"`) ||
			!strings.Contains(a.body, `aria-describedby="`+c.field+`-wrong"`) {
			t.Errorf("%s: status %d, no error beside %s", name, a.status, c.field)
		}
		says(t, a, c.want)
		for _, v := range c.fields {
			if len(v[0]) > 3 && strings.Contains(a.body, v[0]) && strings.Contains(v[0], "<") {
				t.Errorf("%s: what was typed is not escaped", name)
			}
		}
	}
	if got := w.Store.Calls()["Apply"]; got != before {
		t.Errorf("%d changes were made", got-before)
	}
}

func TestTheKeyStaysOnItsHost(t *testing.T) {
	w, b := signedIn(t)
	w.admit(t, "kyc")
	csr, err := inmemory.CSR()
	if err != nil {
		t.Fatal(err)
	}
	a := b.submit(t, b.page(t, "/proxy/agents/orga::kyc/rotate-cert"), "/proxy/agents",
		url.Values{"csr": {csr}, "grace": {"900"}})
	got := files(t, a)
	if a.status != http.StatusOK || got["agent-key.pem"] != "" || got["cert.pem"] == "" {
		t.Fatalf("status %d, files %v: %s", a.status, got, text(a.body))
	}
	says(t, a, "Its old certificate works until", "in 15 minutes")
}

func TestEnrolling(t *testing.T) {
	w, b := signedIn(t)
	for name, c := range map[string]struct {
		fields url.Values
		field  string
		want   string
	}{
		"no name":      {url.Values{"name": {""}}, "name", "each 1 to 64 of letters"},
		"a bad name":   {url.Values{"name": {"a b"}}, "name", "each 1 to 64 of letters"},
		"capabilities": {url.Values{"name": {"x"}, "capabilities": {"a\"b"}}, "capabilities", "printable ASCII"},
		"name to show": {url.Values{"name": {"x"}, "display_name": {strings.Repeat("n", 129)}}, "display_name",
			"at most 128 characters"},
		"owner":   {url.Values{"name": {"x"}, "owner": {strings.Repeat("n", 201)}}, "owner", "at most 200 characters"},
		"request": {url.Values{"name": {"x"}, "csr": {"none"}}, "csr", "csr_pem takes one PEM"},
	} {
		a := b.submit(t, b.page(t, "/proxy/enrol"), "/proxy/enrol", c.fields)
		if a.status != http.StatusUnprocessableEntity || !strings.Contains(a.body, `id="`+c.field+`-wrong"`) {
			t.Errorf("%s: status %d, or no error beside %s", name, a.status, c.field)
		}
		says(t, a, c.want)
	}
	page := b.page(t, "/proxy/enrol")
	a := b.submit(t, page, "/proxy/enrol", url.Values{"name": {"kyc"}, "capabilities": {" kyc:read  kyc:write "},
		"owner": {" Team KYC "}})
	for _, path := range []string{"/proxy/agents/orga::kyc", "/proxy/agents"} {
		says(t, b.page(t, path), "Team KYC")
	}
	says(t, a, "Agent enrolled", "Save these files now", "Start the agent")
	got := files(t, a)
	if token, err := w.TokenFor(t.Context(), []byte(got["cert.pem"])); err != nil || len(got) != 4 ||
		token.Scope != "kyc:read kyc:write" {
		t.Errorf("token with the files: %+v, %v", token, err)
	}
	if a := b.submit(t, page, "/proxy/enrol", url.Values{"name": {"kyc"}}); a.status != http.StatusConflict ||
		len(files(t, a)) > 0 {
		t.Errorf("sent twice: status %d", a.status)
	}
	says(t, b.submit(t, b.page(t, "/proxy/enrol"), "/proxy/enrol", url.Values{"name": {"kyc"}}),
		"An agent with this name exists and was not changed.")
}

// The page of an agent whose tokens are all bound to a DPoP key says so, and that it gets none while no key is
// registered.
func TestBoundAgentsAreShown(t *testing.T) {
	w, b := signedIn(t)
	bound := true
	if _, err := w.Enroll.Enroll(t.Context(), enroll.Request{
		Name:       "kyc",
		ProofBound: &bound,
		By:         audit.By{Actor: "test"},
	}); err != nil {
		t.Fatal(err)
	}
	w.admit(t, "plain")
	says(t, b.page(t, "/proxy/agents/orga::kyc"), "only with a DPoP proof")
	if a := b.page(t, "/proxy/agents/orga::kyc"); strings.Contains(a.body, "no key is registered") {
		t.Error("an agent with a key is shown as one without")
	}
	if a := b.page(t, "/proxy/agents/orga::plain"); strings.Contains(a.body, "only with a DPoP proof") {
		t.Error("an agent that did not ask is shown as bound")
	}
	view, err := w.Store.View(t.Context(), "orga::kyc")
	if err != nil {
		t.Fatal(err)
	}
	a := *view.Agent
	a.JKT = ""
	if err := w.Store.Apply(t.Context(), registry.Change{ID: "lost", Agent: &a}); err != nil {
		t.Fatal(err)
	}
	says(t, b.page(t, "/proxy/agents/orga::kyc"), "no key is registered, so it gets none")
}

func TestDeactivating(t *testing.T) {
	w, b := signedIn(t)
	w.admit(t, "kyc")
	path := "/proxy/agents/orga::kyc/deactivate"
	a := b.submit(t, b.page(t, path), path, url.Values{"confirm": {"kycc"}})
	if a.status != http.StatusUnprocessableEntity {
		t.Errorf("with the wrong name: status %d", a.status)
	}
	says(t, a, "Type the agent's name, kyc, to deactivate it.")
	says(t, b.submit(t, b.page(t, path), path, url.Values{"confirm": {"kyc"}, "reason": {"because"}}),
		"Choose one of the reasons.")
	page := b.page(t, path)
	for range 2 {
		if a = b.submit(t, page, path,
			url.Values{"confirm": {" kyc "}, "reason": {"cessationOfOperation"},
				"comment": {"project ended"}}); a.status != http.StatusSeeOther {
			t.Fatalf("status %d: %s", a.status, text(a.body))
		}
	}
	says(t, b.page(t, a.header.Get("Location")), "Deactivated. None of its certificates gets a token any more.",
		"Enrolled", "cessationOfOperation", "project ended")
	if a := b.get(t, "/proxy/agents/orga::kyc/rotate-cert"); a.status != http.StatusConflict {
		t.Errorf("rotation of a deactivated agent: status %d", a.status)
	}
}

// Everything that comes from outside is text.
func TestEverythingIsEscaped(t *testing.T) {
	w, b := signedIn(t)
	const evil = `"><script>alert(1)</script><img src=x onerror=alert(2)>'`
	if _, err := w.Enroll.Enroll(t.Context(), enroll.Request{
		Name:    "kyc",
		Profile: agent.Profile{DisplayName: evil, Capabilities: []string{"<i>"}},
		By:      audit.By{Actor: evil},
	}); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{
		"/proxy/agents", "/proxy/agents/orga::kyc", "/proxy/agents?q=" + url.QueryEscape(evil),
		"/proxy/agents/orga::kyc/rotate-cert",
		"/proxy/agents/orga::kyc/deactivate", "/proxy/login?next=" + url.QueryEscape("/proxy/"+evil),
		"/proxy/agents/" + url.PathEscape(evil),
		"/proxy/pki/rotate-ca/preflight?fingerprint=" + url.QueryEscape(evil),
		"/proxy/pki/rotate-ca/result?did=" + url.QueryEscape(evil),
	} {
		a := b.get(t, path)
		if strings.Contains(a.body, "<script>") || strings.Contains(a.body, "<img") || strings.Contains(a.body, "<i>") {
			t.Errorf("%s: %s", path, a.body)
		}
	}
}

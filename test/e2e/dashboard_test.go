package e2e

import (
	"crypto/tls"
	"encoding/base64"
	"html"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/mastio-aws/mastio/shared/audit"
)

// pages is an operator's browser without scripts: it keeps cookies, reads forms and sends them.
type pages struct{ *client }

// signedIn opens the dashboard.
func (m *target) signedIn(t *testing.T) pages {
	t.Helper()
	p := m.newPages(t)
	p.send(t, 303, "/proxy/login", url.Values{"secret": {m.AdminSecret}})
	return p
}

func (m *target) newPages(t *testing.T) pages {
	t.Helper()
	c := m.newClient()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	c.http.Jar = jar
	c.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return pages{c}
}

// send sends a form as a page of the dashboard's own.
func (p pages) send(t *testing.T, want int, path string, form url.Values) answer {
	t.Helper()
	header := map[string]string{"Content-Type": "application/x-www-form-urlencoded", "Origin": p.base,
		"Sec-Fetch-Site": "same-origin"}
	return p.must(t, want, "POST", path, header, []byte(form.Encode()))
}

// open loads a page, and checks what every page has to have.
func (p pages) open(t *testing.T, path string, says ...string) string {
	t.Helper()
	a := p.must(t, 200, "GET", path, map[string]string{"Accept": "text/html"}, nil)
	if len(a.body) > 100<<10 {
		t.Errorf("%s has %d octets", path, len(a.body))
	}
	for name, value := range map[string]string{
		"Content-Type": "text/html", "Cache-Control": "no-store", "X-Frame-Options": "DENY",
		"Content-Security-Policy": "script-src 'self'",
	} {
		if !strings.Contains(a.header.Get(name), value) {
			t.Errorf("%s: %s is %q, want %s", path, name, a.header.Get(name), value)
		}
	}
	for _, s := range says {
		if !strings.Contains(string(a.body), s) {
			t.Errorf("%s does not say %q", path, s)
		}
	}
	return string(a.body)
}

var hidden = regexp.MustCompile(`<input type="hidden" name="([^"]+)" value="([^"]*)">`)

// hiddenFields are those of the form that is a page's content.
func hiddenFields(page string) url.Values {
	fields := url.Values{}
	_, form, _ := strings.Cut(page, "<main")
	for _, m := range hidden.FindAllStringSubmatch(form, -1) {
		fields.Set(m[1], html.UnescapeString(m[2]))
	}
	return fields
}

var file = regexp.MustCompile(`href="data:[^;"]+;base64,([^"]*)" download="([^"]+)"`)

// files are what a page lets one save.
func files(t *testing.T, page string) map[string][]byte {
	t.Helper()
	found := map[string][]byte{}
	for _, m := range file.FindAllStringSubmatch(page, -1) {
		data, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(html.UnescapeString(m[1]), "%2b", "+"))
		if err != nil {
			t.Fatalf("%s: %v", m[2], err)
		}
		found[m[2]] = data
	}
	return found
}

// An operator signs in, looks at every section, and rotates a certificate with a form.
func TestDashboard(t *testing.T) {
	m := borrow(t)
	name := fresh("desk")
	first := m.enrol(t, name)
	path := "/proxy/agents/" + first.AgentID
	p := m.newPages(t)
	if to := p.must(t, 303, "GET", path, nil, nil).header.Get("Location"); !strings.HasPrefix(to, "/proxy/login?") {
		t.Errorf("without a session one is sent to %q", to)
	}
	p.open(t, "/proxy/login", "Admin secret")
	a := p.send(t, 303, "/proxy/login", url.Values{"secret": {m.AdminSecret}, "next": {path}})
	if got := a.header.Get("Location"); got != path {
		t.Errorf("signed in, and sent to %q", got)
	}
	for _, c := range (&http.Response{Header: a.header}).Cookies() {
		if !c.HttpOnly || !c.Secure || c.SameSite != http.SameSiteStrictMode || !strings.HasPrefix(c.Name, "__Host-") {
			t.Errorf("cookie %s", c.Raw)
		}
		if c.Name == "__Host-mastio-session" && c.MaxAge != 8*60*60 {
			t.Errorf("the session lasts %d seconds", c.MaxAge)
		}
	}
	p.open(t, "/proxy/overview", "Organisation", "Chain and history")
	p.open(t, "/proxy/agents?q="+name, path)
	p.open(t, "/proxy/agents?show=due-30", "Due within 30 days")
	p.open(t, "/proxy/pki", "SHA-256 fingerprint", "current")
	p.open(t, "/proxy/audit?subject="+first.AgentID, "Enrolled")
	p.open(t, path, name, "Rotate cert")

	form := hiddenFields(p.open(t, path+"/rotate-cert", "stops at once"))
	form.Set("grace", "0")
	a = p.send(t, 200, path+"/rotate-cert", form)
	saved := files(t, string(a.body))
	cert, err := tls.X509KeyPair(saved["cert.pem"], saved["agent-key.pem"])
	if err != nil || len(saved["dpop.jwk"]) == 0 || len(saved[name+".zip"]) == 0 ||
		a.header.Get("Cache-Control") != "no-store" {
		t.Fatalf("%d files, %v: %.300s", len(saved), err, a.body)
	}
	m.newClient(cert).must(t, 200, "POST", tokenPath, nil, nil)
	m.newClient(first.certificate(t)).must(t, 401, "POST", tokenPath, nil, nil)
	if again := p.send(t, 409, path+"/rotate-cert", form); len(files(t, string(again.body))) > 0 {
		t.Error("the files are shown twice")
	}
	forged := hiddenFields(p.open(t, path+"/rotate-cert"))
	forged.Del("form_token")
	p.send(t, 403, path+"/rotate-cert", forged)
	if rows := m.chain(t, first.AgentID); len(rows) != 2 || !strings.HasPrefix(rows[1].Actor, "dashboard:") {
		t.Errorf("%d rows, the last by %s; want the enrolment and one rotation from the dashboard", len(rows),
			rows[len(rows)-1].Actor)
	}
	p.open(t, path, "Certificate rotated")

	_, token, _ := strings.Cut(p.open(t, "/proxy/overview"), `name="form_token" value="`)
	token, _, _ = strings.Cut(token, `"`)
	p.send(t, 303, "/proxy/logout", url.Values{"form_token": {html.UnescapeString(token)}})
	p.must(t, 303, "GET", "/proxy/overview", nil, nil)
}

// The Org CA is rotated from the pages, and rolled back: the dashboard asks the function rotateca, which alone may make
// keys.
func TestDashboardRotatesTheOrgCA(t *testing.T) {
	m := borrow(t)
	agent := m.enrol(t, fresh("desk"))
	m.token(t, agent, 200)
	p := m.signedIn(t)
	const rotate = "/proxy/pki/rotate-ca"
	preflight := p.send(t, 303, rotate, hiddenFields(p.open(t, rotate, "Mastio-minted"))).header.Get("Location")
	if !strings.HasPrefix(preflight, rotate+"/preflight?fingerprint=") {
		t.Fatalf("staged, and sent to %q", preflight)
	}
	fingerprint := strings.TrimPrefix(preflight, rotate+"/preflight?fingerprint=")
	form := hiddenFields(p.open(t, preflight, "What will happen", fingerprint[:8]))
	form.Set("overlap", "0")
	form.Set("reason", "superseded")
	form.Set("confirm", "not what stands there")
	p.send(t, 422, preflight, form)
	m.token(t, agent, 200)

	form.Set("confirm", fingerprint[:8])
	result := p.send(t, 303, preflight, form).header.Get("Location")
	if again := p.send(t, 303, preflight, form).header.Get("Location"); again != result {
		t.Errorf("the second click leads to %q, the first to %q", again, result)
	}
	p.open(t, result, fingerprint[:8])
	m.token(t, agent, 401)
	rows := m.chain(t, "orga")
	if last := lastOf(rows, audit.OrgCARotated); !strings.HasPrefix(last.Actor, "dashboard:") ||
		last.Details["fingerprint"] != fingerprint || last.Details["reason"] != "superseded" {
		t.Errorf("the row of the rotation: %+v", last)
	}

	form = hiddenFields(p.open(t, "/proxy/pki/rollback"))
	form.Set("confirm", form.Get("expected")[:8])
	p.open(t, p.send(t, 303, "/proxy/pki/rollback", form).header.Get("Location"))
	m.token(t, agent, 200)
}

func lastOf(rows []audit.Row, event audit.Event) (last audit.Row) {
	for _, r := range rows {
		if r.EventType == event {
			last = r
		}
	}
	return last
}

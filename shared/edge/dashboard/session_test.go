package dashboard_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mastio-aws/mastio/shared/registry/memstore"
	"github.com/mastio-aws/mastio/shared/routes"
	"github.com/mastio-aws/mastio/shared/session"
	"github.com/mastio-aws/mastio/test/inmemory"
)

func target(path string) string {
	return strings.NewReplacer("{agent_id}", "orga::kyc", "{page+}", "nothing", "{job_id}", "job").Replace(path)
}

// paths are the dashboard's routes that need a session.
func guarded(t testing.TB) []routes.Route {
	t.Helper()
	var some []routes.Route
	for _, r := range routes.All() {
		public := []string{"/", "/proxy/login", "/proxy/assets/{asset}"}
		if r.Function == "dashboard" && !slices.Contains(public, r.Path) {
			if r.Auth != routes.Session {
				t.Errorf("%s %s asks for %q", r.Method, r.Path, r.Auth)
			}
			some = append(some, r)
		}
	}
	return some
}

func TestNothingIsShownWithoutASession(t *testing.T) {
	w := open(t, memstore.Config{})
	if _, err := w.Admit(t.Context(), "kyc"); err != nil {
		t.Fatal(err)
	}
	in := w.browser()
	in.signIn(t)
	for _, r := range guarded(t) {
		for name, cookie := range map[string]string{"none": "", "made up": session.NewToken(),
			"of the browser": in.cookies["__Host-mastio-device"].Value, "long": strings.Repeat("x", 5000)} {
			b := w.browser()
			if cookie != "" {
				b.cookies["__Host-mastio-session"] = &http.Cookie{Name: "__Host-mastio-session", Value: cookie}
			}
			var sent url.Values
			if r.Method == "POST" {
				sent = url.Values{"form_token": {session.FormToken(cookie)}, "secret": {inmemory.Secret}}
			}
			a := b.send(t, r.Method, target(r.Path), sent)
			location, err := url.Parse(a.header.Get("Location"))
			if err != nil || a.status != http.StatusSeeOther || location.Path != "/proxy/login" ||
				strings.Contains(a.body, "kyc<") {
				t.Errorf("%s %s, session %s: status %d to %q", r.Method, r.Path, name, a.status, location)
			}
			if next := location.Query().Get("next"); r.Path != "/proxy/logout" && next != target(r.Path) {
				t.Errorf("%s %s: next is %q", r.Method, r.Path, next)
			}
		}
	}
}

func TestSignInLeadsBack(t *testing.T) {
	w := open(t, memstore.Config{})
	for next, want := range map[string]string{
		"":                                   "/proxy/overview",
		"/proxy/agents?q=a":                  "/proxy/agents?q=a",
		"/proxy/agents/orga::kyc":            "/proxy/agents/orga::kyc",
		"https://evil.test/":                 "/proxy/overview",
		"//evil.test/":                       "/proxy/overview",
		"/\\evil.test/":                      "/proxy/overview",
		"/proxy\\..\\evil":                   "/proxy/overview",
		"/proxy/\n":                          "/proxy/overview",
		"javascript:alert(1)":                "/proxy/overview",
		"/healthz":                           "/proxy/overview",
		"/proxy" + strings.Repeat("x", 3000): "/proxy/overview",
	} {
		b := w.browser()
		a := b.send(t, "POST", "/proxy/login", url.Values{"secret": {inmemory.Secret}, "next": {next}})
		if a.status != http.StatusSeeOther || a.header.Get("Location") != want {
			t.Errorf("next %q: status %d to %q, want %q", next, a.status, a.header.Get("Location"), want)
		}
	}
}

func TestCookies(t *testing.T) {
	w := open(t, memstore.Config{})
	b := w.browser()
	b.signIn(t)
	for name, age := range map[string]time.Duration{"__Host-mastio-session": session.TTL,
		"__Host-mastio-device": session.DeviceTTL} {
		c := b.cookies[name]
		if c == nil || !c.HttpOnly || !c.Secure || c.SameSite != http.SameSiteStrictMode || c.Path != "/" || c.Domain != "" ||
			c.MaxAge != int(age/time.Second) {
			t.Errorf("%s: %+v", name, c)
		}
	}
}

func TestAWrongSecret(t *testing.T) {
	w := open(t, memstore.Config{})
	b := w.browser()
	for range session.PerSource.Free {
		a := b.send(t, "POST", "/proxy/login", url.Values{"secret": {"wrong"}, "next": {"/proxy/pki"}})
		if a.status != http.StatusForbidden || len(b.cookies) > 0 ||
			!strings.Contains(a.body, `aria-describedby="secret-wrong"`) || !strings.Contains(a.body, `value="/proxy/pki"`) {
			t.Fatalf("status %d, cookies %v: %s", a.status, b.cookies, a.body)
		}
		says(t, a, "This is not the admin secret. It is MCP_PROXY_ADMIN_SECRET in proxy.env.")
	}
	a := b.send(t, "POST", "/proxy/login", url.Values{"secret": {inmemory.Secret}})
	says(t, a, "Too many failed attempts. Try again in 2 seconds.")
	if a.status != http.StatusTooManyRequests || a.header.Get("Retry-After") != "2" || len(b.cookies) > 0 {
		t.Errorf("status %d, Retry-After %q, cookies %v", a.status, a.header.Get("Retry-After"), b.cookies)
	}
	w.Advance(2 * time.Second)
	b.signIn(t)
}

func TestSessionsEnd(t *testing.T) {
	w := open(t, memstore.Config{})
	one, two, three := w.browser(), w.browser(), w.browser()
	for _, b := range []*browser{one, two, three} {
		b.signIn(t)
	}
	kept := *one.cookies["__Host-mastio-session"]
	a := one.submit(t, one.page(t, "/proxy/overview"), "/proxy/logout", nil)
	if a.status != http.StatusSeeOther || a.header.Get("Location") != "/proxy/login?out=1" ||
		one.cookies["__Host-mastio-session"] != nil {
		t.Errorf("sign out: status %d to %q, cookies %v", a.status, a.header.Get("Location"), one.cookies)
	}
	says(t, one.page(t, "/proxy/login?out=1"), "You are signed out.")
	one.cookies["__Host-mastio-session"] = &kept
	if a := one.get(t, "/proxy/overview"); a.status != http.StatusSeeOther {
		t.Errorf("with the cookie of the session that was ended: status %d", a.status)
	}
	two.submit(t, two.page(t, "/proxy/overview"), "/proxy/logout", url.Values{"everywhere": {"1"}})
	if a := three.get(t, "/proxy/overview"); a.status != http.StatusSeeOther {
		t.Errorf("another session, after all were ended: status %d", a.status)
	}
	three.signIn(t)
	w.Advance(session.TTL)
	a = three.get(t, "/proxy/overview")
	if !strings.HasPrefix(a.header.Get("Location"), "/proxy/login?ended=1&next=") {
		t.Errorf("after eight hours: status %d to %q", a.status, a.header.Get("Location"))
	}
	says(t, three.page(t, a.header.Get("Location")), "Your session has ended.")
}

// A form of another site, another session or no page at all does nothing.
func TestForgedForms(t *testing.T) {
	w := open(t, memstore.Config{})
	if _, err := w.Admit(t.Context(), "kyc"); err != nil {
		t.Fatal(err)
	}
	b, other := w.browser(), w.browser()
	b.signIn(t)
	other.signIn(t)
	before := w.Store.Calls()["Apply"]
	for _, r := range guarded(t) {
		if r.Method != "POST" {
			continue
		}
		good := url.Values{"form_token": {session.FormToken(b.cookies["__Host-mastio-session"].Value)}, "number": {"1"},
			"grace": {"0"}, "confirm": {"kyc"}}
		stranger := url.Values{"form_token": {session.FormToken(other.cookies["__Host-mastio-session"].Value)}}
		for name, c := range map[string]struct {
			form url.Values
			edit edit
		}{
			"no token":             {url.Values{"number": {"1"}}, header("X", "")},
			"of another session":   {stranger, header("X", "")},
			"from another site":    {good, header("Origin", "https://evil.test")},
			"from another port":    {good, header("Origin", "https://mastio.test")},
			"over plain HTTP":      {good, header("Origin", "http://"+host)},
			"from a hidden origin": {good, header("Origin", "null")},
			"without an origin":    {good, header("Origin", "")},
			"cross-site":           {good, header("Sec-Fetch-Site", "cross-site")},
			"same-site":            {good, header("Sec-Fetch-Site", "same-site")},
			"as JSON":              {good, header("Content-Type", "application/json")},
			"as plain text":        {good, header("Content-Type", "text/plain")},
		} {
			a := b.send(t, "POST", target(r.Path), c.form, c.edit)
			if a.status != http.StatusForbidden || !strings.Contains(a.body, "form_forged") {
				t.Errorf("%s, %s: status %d: %s", r.Path, name, a.status, text(a.body))
			}
		}
	}
	if got := w.Store.Calls()["Apply"]; got != before {
		t.Errorf("%d changes were made by forged forms", got-before)
	}
	b.page(t, "/proxy/overview") // the session is still there
}

// A link from elsewhere comes without the cookie; the page that is answered asks for it again from here.
func TestLinksFromElsewhere(t *testing.T) {
	w := open(t, memstore.Config{})
	a := w.browser().get(t, "/proxy/agents/orga::kyc?x=1", header("Sec-Fetch-Site", "cross-site"))
	if a.status != http.StatusOK || !strings.Contains(a.body, `content="0; url=/proxy/agents/orga::kyc?x=1"`) {
		t.Errorf("status %d: %s", a.status, a.body)
	}
}

func TestHeaders(t *testing.T) {
	w := open(t, memstore.Config{})
	if _, err := w.Admit(t.Context(), "kyc"); err != nil {
		t.Fatal(err)
	}
	b := w.browser()
	b.signIn(t)
	for name, a := range map[string]answer{
		"a page": b.page(t, "/proxy/overview"), "the sign-in page": w.browser().page(t, "/proxy/login"),
		"a redirect": w.browser().get(t, "/proxy/pki"),
		"an error":   b.get(t, "/proxy/agents/nobody"), "a forged form": b.send(t, "POST", "/proxy/logout", url.Values{}),
		"data":                  b.page(t, "/proxy/pki/progress"),
		"a link from elsewhere": w.browser().get(t, "/proxy/pki", header("Sec-Fetch-Site", "cross-site")),
	} {
		for header, want := range map[string]string{
			"Cache-Control": "no-store", "X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff",
			"Referrer-Policy":            "same-origin",
			"Cross-Origin-Opener-Policy": "same-origin", "Strict-Transport-Security": "max-age=31536000",
		} {
			if got := a.header.Get(header); got != want {
				t.Errorf("%s: %s is %q, want %q", name, header, got, want)
			}
		}
		policy := a.header.Get("Content-Security-Policy")
		for _, part := range []string{"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'",
			"script-src 'self'"} {
			if !strings.Contains(policy, part) || strings.Contains(policy, "unsafe") {
				t.Errorf("%s: policy %q", name, policy)
			}
		}
		for _, inline := range []string{"<style", " style=", "onclick=", "<script>"} {
			if strings.Contains(a.body, inline) {
				t.Errorf("%s has %s, which the policy does not let through", name, inline)
			}
		}
	}
}

func TestAssets(t *testing.T) {
	w := open(t, memstore.Config{})
	b := w.browser()
	page := b.page(t, "/proxy/login").body
	for _, extension := range []string{".css", ".js", ".svg"} {
		_, after, ok := strings.Cut(page, "/proxy/assets/")
		for ok && !strings.Contains(strings.SplitN(after, `"`, 2)[0], extension) {
			_, after, ok = strings.Cut(after, "/proxy/assets/")
		}
		if !ok {
			t.Errorf("the page loads no %s", extension)
			continue
		}
		a := b.page(t, "/proxy/assets/"+strings.SplitN(after, `"`, 2)[0])
		if len(a.body) < 100 || !strings.Contains(a.header.Get("Cache-Control"), "immutable") ||
			a.header.Get("Set-Cookie") != "" {
			t.Errorf("%s: %d octets, %v", extension, len(a.body), a.header)
		}
	}
	for _, name := range []string{"app.css", "app.0000000000000000.css", "..%2Fheader.go", "x"} {
		if a := b.get(t, "/proxy/assets/"+name); a.status != http.StatusNotFound ||
			a.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: status %d", name, a.status)
		}
	}
}

// Every failure is shown in words, without an internal cause.
func TestAStoreThatFails(t *testing.T) {
	w, broken := breakable(t)
	b := w.browser()
	b.signIn(t)
	for op, path := range map[string]string{"Session": "/proxy/pki", "Org": "/proxy/overview", "List": "/proxy/agents",
		"View": "/proxy/agents/orga::kyc", "Rows": "/proxy/overview"} {
		*broken = op
		a := b.get(t, path)
		*broken = ""
		says(t, a, "The store did not answer. Nothing was changed", "the-request-id", "Try again in 1 second.")
		if a.status != http.StatusServiceUnavailable || strings.Contains(a.body, "memstore") {
			t.Errorf("%s: status %d", op, a.status)
		}
	}
	if !strings.Contains(w.log.String(), `"code":"store_unavailable"`) {
		t.Error("the log does not tell of it")
	}
	w.Advance(time.Minute) // the last count is forgotten
	*broken = "Census"     // what else there is to see is worth more than an error
	says(t, b.page(t, "/proxy/pki"), "The fleet cannot be counted at the moment.", "Org CA G1 current")
}

package dashboard_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"

	"github.com/mastio-aws/mastio/shared/registry/memstore"
	"github.com/mastio-aws/mastio/test/inmemory"
)

// followed is every attribute of a page by which a browser asks for something.
var followed = regexp.MustCompile(`(?:href|action|src|data-live|formaction|poster|srcset)="([^"#][^"]*)"|; url=([^"]+)"`)

// staged sends what a browser asks for at API Gateway's own endpoint, whose path begins with the stage.
func (b *browser) staged(t *testing.T, method, target string, form url.Values, edits ...edit) answer {
	t.Helper()
	path, ok := strings.CutPrefix(target, "/live/")
	if !ok {
		t.Fatalf("%s is another stage's: API Gateway answers 403", target)
	}
	return b.send(t, method, "/"+path, form, append(edits, func(e *events.APIGatewayProxyRequest) {
		atEndpoint(e)
		e.RequestContext.Path = "/live" + e.Path
	})...)
}

// atEndpoint makes a request one at the endpoint that API Gateway gives an API.
func atEndpoint(e *events.APIGatewayProxyRequest) {
	e.RequestContext.APIID, e.RequestContext.DomainName = "a1b2c3", "a1b2c3.execute-api.eu-central-1.amazonaws.com"
	e.RequestContext.Stage = "live"
}

// Without a domain every page is found below the stage's path: redirects, links, forms, files, and what the script asks
// for.
func TestDashboardBelowAStage(t *testing.T) {
	w := open(t, memstore.Config{})
	w.admit(t, "kyc")
	const page = "/live/proxy/agents/orga::kyc"
	b := w.browser()
	a := b.staged(t, "GET", page, nil)
	login := a.header.Get("Location")
	if a.status != http.StatusSeeOther || !strings.HasPrefix(login, "/live/proxy/login?") {
		t.Fatalf("without a session: %d to %q", a.status, login)
	}
	target, values := form(t, b.staged(t, "GET", login, nil).body, "/live/proxy/login")
	values.Set("secret", inmemory.Secret)
	a = b.staged(t, "POST", target, values)
	if a.status != http.StatusSeeOther || a.header.Get("Location") != page {
		t.Fatalf("signed in: %d to %q, want %q", a.status, a.header.Get("Location"), page)
	}
	for _, c := range b.cookies {
		if c.Path != "/" || c.Domain != "" { // what __Host- demands, or browsers drop it
			t.Errorf("cookie %s for %q of %q", c.Name, c.Path, c.Domain)
		}
	}

	pages, files := 0, 0
	seen, next := map[string]bool{}, []string{"/live/proxy", a.header.Get("Location")}
	for len(next) > 0 {
		at := next[0]
		next = next[1:]
		if seen[at] || strings.HasPrefix(at, "data:") || len(seen) > 300 {
			continue
		}
		seen[at] = true
		a := b.staged(t, "GET", strings.ReplaceAll(at, "&amp;", "&"), nil)
		switch {
		case a.status == http.StatusSeeOther:
			next = append(next, a.header.Get("Location"))
			continue
		case a.status != http.StatusOK && a.status != http.StatusMethodNotAllowed && a.status != http.StatusConflict:
			t.Errorf("%s: %d", at, a.status)
		case strings.HasPrefix(a.header.Get("Content-Type"), "text/html"):
			pages++
		default:
			files++
		}
		for _, m := range followed.FindAllStringSubmatch(a.body, -1) {
			next = append(next, m[1]+m[2])
		}
	}
	if pages < 10 || files < 4 {
		t.Errorf("%d pages and %d files were found: the crawl is broken (%v)", pages, files, seen)
	}

	target, values = form(t, b.staged(t, "GET", page+"/rotate-cert", nil).body, "/live/proxy/agents/")
	if a = b.staged(t, "POST", target, values); a.status != http.StatusOK ||
		!strings.Contains(a.body, `href="/live/proxy/agents/`) {
		t.Errorf("a rotation: %d: %s", a.status, text(a.body))
	}
	a = b.staged(t, "GET", "/live/proxy/overview", nil, header("Cookie", ""), header("Sec-Fetch-Site", "cross-site"))
	if !strings.Contains(a.body, `url=/live/proxy/overview"`) {
		t.Errorf("a link from elsewhere: %s", a.body)
	}
}

// The stage counts only where both paths say so, and never by what a client sends.
func TestMountIsNotTheClients(t *testing.T) {
	w := open(t, memstore.Config{})
	for name, change := range map[string]edit{
		"a domain": func(e *events.APIGatewayProxyRequest) { atEndpoint(e); e.RequestContext.Path = e.Path },
		"a proxy in front": func(e *events.APIGatewayProxyRequest) {
			atEndpoint(e)
			e.RequestContext.DomainName, e.RequestContext.Path = "localhost:9543", "/live"+e.Path
		},
		"another path": func(e *events.APIGatewayProxyRequest) {
			atEndpoint(e)
			e.RequestContext.Path = "//evil.example/proxy"
		},
		"a header":             header("X-Forwarded-Prefix", "/evil"),
		"no word of any stage": func(e *events.APIGatewayProxyRequest) { e.RequestContext.Path = "/evil" + e.Path },
	} {
		if a := w.browser().get(t, "/proxy", change); a.header.Get("Location") != "/proxy/login?next=%2Fproxy" {
			t.Errorf("%s: to %q", name, a.header.Get("Location"))
		}
	}
}

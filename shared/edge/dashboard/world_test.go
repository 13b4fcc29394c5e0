package dashboard_test

import (
	"encoding/base64"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"golang.org/x/net/html"

	"github.com/mastio-aws/mastio/shared/boot"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
	"github.com/mastio-aws/mastio/test/inmemory"
)

const host = "mastio.test:9443"

// world is a Mastio with its dashboard, behind API Gateway.
type world struct {
	*inmemory.Mastio
	call func(t testing.TB, e events.APIGatewayProxyRequest) events.APIGatewayProxyResponse
	log  strings.Builder
}

// open has an Org CA and its standby.
func open(t testing.TB, cfg memstore.Config) *world {
	t.Helper()
	w := unopened(t, cfg)
	if _, err := w.Standby.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	return w
}

// unopened is before the first Org CA.
func unopened(t testing.TB, cfg memstore.Config) *world {
	t.Helper()
	w := &world{}
	w.Mastio = inmemory.New(cfg, func(p *boot.Parts) { p.Log = slog.New(slog.NewJSONHandler(&w.log, nil)) })
	w.serve(t, w.Parts)
	return w
}

// breakable is a world whose store refuses the calls that broken names; empty: none.
func breakable(t testing.TB) (w *world, broken *string) {
	broken = new(string)
	return open(t, memstore.Config{Fault: func(op string) memstore.Fault {
		if *broken != "" && op == *broken {
			return memstore.Refuse
		}
		return memstore.None
	}}), broken
}

// serve starts a new instance of the function.
func (w *world) serve(t testing.TB, p *boot.Parts) {
	t.Helper()
	function, err := inmemory.Instance(boot.Dashboard, p)
	if err != nil {
		t.Fatal(err)
	}
	w.call = func(t testing.TB, e events.APIGatewayProxyRequest) events.APIGatewayProxyResponse {
		t.Helper()
		out, err := function(t.Context(), e)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
}

// browser is what a browser does with cookies and forms, and no more.
type browser struct {
	w       *world
	cookies map[string]*http.Cookie
	from    string // its address
}

func (w *world) browser() *browser {
	return &browser{w: w, cookies: map[string]*http.Cookie{}, from: "192.0.2.7"}
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
}

type edit func(*events.APIGatewayProxyRequest)

func header(name, value string) edit {
	return func(e *events.APIGatewayProxyRequest) {
		http.Header(e.MultiValueHeaders).Del(name)
		if value != "" {
			http.Header(e.MultiValueHeaders).Set(name, value)
		}
	}
}

func (b *browser) send(t testing.TB, method, target string, form url.Values, edits ...edit) answer {
	t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	e := events.APIGatewayProxyRequest{
		HTTPMethod:                      method,
		Path:                            u.EscapedPath(),
		MultiValueHeaders:               http.Header{"Host": {host}},
		MultiValueQueryStringParameters: u.Query(),
		RequestContext: events.APIGatewayProxyRequestContext{
			RequestID:  "the-request-id",
			DomainName: "mastio.test",
			Identity:   events.APIGatewayRequestIdentity{SourceIP: b.from},
		},
	}
	for _, c := range b.cookies {
		http.Header(e.MultiValueHeaders).Add("Cookie", c.Name+"="+c.Value)
	}
	site := "none"
	if form != nil {
		site = "same-origin"
		e.Body = form.Encode()
		header("Content-Type", "application/x-www-form-urlencoded")(&e)
		header("Origin", "https://"+host)(&e)
	}
	header("Sec-Fetch-Site", site)(&e)
	for _, change := range edits {
		change(&e)
	}
	out := b.w.call(t, e)
	a := answer{out.StatusCode, out.MultiValueHeaders, out.Body}
	if out.IsBase64Encoded {
		decoded, err := base64.StdEncoding.DecodeString(out.Body)
		if err != nil {
			t.Fatal(err)
		}
		a.body = string(decoded)
	}
	for _, line := range a.header["Set-Cookie"] {
		c, err := http.ParseSetCookie(line)
		if err != nil {
			t.Fatal(err)
		}
		if b.cookies[c.Name] = c; c.MaxAge < 0 {
			delete(b.cookies, c.Name)
		}
	}
	return a
}

func (b *browser) get(t testing.TB, target string, edits ...edit) answer {
	t.Helper()
	return b.send(t, "GET", target, nil, edits...)
}

// page loads a page that must be there.
func (b *browser) page(t testing.TB, target string) answer {
	t.Helper()
	a := b.get(t, target)
	if a.status != http.StatusOK {
		t.Fatalf("GET %s: status %d, location %q: %s", target, a.status, a.header.Get("Location"), text(a.body))
	}
	return a
}

func (b *browser) signIn(t testing.TB) {
	t.Helper()
	a := b.send(t, "POST", "/proxy/login", url.Values{"secret": {inmemory.Secret}})
	if a.status != http.StatusSeeOther || a.header.Get("Location") != "/proxy/overview" {
		t.Fatalf("sign in: status %d to %q: %s", a.status, a.header.Get("Location"), text(a.body))
	}
}

// submit sends the form of a page whose action begins so, with some fields set, as a browser would.
func (b *browser) submit(t testing.TB, page answer, action string, fields url.Values, edits ...edit) answer {
	t.Helper()
	target, values := form(t, page.body, action)
	for name, v := range fields {
		values[name] = v
	}
	return b.send(t, "POST", target, values, edits...)
}

// form reads a form out of a page: where it goes, and what it sends untouched.
func form(t testing.TB, body, action string) (target string, values url.Values) {
	t.Helper()
	values = url.Values{}
	inside := false
	z := html.NewTokenizer(strings.NewReader(body))
	for z.Next() != html.ErrorToken {
		token := z.Token()
		at := map[string]string{}
		for _, a := range token.Attr {
			at[a.Key] = a.Val
		}
		_, checked := at["checked"]
		switch {
		case token.Data == "form" && token.Type == html.StartTagToken:
			if inside = strings.HasPrefix(at["action"], action) && at["method"] == "post" && target == ""; inside {
				target = at["action"]
			}
		case token.Data == "form":
			inside = false
		case inside && token.Data == "input" && at["name"] != "" &&
			(at["type"] != "radio" && at["type"] != "checkbox" || checked):
			values.Set(at["name"], at["value"])
		}
	}
	if target == "" {
		t.Fatalf("no form to %s in: %s", action, text(body))
	}
	return target, values
}

var tags = regexp.MustCompile(`(?s)<(script|style|svg).*?</(script|style|svg)>|<[^>]*>|\s+`)

// text is what a page says.
func text(body string) string {
	if i := strings.Index(body, "<main"); i >= 0 {
		body = body[i:]
	}
	words := strings.Fields(html.UnescapeString(tags.ReplaceAllString(body, " ")))
	return strings.Join(words, " ")
}

func says(t testing.TB, a answer, want ...string) {
	t.Helper()
	for _, s := range want {
		if !strings.Contains(text(a.body), s) {
			t.Errorf("the page does not say %q: %s", s, text(a.body))
		}
	}
}

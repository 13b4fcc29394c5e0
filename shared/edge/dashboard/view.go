package dashboard

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/mastio-aws/mastio/shared/admin"
	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/problem"
	"github.com/mastio-aws/mastio/shared/session"
)

//go:embed templates/*.html
var files embed.FS

// page is one page: which template, and what it shows.
type page struct {
	Name    string // of the template
	Section string // of the navigation
	Title   string
	Content any
}

// frame is what every template is given.
type frame struct {
	page
	OrgID     string
	Actor     string // empty: no operator is signed in
	Role      admin.Role
	FormToken string
	Now       time.Time
}

// SessionName identifies this session in the audit trail: the end of the actor's name.
func (f frame) SessionName() string { return sessionOf(f.Actor) }

func sessionOf(actor string) string { return actor[strings.LastIndexByte(actor, '/')+1:] }

var templates = parse()

func parse() map[string]*template.Template {
	base := template.Must(template.New("base").Funcs(template.FuncMap{
		"asset": assetURL, "icon": icon, "groups": groups, "short": short, "day": dayHTML, "moment": momentHTML,
		"momentOf": momentOfHTML, "stamp": stamp, "relative": relative, "ago": agoHTML, "hour": hourHTML,
		"evidence": evidence,
		"count":    count, "count64": func(n int64) string { return count(int(n)) },
		"plural": plural, "plural64": func(n int64, what string) string { return plural(int(n), what) }, "chip": newChip,
		"edges": edges, "stateOf": stateOf, "shortActor": shortActor, "seenAgo": seenAgoHTML, "enrolBy": enrolBy,
		"reissueChip": reissueChip, "plus": func(a, b int) int { return a + b },
		"sentences": sentences, "eventTitle": eventTitle, "how": how, "checkName": checkName,
		"lasting": func(seconds int64) string { return lasting(time.Duration(seconds) * time.Second) },
		"list":    func(v ...any) []any { return v },
	}).ParseFS(files, "templates/base.html", "templates/parts.html"))
	all := map[string]*template.Template{}
	for _, name := range []string{
		"login", "continue", "error", "overview", "agents", "agent", "rotatecert", "rotated", "enrol", "deactivate",
		"bulk", "job", "edit",
		"pki", "rotation", "rotateca", "preflight", "result", "confirm", "audit", "verdict", "bundle",
	} {
		all[name] = template.Must(template.Must(base.Clone()).ParseFS(files, "templates/"+name+".html"))
	}
	return all
}

// render writes a page, all of it or a plain 500.
func (d *Dashboard) render(w http.ResponseWriter, r *http.Request, status int, p page) {
	v := visitOf(r.Context())
	f := frame{page: p, OrgID: d.OrgID, Actor: v.Actor, Role: v.Admin.Role, Now: d.Now()}
	if v.token != "" {
		f.FormToken = session.FormToken(v.token)
	}
	var b bytes.Buffer
	if err := templates[p.Name].ExecuteTemplate(&b, "base", f); err != nil { // only a programming error can get here
		panic(fmt.Sprintf("page %s: %v", p.Name, err))
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	text := b.Bytes()
	if v.token != "" {
		text = restricted(text, v.Admin.Role, r.URL.EscapedPath())
	}
	_, _ = w.Write(text)
}

// sentences are a problem in one sentence or two.
func sentences(p *problem.Problem) string {
	if p.RetryIn <= 0 {
		return p.Detail
	}
	seconds := int(p.RetryIn / time.Second)
	return fmt.Sprintf("%s Try again in %s.", strings.TrimSuffix(p.Detail, " Retry."), plural(seconds, "second"))
}

func retryAfter(w http.ResponseWriter, p *problem.Problem) {
	if p.RetryIn > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(p.RetryIn/time.Second)))
	}
}

// groups cuts a fingerprint into parts of four digits.
func groups(hex string) []string {
	var parts []string
	for len(hex) > 4 {
		parts, hex = append(parts, hex[:4]), hex[4:]
	}
	return append(parts, hex)
}

// how is an agent's method in words.
func how(m agent.Method) string {
	switch m {
	case agent.Minted:
		return "Minted"
	case agent.BYOCA:
		return "BYOCA"
	case agent.SPIFFE:
		return "SPIFFE"
	}
	return string(m)
}

// enrolBy says who issues the certificates of a method.
func enrolBy(m agent.Method) string {
	switch m {
	case agent.Minted:
		return "Issued by the Mastio"
	case agent.BYOCA:
		return "Your own CA (BYOCA)"
	case agent.SPIFFE:
		return "SPIFFE"
	}
	return string(m)
}

// shortActor is the short name of an actor: the first digits of a secret's version, or a session's own name. An
// unknown kind of actor stays whole.
func shortActor(actor string) string {
	kind, rest, ok := strings.Cut(actor, ":")
	switch {
	case !ok:
		return actor
	case kind == "dashboard":
		return kind + " " + sessionOf(rest)
	case kind == "schedule":
		return kind + " " + rest
	case kind == "agent":
		if id, err := agent.ParseID(rest); err == nil {
			return kind + " " + id.Name()
		}
	case kind == "admin" && len(rest) > 31: // the id of a version, which no name is as long as
		return kind + ":" + short(rest) + "…"
	}
	return actor
}

// edges are the beginning and the end of a fingerprint, which is what people compare.
func edges(hex string) []string {
	g := groups(hex)
	if len(g) < 8 {
		return g
	}
	return append(append(g[:3:3], "…"), g[len(g)-3:]...)
}

// checkName is a check of the pre-flight in words.
func checkName(name string) string {
	switch name {
	case "chain":
		return "The chain is complete"
	case "verifiers":
		return "Verifiers in the field take it"
	case "path_length":
		return "Other verifiers accept its shape"
	case "key":
		return "The key is strong, and new"
	case "validity":
		return "It is valid for long enough"
	}
	return name
}

func short(hex string) string { return hex[:min(8, len(hex))] }

func day(t time.Time) string    { return t.UTC().Format("2 Jan 2006") }
func moment(t time.Time) string { return t.UTC().Format("2 Jan 2006, 15:04:05 UTC") }

// hour writes an instant that is known to the hour.
func hour(t time.Time) string {
	return t.UTC().Format("2 Jan 2006, 15:00 to ") + t.UTC().Add(time.Hour).Format("15:00 UTC")
}

// momentOf writes a time out of the audit trail as moment does.
func momentOf(timestamp string) string {
	if t, ok := rowTime(timestamp); ok {
		return moment(t)
	}
	return timestamp
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// lasting writes a chosen span in its largest unit.
func lasting(d time.Duration) string {
	for _, u := range []struct {
		unit time.Duration
		name string
	}{{24 * time.Hour, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}} {
		if d >= u.unit && d%u.unit == 0 {
			return plural(int(d/u.unit), u.name)
		}
	}
	return plural(int(d/time.Second), "second")
}

// relative writes how far a time is from now, in its largest unit.
func relative(t, now time.Time) string {
	d, form := t.Sub(now), "in %s"
	if d < 0 {
		d, form = -d, "%s ago"
	}
	const oneDay = 24 * time.Hour
	for _, u := range []struct {
		least, unit time.Duration
		name        string
	}{
		{2 * 365 * oneDay, 365 * oneDay, "year"}, {90 * oneDay, 30 * oneDay, "month"}, {2 * oneDay, oneDay, "day"},
		{2 * time.Hour, time.Hour, "hour"}, {2 * time.Minute, time.Minute, "minute"},
		{5 * time.Second, time.Second, "second"},
	} {
		if d >= u.least {
			return fmt.Sprintf(form, plural(int((d+u.unit/2)/u.unit), u.name))
		}
	}
	return "now"
}

// count writes a number with its thousands apart.
func count(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func plural(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return count(n) + " " + what
}

// chip is a state in a word, with a colour for its kind and a sentence behind it.
type chip struct{ Kind, Text, Hint string }

func newChip(kind, text string) chip { return chip{Kind: kind, Text: text} }

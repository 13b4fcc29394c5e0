package dashboard

import (
	"bytes"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/mastio-aws/mastio/shared/admin"
	"github.com/mastio-aws/mastio/shared/routes"
)

// control is the start of an element that leads to a route, or the end of a form. The templates quote every value, and
// html/template escapes what could end a value or a tag.
var control = regexp.MustCompile(`<(a|form|button|input|select|textarea)(\s[^>]*)?>|</form>`)

// dropped matches the attributes that disabling a control removes or replaces.
var dropped = regexp.MustCompile(`\s(?:href|title|role)="[^"]*"|\s(?:disabled|autofocus)\b`)

// restricted returns a page with every link and form disabled that leads to a route which the role may not use. It
// works on the page as it is sent: a new button is disabled although its template knows of no role. The routes refuse
// either way.
func restricted(page []byte, role admin.Role, at string) []byte {
	if role.Includes(admin.CAOfficer) {
		return page
	}
	var form admin.Role // the role that the form takes whose fields are disabled; empty: none
	return control.ReplaceAllFunc(page, func(tag []byte) []byte {
		parts := control.FindSubmatch(tag)
		name, attributes := string(parts[1]), string(parts[2])
		switch name {
		case "": // the end of a form
			form = ""
		case "form":
			form = missing(role, method(attributes), attribute(attributes, "action"), at)
		}
		takes := taken(name, attributes, role, form, at)
		if takes == "" {
			return tag
		}
		return disabled(name, attributes, takes)
	})
}

// taken returns the role that an element takes and the admin has not; empty: there is none. The attribute data-role
// names the least role of a button whose form lesser roles may send.
func taken(name, attributes string, role, form admin.Role, at string) admin.Role {
	if least := admin.Role(attribute(attributes, "data-role")); least != "" && !role.Includes(least) {
		return least
	}
	switch name {
	case "a":
		if href := attribute(attributes, "href"); href != "" {
			return missing(role, http.MethodGet, href, at)
		}
	case "button", "select", "textarea":
		return form
	case "input":
		if attribute(attributes, "type") != "hidden" {
			return form
		}
	}
	return ""
}

// missing returns the least role of a route that the role may not use; empty: it may, or the address is no route.
func missing(role admin.Role, method, address, at string) admin.Role {
	u, err := url.Parse(address)
	if err != nil || u.Host != "" {
		return ""
	}
	path := u.EscapedPath()
	if path == "" { // the page itself
		path = at
	}
	resource, _, ok := routes.Match(path)
	if !ok {
		return ""
	}
	for _, r := range routes.On(resource) {
		if r.Method == method && r.Auth == routes.Session && r.Permit(role) != nil {
			return r.Least()
		}
	}
	return ""
}

func method(form string) string {
	if strings.EqualFold(attribute(form, "method"), "post") {
		return http.MethodPost
	}
	return http.MethodGet
}

// attribute returns the value of an attribute; empty: there is none, or it has no value.
func attribute(attributes, name string) string {
	_, rest, ok := strings.Cut(attributes, " "+name+`="`)
	if !ok {
		return ""
	}
	value, _, _ := strings.Cut(rest, `"`)
	return html.UnescapeString(value)
}

// disabled returns an element that does nothing and says which role it takes.
func disabled(name, attributes string, takes admin.Role) []byte {
	var b bytes.Buffer
	b.WriteString("<" + name + dropped.ReplaceAllString(attributes, ""))
	if name == "a" {
		b.WriteString(` role="link" aria-disabled="true"`)
	} else {
		b.WriteString(" disabled")
	}
	b.WriteString(` title="This takes the role ` + string(takes) + `.">`)
	return b.Bytes()
}

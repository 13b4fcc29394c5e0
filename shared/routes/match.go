package routes

import (
	"net/url"
	"slices"
	"strings"
)

// Match finds the resource path that an escaped request path (RFC 3986) falls under, and the unescaped
// values of its parameters. ok is false for a path that no route has, whatever the method: a method
// that the path lacks is for the function to refuse.
func Match(escapedPath string) (resource string, params map[string]string, ok bool) {
	segments, ok := split(escapedPath)
	if !ok {
		return "", nil, false
	}
	for _, p := range patterns {
		if p.matches(segments) {
			return p.path, p.params(segments), true
		}
	}
	return "", nil, false
}

// pattern is a resource path taken apart.
type pattern struct {
	path     string
	segments []segment
}

type segment struct {
	text   string // the name of a parameter, or what must stand here
	param  bool
	greedy bool // it stands for all segments that follow
}

// patterns are the paths of the table, each once: every request is matched against them.
var patterns = compile(table)

func compile(routes []Route) []pattern {
	var all []pattern
	for _, r := range routes {
		if slices.ContainsFunc(all, func(p pattern) bool { return p.path == r.Path }) {
			continue
		}
		p := pattern{path: r.Path}
		for _, text := range strings.Split(r.Path, "/") {
			name, param := strings.CutPrefix(text, "{")
			name, greedy := strings.CutSuffix(strings.TrimSuffix(name, "}"), "+")
			p.segments = append(p.segments, segment{name, param, greedy})
		}
		all = append(all, p)
	}
	return all
}

// split takes a path apart and unescapes each part of it; false if one cannot be.
func split(escapedPath string) ([]string, bool) {
	segments := strings.Split(escapedPath, "/")
	for i, s := range segments {
		value, err := url.PathUnescape(s)
		if err != nil {
			return nil, false
		}
		segments[i] = value
	}
	return segments, true
}

func (p pattern) matches(got []string) bool {
	last := p.segments[len(p.segments)-1]
	if len(p.segments) != len(got) && (!last.greedy || len(got) < len(p.segments)) {
		return false
	}
	for i, want := range p.segments {
		if want.param && got[i] == "" || !want.param && want.text != got[i] {
			return false
		}
	}
	return true
}

func (p pattern) params(got []string) map[string]string {
	values := map[string]string{}
	for i, s := range p.segments {
		if s.param {
			values[s.text] = got[i]
		}
		if s.greedy {
			values[s.text] = strings.Join(got[i:], "/")
		}
	}
	return values
}

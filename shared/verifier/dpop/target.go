package dpop

import (
	"errors"
	"net/url"
	"strings"
)

var errTarget = errors.New("not an absolute http or https URL")

// sameTarget reports whether htu names one of the URLs, after syntax-based and scheme-based normalisation of both
// (RFC 3986, 6.2.2 and 6.2.3) and without regard to query and fragment (RFC 9449, 4.3, check 9).
func sameTarget(htu string, urls []string) bool {
	got, err := normalise(htu)
	if err != nil {
		return false
	}
	for _, u := range urls {
		if want, err := normalise(u); err == nil && got == want {
			return true
		}
	}
	return false
}

// normalise returns the one spelling of a URL: scheme and host in lower case, no default port, percent-encoding in
// upper case and only where needed, no dot segments, no query, no fragment. Repeated and final slashes stay: they
// make another resource.
func normalise(raw string) (string, error) {
	if i := strings.IndexAny(raw, "?#"); i >= 0 {
		raw = raw[:i]
	}
	u, err := url.Parse(raw)
	if err != nil || u.User != nil || u.Opaque != "" {
		return "", errTarget
	}
	port, ok := map[string]string{"https": ":443", "http": ":80"}[u.Scheme] // url.Parse lowers the scheme
	if !ok {
		return "", errTarget
	}
	host := strings.TrimSuffix(strings.TrimSuffix(strings.ToLower(u.Host), port), ":")
	if host == "" || strings.IndexFunc(host, isNoHostRune) >= 0 {
		return "", errTarget
	}
	// Percent-encoding first: %2E is a dot, and two of them are a dot segment.
	return u.Scheme + "://" + host + removeDotSegments(normaliseEscapes(u.EscapedPath())), nil
}

// isNoHostRune reports runes that url.Parse accepts in a decoded host and that a host here never has, such as % and
// non-ASCII letters. A host is never percent-encoded here, and an international one is in its ASCII form.
func isNoHostRune(r rune) bool {
	return r > '~' || !isUnreserved(byte(r)) && !strings.ContainsRune("[]:", r)
}

// normaliseEscapes decodes the percent-encoded octets that need no encoding and writes the others in upper case.
// The path is well-formed: url.Parse has refused a % without two hexadecimal digits.
func normaliseEscapes(path string) string {
	var b strings.Builder
	for i := 0; i < len(path); i++ {
		if path[i] != '%' || i+2 >= len(path) {
			b.WriteByte(path[i])
			continue
		}
		if c := unhex(path[i+1])<<4 | unhex(path[i+2]); isUnreserved(c) {
			b.WriteByte(c)
		} else {
			b.WriteString(strings.ToUpper(path[i : i+3]))
		}
		i += 2
	}
	return b.String()
}

func unhex(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	default:
		return c - 'A' + 10
	}
}

// isUnreserved is RFC 3986, 2.3.
func isUnreserved(c byte) bool {
	return 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || strings.IndexByte("-._~", c) >= 0
}

// removeDotSegments is RFC 3986, 5.2.4, for an absolute or empty path. Not path.Clean, which also drops repeated and
// final slashes.
func removeDotSegments(path string) string {
	segments := strings.Split(strings.TrimPrefix(path, "/"), "/")
	kept := make([]string, 0, len(segments))
	for i, s := range segments {
		last := i == len(segments)-1
		switch {
		case s == "..":
			kept = kept[:max(len(kept)-1, 0)]
		case s != ".":
			kept = append(kept, s)
			continue
		}
		if last { // a dot segment at the end leaves its slash
			kept = append(kept, "")
		}
	}
	return "/" + strings.Join(kept, "/")
}

package dashboard

import (
	"net/http"
	"strings"
)

// below prefixes the addresses in an answer with a path. Without a domain the dashboard is below the stage of API
// Gateway's own endpoint (/live/proxy), and a request does not show the stage. Pages and redirects are written for
// the root, and below adds the prefix in one place, so that no page can forget it. Cookies stay those of the whole
// host, which API Gateway gives to one API alone.
func below(w http.ResponseWriter, mount string) http.ResponseWriter {
	if mount == "" {
		return w
	}
	var moved []string
	for _, attribute := range []string{` href="`, ` action="`, ` src="`, ` data-live="`, ` content="0; url=`} {
		moved = append(moved, attribute+"/", attribute+mount+"/")
	}
	return &mountWriter{ResponseWriter: w, at: mount, pages: strings.NewReplacer(moved...)}
}

// mountWriter is an answer below a path. Text from outside cannot pass for an attribute: its quotes are escaped.
type mountWriter struct {
	http.ResponseWriter
	at    string
	pages *strings.Replacer
	begun bool
}

// WriteHeader moves a redirect.
func (m *mountWriter) WriteHeader(status int) {
	if to := m.Header().Get("Location"); !m.begun && strings.HasPrefix(to, "/") {
		m.Header().Set("Location", m.at+to)
	}
	m.begun = true
	m.ResponseWriter.WriteHeader(status)
}

// Write moves the addresses in a page, which is written whole.
func (m *mountWriter) Write(b []byte) (int, error) {
	if !m.begun {
		m.WriteHeader(http.StatusOK)
	}
	if !strings.HasPrefix(m.Header().Get("Content-Type"), "text/html") {
		return m.ResponseWriter.Write(b)
	}
	if _, err := m.ResponseWriter.Write([]byte(m.pages.Replace(string(b)))); err != nil {
		return 0, err
	}
	return len(b), nil
}

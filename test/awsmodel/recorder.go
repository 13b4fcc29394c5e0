// Package awsmodel compares the functions' requests to AWS, and the answers of the local stand-ins, with two
// descriptions that AWS publishes: the service models in botocore (names, types, enums, lengths, patterns, error
// codes), and the service authorization data in parliament (actions, their resource types and condition keys). The
// comparison finds, without an account, a call that AWS would refuse for its shape and a policy that means nothing to
// IAM.
package awsmodel

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// exchange is a request and its answer, as exchanges.py reads it.
type exchange struct {
	Service       string            `json:"service"`
	Method        string            `json:"method"`
	Path          string            `json:"path"`
	Query         string            `json:"query"`
	Headers       map[string]string `json:"headers"`
	Body          []byte            `json:"body"`
	Status        int               `json:"status"`
	AnswerHeaders map[string]string `json:"answer_headers"`
	Answer        []byte            `json:"answer"`
}

// alike is how many exchanges of one form are kept.
const alike = 5

// Recorder keeps exchanges: of each form a few. It is safe for concurrent use; its zero value is ready.
type Recorder struct {
	mu   sync.Mutex
	kept []exchange
	seen map[string]int
}

// Wrap stands between the functions and a service; it is stack.Config's. An answer that never came is not recorded.
func (c *Recorder) Wrap(service string, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler) // the caller is gone
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		e := exchange{
			Service: service,
			Method:  r.Method,
			Path:    r.URL.EscapedPath(),
			Query:   r.URL.RawQuery,
			Headers: flat(r.Header),
			Body:    body,
		}
		keep := &tee{ResponseWriter: w, status: http.StatusOK}
		h.ServeHTTP(keep, r)
		if keep.status == http.StatusBadGateway && keep.body.Len() == 0 {
			return // a proxy's own answer: the caller is gone, or the service
		}
		e.Status, e.AnswerHeaders, e.Answer = keep.status, flat(w.Header()), keep.body.Bytes()
		c.note(e)
	})
}

func (c *Recorder) note(e exchange) {
	form := e.form()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.seen == nil {
		c.seen = map[string]int{}
	}
	if c.seen[form]++; c.seen[form] <= alike {
		c.kept = append(c.kept, e)
	}
}

var (
	words  = regexp.MustCompile(`^[A-Z][A-Z0-9_]{1,63}$`) // as the members of an enum are
	digits = regexp.MustCompile(`[0-9a-f]{6,}|[0-9]+`)
)

// form is what an exchange has in common with others that differ in their data alone.
func (e exchange) form() string {
	var form strings.Builder
	for _, part := range []string{e.Service, e.Method, digits.ReplaceAllString(e.Path, "0"),
		digits.ReplaceAllString(e.Query, "0"), e.Headers["x-amz-target"], http.StatusText(e.Status)} {
		form.WriteString(part + " ")
	}
	outline(&form, e.Body)
	outline(&form, e.Answer)
	return form.String()
}

// outline writes the members of a JSON text, without the names of a map's entries where they are data.
func outline(to *strings.Builder, text []byte) {
	var v any
	if json.Unmarshal(text, &v) != nil {
		return
	}
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			names := make(map[string]any, len(v))
			for name, inner := range v {
				names[digits.ReplaceAllString(name, "0")] = inner
			}
			for _, name := range slices.Sorted(maps.Keys(names)) {
				to.WriteString(name + " ")
				walk(names[name])
			}
		case []any:
			if len(v) > 0 {
				walk(v[0])
			}
		case string:
			if words.MatchString(v) {
				to.WriteString(v)
			}
		}
	}
	walk(v)
}

// flat has the first value of each header, under its name in lower case.
func flat(h http.Header) map[string]string {
	m := make(map[string]string, len(h))
	for name, values := range h {
		m[strings.ToLower(name)] = values[0]
	}
	return m
}

// tee keeps a copy of an answer.
type tee struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

// WriteHeader notes the status.
func (t *tee) WriteHeader(status int) {
	t.status = status
	t.ResponseWriter.WriteHeader(status)
}

// Write keeps what is written.
func (t *tee) Write(b []byte) (int, error) {
	t.body.Write(b)
	return t.ResponseWriter.Write(b)
}

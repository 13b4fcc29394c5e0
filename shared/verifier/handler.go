package verifier

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
)

type verifiedKey struct{}

// errOther is what an error of another package is answered as.
var errOther = unavailable("verifier_failed", "verifier failed",
	"This server cannot verify access tokens at the moment. Repeat the request later.")

// Handler passes on to next what Verify accepts, and answers the rest: 401 with a challenge, or 503 where nothing can
// be judged at the moment. The body is a problem document (RFC 9457) with the error's code. FromContext returns what
// was proved. What a token entitles to is for next to decide, by Claims.Scope and Claims.Capabilities.
func (v *Verifier) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got, err := v.Verify(r)
		if err != nil {
			Answer(w, err)
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), verifiedKey{}, got)))
	})
}

// FromContext returns what a request that Handler let through has proved.
func FromContext(ctx context.Context) (Caller, bool) {
	v, ok := ctx.Value(verifiedKey{}).(Caller)
	return v, ok
}

// Answer writes the answer to an error of Verify. An error of another kind, as UseProof may return one, is answered 503
// without its reason.
func Answer(w http.ResponseWriter, err error) {
	e := errOther
	_ = errors.As(err, &e)
	detail := e.Sentence
	if detail == "" {
		detail = err.Error()
	}
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	if e.challenge != "" {
		h.Set("WWW-Authenticate", e.challenge)
	}
	if e.Status == http.StatusServiceUnavailable {
		h.Set("Retry-After", "1")
	}
	body, _ := json.Marshal(map[string]any{ // texts and a number
		"type":   "about:blank",
		"title":  http.StatusText(e.Status),
		"status": e.Status,
		"code":   e.Code,
		"detail": detail,
	})
	w.WriteHeader(e.Status)
	_, _ = w.Write(append(body, '\n'))
}

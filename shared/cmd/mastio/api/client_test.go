package api_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/mastio-aws/mastio/shared/cmd/mastio/api"
)

// host answers each request with the next step, the last one again and again. It notes the keys that it was sent.
type host struct {
	*httptest.Server
	keys []string
}

func start(t *testing.T, steps ...http.HandlerFunc) *host {
	t.Helper()
	h := &host{}
	h.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		step := steps[min(len(h.keys), len(steps)-1)]
		h.keys = append(h.keys, r.Header.Get("Idempotency-Key"))
		step(w, r)
	}))
	t.Cleanup(h.Close)
	return h
}

func (h *host) client(t *testing.T) *api.Client {
	t.Helper()
	c, err := api.New(h.URL, "secret", h.Client().Transport)
	if err != nil {
		t.Fatal(err)
	}
	c.Wait = func(ctx context.Context, _ time.Duration) error { return ctx.Err() }
	return c
}

// cut ends the connection without an answer, as a network or a crash does.
func cut(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

func says(status int, code string, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		if code != "" {
			_, _ = w.Write([]byte(`{"code":"` + code + `","detail":"d","request_id":"r"}`))
		} else if status < 300 {
			_, _ = w.Write([]byte(`{}`))
		}
	}
}

func kind(err error) string {
	var no *api.RefusedError
	var far *api.UnreachableError
	var open *api.UnknownError
	switch {
	case err == nil:
		return "done"
	case errors.As(err, &open):
		return "unknown"
	case errors.As(err, &far):
		return "unreachable"
	case errors.As(err, &no):
		return "refused"
	}
	return err.Error()
}

func TestOutcomes(t *testing.T) {
	busy := says(409, "rotation_in_progress", "Retry-After", "30")
	for _, c := range []struct {
		name  string
		r     api.Request
		steps []http.HandlerFunc
		want  string
		times int
	}{
		{"an answer", api.Request{Method: "POST", Key: "k"}, []http.HandlerFunc{says(200, "")}, "done", 1},
		{"a refusal", api.Request{Method: "POST", Key: "k"}, []http.HandlerFunc{says(409, "x")}, "refused", 1},
		{"busy at first", api.Request{Method: "POST", Key: "k"}, []http.HandlerFunc{busy}, "refused", 1},
		{"cut, then answered", api.Request{Method: "POST", Key: "k"}, []http.HandlerFunc{cut, says(200, "")}, "done", 2},
		{"cut, under way, answered", api.Request{Method: "POST", Key: "k"}, []http.HandlerFunc{cut, busy, says(200, "")},
			"done", 3},
		{"cut, then refused", api.Request{Method: "POST", Key: "k"}, []http.HandlerFunc{cut, says(409, "x")}, "refused", 2},
		{"cut, and the store is away", api.Request{Method: "POST", Key: "k"},
			[]http.HandlerFunc{cut, says(503, "store_unavailable")}, "unknown", 6},
		{"cut for good", api.Request{Method: "POST", Key: "k"}, []http.HandlerFunc{cut}, "unknown", 6},
		{"not known", api.Request{Method: "POST", Key: "k"}, []http.HandlerFunc{says(503, "outcome_unknown"), says(200, "")},
			"done", 2},
		{"the edge's error", api.Request{Method: "POST", Key: "k"}, []http.HandlerFunc{says(502, "")}, "unknown", 6},
		{"the store is away", api.Request{Method: "POST", Key: "k"}, []http.HandlerFunc{says(503, "store_unavailable")},
			"refused", 1},
		{"a change that is safe to repeat", api.Request{Method: "DELETE"}, []http.HandlerFunc{cut}, "unknown", 6},
		{"a look", api.Request{Method: "GET"}, []http.HandlerFunc{says(503, "store_unavailable"), says(200, "")}, "done", 2},
		{"a look, cut for good", api.Request{Method: "GET"}, []http.HandlerFunc{cut}, "unreachable", 6},
		{"a pre-flight, cut for good", api.Request{Method: "POST"}, []http.HandlerFunc{cut}, "unreachable", 6},
		{"a redirect", api.Request{Method: "GET"}, []http.HandlerFunc{says(302, "", "Location", "https://else.example/")},
			"refused", 1},
	} {
		h := start(t, c.steps...)
		c.r.Path = "/x"
		_, err := h.client(t).Do(t.Context(), c.r)
		if got := kind(err); got != c.want || len(h.keys) != c.times {
			t.Errorf("%s: %s after %d requests, want %s after %d: %v", c.name, got, len(h.keys), c.want, c.times, err)
		}
		if slices.ContainsFunc(h.keys, func(k string) bool { return k != c.r.Key }) {
			t.Errorf("%s: repeated under other keys: %q, want %q", c.name, h.keys, c.r.Key)
		}
	}
}

// Nothing was changed where no connection was made, or the other end is not the Mastio's: there is no reason to repeat.
func TestNoConnection(t *testing.T) {
	h := start(t, says(200, ""))
	stranger, err := api.Transport(nil)
	if err != nil {
		t.Fatal(err)
	}
	c, err := api.New(h.URL, "secret", stranger)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Do(t.Context(), api.Request{Method: "POST", Path: "/x", Key: "k"}); kind(err) != "unreachable" ||
		len(h.keys) != 0 {
		t.Errorf("an untrusted host: %s, %d requests; want unreachable and none", kind(err), len(h.keys))
	}
	c = h.client(t)
	h.Close()
	if _, err := c.Do(t.Context(), api.Request{Method: "POST", Path: "/x", Key: "k"}); kind(err) != "unreachable" {
		t.Errorf("a host that is gone: %s, want unreachable", kind(err))
	}
}

func TestAddress(t *testing.T) {
	for _, bad := range []string{"", "mastio.example.com", "http://mastio.example.com", "https://",
		"https://u:p@m.example", "https://m.example?x=1"} {
		if _, err := api.New(bad, "s", nil); err == nil {
			t.Errorf("%q was taken for an address", bad)
		}
	}
}

package tsa_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/digitorus/timestamp"

	"github.com/mastio-aws/mastio/shared/audit/rfc3161"
	"github.com/mastio-aws/mastio/shared/edge/tsa"
	"github.com/mastio-aws/mastio/test/audittest"
)

var digest = sha256.Sum256([]byte("a checkpoint"))

func authority() *audittest.Authority {
	noon := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	return audittest.NewAuthority(func() time.Time { return noon }, x509.ExtKeyUsageTimeStamping)
}

func serve(t *testing.T, h http.Handler) *tsa.Client {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return &tsa.Client{URL: s.URL}
}

func TestStamp(t *testing.T) {
	a := authority()
	token, err := serve(t, a).Stamp(t.Context(), digest[:])
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(a.RootPEM)
	if at, _, err := rfc3161.Checker(roots)(token, digest[:]); err != nil || !at.Equal(a.Now()) {
		t.Errorf("token of %v: %v", at, err)
	}
}

// say answers a query with what answer makes of it.
func say(answer func(q *timestamp.Request) []byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		q, err := timestamp.ParseRequest(body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/timestamp-reply")
		w.Write(answer(q))
	})
}

func TestNoToken(t *testing.T) {
	a, gone := authority(), httptest.NewServer(nil)
	gone.Close()
	refused, err := timestamp.CreateErrorResponse(timestamp.Rejection, timestamp.SystemFailure)
	if err != nil {
		t.Fatal(err)
	}
	other := sha256.Sum256([]byte("something else"))
	for name, h := range map[string]http.Handler{
		"refused":             say(func(*timestamp.Request) []byte { return refused }),
		"another digest":      say(func(q *timestamp.Request) []byte { return a.Respond(other[:], q.Nonce, true) }),
		"another nonce":       say(func(*timestamp.Request) []byte { return a.Respond(digest[:], big.NewInt(1), true) }),
		"no nonce":            say(func(*timestamp.Request) []byte { return a.Respond(digest[:], nil, true) }),
		"no certificate":      say(func(q *timestamp.Request) []byte { return a.Respond(digest[:], q.Nonce, false) }),
		"cut":                 say(func(q *timestamp.Request) []byte { return a.Respond(digest[:], q.Nonce, true)[:100] }),
		"nothing":             say(func(*timestamp.Request) []byte { return nil }),
		"far too much":        say(func(*timestamp.Request) []byte { return bytes.Repeat([]byte{0x30}, 1<<20) }),
		"a page":              http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<html>") }),
		"an error":            http.NotFoundHandler(),
		"a way to somewhere":  http.RedirectHandler("/elsewhere", http.StatusFound),
		"for code, not times": audittest.NewAuthority(a.Now, x509.ExtKeyUsageCodeSigning),
	} {
		if token, err := serve(t, h).Stamp(t.Context(), digest[:]); !errors.Is(err, tsa.ErrAuthority) || token != nil {
			t.Errorf("%s: %d octets, %v; want ErrAuthority", name, len(token), err)
		}
	}
	for _, url := range []string{gone.URL, "://", "http://127.0.0.1:0"} {
		if _, err := (&tsa.Client{URL: url}).Stamp(t.Context(), digest[:]); !errors.Is(err, tsa.ErrAuthority) {
			t.Errorf("%s: %v, want ErrAuthority", url, err)
		}
	}
}

func TestAuthorityThatIsSilent(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	client := serve(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // a server that has not read the request does not see its client go
		cancel()
		<-r.Context().Done()
	}))
	if _, err := client.Stamp(ctx, digest[:]); !errors.Is(err, tsa.ErrAuthority) {
		t.Errorf("%v, want ErrAuthority", err)
	}
}

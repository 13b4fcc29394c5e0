package verifier

import (
	"context"
	"crypto/ecdsa"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mastio-aws/mastio/shared/verifier/accesstoken"
)

// mastio answers as a Mastio does, within the process. Its clock is that of the bubble.
type mastio struct {
	t      testing.TB
	mu     sync.Mutex
	keys   map[string]*ecdsa.PrivateKey
	kid    string // that signs
	status func(d *Document)
	seq    int64
	answer func(r *http.Request) *http.Response // instead of its own; nil answer: its own
	calls  atomic.Int64
}

// RoundTrip answers a request of a verifier.
func (m *mastio) RoundTrip(r *http.Request) (*http.Response, error) {
	m.calls.Add(1)
	m.mu.Lock()
	answer := m.answer
	m.mu.Unlock()
	if answer != nil { // which may wait: not under the lock
		if res := answer(r); res != nil {
			if err := r.Context().Err(); err != nil {
				return nil, err
			}
			return res, nil
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	switch r.URL.Path {
	case "/.well-known/jwks.json":
		var keys []accesstoken.PublicKey
		for kid, key := range m.keys {
			keys = append(keys, accesstoken.PublicKey{ID: kid, Key: &key.PublicKey})
		}
		text, err := accesstoken.JWKS(keys)
		return answered(200, string(text)), err
	case StatusPath:
		d := Document{Issuer: issuer, Seq: max(m.seq, 1), MaxAge: StatusMaxAge, Generations: []int64{1}}
		d.IssuedAt = clock()
		if m.status != nil {
			m.status(&d)
		}
		text, err := d.Sign(m.kid, m.keys[m.kid])
		return answered(200, text), err
	}
	return answered(404, ""), nil
}

func (m *mastio) set(change func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	change()
}

func answered(status int, body string) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}
}

// world is a scene with a Mastio and a verifier that is ready, in a bubble with a clock of its own.
func world(t *testing.T, change func(*Config), body func(t *testing.T, s scene, m *mastio, v *Verifier)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s, _ := newScene(t)
		m := &mastio{t: t, keys: map[string]*ecdsa.PrivateKey{"day": s.day}, kid: "day"}
		cfg := Config{Issuer: issuer, Audience: resource, Transport: m, Log: slog.New(slog.DiscardHandler)}
		if change != nil {
			change(&cfg)
		}
		v, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer v.Close()
		if err := v.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		body(t, s, m, v)
	})
}

// request is one with a token of now and a proof of its own.
func (s scene) fresh(t testing.TB, id string) *http.Request {
	t.Helper()
	token := s.token(t, s.jkt(), func(c *accesstoken.Claims) {
		c.IssuedAt, c.Expires = clock(), clock().Add(5*time.Minute)
	})
	return s.shown(t, token, id)
}

func (s scene) shown(t testing.TB, token, id string) *http.Request {
	t.Helper()
	proof := prove(t, s.proof, token, map[string]any{"jti": id, "iat": clock().Unix()})
	return vectorRequest{
		Method:      "GET",
		Path:        "/v1/orders",
		Headers:     [][]string{{"Authorization", "DPoP " + token}, {"DPoP", proof}},
		Certificate: stdBase64(s.cert.Raw),
	}.http(t)
}

func TestVerifyInTheSteadyStateMakesNoCall(t *testing.T) {
	world(t, nil, func(t *testing.T, s scene, m *mastio, v *Verifier) {
		before := m.calls.Load()
		var wg sync.WaitGroup
		for i := range 100 {
			r := s.fresh(t, fmt.Sprint(i))
			wg.Go(func() {
				if got, err := v.Verify(r); err != nil || got.Claims.Subject != "acme::kyc" {
					t.Errorf("%+v, %v", got, err)
				}
				if _, err := v.Verify(r); !errors.Is(err, ErrReplayed) {
					t.Errorf("the second time: %v", err)
				}
			})
		}
		wg.Wait()
		if n := m.calls.Load() - before; n != 0 {
			t.Errorf("%d calls", n)
		}
	})
}

// A revocation holds after a poll, and without polls nothing is accepted.
func TestVerifyFollowsTheStatus(t *testing.T) {
	world(t, nil, func(t *testing.T, s scene, m *mastio, v *Verifier) {
		if _, err := v.Verify(s.fresh(t, "1")); err != nil {
			t.Fatal(err)
		}
		token := s.token(t, s.jkt(), func(c *accesstoken.Claims) {
			c.IssuedAt, c.Expires = clock(), clock().Add(time.Hour)
		})
		dead := Entry{X5T: thumbprint(s.cert), NotBefore: clock().Add(time.Second)}
		m.set(func() { m.seq, m.status = 2, func(d *Document) { d.Dead = []Entry{dead} } })
		time.Sleep(3 * time.Second)
		if _, err := v.Verify(s.shown(t, token, "2")); !errors.Is(err, ErrRevoked) {
			t.Errorf("after a poll: %v", err)
		}
		if _, err := v.Verify(s.fresh(t, "3")); err != nil {
			t.Errorf("a token issued later: %v", err)
		}
		m.set(func() { m.answer = func(*http.Request) *http.Response { return answered(503, "") } })
		for range 29 {
			time.Sleep(time.Second)
			if _,
				err := v.Verify(s.fresh(t, fmt.Sprint("out", clock().Unix()))); err != nil && !errors.Is(err, ErrStale) {
				t.Fatal(err)
			}
		}
		time.Sleep(2 * time.Second)
		if _, err := v.Verify(s.fresh(t, "4")); !errors.Is(err, ErrStale) {
			t.Errorf("after max_stale: %v", err)
		}
		m.set(func() { m.answer = nil })
		time.Sleep(15 * time.Second) // the longest pause after failures
		if _, err := v.Verify(s.fresh(t, "5")); err != nil {
			t.Errorf("after the outage: %v", err)
		}
	})
}

// Of the Mastio's answers none but a document counts, and none keeps a request waiting.
func TestFeedRefuses(t *testing.T) {
	for name, answer := range map[string]func(r *http.Request) *http.Response{
		"an error": func(*http.Request) *http.Response { return answered(500, "") },
		"a redirect": func(r *http.Request) *http.Response {
			if r.URL.Host == "other.example" {
				panic("it was followed")
			}
			res := answered(302, "")
			res.Header.Set("Location", "https://other.example/")
			return res
		},
		"no body":    func(*http.Request) *http.Response { return answered(200, "") },
		"a long one": func(*http.Request) *http.Response { return answered(200, strings.Repeat("x", StatusSize+1)) },
		"no end": func(*http.Request) *http.Response {
			res := answered(200, "")
			res.Body = io.NopCloser(endless{})
			return res
		},
		"silence": func(r *http.Request) *http.Response { <-r.Context().Done(); return answered(200, "") },
	} {
		t.Run(name, func(t *testing.T) {
			world(t, nil, func(t *testing.T, s scene, m *mastio, v *Verifier) {
				m.set(func() { m.answer = answer })
				time.Sleep(31 * time.Second)
				if _, err := v.Verify(s.fresh(t, "1")); !errors.Is(err, ErrStale) {
					t.Errorf("error = %v, want ErrStale", err)
				}
				time.Sleep(time.Hour)
				if _, err := v.Verify(s.fresh(t, "2")); !errors.Is(err, ErrKeys) {
					t.Errorf("error = %v, want ErrKeys", err)
				}
			})
		})
	}
}

type endless struct{}

// Read reads forever.
func (endless) Read(p []byte) (int, error) { return len(p), nil }

// A new key is fetched with the first token of it; tokens of keys that there are not cause a fetch in ten seconds.
func TestUnknownKeyIsFetched(t *testing.T) {
	world(t, nil, func(t *testing.T, s scene, m *mastio, v *Verifier) {
		next := scene{day: newKey(t), proof: s.proof, cert: s.cert}
		token, err := accesstoken.Sign(accesstoken.Claims{
			Issuer:     issuer,
			Subject:    "acme::kyc",
			Audience:   []string{resource},
			ClientID:   "acme::kyc",
			JTI:        "1",
			IssuedAt:   clock(),
			Expires:    clock().Add(5 * time.Minute),
			X5T:        thumbprint(s.cert),
			JKT:        s.jkt(),
			Generation: 1,
		}, accesstoken.Key{ID: "night", Signer: next.day})
		if err != nil {
			t.Fatal(err)
		}
		var fetched atomic.Int64
		m.set(func() {
			m.keys["night"] = next.day
			m.answer = func(r *http.Request) *http.Response {
				if r.URL.Path != StatusPath {
					fetched.Add(1)
				}
				return nil
			}
		})
		if _, err := v.Verify(next.shown(t, token, "1")); err != nil || fetched.Load() != 1 {
			t.Fatalf("the first token of a new key: %v, %d fetches", err, fetched.Load())
		}
		for i := range 50 {
			forged, err := accesstoken.Sign(accesstoken.Claims{
				Issuer:   issuer,
				Subject:  "x",
				Audience: []string{resource},
				ClientID: "x",
				JTI:      "1",
				IssuedAt: clock(),
				Expires:  clock().Add(time.Minute),
				X5T:      thumbprint(s.cert),
			}, accesstoken.Key{ID: fmt.Sprint(i), Signer: newKey(t)})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := v.Verify(s.shown(t, forged, fmt.Sprint(i))); !errors.Is(err, ErrToken) {
				t.Errorf("a forged token: %v", err)
			}
		}
		if n := fetched.Load(); n != 1 {
			t.Errorf("%d fetches", n)
		}
		m.set(func() { delete(m.keys, "night") })
		time.Sleep(keysEvery)
		if _, err := v.Verify(next.shown(t, token, "2")); !errors.Is(err, ErrToken) {
			t.Errorf("a token of a key that is withdrawn: %v", err)
		}
	})
}

// Close leaves nothing behind, also while the Mastio does not answer. The bubble fails if a goroutine is left.
func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		silent := &mastio{answer: func(r *http.Request) *http.Response {
			<-r.Context().Done()
			return answered(200,
				"")
		}}
		v, err := New(Config{Issuer: issuer, Audience: resource, Transport: silent, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := v.Ready(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Ready: %v", err)
		}
		s, _ := newScene(t)
		if _, err := v.Verify(s.fresh(t, "1")); !errors.Is(err, ErrKeys) {
			t.Errorf("before the keys were fetched: %v", err)
		}
		v.Close()
		v.Close()
		if n := runtime.NumGoroutine(); n > 20 {
			t.Errorf("%d goroutines", n)
		}
	})
}

func TestConfigNamesAllThatIsWrong(t *testing.T) {
	_, err := New(Config{
		Issuer:   "http://mastio.example",
		Mastio:   "https://mastio.example?x",
		URL:      "ftp://api.example",
		MaxStale: time.Second,
		Proxy:    &Proxy{Header: "Client-Cert", Format: "pem"},
	})
	for _, want := range []string{"Issuer", "Mastio", "URL", "MaxStale", "Audience", "Proxy"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not name %s", err, want)
		}
	}
	for _, local := range []string{"http://localhost:9443", "http://127.0.0.1:1", "http://[::1]:2/live"} {
		cfg := Config{Issuer: local, Audience: resource}
		if err := cfg.complete(); err != nil {
			t.Errorf("%s: %v", local, err)
		}
	}
}

func TestMemory(t *testing.T) {
	m := memory{most: 2}
	until := now.Add(time.Minute)
	for i, c := range []struct {
		jti  string
		at   time.Time
		want error
	}{
		{"a", now, nil}, {"a", now, ErrReplayed}, {"b", now, nil}, {"c", now, ErrMemory},
		{"a", now.Add(proofLife), ErrReplayed},  // the old half
		{"a", now.Add(-time.Hour), ErrReplayed}, // a clock that was set back
		{"c", now.Add(proofLife), nil},          // there is place again
		{"a", now.Add(2 * proofLife), nil},      // it is forgotten
		{"c", now.Add(2*proofLife + 1), ErrReplayed},
	} {
		if err := m.use("key", c.jti, until, c.at); !errors.Is(err, c.want) {
			t.Errorf("step %d: error = %v, want %v", i, err, c.want)
		}
	}
}

// More entries than any honest Mastio names: what is forgotten stays dead with everything that was issued before.
func TestStatusOfTooMuch(t *testing.T) {
	s, _ := newScene(t)
	var st Status
	for seq := range int64(maxDead/StatusEntries + 1) {
		d := Document{Issuer: issuer, IssuedAt: now, Seq: seq + 1, MaxAge: StatusMaxAge, Generations: []int64{1}}
		for i := range StatusEntries {
			d.Dead = append(d.Dead,
				Entry{Handle: fmt.Sprint(seq, " ", i), NotBefore: now.Add(time.Duration(seq) * time.Second)})
		}
		text, err := d.Sign("day", s.day)
		if err != nil {
			t.Fatal(err)
		}
		if err := st.Learn(text, s.keys, issuer, now, now); err != nil {
			t.Fatal(err)
		}
	}
	if len(st.dead) != 0 || !st.notBefore.Equal(now.Add(commitRoom)) {
		t.Errorf("%d entries, not before %s", len(st.dead), st.notBefore)
	}
}

// The claims of a token are kept, and no verdict about it: dates, status and the key's end hold for one that was seen.
func TestOpenedTokenIsJudgedEachTime(t *testing.T) {
	world(t, nil, func(t *testing.T, s scene, m *mastio, v *Verifier) {
		token := s.token(t, s.jkt(), func(c *accesstoken.Claims) {
			c.IssuedAt, c.Expires = clock(), clock().Add(5*time.Minute)
		})
		if _, err := v.Verify(s.shown(t, token, "1")); err != nil || v.opened.size() != 1 {
			t.Fatalf("%v, %d tokens are kept", err, v.opened.size())
		}
		time.Sleep(4 * time.Minute)
		if _, err := v.Verify(s.shown(t, token, "2")); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Minute)
		if _, err := v.Verify(s.shown(t, token, "3")); !errors.Is(err, ErrToken) || !errors.Is(err, accesstoken.ErrExpired) {
			t.Errorf("after its end: %v", err)
		}
		for i := range 2*maxOpened + 10 {
			v.opened.mu.Lock()
			v.opened.keep([32]byte{byte(i), byte(i >> 8)}, accesstoken.Claims{})
			v.opened.mu.Unlock()
		}
		if n := v.opened.size(); n > 2*maxOpened {
			t.Errorf("%d tokens are kept", n)
		}
		time.Sleep(keysEvery)
		if v.opened.size() != 0 {
			t.Error("tokens are kept although the keys were fetched anew")
		}
	})
}

// size is how many tokens are kept.
func (o *claimCache) size() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.young) + len(o.old)
}

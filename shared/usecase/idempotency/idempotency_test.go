package idempotency_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mastio-aws/mastio/shared/problem"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
	"github.com/mastio-aws/mastio/shared/usecase/idempotency"
)

var noon = time.Date(2026, time.January, 2, 12, 0, 0, 0, time.UTC)

func now() time.Time { return noon }

// result is what a use case returns; with a secret it may not be kept.
type result struct{ text, secret string }

var done = problem.Done{Thumbprint: strings.Repeat("ab", 32), At: noon, Next: "POST /again"}

// Private says what is kept instead.
func (r result) Private() (problem.Done, bool) { return done, r.secret != "" }

func request(key, asked string) idempotency.Request[result] {
	return idempotency.Request[result]{
		Key:   key,
		Asked: asked,
		Body: func(r result) (idempotency.KeptAnswer, error) {
			body, err := json.Marshal(r.text + r.secret)
			return idempotency.KeptAnswer{Status: 201, Body: body}, err
		},
	}
}

// store is a memstore whose look-ups can fail.
type store struct {
	*memstore.Store
	down  bool
	reads int
}

// Answer counts look-ups.
func (s *store) Answer(ctx context.Context, key string, now time.Time) (*registry.Answer, error) {
	if s.reads++; s.down {
		return nil, registry.ErrUnavailable
	}
	return s.Store.Answer(ctx, key, now)
}

// commit is work that commits its answer and ends with err.
func commit(s *store, r idempotency.Request[result], out result, err error) func() (result, error) {
	return func() (result, error) {
		answer, keepErr := r.Keep(out, noon)
		if keepErr != nil {
			return result{}, keepErr
		}
		if answer != nil {
			if err := s.Apply(context.Background(), registry.Change{ID: "change", Answer: answer}); err != nil {
				return result{}, err
			}
		}
		return out, err
	}
}

func TestDo(t *testing.T) {
	refused := problem.New(409, "refused", "refused")
	worked := func(t *testing.T) func() (result, error) {
		return func() (result, error) { t.Error("the work was done again"); return result{}, nil }
	}
	t.Run("without a key nothing is looked up or kept", func(t *testing.T) {
		s, r := &store{Store: memstore.New(memstore.Config{})}, request("", "a")
		out, err := idempotency.Do(t.Context(), s, r, now, commit(s, r, result{text: "x"}, nil))
		if err != nil || out.text != "x" || s.reads != 0 {
			t.Errorf("%v, %v, %d reads", out, err, s.reads)
		}
		if _, err := idempotency.Do(t.Context(), s, r, now, commit(s, r, result{}, refused)); !errors.Is(err, refused) ||
			s.reads != 0 {
			t.Errorf("%v, %d reads", err, s.reads)
		}
	})
	t.Run("a public answer is replayed", func(t *testing.T) {
		s, r := &store{Store: memstore.New(memstore.Config{})}, request("k", "a")
		if _, err := idempotency.Do(t.Context(), s, r, now, commit(s, r, result{text: "x"}, nil)); err != nil ||
			s.reads != 1 {
			t.Fatalf("%v, %d reads", err, s.reads)
		}
		_, err := idempotency.Do(t.Context(), s, r, now, worked(t))
		replay, ok := errors.AsType[*idempotency.Replay](err)
		if !ok || replay.Status != 201 || string(replay.Body) != `"x"` {
			t.Errorf("%v", err)
		}
		if _, err := idempotency.Do(t.Context(), s, request("k", "b"), now, worked(t)); !errors.Is(err,
			idempotency.ErrReused) {
			t.Errorf("another request: %v", err)
		}
	})
	t.Run("a private answer is reported, not kept", func(t *testing.T) {
		s, r := &store{Store: memstore.New(memstore.Config{})}, request("k", "a")
		if _, err := idempotency.Do(t.Context(), s, r, now, commit(s, r, result{secret: "s3cret"}, nil)); err != nil {
			t.Fatal(err)
		}
		kept, err := s.Store.Answer(t.Context(), "k", noon)
		if err != nil || strings.Contains(string(kept.Result), "s3cret") {
			t.Errorf("kept %s, %v", kept.Result, err)
		}
		_, err = idempotency.Do(t.Context(), s, r, now, worked(t))
		if diff := cmp.Diff(&done, problem.Of(err).Done); !errors.Is(err, idempotency.ErrDone) || diff != "" {
			t.Errorf("%v\n%s", err, diff)
		}
	})
	t.Run("after a failure the answer is looked for", func(t *testing.T) {
		for _, c := range []struct {
			name      string
			committed bool
			down      bool
			err, want error
		}{
			{"committed, not heard", true, false, registry.ErrUnknown, nil},
			{"another one committed", true, false, refused, nil},
			{"refused", false, false, refused, refused},
			{"unknown, and nothing there", false, false, registry.ErrUnknown, registry.ErrUnknown},
			{"unknown, and the look-up fails", true, true, registry.ErrUnknown, registry.ErrUnknown},
			{"refused, and the look-up fails", true, true, refused, registry.ErrUnavailable},
		} {
			s, r := &store{Store: memstore.New(memstore.Config{})}, request("k", "a")
			_, err := idempotency.Do(t.Context(), s, r, now, func() (result, error) {
				if s.down = c.down; c.committed {
					return commit(s, r, result{text: "x"}, c.err)()
				}
				return result{}, c.err
			})
			if _, replay := errors.AsType[*idempotency.Replay](err); c.want == nil && !replay || c.want != nil &&
				!errors.Is(err, c.want) {
				t.Errorf("%s: %v, want %v", c.name, err, c.want)
			}
		}
	})
}

func TestWhatIsNotKept(t *testing.T) {
	for name, text := range map[string]string{
		"private key": "-----BEGIN PRIVATE KEY-----", "too long": strings.Repeat("x", registry.MaxAnswer),
	} {
		if a, err := request("k", "a").Keep(result{text: text}, noon); err == nil || a != nil ||
			problem.Of(err).Status != 500 {
			t.Errorf("%s: kept, %v", name, err)
		}
	}
	// The name of a key is no key.
	if a, err := request("k", "a").Keep(result{text: "the PRIVATE KEY team"}, noon); err != nil || a == nil {
		t.Errorf("a display name: %v", err)
	}
}

func TestKeys(t *testing.T) {
	for _, key := range []string{"", " ", "a b", "a\n", "ä", "\x7f", strings.Repeat("a", 256)} {
		if err := idempotency.Check(key); !errors.Is(err, idempotency.ErrKey) {
			t.Errorf("%q: %v", key, err)
		}
	}
	if err := idempotency.Check(strings.Repeat("~", 255)); err != nil {
		t.Error(err)
	}
}

// A kept answer that cannot be read is no answer to any request.
func TestDamagedAnswer(t *testing.T) {
	for _, text := range []string{`{}`, `"x"`, `{"status":200,"done":{}}`, ``} {
		s := &store{Store: memstore.New(memstore.Config{})}
		a := registry.Answer{Key: "k", Request: "a", Result: json.RawMessage(text), Expires: noon.Add(time.Hour)}
		if err := s.Apply(t.Context(), registry.Change{ID: "change", Answer: &a}); err != nil {
			t.Fatal(err)
		}
		err := request("k", "a").Known(t.Context(), s, noon)
		if _, replay := errors.AsType[*idempotency.Replay](err); err == nil || replay || problem.Of(err).Status != 500 {
			t.Errorf("%s: %v", text, err)
		}
	}
}
